"""Which serial ports there are, what is behind them, and whether we may open them. Asks the system, opens nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from serial.tools.list_ports import comports

from drivers.links.holders import holders_of, owner_of

BY_ID = Path("/dev/serial/by-id")
TEXT_LIMIT = 64  # USB strings are at most 126 characters; more than this is no name

Access = Literal["ok", "denied", "busy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialPort:
    """One port. `vid`, `pid` and `serial_number` are None where the port is not USB or does not tell.

    by_id: the name that survives replugging, None where the system gives none. `note` says what `access` needs.
    """

    path: str
    by_id: str | None
    vid: int | None
    pid: int | None
    serial_number: str | None
    description: str
    access: Access
    note: str


def serial_ports(*, by_id: Path = BY_ID) -> tuple[SerialPort, ...]:
    """Return every serial port of this machine that has hardware behind it, sorted by path."""
    stable = _stable_names(by_id)
    found = []
    for port in sorted(comports(), key=lambda port: port.device):
        access, note = _access(port.device)
        found.append(
            SerialPort(
                path=port.device,
                by_id=stable.get(os.path.realpath(port.device)),
                vid=port.vid,
                pid=port.pid,
                serial_number=_clean(port.serial_number) or None,
                description=_clean(port.description),
                access=access,
                note=note,
            )
        )
    return tuple(found)


def _stable_names(folder: Path) -> dict[str, str]:
    try:
        return {os.path.realpath(link): str(link) for link in sorted(folder.iterdir(), reverse=True)}
    except OSError:
        return {}


def _access(path: str) -> tuple[Access, str]:
    if not os.access(path, os.R_OK | os.W_OK):
        return "denied", f"it belongs to {owner_of(path)}; add the service user to that group, or install the udev rule"
    holders = holders_of(path)
    return ("busy", f"in use by {', '.join(holders)}") if holders else ("ok", "")


def _clean(text: str | None) -> str:
    return "".join(c for c in text or "" if c.isascii() and c.isprintable())[:TEXT_LIMIT].strip()
