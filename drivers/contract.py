"""The words between a device file and the rest: steps of a dialogue, and the values that come out of it.

A dialogue is a generator of steps. It never opens, sleeps or logs; `drivers.session.Session` performs the steps on a
link and owns every timer and the trace. Values are frozen; arrays in them are read-only.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from drivers.errors import AskAgain, Resynchronise
from drivers.framing import Framer

T = TypeVar("T")
AxisUnit = Literal["nm", "cm-1"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Write all of these bytes."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Receive:
    """Wait for one frame; the generator is resumed with its payload (bytes)."""

    framer: Framer
    within_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """Discard input until the line has been quiet for `quiet_s`, at most `within_s`."""

    quiet_s: float = 0.05
    within_s: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Let the device work for so long; stopping interrupts it."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recover:
    """Something went wrong and the conversation is willing to ask again; yielded by `drivers.attempt.attempt` only.

    The session applies the cure (a pause or a drain) and resumes, or, when its patience is over, raises `error` there.
    `attempt` counts the failures with this cure, from 1.
    """

    error: AskAgain | Resynchronise
    attempt: int


Step = Send | Receive | Drain | Wait | Recover
Conversation = Generator[Step, bytes | None, T]


class Link(Protocol):
    """A stream of bytes to one port. Not thread-safe, save `interrupt`. Raises Reopen or Park errors, nothing else."""

    name: str

    def read(self, limit: int, within_s: float) -> bytes:
        """Return what has arrived, at least one byte, or b"" after `within_s`."""

    def write(self, data: bytes, within_s: float) -> None:
        """Write all of it or raise LinkLost."""

    def interrupt(self) -> None:
        """Make a `read` that is waiting in another thread return soon."""

    def close(self) -> None:
        """Never raises; closing twice is fine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who answered. Text from a device is already cleaned to printable ASCII."""

    kind: str
    model: str
    serial_number: str
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanSettings:
    """What to measure. `gain` None lets the device choose. Range in nm for NIR devices."""

    name: str = "edged"
    start_nm: float = 900.0
    end_nm: float = 1700.0
    points: int = 228
    width_px: int = 6
    repeats: int = 6
    gain: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Conditions at the instrument; None where it could not tell."""

    ambient_c: float | None = None
    detector_c: float | None = None
    humidity_percent: float | None = None
    lamp_photodiode: int | None = None
    battery_v: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RawScan:
    """One scan as the device gave it.

    axis, counts, saturated: 1-d arrays of one length (float64, int32, bool). `counts` have the dark level removed;
    `raw` holds the detector's own integers as transferred, dark readings included. `blob` is the transfer itself, kept
    as the original.
    """

    identity: Identity
    settings: ScanSettings
    scan_index: int
    axis: NDArray[np.float64]
    axis_unit: AxisUnit
    counts: NDArray[np.int32]
    raw: NDArray[np.int32]
    dark_level: float
    saturated: NDArray[np.bool_]
    gain: int
    environment: Environment
    blob: bytes

    def __post_init__(self) -> None:
        if not (len(self.axis) == len(self.counts) == len(self.saturated)):
            raise ValueError(
                f"axis {len(self.axis)}, counts {len(self.counts)}, saturated {len(self.saturated)}: lengths differ"
            )
        for array in (self.axis, self.counts, self.raw, self.saturated):
            array.flags.writeable = False


class Device(Protocol):
    """What a device file exports as DEVICE. Conversations may raise any DriverError."""

    kind: str
    title: str
    links: tuple[str, ...]
    default_settings: ScanSettings

    def open(self) -> Conversation[Identity]:
        """Light source safe, drain, identify. Called once after every opening of the link."""

    def configure(self, settings: ScanSettings) -> Conversation[None]:
        """Make the settings current. Raises BadSettings, before anything is sent, if they cannot be."""

    def scan(self, settings: ScanSettings) -> Conversation[RawScan]:
        """One complete scan with the settings that `configure` made current."""

    def environment(self) -> Conversation[Environment]:
        """Read temperatures, humidity, lamp; also serves as keep-alive between scans."""

    def close(self) -> Conversation[None]:
        """Light source off. Called in every finally that can still talk."""
