"""Ocean through the driver's USB link, on a simulated bus: what only a bus can do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from drivers import registry
from drivers.contract import ExposureSettings
from drivers.errors import LinkLost, LinkMissing, WrongInstrument
from drivers.links.usb import UsbPipeLink
from drivers.session import Session
from firmware_sim.devices.ooi import OoiSpectrometer
from firmware_sim.hosts.pyusb_backend import SimulatedUsb
from firmware_sim.scene import Ramp

DEVICE = registry.load("ooi")
SETTINGS = ExposureSettings(integration_ms=10.0, repeats=3)


class Counted(OoiSpectrometer):
    """Counts how often the bus resets it."""

    resets = 0

    def reset(self, now_s: float) -> None:
        self.resets += 1
        super().reset(now_s)


@pytest.fixture(params=["nirquest512", "usb4000", "flame-nir"])
def firmware(request: pytest.FixtureRequest) -> Counted:
    return Counted(Ramp(), model=request.param, speed=0.0)


def session_on(bus: SimulatedUsb) -> Session:
    assert DEVICE.usb is not None
    return Session(UsbPipeLink.open(DEVICE.usb, backend=lambda: bus))


@pytest.mark.parametrize("high_speed", [True, False])
def test_spectra_come_over_the_bus_as_they_were_meant(high_speed: bool):
    for model in ("nirquest512", "usb4000", "flame-nir"):
        firmware = OoiSpectrometer(Ramp(), model=model, speed=0.0, high_speed=high_speed)
        with session_on(SimulatedUsb(firmware)) as session:
            unit = session.perform(DEVICE.open())
            session.perform(DEVICE.configure(unit, SETTINGS))
            scan = session.perform(DEVICE.scan(unit, SETTINGS))

        np.testing.assert_array_equal(scan.raw, list(firmware.meant)[-3:])


def test_the_unit_is_reset_when_the_link_is_closed(firmware: Counted):
    with session_on(SimulatedUsb(firmware)) as session:
        session.perform(DEVICE.open())
        before = firmware.resets

    assert (before, firmware.resets) == (0, 1)


def test_an_unplugged_unit_is_a_lost_link_and_works_again_when_it_is_back(firmware: Counted):
    bus = SimulatedUsb(firmware)
    with session_on(bus) as session:
        unit = session.perform(DEVICE.open())
        bus.ports[0].unplug()
        with pytest.raises(LinkLost):
            session.perform(DEVICE.scan(unit, SETTINGS))
        with pytest.raises(LinkMissing):
            session_on(bus)

    bus.ports[0].plug()
    with session_on(bus) as session:
        assert session.perform(DEVICE.open()).identity.serial_number == firmware.serial_number


def test_a_device_of_these_ids_without_the_pipes_is_another_instrument():
    firmware = OoiSpectrometer(Ramp(), speed=0.0)
    firmware.descriptors = replace(firmware.descriptors, endpoints=(0x02, 0x87))

    with session_on(SimulatedUsb(firmware)) as session, pytest.raises(WrongInstrument, match="no pipe 0x01; there are"):
        session.perform(DEVICE.open())
