"""Wasatch's simulator before Wasatch.PY, the maker's own client, and our driver on the same simulated bus.

The two clients see the same axis to the last bit and the same counts. Two differences are of their client: it replaces
bad pixels and turns the axis as it reads, so our frames are compared after our own corrections; and it takes every
product 4000 for an XS, so that it asks nothing for the laser's switch there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from wasatch.WasatchBus import WasatchBus
from wasatch.WasatchDevice import WasatchDevice

from drivers import registry
from drivers.contract import ExposureSettings, RawScan
from drivers.devices._wasatch_unit import WasatchUnit
from drivers.links.usb import UsbPipeLink
from drivers.session import Session
from edged.spectra.corrections.chain import Options, correct_frames
from edged.spectra.corrections.wavelength import raman_shift_cm1
from firmware_sim.contract import Event
from firmware_sim.devices.wasatch import WasatchSpectrometer
from firmware_sim.hosts.pyusb_backend import SimulatedUsb
from firmware_sim.scene import Ramp
from tests.oracles.hooks import wasatch_sees

DEVICE = registry.load("wasatch")
MODELS = ["wp785", "wp785xs", "wp785x2048", "wp1064", "xs-imx"]
INTEGRATION_MS = 73  # not what any model powers on with
BROKEN_RULES = {"forbidden", "data_stage"}  # events of requests that no unit should be sent, or not so


class Both:
    """One simulated unit on a bus of its own, for their client and then for ours."""

    def __init__(self, model: str, *, speed: float = 0.0) -> None:
        self.firmware = WasatchSpectrometer(Ramp(first=2_000.0, step=90.0), model=model, speed=speed, exact=True)
        self.events: list[Event] = []
        self.bus = SimulatedUsb(self.firmware, tell=self.events.append)

    @contextmanager
    def theirs(self) -> Iterator[Any]:
        """Their client, connected."""
        with wasatch_sees(self.bus):
            (device_id,) = WasatchBus().device_ids
            device = WasatchDevice(device_id)
            answer = device.connect()
            assert answer.data, answer.error_msg
            try:
                yield device
            finally:
                device.disconnect()

    def their_spectrum(self) -> np.ndarray:
        with self.theirs() as device:
            device.hardware.handle_cmd("set_integration_time_ms", INTEGRATION_MS)
            for _ in range(3):  # the first of a board that has just woken up is dim
                reading = device.acquire_data().data
            return np.asarray(reading.spectrum, dtype=np.float64)

    def ours(self, settings: ExposureSettings | None = None) -> tuple[WasatchUnit, RawScan]:
        settings = settings or ExposureSettings(integration_ms=INTEGRATION_MS)
        assert DEVICE.usb is not None
        with Session(UsbPipeLink.open(DEVICE.usb, backend=lambda: self.bus)) as session:
            unit = session.perform(DEVICE.open())
            session.perform(DEVICE.configure(unit, settings))
            scan = session.perform(DEVICE.scan(unit, settings))
            session.perform(DEVICE.close())
        return unit, scan


@pytest.fixture(params=MODELS)
def both(request: pytest.FixtureRequest) -> Iterator[Both]:
    pair = Both(request.param)
    yield pair
    assert not [event for event in pair.events if event["event"] in BROKEN_RULES]


def test_their_client_reads_the_memory_as_it_was_written(both: Both):
    with both.theirs() as device:
        told, settings = device.settings.eeprom, device.settings
        assert (told.model, told.serial_number, told.format) == (both.firmware.model.title, "WP-01234", 18)
        assert settings.microcontroller_firmware_version == ".".join(map(str, both.firmware.model.firmware))
        assert settings.fpga_firmware_version == both.firmware.model.fpga
        assert told.bad_pixels == [77]
        assert (told.min_integration_time_ms, told.max_integration_time_ms) == (1, 60_000)
        assert told.laser_watchdog_sec == 10
        assert told.has_laser
        assert told.active_pixels_horizontal == both.firmware.model.pixels


def test_our_driver_reads_the_memory_as_their_client_does(both: Both):
    with both.theirs() as device:
        told, settings = device.settings.eeprom, device.settings
        theirs = {
            "axis": np.array(settings.wavelengths),
            "shift": np.array(settings.wavenumbers),
            "intensity": told.raman_intensity_coeffs if told.subformat == 1 else (),
            "excitation": told.excitation_nm_float,
            "gain": told.detector_gain,
            "percent": [told.laser_power_mW_to_percent(power_mw) for power_mw in (20.0, 99.0, 450.0)],
            "invert": told.invert_x_axis,
            "roi": (told.roi_horizontal_start, told.roi_horizontal_end),
            "cooling": told.has_cooling,
            "warm_up": told.laser_warmup_sec,
            "power": (told.min_laser_power_mW, told.max_laser_power_mW),
        }
    unit, scan = both.ours()
    memory, calibration = unit.memory, unit.calibration
    assert memory.laser is not None
    assert calibration.excitation_nm is not None
    turned = scan.axis[::-1] if calibration.invert else scan.axis
    last = len(turned) - 1
    active = calibration.active and tuple(sorted(last - at if calibration.invert else at for at in calibration.active))

    assert (turned == theirs["axis"]).all()
    assert (raman_shift_cm1(np.ascontiguousarray(turned), calibration.excitation_nm) == theirs["shift"]).all()
    assert tuple(calibration.intensity) == tuple(theirs["intensity"])
    assert calibration.excitation_nm == theirs["excitation"]
    assert memory.gain == theirs["gain"]
    assert [memory.laser.percent_at(power_mw) for power_mw in (20.0, 99.0, 450.0)] == theirs["percent"]
    assert calibration.invert == theirs["invert"]
    assert active == theirs["roi"]
    assert memory.has_cooler == theirs["cooling"]
    assert memory.laser.warm_up_s == theirs["warm_up"]
    assert (memory.laser.min_mw, memory.laser.max_mw) == theirs["power"]


def test_their_spectrum_is_what_the_simulator_meant_pixel_for_pixel(both: Both):
    spectrum = both.their_spectrum()
    meant = both.firmware.meant[-1].astype(np.float64)
    if both.firmware.model.name == "wp1064":  # the made pair of gains, 1.9 and 2.0, offsets 0 and -12
        meant[1::2] = meant[1::2] / np.float32(1.9) * np.float32(2.0) - 12.0
    if both.firmware.model.name == "xs-imx":
        meant = meant[::-1]
    good = np.arange(len(meant)) != 77

    np.testing.assert_allclose(spectrum[good], meant[good], rtol=1e-6)
    assert np.ptp(meant) > 1_000


def test_our_counts_are_theirs_after_the_corrections_that_they_do(both: Both):
    theirs = both.their_spectrum()
    _, scan = both.ours()
    corrected = correct_frames(
        scan.raw.astype(np.float64),
        calibration=scan.calibration,
        saturated=np.broadcast_to(scan.saturated, scan.raw.shape),
        options=Options(intensity=False),
    )
    order = corrected.pixels if not scan.calibration.invert else len(scan.axis) - 1 - corrected.pixels

    np.testing.assert_array_equal(scan.raw[0], both.firmware.meant[-1])
    np.testing.assert_allclose(corrected.counts, theirs[order], rtol=1e-12)


def test_their_client_sets_what_ours_sets(both: Both):
    with both.theirs() as device:
        device.hardware.handle_cmd("set_integration_time_ms", INTEGRATION_MS)
    theirs = dict(both.firmware._registers)
    both.ours()
    ours = dict(both.firmware._registers)

    same = ["integration", "gain", "offset", "trigger", "modulation", "laser", "first_line", "last_line"]
    if both.firmware.model.name != "wp785xs":  # they leave the cooler of an ARM board alone
        same += ["set_point", "cooler"]
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}


@pytest.mark.parametrize("model", ["wp785", "wp785xs"])
def test_their_client_reads_the_temperature_that_the_simulator_has(model: str):
    both = Both(model)
    with both.theirs() as device:
        temperature_c = device.hardware.handle_cmd("get_detector_temperature_degC").data

    # the cooler of the FX2 unit was switched on by them, to 10 C; the other is as warm as its housing
    assert temperature_c == pytest.approx(10.0 if model == "wp785" else 34.5568, abs=0.02)


@pytest.mark.parametrize("model", ["wp785", "wp785xs"])
def test_their_client_switches_the_laser_and_the_log_of_its_light_says_when_and_how_much(model: str):
    both = Both(model, speed=20.0)
    both.firmware.laser.warning_delay_s = 0
    with both.theirs() as device:
        assert [event["on"] for event in both.events if event["event"] == "laser"] == [False]
        assert both.firmware.laser.watchdog_s == (10 if model == "wp785xs" else 0)
        device.hardware.handle_cmd("set_laser_power_mW", 100)
        device.hardware.handle_cmd("set_laser_enable", True)
        reading = device.acquire_data().data
        device.hardware.handle_cmd("set_laser_enable", False)
    told = [event["on"] for event in both.events if event["event"] == "light"]

    assert (both.firmware.laser.period_us, both.firmware.laser.width_us) == (1_000, 222)
    assert told == [True, False]
    assert [flash.power_mw for flash in both.firmware.laser.flashes] == [pytest.approx(100.0, abs=0.2)]
    assert reading.laser_can_fire
    assert reading.laser_is_firing
    assert not [event for event in both.events if event["event"] in BROKEN_RULES]


def test_an_open_interlock_is_heard_by_their_client():
    both = Both("wp785xs")
    with both.theirs() as device:
        both.bus.ports[0].operate("interlock open")
        assert not device.hardware.handle_cmd("can_laser_fire").data
        both.bus.ports[0].operate("interlock closed")
        assert device.hardware.handle_cmd("can_laser_fire").data


def test_our_driver_lights_the_same_unit_that_their_client_has_just_left():
    both = Both("xs-imx", speed=1.0)
    both.firmware.laser.warning_delay_s = 0
    both.their_spectrum()
    _, scan = both.ours(ExposureSettings(integration_ms=10.0, laser_mw=100.0))
    (flash,) = both.firmware.laser.flashes

    assert scan.laser_mw == 100.0
    assert 99.5 < flash.power_mw <= 100.0
    assert flash.end_s < math.inf
