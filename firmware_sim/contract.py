"""The words between a simulated instrument and the line it hangs on.

A `Firmware` is fed bytes with the time and answers with outputs that have a time; it never waits, opens or prints.
A host (`firmware_sim.hosts`) owns the clock and the line: memory, a pty, a socket, a USB bus.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

Event = dict[str, object]  # one JSON object for whoever watches the simulator; "event" names it


class OperatorError(ValueError):
    """What the operator asked for makes no sense; the message says what would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """These bytes are on the line at `at_s`."""

    at_s: float
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """The line is lost at `at_s`, and is there again `seconds` later. What was still to come is gone."""

    at_s: float
    seconds: float


Output = Deliver | HangUp


class Firmware(Protocol):
    """One simulated instrument. Times are seconds on the host's monotonic clock; they never go back."""

    serial_number: str

    def line_opened(self, now_s: float) -> None:
        """Somebody is at the other end, newly or again. An unfinished request is forgotten."""

    def receive(self, data: bytes, now_s: float) -> list[Output]:
        """Take what arrived and return what leaves, in order of time."""

    def wake_at(self) -> float | None:
        """Return when `wake` has something to do, or None."""

    def wake(self, now_s: float) -> None:
        """Let happen what time alone brings about, such as the end of a scan."""

    def take_events(self) -> list[Event]:
        """Return what happened since the last call."""

    def operate(self, line: str) -> None:
        """Do what the operator says, such as `white`. Raises OperatorError."""


@runtime_checkable
class SpeaksUnasked(Protocol):
    """A Firmware that also says something when nobody asks."""

    def unasked(self, now_s: float) -> list[Output]:
        """Return what leaves by itself since the last call, in order of time. Called after each `wake`."""


@runtime_checkable
class RateAware(Protocol):
    """A Firmware that understands a host only at its own baud rate."""

    def line_speed(self, baud: int) -> None:
        """The host talks at this rate, from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """The eight bytes that begin a USB control transfer (USB 2.0, section 9.3)."""

    request_type: int
    request: int
    value: int
    index: int
    length: int


class Stall(Exception):
    """The device answers the transfer with a stall."""


class Unplugged(Exception):
    """The device leaves the bus in the middle of the transfer, and is back `seconds` later under another address."""

    def __init__(self, seconds: float = 1.0) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Late(Exception):
    """The answer to a control transfer comes `seconds` later; never, if they are infinite."""

    def __init__(self, seconds: float, data: bytes = b"") -> None:
        super().__init__(seconds)
        self.seconds = seconds
        self.data = data


@dataclass(frozen=True, slots=True, kw_only=True)
class UsbDescriptors:
    """What the bus is told: one configuration, one interface of class vendor or HID, its endpoint addresses.

    packet_bytes: largest packet of the bulk or interrupt endpoints; 512 for high speed, 64 for full speed. strings:
    manufacturer, product, serial number. hid_report: report descriptor, b"" for a vendor interface.
    """

    vendor_id: int
    product_id: int
    release: int
    strings: tuple[str, str, str]
    endpoints: tuple[int, ...]
    packet_bytes: int = 512
    hid_report: bytes = b""


class UsbFirmware(Protocol):
    """One simulated USB instrument. Standard requests (chapter 9) are answered by the host that it hangs on.

    Transfers may raise Stall or Unplugged, `control` also Late. Times as in Firmware. Thread-safety is the host's
    business: one call at a time.
    """

    serial_number: str
    descriptors: UsbDescriptors

    def plugged(self, now_s: float) -> None:
        """Power comes: the instrument boots. Called at each plugging in."""

    def reset(self, now_s: float) -> None:
        """The bus resets the device: queued transfers are gone, the instrument goes on."""

    def control(self, setup: Setup, data: bytes, now_s: float) -> bytes:
        """Serve a request that is not standard; return what goes inward, b"" for a request outward."""

    def write(self, endpoint: int, data: bytes, now_s: float) -> None:
        """Take one transfer."""

    def read(self, endpoint: int, limit: int, now_s: float) -> bytes | None:
        """Return what one transfer inward brings by now, or None while there is nothing (the host asks again)."""

    def clear_halt(self, endpoint: int) -> None:
        """Make a stalled endpoint work again."""

    def wake_at(self) -> float | None:
        """Return when something will be there to read, or None."""

    def wake(self, now_s: float) -> None:
        """Let happen what time alone brings about."""

    def take_events(self) -> list[Event]:
        """Return what happened since the last call."""

    def operate(self, line: str) -> None:
        """Do what the operator says, such as `white`. Raises OperatorError."""
