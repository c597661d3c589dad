"""How to reach the broker. Plain values; the service fills them from the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """ca_file None trusts the system's authorities."""

    ca_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSettings:
    """How to reach the broker, and how hard to try.

    protocol `auto`: MQTT 5, and 3.1.1 when the broker refuses that. password_file is read at every connection, so a
    secret may be changed while we run. in_flight: records sent and not yet acknowledged, at most; the broker may ask
    for fewer. A broker that hangs is noticed within twice keepalive_s.
    """

    host: str
    port: int = 1883
    site: str
    device: str
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    username: str | None = None
    password_file: Path | None = None
    tls: TlsSettings | None = None
    keepalive_s: int = 30
    connect_within_s: float = 5.0
    backoff_min_s: float = 0.5
    backoff_max_s: float = 60.0
    in_flight: int = 256
    health_every_s: float = 30.0
    refused_retry_s: float = 30.0
    stop_within_s: float = 2.0

    def __post_init__(self) -> None:
        if not self.host or not 0 < self.port < 65_536:
            raise ValueError(f"{self.host!r}:{self.port} is not an address")
        self.host.encode("idna")  # what the resolver would refuse with ValueError is refused here
        if not 1 <= self.in_flight <= 65_000:
            raise ValueError(f"in_flight is {self.in_flight}; 1 to 65000")

    @property
    def name(self) -> str:
        """How log lines call the broker."""
        return f"{self.host}:{self.port}"
