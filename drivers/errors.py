"""What can go wrong between a device and us, sorted by cure.

DriverError
    AskAgain            the device is well but did not serve this request: ask again
        DeviceBusy
        DeviceRefused       an error status, a failed scan; the codes are attributes
            Stalled         a USB request that the device does not know or will not serve
            InterlockOpen   the laser may not fire: a lid, key or plug is open
    Resynchronise       bytes arrived that make no sense: drain, then ask again
        WireError           a frame or blob that breaks its layout
        NoAnswer            silence within the time allowed
    Reopen              the link is gone or hopeless: close, wait, open
        LinkLost
    Park                only a human can help; the station stays parked until told otherwise or replugged
        LinkDenied          the operating system refuses the port
        LinkMissing         no such port (yet); a station treats it as absent rather than parked
        WrongInstrument     something else answered, or another serial number than configured
        BadSettings         the request is outside what the device can do
        LaserAlarm          nobody knows whether the laser is off

Interrupted                 not a fault: the owner of the session asked it to stop
"""

from __future__ import annotations


class DriverError(Exception):
    """Root of everything a driver raises. `hint` tells a human what to do, and may be empty."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class AskAgain(DriverError):
    """The device is well but did not serve this request."""


class DeviceBusy(AskAgain):
    """The device says that it is busy, for example with a phone over Bluetooth."""


class DeviceRefused(AskAgain):
    """The device answered with an error. `codes` holds what it said, by name."""

    def __init__(self, message: str, *, hint: str = "", codes: dict[str, int] | None = None) -> None:
        super().__init__(message, hint=hint)
        self.codes = codes or {}


class Stalled(DeviceRefused):
    """The device answered a USB request with a stall."""


class InterlockOpen(DeviceRefused):
    """The laser was not switched on because its interlock is open."""


class Resynchronise(DriverError):
    """The stream of bytes is out of step."""


class WireError(Resynchronise, ValueError):
    """Bytes that break the layout of a frame or blob. `received` holds the first of them."""

    def __init__(self, message: str, *, hint: str = "", received: bytes = b"") -> None:
        super().__init__(message, hint=hint)
        self.received = received[:64]


class NoAnswer(Resynchronise, TimeoutError):
    """Silence, or an unfinished frame, within the time allowed."""


class Reopen(DriverError):
    """The link has to be closed and opened again."""


class LinkLost(Reopen, ConnectionError):
    """Unplugged, hung up, or an input/output error in the middle of a transfer."""


class Park(DriverError):
    """Only a human can help."""


class LinkDenied(Park, PermissionError):
    """The operating system refuses the port: permissions, or another program holds it."""


class LinkMissing(Park, FileNotFoundError):
    """The port does not exist. Normal for an instrument that is not plugged in."""


class WrongInstrument(Park):
    """The port answers, but not as the instrument that was configured."""


class BadSettings(Park, ValueError):
    """The settings asked for are outside what the device can do."""


class LaserAlarm(Park):
    """The laser was told to be off and does not say that it is. Cure: a human cuts its power."""


class Interrupted(Exception):
    """`Session.interrupt` was called. No DriverError, so that no recovery catches it."""
