"""Automatic exposure against simulated detectors: from starlight to sunlight, with and without a laser."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.contract import Environment, ExposureSettings, Identity, Limits, RawScan
from drivers.errors import DeviceRefused
from edged.acquire.exposure import Exposed, ExposurePlan, expose, exposure_ms, peak_share
from firmware_sim.array import ArrayDetector, ArrayFacts
from firmware_sim.scene import Raman

PIXELS = 256
AXIS = np.linspace(800.0, 1000.0, PIXELS)
FACTS = ArrayFacts(pixels=PIXELS)
LIMITS = Limits(integration_ms=(1.0, 60_000.0), saturation_counts=65_535)
LASER = Limits(integration_ms=(10.0, 60_000.0), saturation_counts=65_535, laser_mw=(20.0, 450.0))


class Instrument:
    """A detector before a bell of light; notes what was asked of it."""

    def __init__(self, peak_per_s: float, *, raman: bool = False, seed: int = 3) -> None:
        self.asked: list[ExposureSettings] = []
        self._detector = ArrayDetector(FACTS, seed=seed)
        self._peak_per_s = peak_per_s
        self._raman = Raman("polystyrene") if raman else None
        self._frame = 0

    def __call__(self, asked: ExposureSettings) -> RawScan:
        self.asked.append(asked)
        bright = self._light(asked.laser_mw or 0.0)
        frames = np.stack([self._expose(bright, asked) for _ in range(asked.repeats)])
        dark = None
        if asked.laser_mw is not None:
            dark = np.stack([self._expose(self._light(0.0), asked) for _ in range(asked.repeats)])
        return RawScan(
            identity=Identity(kind="x", model="x", serial_number="1"),
            settings=asked,
            scan_index=None,
            axis=AXIS.copy(),
            axis_unit="nm",
            counts=frames.mean(axis=0),
            raw=frames,
            dark_level=0.0,
            saturated=np.any(frames >= 65_535, axis=0),
            gain=asked.gain or 1.0,
            environment=Environment(),
            blob=b"",
            dark=dark,
        )

    def _light(self, laser_mw: float) -> np.ndarray:
        if self._raman is not None:
            return self._raman.light(AXIS, laser_mw=laser_mw, laser_nm=785.0) * self._peak_per_s / 200_000
        return self._peak_per_s * np.exp(-(((AXIS - 900.0) / 40.0) ** 2))

    def _expose(self, light: np.ndarray, asked: ExposureSettings) -> np.ndarray:
        self._frame += 1
        return self._detector.expose(
            light,
            integration_s=asked.integration_ms / 1e3,
            detector_c=20.0,
            frame=self._frame,
            gain=asked.gain or 1.0,
        )


def run(
    peak_per_s: float, *, plan: ExposurePlan | None = None, limits: Limits = LIMITS, **start: float
) -> tuple[Exposed, Instrument]:
    instrument = Instrument(peak_per_s, raman=limits.laser_mw is not None)
    return expose(instrument, replace(ExposureSettings(), **start), limits, plan or ExposurePlan()), instrument  # type: ignore[arg-type]


@settings(max_examples=200, deadline=None)
@given(st.floats(0.0, 7.5), st.floats(0.0, 4.0), st.sampled_from([None, 50.0, 500.0]))
def test_no_result_is_saturated_and_the_budget_is_kept(log_peak: float, log_start_ms: float, snr: float | None):
    plan = ExposurePlan(snr=snr, budget_s=20.0)
    exposed, instrument = run(10**log_peak, plan=plan, integration_ms=10**log_start_ms)

    assert not exposed.scan.saturated.any()
    assert sum(map(exposure_ms, instrument.asked)) <= 20_000 + 10**log_start_ms
    assert exposed.scan.settings == exposed.settings


@pytest.mark.parametrize("peak_per_s", [2e4, 1e5, 1e6, 1e7])
@pytest.mark.parametrize("integration_ms", [1.0, 100.0, 3_000.0])
def test_any_light_that_can_be_had_in_time_fills_the_window(peak_per_s: float, integration_ms: float):
    exposed, _ = run(peak_per_s, integration_ms=integration_ms)

    assert 0.35 <= peak_share(exposed.scan, LIMITS) <= 0.85
    assert exposed.probes <= 5


def test_two_runs_with_one_seed_agree_to_the_bit():
    (first, _), (second, _) = run(1e5), run(1e5)

    assert first.settings == second.settings
    assert np.array_equal(first.scan.raw, second.scan.raw)


def test_frames_are_added_until_the_noise_is_low_enough():
    exposed, instrument = run(1e6, plan=ExposurePlan(snr=500.0, budget_s=30.0))

    means = np.stack([instrument(exposed.settings).counts for _ in range(30)])
    noise = np.median(means.std(axis=0, ddof=1))  # between whole scans, each the mean of its frames
    signal = np.median(means) - np.percentile(means, 2)
    assert exposed.settings.repeats > 2
    assert 350 < signal / noise < 900


def test_light_that_is_too_strong_for_the_shortest_time_is_refused_in_words():
    with pytest.raises(DeviceRefused, match="too much light"):
        run(1e9)


@pytest.mark.parametrize("peak_per_s", [3e3, 1e4, 5e4])
def test_a_sample_that_stays_dim_gets_its_frames_all_the_same(peak_per_s: float):
    limits = Limits(integration_ms=(1.0, 400.0), saturation_counts=65_535)
    exposed, _ = run(peak_per_s, limits=limits, repeats=20)

    assert peak_share(exposed.scan, limits) < 0.35
    assert exposed.settings.integration_ms == 400.0
    assert len(exposed.scan.raw) == exposed.settings.repeats == 20


@settings(max_examples=100, deadline=None)
@given(st.floats(2.0, 8.5), st.floats(20.0, 450.0))
def test_the_laser_never_exceeds_what_the_user_allows(log_peak: float, allowed_mw: float):
    instrument = Instrument(10**log_peak, raman=True)
    with contextlib.suppress(DeviceRefused):
        expose(instrument, ExposureSettings(laser_mw=allowed_mw), LASER, ExposurePlan())

    assert all(asked.laser_mw is not None and 20.0 <= asked.laser_mw <= allowed_mw for asked in instrument.asked)


def test_less_power_is_the_way_out_when_the_shortest_time_is_too_long():
    exposed, _ = run(3e7, limits=LASER, laser_mw=450.0)

    assert exposed.settings.integration_ms == 10.0
    assert exposed.settings.laser_mw is not None
    assert exposed.settings.laser_mw < 450.0
    assert not exposed.scan.saturated.any()


def test_gain_comes_last():
    limits = Limits(integration_ms=(1.0, 200.0), saturation_counts=65_535, gain=(1.0, 8.0))
    exposed, _ = run(2e4, limits=limits, integration_ms=10.0)

    assert exposed.settings.integration_ms == 200.0
    assert exposed.settings.gain is not None
    assert exposed.settings.gain > 1.0
