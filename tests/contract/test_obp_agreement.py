"""OBP driver and simulators were written apart from the same sheets: they have to agree, pixel for pixel."""

from __future__ import annotations

import struct
from itertools import pairwise

import numpy as np
import pytest

from drivers.clock import ManualClock
from drivers.contract import ExposureSettings, Medium, RawScan
from drivers.devices._obp_message import ACK_WANTED, encode
from drivers.errors import BadSettings
from firmware_sim.devices._obp_models import MODELS
from tests.contract.obp_ends import OBP, instrument, scans_of, session_on

EVERY: list[tuple[str, Medium]] = [
    ("sts-nir", "serial"),
    ("sts-nir", "usb"),
    ("sts-nir", "tcp"),
    ("sts-vis", "serial"),
    ("spark", "usb"),
    ("qe-pro", "serial"),
    ("qe-pro", "usb"),
    ("ventana", "usb"),
    ("fx", "usb"),
    ("fx", "tcp"),
    ("hdx", "usb"),
    ("hdx", "tcp"),
]
SETTINGS = ExposureSettings(integration_ms=30.0, repeats=3)


def scan_of(model: str, medium: Medium, settings: ExposureSettings = SETTINGS) -> tuple[RawScan, list[np.ndarray]]:
    firmware = instrument(model, medium)
    (scan,) = scans_of(firmware, medium, settings)
    return scan, list(firmware.meant)


@pytest.mark.parametrize(("model", "medium"), EVERY)
def test_counts_are_those_that_the_instrument_meant_and_the_axis_is_that_of_its_memory(model: str, medium: Medium):
    scan, meant = scan_of(model, medium)
    stored = np.array(MODELS[model].wavelength, dtype=np.float32).astype(np.float64)

    np.testing.assert_array_equal(scan.raw, np.array(meant[-3:]))
    np.testing.assert_array_equal(scan.counts, np.array(meant[-3:]).mean(axis=0))
    expected_nm = np.polynomial.polynomial.polyval(np.arange(len(scan.counts)), stored)
    np.testing.assert_allclose(scan.axis, expected_nm, rtol=1e-14)
    assert (scan.exposure_ms, scan.axis_unit, scan.settled, scan.frames_dropped) == (30.0, "nm", True, 1)
    assert scan.identity.model in {MODELS[model].name, "Ventana"}
    assert scan.environment.detector_c == pytest.approx(25.3, abs=0.5)


def test_what_the_memory_holds_comes_with_the_scan():
    scan, _ = scan_of("sts-nir", "serial")
    facts = MODELS["sts-nir"]

    assert scan.calibration.nonlinearity == pytest.approx(facts.nonlinearity, rel=1e-6)
    assert scan.calibration.stray_light == pytest.approx(facts.stray_light, rel=1e-6)
    assert scan.calibration.bad_pixels == facts.hot_pixels
    assert scan.identity.versions == {"hardware": "2", "firmware": "1.10"}


def test_the_dark_pixels_of_a_qe_pro_are_dark_and_its_spectra_are_counted():
    firmware = instrument("qe-pro", "usb")
    scans = scans_of(firmware, "usb", SETTINGS, scans=3)

    dark = list(scans[0].calibration.dark_pixels)
    first, last = scans[0].calibration.active or (0, 0)
    assert scans[0].counts[dark].max() < 2_500 < scans[0].counts[first : last + 1].min()
    assert all(after - before == SETTINGS.repeats for before, after in pairwise(s.scan_index or 0 for s in scans))


def test_limits_are_the_instruments_own_where_it_tells_and_the_sheets_where_not():
    for model, medium, limits in (
        ("sts-nir", "serial", (0.01, 85_000.0)),
        ("qe-pro", "usb", (8.0, 1_600_000.0)),
        ("ventana", "usb", (22.0, 60_000.0)),
        ("fx", "tcp", (6.0, 10_000.0)),
    ):
        unit = session_on(instrument(model, medium)).perform(OBP.over(medium).open())  # type: ignore[arg-type]
        assert unit.limits.integration_ms == limits


def test_saturated_pixels_are_flagged_where_they_are():
    scan, _ = scan_of("sts-nir", "usb", ExposureSettings(integration_ms=700.0))

    np.testing.assert_array_equal(scan.saturated, scan.counts == 16_383)
    assert 0 < scan.saturated.sum() < len(scan.saturated)


def test_what_a_former_user_left_switched_on_does_not_spoil_a_scan():
    left = {0x110110: b"\1", 0x110290: b"\1", 0x120010: b"\x0a\0", 0x121010: b"\5", 0x110510: struct.pack("<I", 5000)}
    for medium in ("usb", "serial"):
        firmware = instrument("sts-nir", medium, baud=115_200)  # type: ignore[arg-type]
        session = session_on(firmware)
        unit = session.perform(OBP.over(medium).open())
        for message_type, data in left.items():
            firmware.serve(encode(message_type, data, flags=ACK_WANTED), 0.0)

        session.perform(OBP.configure(unit, SETTINGS))
        scan = session.perform(OBP.scan(unit, SETTINGS))

        held = firmware.bench.settings
        assert (held.trigger, held.binning, held.averages, held.boxcar, held.delay_us) == (0, 0, 1, 0, 0)
        np.testing.assert_array_equal(scan.raw, np.array(list(firmware.meant)[-3:]))


@pytest.mark.parametrize(("model", "medium"), [("sts-nir", "serial"), ("qe-pro", "usb"), ("fx", "tcp")])
def test_a_short_exposure_may_follow_a_long_one_at_once(model: str, medium: Medium):
    firmware, device = instrument(model, medium), OBP.over(medium)
    session = session_on(firmware)
    for ms in (8_000.0, 20.0):  # in one session, and in another one that follows
        unit = session.perform(device.open())
        for integration_ms in (ms, 20.0):
            settings = ExposureSettings(integration_ms=integration_ms)
            session.perform(device.configure(unit, settings))
            scan = session.perform(device.scan(unit, settings))
            np.testing.assert_array_equal(scan.raw[-1], firmware.meant[-1])
        session.perform(device.configure(unit, ExposureSettings(integration_ms=5_000.0)))


def test_a_cooled_detector_is_waited_for_and_a_scan_says_when_it_did_not_get_there():
    settings = ExposureSettings(integration_ms=10.0, detector_c=-15.0)
    (scan,) = scans_of(instrument("qe-pro", "usb"), "usb", settings)
    firmware, clock = instrument("qe-pro", "usb", speed=1.0), ManualClock()
    session = session_on(firmware, clock)
    unit = session.perform(OBP.over("usb").open())
    session.perform(OBP.over("usb").configure(unit, settings))
    firmware.bench.set_cooler(clock.now_s(), on=False)
    clock.advance(5.0)
    warm = session.perform(OBP.over("usb").scan(unit, settings))

    assert scan.settled
    assert scan.environment.detector_c == pytest.approx(-15.0, abs=0.3)
    assert not warm.settled


@pytest.mark.parametrize(
    ("model", "settings", "words"),
    [
        ("sts-nir", ExposureSettings(integration_ms=0.001), "integration_ms 0.001 (0.01 to 85000)"),
        ("sts-nir", ExposureSettings(integration_ms=float("nan")), "integration_ms nan"),
        ("sts-nir", ExposureSettings(repeats=0), "repeats 0 (1 to 1000)"),
        ("sts-nir", ExposureSettings(integration_ms=80_000, repeats=100), "8000 s"),
        ("sts-nir", ExposureSettings(gain=2.0), "gain 2"),
        ("sts-nir", ExposureSettings(laser_mw=1.0), "laser_mw 1 (it has no laser)"),
        ("sts-nir", ExposureSettings(detector_c=-5.0), "detector_c -5"),
        ("qe-pro", ExposureSettings(detector_c=-60.0), "detector_c -60 (-40 to 30)"),
        ("ventana", ExposureSettings(laser_mw=101.0), "laser_mw 101 (1 to 100)"),
        ("ventana", ExposureSettings(laser_mw=50.0), "no watchdog"),
    ],
)
def test_settings_that_a_unit_cannot_do_are_refused_before_anything_is_sent(
    model: str, settings: ExposureSettings, words: str
):
    session = session_on(instrument(model, "usb"))
    unit = session.perform(OBP.over("usb").open())

    for ask in (OBP.configure, OBP.scan):
        with pytest.raises(BadSettings) as caught:
            next(ask(unit, settings))
        assert words in str(caught.value)
