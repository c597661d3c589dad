"""Ocean's simulator before pyseabreeze, and our driver on the same simulated bus: the two clients see the same numbers.

`RawScan.raw` keeps the wire's integers after the mask; counts are those times the factor that slot 17 asks for, in
float64, as pyseabreeze multiplies: so counts are compared with `==`, to the last bit. Its network search is left out:
it asks the whole network by multicast, and these instruments are on USB.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from seabreeze.pyseabreeze.devices import SeaBreezeDevice
from seabreeze.pyseabreeze.transport import USBTransport

from drivers import registry
from drivers.contract import ExposureSettings, RawScan
from drivers.devices.ooi import OoiUnit
from drivers.links.usb import UsbPipeLink
from drivers.session import Session
from firmware_sim.contract import Event
from firmware_sim.devices._ooi_models import MODELS
from firmware_sim.devices.ooi import OoiSpectrometer
from firmware_sim.hosts.pyusb_backend import SimulatedUsb
from firmware_sim.scene import Ramp
from tests.oracles.hooks import pyseabreeze_sees

DEVICE = registry.load("ooi")
THEIR_NAMES = {  # Flame-NIR is not among the models of pyseabreeze
    "nirquest512": "NIRQUEST512",
    "nirquest256": "NIRQUEST256",
    "usb2000plus": "USB2000PLUS",
    "flame-s": "FLAMES",
    "usb4000": "USB4000",
    "flame-t": "USB4000",
    "hr4000": "HR4000",
    "hr2000plus": "HR2000PLUS",
    "qe65000": "QE65000",
    "maya2000pro": "MAYA2000PRO",
    "apex": "APEX",
}
INTEGRATION_MS = 73.0  # not what any model powers on with


class Both:
    """One simulated unit on a bus of its own, for their client and then for ours."""

    def __init__(self, model: str) -> None:
        self.firmware = OoiSpectrometer(Ramp(), model=model, seed=4, speed=0.0)
        self.events: list[Event] = []
        self.bus = SimulatedUsb(self.firmware, tell=self.events.append)
        self.theirs: Any = None

    def find(self, backend: str) -> None:
        """Let their client open it."""
        (handle,) = USBTransport.list_devices(pyusb_backend=backend)
        self.theirs = SeaBreezeDevice(handle)
        self.theirs.open()

    def close(self) -> None:
        """Let their client go while it can still find the bus."""
        self.theirs.close()
        self.theirs = None

    def exposures_ms(self) -> list[float]:
        """The integration times of all spectra so far."""
        return [float(str(e["integration_ms"])) for e in self.events if e["event"] == "spectrum"]

    def ours(self) -> tuple[OoiUnit, RawScan]:
        """Open with our driver, measure once, close."""
        assert DEVICE.usb is not None
        settings = ExposureSettings(integration_ms=INTEGRATION_MS)
        with Session(UsbPipeLink.open(DEVICE.usb, backend=lambda: self.bus)) as session:
            unit = session.perform(DEVICE.open())
            session.perform(DEVICE.configure(unit, settings))
            scan = session.perform(DEVICE.scan(unit, settings))
            session.perform(DEVICE.close())
        return unit, scan


@pytest.fixture(params=THEIR_NAMES)
def both(request: pytest.FixtureRequest) -> Iterator[Both]:
    made = Both(request.param)
    with pyseabreeze_sees(made.bus) as backend:
        made.find(backend)
        yield made
        made.close()


def test_pyseabreeze_reads_who_the_simulator_says_it_is(both: Both):
    assert both.theirs.model == THEIR_NAMES[_name(both)]
    assert both.theirs.serial_number == both.firmware.serial_number == MODELS[_name(both)].serial_number


def test_pyseabreeze_reads_the_spectrum_that_was_meant_pixel_for_pixel(both: Both):
    spectrometer = both.theirs.f.spectrometer
    spectrometer.set_integration_time_micros(round(INTEGRATION_MS * 1000))
    spectrometer.get_intensities()  # exposed before the change

    for _ in range(3):
        intensities = spectrometer.get_intensities()
        np.testing.assert_array_equal(intensities, both.firmware.meant[-1] * both.firmware.scale)
    assert both.exposures_ms() == [100.0, *[INTEGRATION_MS] * 3]


def test_our_driver_has_the_axis_and_the_counts_of_pyseabreeze_to_the_last_bit(both: Both):
    spectrometer = both.theirs.f.spectrometer
    wavelengths, factor = spectrometer.get_wavelengths(), spectrometer._normalization_value
    limits_us = spectrometer.get_integration_time_micros_limits()
    dark = spectrometer.get_electric_dark_pixel_indices()
    nested = dark[:1] and not isinstance(dark[0], int)  # its tables for USB4000 and NIRQuest hold one tuple too many
    both.theirs.close()
    unit, scan = both.ours()

    np.testing.assert_array_equal(scan.axis, wavelengths)
    np.testing.assert_array_equal(scan.raw[0], both.firmware.meant[-1])
    np.testing.assert_array_equal(scan.counts, scan.raw[0].astype(np.double) * factor)
    assert scan.count_scale == factor
    assert unit.identity.serial_number == both.theirs.serial_number
    assert unit.limits is not None
    assert unit.limits.integration_ms == tuple(limit / 1000 for limit in limits_us)
    assert unit.calibration.dark_pixels == tuple(dark[0] if nested else dark)


def _name(both: Both) -> str:
    (name,) = (name for name, model in MODELS.items() if model is both.firmware.model)
    return name


@pytest.fixture
def usb2000plus() -> Iterator[Both]:
    made = Both("usb2000plus")
    with pyseabreeze_sees(made.bus) as backend:
        made.find(backend)
        yield made
        made.close()


def test_both_clients_read_the_same_non_linearity(usb2000plus: Both):
    theirs = usb2000plus.theirs.f.nonlinearity_coefficients.get_nonlinearity_coefficients()
    usb2000plus.theirs.close()
    unit, _ = usb2000plus.ours()

    assert list(unit.calibration.nonlinearity) == theirs


def test_pyseabreeze_sets_the_cooler_and_our_driver_finds_it_so():
    made = Both("nirquest512")
    with pyseabreeze_sees(made.bus) as backend:
        made.find(backend)
        cooler = made.theirs.f.thermo_electric
        stored_c = cooler.read_temperature_degrees_celsius()
        cooler.set_temperature_setpoint_degrees_celsius(-20.0)
        cooler.enable_tec(True)
        set_c = cooler.read_temperature_degrees_celsius()
        made.theirs.f.spectrometer.set_trigger_mode(3)
        made.theirs.close()
        _, scan = made.ours()
        made.close()

    assert (stored_c, set_c, scan.environment.detector_c) == (-10.0, -20.0, -10.0)
    assert scan.settled
