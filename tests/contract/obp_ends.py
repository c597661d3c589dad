"""The far ends of the OBP family: simulated instruments on wires without threads, whose time is the driver's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from drivers import registry
from drivers.clock import ManualClock
from drivers.contract import Device, Medium, RawScan, Settings
from drivers.session import Session
from firmware_sim.devices.obp import ObpSpectrometer
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


def instrument(model: str = "sts-nir", *, plan: str = "", scene: Scene | None = None, **more: Any) -> ObpSpectrometer:
    scene = scene or (Raman() if model == "ventana" else Ramp(first=20_000.0, step=100.0))
    return ObpSpectrometer(model, scene, seed=1, faults=FaultPlan.parse(plan, seed=1), **more)


def session_on(firmware: ObpSpectrometer, medium: Medium, clock: ManualClock | None = None) -> Session:
    clock = clock or ManualClock()
    wire = (
        UsbWire(firmware, clock) if medium == "usb" else (SerialWire if medium == "serial" else Wire)(firmware, clock)
    )
    return Session(wire, clock=clock)


def scans_of(
    firmware: ObpSpectrometer, medium: Medium, settings: Settings | None = None, *, scans: int = 1
) -> list[RawScan]:
    """Open, configure, scan, look around, close."""
    device = OBP.over(medium)
    settings = settings or device.default_settings
    session = session_on(firmware, medium)
    unit = session.perform(device.open())
    session.perform(device.configure(unit, settings))
    taken = [session.perform(device.scan(unit, settings)) for _ in range(scans)]
    session.perform(device.environment(unit))
    session.perform(device.close())
    session.close()
    return taken
