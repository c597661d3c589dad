"""Rays put into real Raman spectra, and real Raman spectra left as they are. Measured rates: docs/corrections.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edged.spectra.corrections.cosmic_rays import repair_between_frames, repair_single_frame
from edged.spectra.spectrum import SpectrumError

Counts = NDArray[np.float64]
READ_NOISE, COUNTS_PER_ELECTRON, BIAS = 4.0, 0.25, 500.0
RAYS = ((1.0,), (1.0, 0.3), (0.25, 1.0), (1.0, 1.0))  # heights of the pixels that one strikes


@pytest.fixture(scope="module")
def raman(data_dir: Path) -> list[Counts]:
    """Two dozen real spectra in counts: five instruments, pure materials and mixtures of solvents."""
    charisma = np.load(data_dir / "raman_multi_instrument_charisma" / "charisma_raman.npz")
    names = [f"s{i:03d}_y" for i in (2, 3, 5, 10, 16, 20, 29, 38, 43, 54, 60, 66, 78, 83)]
    mixtures = np.load(data_dir / "raman_solvent_mixtures_deepraman" / "Multi_component_mixture_Dataset.npy")
    return [charisma[name].astype(np.float64) for name in names] + [mixtures[i] for i in range(0, 105, 10)]


def sigma_of(light: Counts) -> Counts:
    return np.sqrt(READ_NOISE**2 + COUNTS_PER_ELECTRON * np.maximum(light, 0.0))


def measured(light: Counts, rng: np.random.Generator, repeats: int) -> Counts:
    """Frames with shot and read noise, laser and background drifting by a percent."""
    gains = 1.0 + 0.01 * rng.standard_normal((repeats, 1))
    return np.round(BIAS + gains * light + sigma_of(light) * rng.standard_normal((repeats, light.size)))


def struck(frame: Counts, heights: Counts, rng: np.random.Generator) -> Iterator[tuple[Counts, slice]]:
    """The frame with one ray more each time, and where it is."""
    for start in rng.choice(np.arange(12, len(frame) - 12, 12), 10, replace=False):
        shape = np.array(RAYS[rng.integers(len(RAYS))])
        where = slice(int(start), int(start) + len(shape))
        hit = frame.copy()
        hit[where] += shape * heights[start]
        yield hit, where


def test_nine_of_ten_rays_of_25_sigmas_are_found_between_frames(raman: list[Counts]) -> None:
    rng = np.random.default_rng(3)
    found, errors = [], []
    for spectrum in raman:
        light = spectrum - np.percentile(spectrum, 1)
        frames = measured(light, rng, 3)
        for hit, where in struck(frames[1], 25.0 * sigma_of(light), rng):
            repaired = repair_between_frames(np.stack([frames[0], hit, frames[2]]))
            found.append(bool(repaired.rays[1, where].any()))
            error = (repaired.counts[1] - frames[1])[where] / sigma_of(light)[where]
            errors += list(error[repaired.rays[1, where]])

    assert np.mean(found) > 0.9
    assert np.percentile(np.abs(errors), 90) < 6.0  # what stands in differs from the truth by the noise and the drift


def test_undisturbed_frames_are_left_as_they_are(raman: list[Counts]) -> None:
    rng = np.random.default_rng(4)
    touched = total = 0
    for spectrum in raman:
        frames = measured(spectrum - np.percentile(spectrum, 1), rng, 3)
        touched += int(np.count_nonzero(repair_between_frames(frames).rays))
        total += frames.size

    assert touched < 3e-4 * total


def test_nine_of_ten_rays_of_50_sigmas_are_found_in_a_single_frame(raman: list[Counts]) -> None:
    rng = np.random.default_rng(5)
    found = []
    for spectrum in raman:
        bend = spectrum[2:] - 2 * spectrum[1:-1] + spectrum[:-2]
        noise = max(1.4826 * float(np.median(np.abs(bend))) / np.sqrt(6.0), 0.3)
        heights = 50.0 * np.sqrt(noise**2 + COUNTS_PER_ELECTRON * np.maximum(spectrum - np.median(spectrum), 0.0))
        for hit, where in struck(spectrum, heights, rng):
            found.append(bool(repair_single_frame(hit).rays[where].any()))

    assert np.mean(found) > 0.9


def test_no_band_of_a_real_raman_spectrum_is_taken_for_a_ray(raman: list[Counts]) -> None:
    for spectrum in raman:
        repaired = repair_single_frame(spectrum)

        assert not repaired.rays.any()
        np.testing.assert_array_equal(repaired.counts, spectrum)


@pytest.mark.parametrize("fwhm", [2.0, 2.5, 3.0, 6.0])
@pytest.mark.parametrize("offset", [0.0, 0.25, 0.5])
def test_a_band_of_two_pixels_or_more_is_no_ray(fwhm: float, offset: float) -> None:
    x = np.arange(400.0)
    band = 20_000.0 * np.exp(-4.0 * np.log(2.0) * ((x - 200.0 - offset) / fwhm) ** 2)
    counts = band + 300.0 + 3.0 * np.random.default_rng(6).standard_normal(400)

    assert not repair_single_frame(counts).rays.any()


def test_a_ray_on_the_flank_of_a_band_leaves_the_flank() -> None:
    x = np.arange(400.0)
    truth = 300.0 + 5_000.0 * np.exp(-(((x - 200.0) / 12.0) ** 2))
    counts = truth + 3.0 * np.random.default_rng(7).standard_normal(400)
    counts[190] += 4_000.0

    repaired = repair_single_frame(counts)

    assert np.flatnonzero(repaired.rays).tolist() == [190]
    assert repaired.counts[190] == pytest.approx(truth[190], abs=40)


def test_rays_in_every_frame_at_other_places_are_all_found() -> None:
    rng = np.random.default_rng(8)
    frames = measured(np.full(1024, 800.0), rng, 5)
    clean = frames.copy()
    for frame in range(5):
        frames[frame, 100 + 50 * frame] += 3_000.0

    repaired = repair_between_frames(frames)

    assert sorted(zip(*(index.tolist() for index in np.nonzero(repaired.rays)), strict=True)) == [
        (frame, 100 + 50 * frame) for frame in range(5)
    ]
    np.testing.assert_allclose(repaired.counts.mean(axis=0), clean.mean(axis=0), atol=20.0)


@pytest.mark.parametrize("repeats", [2, 3, 4])
def test_a_laser_that_gets_five_percent_stronger_is_no_ray(repeats: int) -> None:
    x = np.arange(1024.0)
    light = 400.0 + 30_000.0 * np.exp(-(((x - 300.0) / 4.0) ** 2)) + 9_000.0 * np.exp(-(((x - 600.0) / 90.0) ** 2))
    rng = np.random.default_rng(9)
    frames = np.stack([light * (1.0 + 0.05 * i) + sigma_of(light) * rng.standard_normal(1024) for i in range(repeats)])

    assert np.count_nonzero(repair_between_frames(frames).rays) <= 1


def test_a_saturated_pixel_is_never_repaired() -> None:
    frames = measured(np.full(256, 800.0), np.random.default_rng(10), 3)
    frames[1, 100] = 65_535.0

    repaired = repair_between_frames(frames, frames >= 65_535)
    single = repair_single_frame(frames[1], frames[1] >= 65_535)

    assert not repaired.rays[1, 100]
    assert repaired.counts[1, 100] == 65_535.0
    assert single.counts[100] == 65_535.0


@pytest.mark.parametrize("repeats", [2, 3, 7])
@pytest.mark.parametrize("pixels", [1, 2, 8, 12, 13, 40])
def test_few_pixels_or_none_that_differ_are_no_trouble(repeats: int, pixels: int) -> None:
    flat = np.full((repeats, pixels), 700.0)

    assert not repair_between_frames(flat).rays.any()
    assert not repair_single_frame(flat[0]).rays.any()


def test_one_frame_cannot_be_compared_with_itself() -> None:
    with pytest.raises(SpectrumError, match="two or more"):
        repair_between_frames(np.zeros((1, 64)))
    with pytest.raises(SpectrumError, match="one row"):
        repair_single_frame(np.zeros((2, 64)))
