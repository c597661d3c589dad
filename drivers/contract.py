"""The words between a device file and the rest: steps of a dialogue, and the values that come out of it.

A dialogue is a generator of steps. It never opens, sleeps or logs; `drivers.session.Session` performs the steps on a
link and owns every timer and the trace. Values are frozen; arrays in them are read-only.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, Self, TypeVar, dataclass_transform, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from drivers.errors import AskAgain, Resynchronise
from drivers.framing import Framer

T = TypeVar("T")
U = TypeVar("U", bound="Unit")
AxisUnit = Literal["nm", "cm-1"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Write all of these bytes. `endpoint` is the address of a USB pipe; None on a link that has one way out."""

    data: bytes
    endpoint: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receive:
    """Wait for one frame; the generator is resumed with its payload (bytes). `endpoint` as in Send, each with its own
    buffer.
    """

    framer: Framer
    within_s: float
    endpoint: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One USB control transfer; the generator is resumed with what came in, b"" for a transfer outward.

    request_type: bmRequestType, whose top bit says inward. data: the stage outward. length: bytes wanted inward; what
    comes may be shorter, and is for the caller to check.
    """

    request_type: int
    request: int
    value: int = 0
    index: int = 0
    data: bytes = b""
    length: int = 0
    within_s: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """Discard input until the line has been quiet for `quiet_s`, at most `within_s`. On USB: every pipe."""

    quiet_s: float = 0.05
    within_s: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBaud:
    """Talk at this rate from now on; on a link without a rate of its own nothing happens."""

    baud: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Let the device work for so long; stopping interrupts it."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recover:
    """Something went wrong and the conversation is willing to ask again; made by
    `drivers.attempt` only.

    The session applies the cure (a pause or a drain) and resumes, or, when its patience is over, raises `error` there.
    `attempt` counts the failures with this cure, from 1.
    """

    error: AskAgain | Resynchronise
    attempt: int


Step = Send | Receive | Control | Drain | SetBaud | Wait | Recover
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


@runtime_checkable
class BaudLink(Protocol):
    """A Link whose rate can be set."""

    def set_baud(self, baud: int) -> None:
        """Send and receive at this rate from now on. Raises LinkLost."""


@runtime_checkable
class UsbLink(Protocol):
    """The pipes of one USB interface. As Link in all else; a stalled pipe is a WireError, a stalled request Stalled."""

    name: str

    @property
    def in_endpoints(self) -> tuple[int, ...]:
        """The addresses of the pipes inward."""

    def read_from(self, endpoint: int, limit: int, within_s: float) -> bytes:
        """Return what one transfer brought, at most `limit` bytes, or b"" after `within_s`; no transfers are joined."""

    def write_to(self, endpoint: int, data: bytes, within_s: float) -> None:
        """Write all of it in one transfer, or raise LinkLost."""

    def control(self, transfer: Control) -> bytes:
        """Perform it. Raises Stalled when the device does not know the request, NoAnswer when it is silent."""

    def clear_halts(self) -> None:
        """Make stalled pipes usable again."""

    def interrupt(self) -> None:
        """Make a `read_from` that is waiting in another thread return soon."""

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
class Calibration:
    """What a unit with a detector array stores of itself, as corrections want it; empty or None where it stores none.

    bad_pixels, dark_pixels: indices from 0 into the pixels of a RawScan, dark ones are never lit. nonlinearity:
    coefficients c0... of the polynomial in counts that a reading is divided by. stray_light: the stored numbers.
    odd_gain, odd_offset: what makes the odd pixels of an InGaAs array match the even ones. invert: the detector is
    mounted the other way round; pixels of a RawScan are as read, its axis is that of the pixels as read. intensity:
    coefficients of the polynomial in pixels whose power of ten is the relative intensity factor. active: first and last
    pixel that see the spectrum. excitation_nm: wavelength of the laser.
    """

    bad_pixels: tuple[int, ...] = ()
    dark_pixels: tuple[int, ...] = ()
    nonlinearity: tuple[float, ...] = ()
    stray_light: tuple[float, ...] = ()
    odd_gain: float | None = None
    odd_offset: float | None = None
    invert: bool = False
    intensity: tuple[float, ...] = ()
    active: tuple[int, int] | None = None
    excitation_nm: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a unit with a detector array can be asked for. None: it has no laser, or no gain, that may be changed."""

    integration_ms: tuple[float, float]
    saturation_counts: int
    laser_mw: tuple[float, float] | None = None
    gain: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One instrument as it introduced itself when its link was opened; a family may keep more in a class of its own.

    calibration is empty and limits None for a family that measures with settings of the instrument's own making.
    notes: what a human should know, such as "the memory is not programmed: raw counts only".
    """

    identity: Identity
    calibration: Calibration = field(default_factory=Calibration)
    limits: Limits | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureSettings:
    """How to expose a detector array. `repeats` frames are taken and averaged. `gain` None: what the unit stores.

    laser_mw: power at the sample, None leaves the laser off for good; with a number each scan takes `repeats` frames
    without it and as many with it. laser_unattended: accept a laser that stays on when our process is killed.
    detector_c: set point of the detector's cooler, None takes what the unit stores.
    """

    name: str = "edged"
    integration_ms: float = 100.0
    repeats: int = 1
    gain: float | None = None
    laser_mw: float | None = None
    laser_unattended: bool = False
    detector_c: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanSettings:
    """What to measure with a scanning instrument. `gain` None lets the device choose. Range in nm."""

    name: str = "edged"
    start_nm: float = 900.0
    end_nm: float = 1700.0
    points: int = 228
    width_px: int = 6
    repeats: int = 6
    gain: int | None = None

    def __post_init__(self) -> None:
        if self.gain is not None and float(self.gain).is_integer():  # a configuration has it as a float: 16.0
            object.__setattr__(self, "gain", int(self.gain))


Settings = ScanSettings | ExposureSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Conditions at the instrument; None where it could not tell. `laser_adc`: raw reading of its thermistor."""

    ambient_c: float | None = None
    detector_c: float | None = None
    humidity_percent: float | None = None
    lamp_photodiode: int | None = None
    battery_v: float | None = None
    laser_adc: int | None = None


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
def value_made_often(made: type[T]) -> type[T]:
    """Make a dataclass that is frozen to the type checker only: at run time that doubles the time it takes to be made,
    which is as long as all that is computed for a spectrum.
    """
    return dataclass(slots=True, kw_only=True)(made)


@value_made_often
class RawScan:
    """One scan as the device gave it.

    axis, counts, saturated: 1-d arrays of one length (float64 in nm, float64, bool). A scanning instrument removes the
    dark level itself: `dark_level` is what it took off `counts`. Of a detector array `counts` are the mean of the
    frames, nothing removed. raw: the detector's own integers as transferred (int32), for an array one row a frame.
    dark: frames (int32, one row a frame) taken in the same scan without the light source, None if there are none.
    count_scale: what raw and dark are multiplied by to be counts.
    scan_index: the device's own number, None when it does not count. environment: read not more than a second before
    or within the scan. settled: conditions had come to rest then; frames_dropped: frames thrown away before. laser_mw:
    power that was really asked of the laser. blob: the transfers themselves, kept as the original.
    """

    identity: Identity
    settings: Settings
    scan_index: int | None
    axis: NDArray[np.float64]
    axis_unit: AxisUnit
    counts: NDArray[np.float64]
    raw: NDArray[np.int32]
    dark_level: float
    saturated: NDArray[np.bool_]
    gain: float
    environment: Environment
    blob: bytes
    calibration: Calibration = field(default_factory=Calibration)
    dark: NDArray[np.int32] | None = None
    exposure_ms: float | None = None
    settled: bool = True
    frames_dropped: int = 0
    laser_mw: float | None = None
    count_scale: float = 1.0

    def __post_init__(self) -> None:
        if not (len(self.axis) == len(self.counts) == len(self.saturated)):
            raise ValueError(
                f"axis {len(self.axis)}, counts {len(self.counts)}, saturated {len(self.saturated)}: lengths differ"
            )
        self.axis.setflags(False)  # type: ignore[call-arg]  # by name it takes twice as long, here and below
        self.counts.setflags(False)  # type: ignore[call-arg]
        self.raw.setflags(False)  # type: ignore[call-arg]
        self.saturated.setflags(False)  # type: ignore[call-arg]
        if self.dark is not None:
            self.dark.setflags(write=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsbIds:
    """How a family is found on the bus. `interface` is claimed; reset_on_close: the next opening needs it."""

    ids: tuple[tuple[int, int], ...]
    interface: int = 0
    reset_on_close: bool = False


Medium = Literal["serial", "tcp", "usb", "hid"]


class Device(Protocol[U]):
    """What a device file exports as DEVICE: a family on one medium. Conversations may raise any DriverError.

    links: media that the family can be reached by, the first one is that of DEVICE itself. usb: for "usb" and "hid".
    """

    kind: str
    title: str
    links: tuple[Medium, ...]
    usb: UsbIds | None
    default_settings: Settings

    def over(self, medium: Medium) -> Self:
        """Return the family on this medium, one of `links`."""

    def open(self) -> Conversation[U]:
        """Light source safe, drain, identify. Called once after every opening of the link."""

    def configure(self, unit: U, settings: Settings) -> Conversation[None]:
        """Make the settings current and let them settle. Raises BadSettings, before anything is sent."""

    def scan(self, unit: U, settings: Settings) -> Conversation[RawScan]:
        """One complete scan with the settings that `configure` made current."""

    def environment(self, unit: U) -> Conversation[Environment]:
        """Read temperatures, humidity, lamp; also serves as keep-alive between scans."""

    def close(self) -> Conversation[None]:
        """Light source off. Called in every finally that can still talk, also before `open` has ended."""
