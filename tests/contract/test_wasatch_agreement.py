"""Our Wasatch driver and the simulator agree: pixel for pixel, and on what every setting means."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from drivers import registry
from drivers.clock import ManualClock
from drivers.contract import ExposureSettings, RawScan, ScanSettings, Settings
from drivers.errors import BadSettings
from drivers.session import Session
from firmware_sim.devices.wasatch import WasatchSpectrometer
from firmware_sim.scene import RAMAN_LINES, Raman, Ramp, Scene
from tests.contract.usb_wire import UsbWire

DEVICE = registry.load("wasatch")
MODELS = {"wp785": 1024, "wp785xs": 1024, "wp785x2048": 2048, "wp1064": 512, "xs-imx": 1952}
LASERS = ["wp785xs", "xs-imx"]


def session_on(model: str, scene: Scene | None = None, **options: Any) -> tuple[WasatchSpectrometer, Session, Any]:
    firmware, clock = WasatchSpectrometer(scene or Ramp(), model=model, seed=5, **options), ManualClock()
    session = Session(UsbWire(firmware, clock), clock=clock)
    return firmware, session, session.perform(DEVICE.open())


def scan_with(session: Session, unit: Any, settings: Settings) -> RawScan:
    session.perform(DEVICE.configure(unit, settings))
    return session.perform(DEVICE.scan(unit, settings))


@pytest.mark.parametrize("model", MODELS)
def test_frames_are_those_that_were_meant_pixel_for_pixel(model: str):
    firmware, session, unit = session_on(model)
    settings = ExposureSettings(integration_ms=80.0, repeats=3)
    scan = scan_with(session, unit, settings)

    assert scan.raw.shape == (3, MODELS[model])
    np.testing.assert_array_equal(scan.raw, np.array(list(firmware.meant)[-3:]))
    np.testing.assert_allclose(scan.counts, scan.raw.mean(axis=0))
    assert scan.blob == b"".join(row.astype("<u2").tobytes() for row in scan.raw)
    assert (scan.exposure_ms, scan.frames_dropped, scan.scan_index) == (80.0, 1, None)
    assert scan.dark is None
    assert scan.laser_mw is None


@pytest.mark.parametrize("model", LASERS)
def test_a_lit_scan_has_as_many_frames_without_the_laser_first(model: str):
    firmware, session, unit = session_on(model, Raman())
    scan = scan_with(session, unit, ExposureSettings(integration_ms=80.0, repeats=2, laser_mw=60.0))
    meant = list(firmware.meant)

    assert scan.dark is not None
    np.testing.assert_array_equal(scan.dark, np.array(meant[-5:-3]))
    np.testing.assert_array_equal(scan.raw, np.array(meant[-2:]))
    assert scan.dark.max() < 1_200 < scan.raw.max()
    assert scan.laser_mw == 60.0
    assert scan.blob == b"".join(row.astype("<u2").tobytes() for row in (*scan.dark, *scan.raw))


@pytest.mark.parametrize("model", LASERS)
def test_the_strongest_line_of_polystyrene_is_where_the_standard_has_it(model: str):
    _, session, unit = session_on(model, Raman())
    scan = scan_with(session, unit, ExposureSettings(integration_ms=80.0, repeats=2, laser_mw=60.0))
    assert scan.dark is not None
    assert scan.calibration.excitation_nm is not None
    shift_cm1 = 1e7 / scan.calibration.excitation_nm - 1e7 / scan.axis

    light = scan.counts - scan.dark.mean(axis=0)

    strongest_cm1, _ = max(RAMAN_LINES["polystyrene"], key=lambda line: line[1])
    assert shift_cm1[np.argmax(light)] == pytest.approx(strongest_cm1, abs=3.0)


@pytest.mark.parametrize("model", LASERS)
def test_the_lit_frames_are_taken_when_the_laser_is_warm(model: str):
    _, session, unit = session_on(model, Raman())
    settings = ExposureSettings(integration_ms=80.0, repeats=8, laser_mw=60.0)
    scan = scan_with(session, unit, settings)

    light = scan.raw.astype(np.float64).sum(axis=1) - scan.raw.min() * scan.raw.shape[1]
    assert np.ptp(light) / light.mean() < 0.02


def test_the_power_asked_for_is_the_share_of_each_millisecond():
    firmware, session, unit = session_on("wp785xs", Raman())
    for power_mw in (20.0, 45.0, 100.0, 222.2, 450.0):
        scan_with(session, unit, ExposureSettings(integration_ms=20.0, laser_mw=power_mw))
        assert 0 <= power_mw - firmware.laser.flashes[-1].power_mw < 100 / 0.2222 / 1_000


def test_the_odd_pixels_of_an_ingaas_array_match_after_the_stored_gain_and_offset():
    _, session, unit = session_on("wp1064", Ramp(first=3_000.0, step=0.0), exact=True)
    scan = scan_with(session, unit, ExposureSettings(integration_ms=1_000.0))
    gain, offset = scan.calibration.odd_gain, scan.calibration.odd_offset
    assert gain is not None
    assert offset is not None

    assert np.ptp(scan.counts) > 100
    np.testing.assert_allclose(scan.counts[1::2] * gain + offset, scan.counts[::2], atol=1.0)


def test_an_array_that_is_mounted_the_other_way_round_has_a_falling_axis():
    _, session, unit = session_on("xs-imx")
    scan = scan_with(session, unit, ExposureSettings(integration_ms=10.0))

    assert scan.calibration.invert
    assert (np.diff(scan.axis) < 0).all()
    assert scan.calibration.bad_pixels == (1951 - 77,)
    assert scan.calibration.active == (1951 - 1899, 1951 - 30)


def test_counts_grow_with_the_integration_time_from_the_first_scan_on():
    _, session, unit = session_on("wp785xs", exact=True)
    times_ms = (20.0, 40.0, 80.0, 20.0)
    means = [scan_with(session, unit, ExposureSettings(integration_ms=ms)).counts.mean() for ms in times_ms]

    np.testing.assert_allclose(np.array(means) / means[0], [1.0, 2.0, 4.0, 1.0], rtol=1e-3)


def test_the_gain_of_a_cmos_array_is_a_factor():
    _, session, unit = session_on("xs-imx", exact=True)
    low, high = unit.limits.gain
    means = []
    for gain in (low, 2.0, 4.0, low):
        scan = scan_with(session, unit, ExposureSettings(integration_ms=20.0, gain=gain))
        assert scan.gain == pytest.approx(gain, rel=0.01)
        means.append(scan.counts.mean())

    np.testing.assert_allclose(np.array(means) / means[0], [1.0, 2.0, 4.0, 1.0], rtol=0.02)
    assert high == pytest.approx(35.5, abs=0.1)


def test_the_cooler_goes_where_it_is_asked_to_and_a_scan_says_whether_it_is_there():
    _, session, unit = session_on("wp1064")
    scan = scan_with(session, unit, ExposureSettings(integration_ms=20.0))
    assert scan.environment.detector_c == pytest.approx(-15.0, abs=0.6)
    assert scan.settled

    scan = scan_with(session, unit, ExposureSettings(integration_ms=20.0, detector_c=5.0))
    assert scan.environment.detector_c == pytest.approx(5.0, abs=0.6)
    assert scan.settled


def test_a_set_point_that_the_cooler_cannot_reach_makes_scans_unsettled():
    _, session, unit = session_on("wp785")  # its polynomial ends at about -3 C
    scan = scan_with(session, unit, ExposureSettings(integration_ms=20.0, detector_c=-20.0))

    assert not scan.settled


def test_a_saturated_pixel_is_marked():
    _, session, unit = session_on("wp785x2048", Ramp(first=0.0, step=400.0))
    scan = scan_with(session, unit, ExposureSettings(integration_ms=100.0))

    np.testing.assert_array_equal(scan.saturated, scan.raw[0] == 65_535)
    assert scan.saturated.any()
    assert not scan.saturated.all()


def test_conditions_are_read_where_there_are_sensors():
    _, session, unit = session_on("wp785xs")
    told = session.perform(DEVICE.environment(unit))
    assert (told.ambient_c, told.laser_adc) == (31.0, 1203)
    assert told.detector_c == pytest.approx(34.557, abs=0.01)

    _, session, unit = session_on("wp785x2048")
    told = session.perform(DEVICE.environment(unit))
    assert (told.ambient_c, told.laser_adc) == (None, None)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (ScanSettings(), "exposes a detector array"),
        (ExposureSettings(integration_ms=0.5), "integration_ms 0.5; this WP-785-C does 1 to 60000"),
        (ExposureSettings(integration_ms=60_001.0), "integration_ms 60001"),
        (ExposureSettings(integration_ms=float("nan")), "integration_ms nan"),
        (ExposureSettings(repeats=0), "repeats 0"),
        (ExposureSettings(repeats=1_001), "repeats 1001"),
        (ExposureSettings(gain=2.0), "trim of its maker"),
        (ExposureSettings(detector_c=21.0), "detector_c 21; this WP-785-C does -20 to 20"),
        (ExposureSettings(laser_mw=451.0), "laser_mw 451; this laser does 20 to 450"),
        (ExposureSettings(laser_mw=50.0, integration_ms=60_000.0, repeats=2), "at most 180 s are allowed"),
    ],
)
def test_settings_that_the_unit_cannot_do_are_refused_before_anything_is_sent(settings: Settings, words: str):
    _, session, unit = session_on("wp785xs")
    conversation = DEVICE.configure(unit, settings)

    with pytest.raises(BadSettings, match=words):
        next(conversation)
    session.close()


def test_a_scan_with_other_settings_than_those_configured_is_refused():
    _, session, unit = session_on("wp785xs")
    session.perform(DEVICE.configure(unit, ExposureSettings(integration_ms=20.0)))

    for settings in (ExposureSettings(integration_ms=21.0), ExposureSettings(integration_ms=20.0, laser_mw=50.0)):
        with pytest.raises(BadSettings, match="configure, then scan"):
            session.perform(DEVICE.scan(unit, settings))


def test_a_unit_says_who_it_is():
    _, _, unit = session_on("wp785xs", serial_number="WP-99")

    assert (unit.identity.kind, unit.identity.model, unit.identity.serial_number) == ("wasatch", "WP-785-C", "WP-99")
    assert unit.identity.versions == {"firmware": "1.0.3.5", "fpga": "027-003", "memory": "18"}
