"""Ocean: driver and simulator were written apart from the same facts; they have to agree pixel for pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from drivers import registry
from drivers.clock import ManualClock
from drivers.contract import ExposureSettings, RawScan
from drivers.errors import WrongInstrument
from drivers.session import Session
from edged.acquire.exposure import ExposurePlan, expose
from firmware_sim.devices._ooi_models import MODELS
from firmware_sim.devices.ooi import OoiSpectrometer
from firmware_sim.scene import Ramp, Scene
from tests.contract.usb_wire import UsbWire

DEVICE = registry.load("ooi")
PIXEL_NM = 1e-9  # rounding of a polynomial of degree 3 in double precision, near 1000 nm


class Bench:
    """A unit on a wire, and a session that has opened it."""

    def __init__(self, scene: Scene | None = None, **options: Any) -> None:
        self.clock = ManualClock()
        self.firmware = OoiSpectrometer(scene or Ramp(), **options)
        self.session = Session(UsbWire(self.firmware, self.clock), clock=self.clock)
        self.unit = self.session.perform(DEVICE.open())

    def scan(self, **settings: Any) -> RawScan:
        return self.scan_as(ExposureSettings(**settings))

    def scan_as(self, asked: ExposureSettings) -> RawScan:
        self.session.perform(DEVICE.configure(self.unit, asked))
        return self.session.perform(DEVICE.scan(self.unit, asked))


@pytest.mark.parametrize("high_speed", [True, False])
@pytest.mark.parametrize("model", MODELS)
def test_every_model_gives_what_its_simulator_meant(model: str, high_speed: bool):
    bench = Bench(model=model, high_speed=high_speed, seed=5)
    scan = bench.scan(integration_ms=20.0, repeats=3)
    meant = np.array(list(bench.firmware.meant)[-3:])

    np.testing.assert_array_equal(scan.raw, meant)
    np.testing.assert_array_equal(scan.counts, meant.mean(axis=0) * bench.firmware.scale)
    assert scan.count_scale == bench.firmware.scale
    assert scan.exposure_ms == 20.0
    assert len(scan.blob) == 3 * bench.unit.model.transfer_bytes


@pytest.mark.parametrize("model", MODELS)
def test_every_model_has_the_wavelengths_and_pixels_of_its_simulator(model: str):
    bench, facts = Bench(model=model), MODELS[model]
    index = np.arange(facts.pixels) + facts.first_index
    stored = [float(bench.firmware.slots[slot].split(b"\0")[0]) for slot in range(1, 5)]
    calibration = bench.unit.calibration

    expected = sum(value * index.astype(np.float64) ** power for power, value in enumerate(stored))
    np.testing.assert_allclose(bench.unit.memory.axis, expected, rtol=0, atol=PIXEL_NM)
    np.testing.assert_allclose(stored, facts.wavelength, rtol=1e-9)
    assert calibration.dark_pixels == facts.dark
    assert facts.lit is None or calibration.active in (None, facts.lit)
    assert bench.unit.identity.serial_number == facts.serial_number
    assert bench.unit.identity.model in (facts.title, "USB4000 / Flame-T")


def test_the_spectrum_after_a_change_of_the_time_is_exposed_with_the_new_one():
    bench = Bench(model="usb2000plus", exact=True)
    levels = [bench.scan(integration_ms=ms).raw[0, 1000] for ms in (10.0, 100.0, 1.0, 50.0)]

    assert levels == [3_700, 37_000, 370, 18_500]


def test_a_shorter_time_waits_for_the_long_exposure_that_is_under_way():
    bench = Bench(model="usb2000plus", exact=True)
    bench.session.perform(DEVICE.configure(bench.unit, ExposureSettings(integration_ms=20_000.0)))
    before_s = bench.clock.now_s()
    scan = bench.scan(integration_ms=10.0)

    assert scan.raw[0, 1000] == 3_700
    assert 20.0 < bench.clock.now_s() - before_s < 21.0


def test_a_time_that_is_no_whole_tick_is_rounded_and_told():
    assert Bench(model="nirquest256").scan(integration_ms=20.4).exposure_ms == 20.0
    assert Bench(model="hr4000").scan(integration_ms=20.4).exposure_ms == 20.4


def test_the_cooler_is_waited_for_and_a_warm_one_is_told():
    bench = Bench(model="nirquest512")
    stored = bench.scan(integration_ms=10.0)
    colder = bench.scan(integration_ms=10.0, detector_c=-25.0)
    hurried = bench.session.perform(DEVICE.scan(bench.unit, ExposureSettings(integration_ms=10.0, detector_c=5.0)))

    assert stored.environment.detector_c == pytest.approx(-10.0, abs=0.5)
    assert colder.environment.detector_c == pytest.approx(-25.0, abs=0.5)
    assert [scan.settled for scan in (stored, colder, hurried)] == [True, True, False]


@pytest.mark.parametrize("state", ["commas", "rubbish"])
@pytest.mark.parametrize("model", ["nirquest512", "usb4000"])
def test_decimal_commas_and_old_text_behind_a_nul_change_nothing(model: str, state: str):
    good, found = Bench(model=model), Bench(model=model, memory_state=state)

    np.testing.assert_array_equal(found.unit.memory.axis, good.unit.memory.axis)
    assert found.unit.identity == good.unit.identity
    assert found.unit.calibration == good.unit.calibration


def test_a_blank_memory_is_refused_with_a_hint_and_not_shown_as_nanometres():
    with pytest.raises(WrongInstrument, match="no wavelength coefficient") as caught:
        Bench(model="nirquest512", memory_state="blank")
    assert caught.value.hint


def test_without_a_stored_saturation_readings_are_counts():
    scan = Bench(model="nirquest512", memory_state="no-saturation").scan(integration_ms=10.0)

    np.testing.assert_array_equal(scan.counts, scan.raw[0])
    assert not scan.saturated.any()


def test_a_saturated_spectrum_is_flagged_where_the_detector_ends():
    bench = Bench(model="usb4000", exact=True)
    scan = bench.scan(integration_ms=100.0)

    assert scan.saturated.tolist() == [reading == 60_000 for reading in bench.firmware.meant[-1].tolist()]
    assert scan.saturated.sum() > 1000


@pytest.mark.parametrize("model", ["usb4000", "qe65000", "maya2000pro"])
def test_filler_of_any_value_is_never_taken_for_too_much_light(model: str):
    bench = Bench(model=model, filler=65_535)
    limits = bench.unit.limits
    assert limits is not None

    found = expose(bench.scan_as, ExposureSettings(integration_ms=10.0), limits, ExposurePlan())

    assert not found.scan.saturated.any()
    assert (found.scan.raw == 65_535).any()
    assert found.probes > 0


@pytest.mark.parametrize("model", ["nirquest512", "usb2000plus"])
def test_the_exposure_that_is_found_fills_the_window_of_the_converter_and_reaches_its_snr(model: str):
    bench = Bench(model=model, seed=2)
    limits = bench.unit.limits
    assert limits is not None
    plan = ExposurePlan(snr=400.0)

    found = expose(bench.scan_as, ExposureSettings(integration_ms=5.0), limits, plan)
    peak = found.scan.raw.max() / bench.firmware.model.saturation
    meant = np.array(list(bench.firmware.meant)[-found.settings.repeats :])
    median = int(np.argsort(meant.mean(axis=0))[meant.shape[1] // 2])

    assert 0.35 < peak < 0.90
    assert found.settings.repeats > 1
    assert meant[:, median].std() < np.median(meant) / 400.0 * np.sqrt(found.settings.repeats) * 2


def test_no_signal_to_noise_asks_for_more_frames_than_a_scan_may_have():
    bench = Bench(Ramp(step=130_000.0), model="nirquest256", speed=0.0)
    limits = bench.unit.limits
    assert limits is not None

    found = expose(bench.scan_as, ExposureSettings(integration_ms=1.0), limits, ExposurePlan(snr=1e6))

    assert (found.settings.repeats, found.settings.integration_ms) == (1_000, 1.0)


def test_the_lamp_line_is_down_at_opening_and_closing():
    bench = Bench(model="usb2000plus")
    bench.session.perform(DEVICE.close())

    assert not bench.firmware.lamp_on
