"""The order of corrections, worked through by hand on small arrays, and what is said of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.contract import Calibration
from edged.spectra.corrections.chain import Corrected, Options, correct_frames
from edged.spectra.spectrum import SpectrumError

Counts = NDArray[np.float64]
PIXELS = 16
LIGHT = np.arange(100.0, 100.0 + 10 * PIXELS, 10.0)


def corrected(frames: Any, *, saturated: Any = None, dark: Any = None, options: Any = None, **stored: Any) -> Corrected:
    light = np.atleast_2d(np.array(frames, dtype=np.float64))
    return correct_frames(
        light,
        calibration=Calibration(**stored),
        saturated=np.zeros(light.shape, dtype=np.bool_) if saturated is None else np.array(saturated),
        dark_frames=None if dark is None else np.atleast_2d(np.array(dark, dtype=np.float64)),
        options=options,
    )


def names(result: Corrected) -> list[str]:
    return [step.name for step in result.applied]


def test_an_instrument_that_stores_nothing_gets_the_mean_of_its_frames() -> None:
    result = corrected([LIGHT, LIGHT + 2.0])

    np.testing.assert_allclose(result.counts, LIGHT + 1.0)
    assert result.pixels.tolist() == list(range(PIXELS))
    assert [(step.name, step.version, step.detail) for step in result.applied] == [("average", 1, "2 frames")]
    assert not result.saturated.any()
    assert not result.repaired.any()


def test_every_correction_is_named_with_its_version_in_the_vendors_order() -> None:
    result = corrected(
        [LIGHT, LIGHT, LIGHT],
        dark=np.full(PIXELS, 90.0),
        options=Options(cosmic_rays=True, stray_light=True, boxcar=1),
        odd_gain=1.0,
        odd_offset=0.0,
        dark_pixels=(0, 1),
        active=(2, 14),
        invert=True,
        bad_pixels=(7,),
        nonlinearity=(1.0, 0.0, 0.0),
        stray_light=(0.001,),
        intensity=(0.0, 0.0),
    )

    assert [(step.name, step.version, step.detail) for step in result.applied] == [
        ("even_odd", 1, "odd pixels: gain 1, offset 0"),
        ("electric_dark", 1, "2 dark pixels"),
        ("active_range", 1, "pixels 2 to 14 of 16"),
        ("invert", 1, ""),
        ("bad_pixels", 1, "1 pixel"),
        ("cosmic_rays", 1, "3 frames compared, 0 pixels repaired"),
        ("average", 1, "3 frames"),
        ("dark", 1, "1 frame"),
        ("nonlinearity", 1, "order 2"),
        ("stray_light", 1, "share 0.001"),
        ("boxcar", 1, "half width 1"),
        ("intensity", 1, "order 1"),
    ]


def test_what_is_switched_off_is_not_done_and_not_named() -> None:
    off = Options(
        even_odd=False, electric_dark=False, bad_pixels=False, nonlinearity=False, intensity=False, cosmic_rays=False
    )

    result = corrected(
        LIGHT,
        options=off,
        odd_gain=1.1,
        dark_pixels=(0, 1),
        bad_pixels=(7,),
        nonlinearity=(0.9,),
        intensity=(0.5,),
        stray_light=(0.01,),
    )

    assert names(result) == ["active_range", "average"]
    np.testing.assert_array_equal(result.counts, LIGHT[2:])


def test_odd_pixels_are_matched_by_their_number_as_read() -> None:
    """Cut and turned, pixel 3 is at another place, and still odd."""
    result = corrected(LIGHT, odd_gain=2.0, odd_offset=-1.0, active=(3, 12), invert=True)

    expected = [LIGHT[p] * 2 - 1 if p % 2 else LIGHT[p] for p in range(12, 2, -1)]
    np.testing.assert_allclose(result.counts, expected)
    assert result.pixels.tolist() == list(range(12, 2, -1))


def test_a_bad_pixel_is_bridged_where_it_is_after_turning_and_is_flagged() -> None:
    light = LIGHT.copy()
    light[5] = 60_000.0

    result = corrected(light, bad_pixels=(5,), invert=True)

    np.testing.assert_allclose(result.counts, LIGHT[::-1])
    assert result.pixels[result.repaired].tolist() == [5]


def test_a_bad_pixel_among_the_dark_ones_does_not_count_as_dark() -> None:
    light = LIGHT.copy()
    light[:3] = [50, 9_000, 70]

    result = corrected(light, dark_pixels=(0, 1, 2), bad_pixels=(1,))

    np.testing.assert_allclose(result.counts, LIGHT[3:] - 60.0)


@pytest.mark.parametrize(
    ("dark_pixels", "kept"),
    [((), (0, 15)), ((0, 1, 2), (3, 15)), ((2, 3), (4, 15)), ((0, 1, 14, 15), (2, 13)), ((14,), (0, 13))],
)
def test_without_an_active_range_the_longest_lit_run_is_kept(
    dark_pixels: tuple[int, ...], kept: tuple[int, int]
) -> None:
    result = corrected(LIGHT, dark_pixels=dark_pixels)

    assert (result.pixels[0], result.pixels[-1]) == kept


def test_non_linearity_works_above_the_electric_dark_of_ocean() -> None:
    """Dark pixels at 100; 1000 above them is divided by 0.9 + 1e-4 * 1000 = 1."""
    light = np.full(PIXELS, 1100.0)
    light[:4] = 100.0

    off = corrected(light, dark_pixels=(0, 1, 2, 3), nonlinearity=(0.9, 1e-4))
    kept = corrected(light, dark_pixels=(0, 1, 2, 3), nonlinearity=(0.8, 1e-4), options=Options(electric_dark=False))

    np.testing.assert_allclose(off.counts, 1000.0)
    np.testing.assert_allclose(kept.counts, 100.0 + 1000.0 / 0.9)
    assert "electric_dark" not in names(kept)


def test_without_dark_pixels_non_linearity_works_above_the_dark_frames() -> None:
    """A NIRQuest has none: 1100 - 100, divided by 0.8 + 1e-4 * 1000 = 0.9."""
    result = corrected(
        np.full(PIXELS, 1100.0), dark=[np.full(PIXELS, 99.0), np.full(PIXELS, 101.0)], nonlinearity=(0.8, 1e-4)
    )

    np.testing.assert_allclose(result.counts, 1000.0 / 0.9)
    assert names(result) == ["average", "dark", "nonlinearity"]


def test_without_any_dark_level_what_needs_one_is_left_out() -> None:
    result = corrected(
        LIGHT, nonlinearity=(0.9,), intensity=(0.3,), stray_light=(0.01,), options=Options(stray_light=True)
    )

    assert names(result) == ["average"]
    np.testing.assert_array_equal(result.counts, LIGHT)


def test_the_dark_drift_that_the_dark_pixels_see_is_taken_off_both() -> None:
    """Light 1000 on 200; then the level sinks by 50, in the dark pixels as well: dark frames of 150."""
    light, dark = np.full(PIXELS, 1200.0), np.full(PIXELS, 150.0)
    light[:2], dark[:2] = 210.0, 160.0

    result = corrected(light, dark=dark, dark_pixels=(0, 1))

    np.testing.assert_allclose(result.counts, 1000.0)


def test_the_intensity_curve_counts_pixels_of_the_whole_array_after_turning() -> None:
    """Pixel 12 as read is pixel 3 after turning: factor 10^(0.01 * 3)."""
    dark = np.zeros(PIXELS)

    result = corrected(np.full(PIXELS, 100.0), dark=dark, intensity=(0.0, 0.01), active=(3, 12), invert=True)

    np.testing.assert_allclose(result.counts, 100.0 * 10 ** (0.01 * np.arange(3, 13)))


def test_saturation_in_any_frame_is_flagged_and_the_value_left() -> None:
    frames = np.stack([LIGHT, LIGHT, LIGHT])
    frames[1, 6] = 65_535.0

    result = corrected(frames, saturated=frames >= 65_535, options=Options(cosmic_rays=True))

    assert np.flatnonzero(result.saturated).tolist() == [6]
    assert result.counts[6] == pytest.approx((2 * LIGHT[6] + 65_535) / 3)
    assert not result.repaired.any()


def test_a_bad_pixel_is_as_saturated_as_what_stands_in_for_it() -> None:
    saturated = np.zeros((1, PIXELS), dtype=np.bool_)
    saturated[0, [4, 9]] = True

    lone = corrected(LIGHT, saturated=saturated, bad_pixels=(4,))
    beside = corrected(LIGHT, saturated=saturated, bad_pixels=(8,))

    assert np.flatnonzero(lone.saturated).tolist() == [9]
    assert np.flatnonzero(beside.saturated).tolist() == [4, 8, 9]


def test_a_boxcar_spreads_the_flags_to_what_it_mixes() -> None:
    saturated = np.arange(PIXELS)[None, :] == 8

    result = corrected(LIGHT, saturated=saturated, options=Options(boxcar=2))

    assert np.flatnonzero(result.saturated).tolist() == [6, 7, 8, 9, 10]


@pytest.mark.parametrize("repeats", [1, 3])
def test_a_ray_is_repaired_flagged_and_counted(repeats: int) -> None:
    rng = np.random.default_rng(2)
    light = 1_000.0 + 4.0 * rng.standard_normal((repeats, 256))
    clean = light.mean(axis=0)
    light[0, 100] += 3_000.0

    result = corrected(light, options=Options(cosmic_rays=True))

    assert result.pixels[result.repaired].tolist() == [100]
    assert abs(result.counts[100] - clean[100]) < 15.0
    step = next(step for step in result.applied if step.name == "cosmic_rays")
    assert step.detail.endswith("1 pixel repaired")


def test_a_hot_pixel_in_light_and_dark_is_no_ray() -> None:
    rng = np.random.default_rng(3)
    light, dark = 1_000.0 + 4.0 * rng.standard_normal((2, 256))
    light[50] += 2_000.0
    dark[50] += 2_000.0

    result = corrected(light, dark=dark, options=Options(cosmic_rays=True))

    assert not result.repaired.any()
    assert abs(result.counts[50]) < 30.0


def test_a_ray_in_one_of_the_dark_frames_does_not_reach_the_spectrum() -> None:
    rng = np.random.default_rng(4)
    light, dark = 1_000.0 + 4.0 * rng.standard_normal((2, 3, 256))
    dark[2, 77] += 5_000.0

    result = corrected(light, dark=dark, options=Options(cosmic_rays=True))

    assert abs(result.counts[77]) < 20.0


def test_what_is_given_is_not_changed_and_what_comes_is_read_only() -> None:
    frames, dark = np.stack([LIGHT, LIGHT]), np.full((2, PIXELS), 90.0)
    saturated = np.zeros(frames.shape, dtype=np.bool_)
    for array in (frames, dark, saturated):
        array.flags.writeable = False
    stored = Calibration(
        bad_pixels=(3,), odd_gain=1.1, odd_offset=1.0, nonlinearity=(0.9,), intensity=(0.1,), dark_pixels=(0,)
    )

    result = correct_frames(
        frames, calibration=stored, saturated=saturated, dark_frames=dark, options=Options(boxcar=1, cosmic_rays=True)
    )

    np.testing.assert_array_equal(frames, np.stack([LIGHT, LIGHT]))
    for array in (result.counts, result.pixels, result.saturated, result.repaired):
        assert len(array) == PIXELS - 1
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ({"bad_pixels": (16,)}, "bad pixels 16 to 16 are stored"),
        ({"bad_pixels": (-1, 4)}, "bad pixels -1 to 4 are stored"),
        ({"dark_pixels": (0, 99)}, "dark pixels 0 to 99 are stored"),
        ({"active": (0, 16)}, "active range 0 to 16"),
        ({"active": (9, 3)}, "active range 9 to 3"),
        ({"active": (0, 3)}, "active range 0 to 3"),
        ({"dark_pixels": tuple(range(16))}, "active range"),
        ({"bad_pixels": tuple(range(16))}, "all 16 pixels are listed as bad"),
        ({"odd_gain": float("nan")}, "odd pixels"),
        ({"nonlinearity": (0.0, 0.0), "dark_pixels": (0,)}, "non-linearity"),
        ({"intensity": (9.0,), "dark_pixels": (0,)}, "intensity curve"),
    ],
)
def test_what_an_instrument_cannot_store_is_refused_with_a_hint(stored: dict[str, Any], said: str) -> None:
    with pytest.raises(SpectrumError, match=said) as refused:
        corrected(LIGHT, **stored)

    assert refused.value.hint


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["frames", "dark frames"])
def test_no_number_that_is_none_gets_in(value: float, where: str) -> None:
    broken = np.stack([LIGHT, LIGHT])
    broken[1, 5] = value

    with pytest.raises(SpectrumError, match=f"{where}: pixel 5 is not a finite number"):
        corrected(broken if where == "frames" else LIGHT, dark=broken if where == "dark frames" else None)


def test_frames_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(SpectrumError, match="do not fit"):
        corrected(LIGHT, saturated=np.zeros((2, PIXELS), dtype=np.bool_))
    with pytest.raises(SpectrumError, match="dark frames have shape"):
        corrected(LIGHT, dark=LIGHT[:-1])
    with pytest.raises(SpectrumError, match="1 to 65536 pixels"):
        corrected(np.zeros((3, 0)))


def test_options_that_make_no_difference_give_the_same_to_the_bit() -> None:
    frames = np.random.default_rng(5).uniform(0, 60_000, (3, 64))
    options = Options()

    first = corrected(frames, dark=frames / 9, bad_pixels=(4,), options=options)
    again = corrected(frames, dark=frames / 9, bad_pixels=(4,), options=replace(options, stray_light=True))

    np.testing.assert_array_equal(first.counts, again.counts)
    assert first.applied == again.applied
