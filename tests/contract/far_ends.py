"""The other end for every kind: the simulated firmware on a clock that moves only while the driver waits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from drivers import registry
from drivers.clock import ManualClock
from drivers.contract import Device, Link, Medium, UsbLink
from drivers.errors import LinkLost
from drivers.links.faulty import Faults, FaultyLink, FaultyPipes
from firmware_sim.contract import Deliver, Event, Firmware, Output, SpeaksUnasked, UsbFirmware
from firmware_sim.devices.csvserial import CsvBoard
from firmware_sim.devices.nirscan import OWN_FAULTS, NirscanNano, NirscanOnHidraw
from firmware_sim.devices.obp import ObpOnLine, ObpOnUsb
from firmware_sim.devices.ooi import OoiSpectrometer
from firmware_sim.devices.wasatch import WasatchSpectrometer
from firmware_sim.faults import FaultPlan
from firmware_sim.sample import Tray, View
from firmware_sim.scene import Ramp
from tests.contract.usb_wire import UsbWire


class Slopes:
    """Something to look at: each turn another straight slope of absorbance."""

    ideal = False
    lowest_absorbance = 0.0

    def view(self, turn: int, seed: int) -> View:
        ends = np.array([0.1 + 0.02 * turn, 0.8])
        return View(label=f"slope {turn}", wavelength_nm=np.array([900.0, 1700.0]), absorbance=ends)

    def place(self, name: str) -> None:
        pass


def nirscan(plan: str) -> NirscanNano:
    return NirscanNano(Tray(Slopes()), seed=1, faults=FaultPlan.parse(plan, seed=1))


def nirscan_hid(plan: str) -> NirscanOnHidraw:
    faults = FaultPlan.parse(plan, seed=1, own=OWN_FAULTS)
    return NirscanOnHidraw(Tray(Slopes()), seed=1, faults=faults)


def ooi(plan: str, memory_state: str = "good") -> OoiSpectrometer:
    return OoiSpectrometer(Ramp(), seed=1, faults=FaultPlan.parse(plan, seed=1), memory_state=memory_state)


def obp_line(plan: str, *quirks: str) -> ObpOnLine:  # at the first rate that is tried: a Wire has none to set
    return ObpOnLine("sts-nir", Ramp(), seed=1, faults=FaultPlan.parse(plan, seed=1), quirks=quirks, baud=115_200)


def obp_usb(plan: str, *quirks: str) -> ObpOnUsb:
    return ObpOnUsb("sts-nir", Ramp(), seed=1, faults=FaultPlan.parse(plan, seed=1), quirks=quirks)


def wasatch(plan: str, memory_state: str = "good", model: str = "xs-imx") -> WasatchSpectrometer:
    faults = FaultPlan.parse(plan, seed=1)
    return WasatchSpectrometer(Ramp(), model=model, seed=1, faults=faults, memory_state=memory_state)


def csvserial(plan: str, *quirks: str) -> CsvBoard:
    return CsvBoard(Ramp(), seed=1, faults=FaultPlan.parse(plan, seed=1), quirks=quirks)


@dataclass(frozen=True, kw_only=True)
class FarEnd:
    """One family on one medium. `blank` makes a unit whose memory is not programmed, None where there is none.

    patience_s: how long its silence may go unnoticed.
    """

    kind: str
    medium: Medium
    make: Callable[[str], Firmware | UsbFirmware]
    blank: Callable[[], Firmware | UsbFirmware] | None = None
    patience_s: float = 10.0

    def __str__(self) -> str:
        return f"{self.kind} by {self.medium}"

    def device(self) -> Device[Any]:
        """Return the family's driver for this medium."""
        return registry.load(self.kind).over(self.medium)


FAR_ENDS = (
    FarEnd(kind="csvserial", medium="serial", make=csvserial, blank=lambda: csvserial("", "no-axis")),
    FarEnd(kind="nirscan", medium="serial", make=nirscan),
    FarEnd(kind="nirscan", medium="hid", make=nirscan_hid),
    FarEnd(kind="ooi", medium="usb", make=ooi, blank=lambda: ooi("", "blank")),
    FarEnd(kind="obp", medium="serial", make=obp_line, blank=lambda: obp_line("", "blank")),
    FarEnd(kind="obp", medium="usb", make=obp_usb, blank=lambda: obp_usb("", "blank")),
    FarEnd(kind="obp", medium="tcp", make=obp_line, blank=lambda: obp_line("", "blank")),
    FarEnd(
        kind="wasatch",
        medium="usb",
        make=wasatch,
        blank=lambda: wasatch("", "blank"),
        patience_s=15.0,  # the first spectrum of an ARM board has ten seconds more, for its sensor to wake up
    ),
)  # a family on a medium without a far end fails its tests


def plug(firmware: Firmware | UsbFirmware, clock: ManualClock) -> Link | UsbLink:
    """Plug the instrument in."""
    if hasattr(firmware, "descriptors"):
        return UsbWire(cast(UsbFirmware, firmware), clock)
    if isinstance(firmware, NirscanOnHidraw):
        return Node(firmware, clock)
    return Wire(firmware, clock)


def spoiled(link: Link | UsbLink, faults: Faults, clock: ManualClock) -> FaultyLink | FaultyPipes:
    """Put a bad cable between."""
    if isinstance(link, UsbLink):
        return FaultyPipes(link, faults, clock=clock)
    return FaultyLink(link, faults, clock=clock)


@dataclass
class Wire:
    """A link onto a firmware, without threads. The time of the line passes on the clock."""

    firmware: Firmware
    clock: ManualClock
    name: str = "wire"
    events: list[Event] = field(default_factory=list)
    _due: list[Deliver] = field(default_factory=list)
    _arrived: bytes = b""
    _lost_at_s: float | None = None
    _closed: bool = False

    def __post_init__(self) -> None:
        self.firmware.line_opened(self.clock.now_s())

    def write(self, data: bytes, within_s: float) -> None:
        self._raise_if_lost()
        self._take(self.firmware.receive(data, self.clock.now_s()))
        self.events += self.firmware.take_events()

    def read(self, limit: int, within_s: float) -> bytes:
        deadline_s = self.clock.now_s() + within_s
        while not self._arrived and self._advance(deadline_s):
            pass
        self.events += self.firmware.take_events()
        taken, self._arrived = self._arrived[:limit], self._arrived[limit:]
        if not taken:
            self._raise_if_lost()
        return taken

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        self._closed = True

    def _advance(self, deadline_s: float) -> bool:
        """Let the next thing happen; False when the deadline or the end of the line comes first."""
        wake_at_s = self.firmware.wake_at()
        next_due_s = self._due[0].at_s if self._due else None
        moments = [at for at in (wake_at_s, next_due_s, self._lost_at_s, deadline_s) if at is not None]
        self.clock.advance(min(moments) - self.clock.now_s())
        now_s = self.clock.now_s()
        if wake_at_s is not None and wake_at_s <= now_s:
            self.firmware.wake(now_s)
            if isinstance(self.firmware, SpeaksUnasked):
                self._take(self.firmware.unasked(now_s))
        if next_due_s is not None and next_due_s <= now_s:
            self._arrived += self._due.pop(0).data
            return True
        lost = self._lost_at_s is not None and self._lost_at_s <= now_s
        return not lost and now_s < deadline_s

    def _take(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Deliver):
                self._due.append(output)
            else:
                self._lost_at_s = output.at_s

    def _raise_if_lost(self) -> None:
        lost = self._lost_at_s is not None and self._lost_at_s <= self.clock.now_s() and not self._due
        if self._closed or lost:
            raise LinkLost(f"{self.name}: hung up")


@dataclass
class Node(Wire):
    """The same for whole reports of HID, with the number that the kernel wants in front of each one written."""

    def write(self, data: bytes, within_s: float) -> None:
        for at in range(0, len(data), 64):
            super().write(b"\0" + data[at : at + 64].ljust(64, b"\0"), within_s)
