"""What must hold for any counts: constants stay constants, nothing grows beyond bounds, nothing given is changed."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from drivers.contract import Calibration
from edged.spectra.corrections import bad_pixels, cosmic_rays, frames, nonlinearity, smoothing, stray_light
from edged.spectra.corrections.chain import Options, correct_frames

LEVELS = st.floats(0.0, 65_535.0)
COUNTS = arrays(np.float64, st.integers(8, 80), elements=LEVELS)
FRAMES = arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(8, 60)), elements=LEVELS)


def same(found: Any, level: float) -> None:
    np.testing.assert_allclose(found, level, rtol=1e-9, atol=1e-6)


@given(level=LEVELS, length=st.integers(8, 300), half=st.integers(0, 255), repeats=st.integers(1, 4), data=st.data())
def test_a_constant_stays_that_constant(level: float, length: int, half: int, repeats: int, data: Any) -> None:
    bad = data.draw(st.lists(st.integers(0, length - 1), max_size=length // 2))
    flat = np.full(length, level)

    same(smoothing.boxcar(flat, half), level)
    same(bad_pixels.bridge(flat, bad_pixels.gaps(bad, length)), level)
    same(stray_light.remove(flat, 0.01), level)
    same(nonlinearity.linearise(flat, (1.0,)), level)
    np.testing.assert_array_equal(cosmic_rays.repair_single_frame(flat).counts, flat)
    same(frames.average(np.tile(flat, (repeats, 1))), level)


@given(counts=COUNTS, half=st.integers(0, 255), data=st.data())
def test_means_and_bridges_stay_within_what_was_measured(counts: Any, half: int, data: Any) -> None:
    bad = data.draw(st.lists(st.integers(0, len(counts) - 1), max_size=len(counts) // 2))
    low, high = counts.min() - 1e-6, counts.max() + 1e-6

    for result in (
        smoothing.boxcar(counts, half),
        bad_pixels.bridge(counts, bad_pixels.gaps(bad, len(counts))),
        cosmic_rays.repair_single_frame(counts).counts,
    ):
        assert result.shape == counts.shape
        assert low <= result.min()
        assert result.max() <= high


@given(counts=COUNTS)
def test_a_single_frame_is_only_ever_lowered_where_a_ray_is_said_to_be(counts: Any) -> None:
    repaired = cosmic_rays.repair_single_frame(counts)

    np.testing.assert_array_equal(repaired.counts[~repaired.rays], counts[~repaired.rays])
    assert np.count_nonzero(repaired.rays) <= len(counts) - 2


@given(values=arrays(np.float64, st.tuples(st.integers(2, 4), st.integers(8, 60)), elements=LEVELS))
def test_frames_are_changed_only_where_a_ray_is_said_to_be_and_never_in_all(values: Any) -> None:
    repaired = cosmic_rays.repair_between_frames(values)

    np.testing.assert_array_equal(repaired.counts[~repaired.rays], values[~repaired.rays])
    assert not repaired.rays.all(axis=0).any()
    assert np.isfinite(repaired.counts).all()


@given(
    values=FRAMES,
    odd=st.floats(0.9, 1.1),
    c0=st.floats(0.85, 1.1),
    share=st.floats(0.0, 0.02),
    rays=st.booleans(),
    invert=st.booleans(),
    half=st.integers(0, 9),
)
def test_any_counts_come_out_finite_bounded_and_with_what_was_given_unchanged(
    values: Any, odd: float, c0: float, share: float, rays: bool, invert: bool, half: int
) -> None:
    values.flags.writeable = False
    before = values.copy()
    saturated = values >= 65_535.0
    stored = Calibration(
        odd_gain=odd, bad_pixels=(2,), nonlinearity=(c0, 1e-7), stray_light=(share,), intensity=(0.1,), invert=invert
    )

    result = correct_frames(
        values,
        calibration=stored,
        saturated=saturated,
        dark_frames=values[:1],
        options=Options(cosmic_rays=rays, stray_light=True, boxcar=half),
    )

    assert np.isfinite(result.counts).all()
    assert np.abs(result.counts).max() <= 4 * 65_535.0
    assert sorted(result.pixels.tolist()) == list(range(values.shape[1]))
    np.testing.assert_array_equal(values, before)
    assert not result.counts.flags.writeable
