"""The far ends of the OBP family: simulated instruments on wires without threads, whose time is the driver's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from drivers import registry
from drivers.clock import ManualClock
from drivers.contract import Device, Medium, RawScan, Settings
from drivers.session import Session
from firmware_sim.devices._obp_firmware import ObpFirmware
from firmware_sim.devices.obp import NETWORK_BAUD, ObpOnLine, ObpOnUsb
from firmware_sim.faults import FaultPlan
from firmware_sim.scene import Raman, Ramp, Scene
from tests.contract.far_ends import Wire
from tests.contract.usb_wire import UsbWire

OBP: Device[Any] = registry.load("obp")


@dataclass
class SerialWire(Wire):
    """A wire whose two ends have to talk at one rate."""

    def set_baud(self, baud: int) -> None:
        self.firmware.line_speed(baud)  # type: ignore[attr-defined]


def instrument(
    model: str = "sts-nir", medium: Medium = "usb", *, plan: str = "", scene: Scene | None = None, **more: Any
) -> ObpFirmware:
    scene = scene or (Raman() if model == "ventana" else Ramp(first=20_000.0, step=100.0))
    face = ObpOnUsb if medium == "usb" else ObpOnLine
    if medium == "tcp":
        more.setdefault("baud", NETWORK_BAUD)
    return face(model, scene, seed=1, faults=FaultPlan.parse(plan, seed=1), **more)


def session_on(firmware: ObpFirmware, clock: ManualClock | None = None) -> Session:
    clock = clock or ManualClock()
    if isinstance(firmware, ObpOnUsb):
        return Session(UsbWire(firmware, clock), clock=clock)
    assert isinstance(firmware, ObpOnLine)
    return Session(SerialWire(firmware, clock), clock=clock)


def scans_of(
    firmware: ObpFirmware, medium: Medium, settings: Settings | None = None, *, scans: int = 1
) -> list[RawScan]:
    """Open, configure, scan, look around, close."""
    device = OBP.over(medium)
    settings = settings or device.default_settings
    with session_on(firmware) as session:
        unit = session.perform(device.open())
        session.perform(device.configure(unit, settings))
        taken = [session.perform(device.scan(unit, settings)) for _ in range(scans)]
        session.perform(device.environment(unit))
        session.perform(device.close())
    return taken
