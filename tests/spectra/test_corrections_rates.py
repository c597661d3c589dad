"""The rates in docs/corrections.md, measured again: rays put into every real Raman spectrum there is."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edged.spectra.corrections.cosmic_rays import repair_between_frames, repair_single_frame

Counts = NDArray[np.float64]
READ_NOISE, COUNTS_PER_ELECTRON, BIAS = 4.0, 0.25, 500.0  # of the frames that are made from a spectrum
LASER_DRIFT, BACKGROUND_DRIFT, BIAS_DRIFT = 0.01, 0.03, 20.0  # standard deviations between frames
HEIGHTS = (10, 15, 25, 50)  # sigmas of one frame at that place
NARROW, WIDE = ((1.0,), (1.0, 0.3), (0.25, 1.0), (1.0, 1.0)), ((0.2, 1.0, 0.2), (0.5, 1.0, 0.8))
RAYS = 12  # in a spectrum
UNDISTURBED = 5  # scans without a ray, of each spectrum
CELLS = r"([^|]+)\|" * 5
ROW = re.compile(rf"^\| (\d|one) frames? +\| (CHARISMA|DeepRaman) +\|{CELLS}$", re.MULTILINE)


@pytest.fixture(scope="module")
def raman(data_dir: Path) -> dict[str, list[Counts]]:
    folder = data_dir / "raman_multi_instrument_charisma"
    arrays = np.load(folder / "charisma_raman.npz")
    with (folder / "index.csv").open() as lines:
        keys = [row["key"] for row in csv.DictReader(lines) if row["sample"] != "Neon"]
    mixtures = np.load(data_dir / "raman_solvent_mixtures_deepraman" / "Multi_component_mixture_Dataset.npy")
    return {"CHARISMA": [arrays[f"{key}_y"].astype(np.float64) for key in keys], "DeepRaman": list(mixtures)}


def documented(repository: Path) -> list[tuple[str, str, list[float], float]]:
    """Frames, set, percent found at each height, and pixels wrongly repaired in a million."""
    page = (repository / "docs" / "corrections.md").read_text(encoding="utf-8")
    return [
        (frames, which, [float(cell) for cell in cells[:-1]], float(cells[-1].replace(",", "")))
        for frames, which, *cells in ROW.findall(page)
    ]


def with_rays(frame: Counts, sigma: Counts, height: float, rng: np.random.Generator, shapes: Any) -> tuple[Counts, Any]:
    hit, where = frame.copy(), []
    for start in rng.choice(np.arange(6, len(frame) - 6, 12), RAYS, replace=False):
        shape = np.array(shapes[rng.integers(len(shapes))])
        hit[start : start + len(shape)] += height * sigma[start] * shape
        where.append(slice(start, start + len(shape)))
    return hit, where


def background_of(light: Counts) -> Counts:
    padded = np.pad(light, 100, mode="edge")
    least = np.lib.stride_tricks.sliding_window_view(padded, 101).min(axis=1)
    return np.convolve(least, np.ones(101) / 101, "valid")


def between(repeats: int) -> Callable[[Counts, np.random.Generator], tuple[list[list[bool]], int, int]]:
    def measure(spectrum: Counts, rng: np.random.Generator) -> tuple[list[list[bool]], int, int]:
        light = spectrum - np.percentile(spectrum, 1)
        sigma = np.sqrt(READ_NOISE**2 + COUNTS_PER_ELECTRON * np.maximum(light, 0.0))
        background = background_of(light)

        def frames() -> Counts:
            laser, slow, level = rng.standard_normal((3, repeats, 1))
            drifting = (1 + LASER_DRIFT * laser) * light + BACKGROUND_DRIFT * slow * background + BIAS_DRIFT * level
            return np.round(BIAS + drifting + sigma * rng.standard_normal((repeats, light.size)))

        wrong = sum(int(np.count_nonzero(repair_between_frames(frames()).rays)) for _ in range(UNDISTURBED))
        found = []
        for height in HEIGHTS:
            seen, struck = frames(), int(rng.integers(repeats))
            seen[struck], where = with_rays(seen[struck], sigma, height, rng, NARROW + WIDE)
            rays = repair_between_frames(seen).rays[struck]
            found.append([bool(rays[place].any()) for place in where])
        return found, wrong, UNDISTURBED * repeats * light.size

    return measure


def single(spectrum: Counts, rng: np.random.Generator) -> tuple[list[list[bool]], int, int]:
    bend = np.abs(spectrum[2:] - 2 * spectrum[1:-1] + spectrum[:-2])
    noise = max(1.4826 * float(np.median(bend)) / np.sqrt(6.0), 0.3)
    sigma = np.sqrt(noise**2 + COUNTS_PER_ELECTRON * np.maximum(spectrum - np.median(spectrum), 0.0))
    found = []
    for height in HEIGHTS:
        hit, where = with_rays(spectrum, sigma, height, rng, NARROW)
        rays = repair_single_frame(hit).rays
        found.append([bool(rays[place].any()) for place in where])
    return found, int(np.count_nonzero(repair_single_frame(spectrum).rays)), spectrum.size


def rates(spectra: list[Counts], measure: Any) -> tuple[list[float], float]:
    rng = np.random.default_rng(11)
    results = [measure(spectrum, rng) for spectrum in spectra]
    found = 100.0 * np.mean([result[0] for result in results], axis=(0, 2))
    return list(found), 1e6 * sum(result[1] for result in results) / sum(result[2] for result in results)


def test_the_documented_rates_are_those_measured(raman: dict[str, list[Counts]], repository: Path) -> None:
    rows = documented(repository)
    assert len(rows) == 8

    for frames, which, found, wrong in rows:
        measure = single if frames == "one" else between(int(frames))
        measured_found, measured_wrong = rates(raman[which], measure)

        print(frames, which, *np.round(measured_found, 1), round(measured_wrong))
        np.testing.assert_allclose(measured_found, found, atol=3.0, err_msg=f"{frames} {which}")
        np.testing.assert_allclose(measured_wrong, wrong, rtol=0.5, atol=5.0, err_msg=f"{frames} {which}")


@pytest.mark.parametrize(("fwhm", "most"), [(2.0, 0.03), (2.5, 0.01), (3.0, 0.0), (5.0, 0.0)])
def test_narrow_bands_are_seldom_taken_for_rays_in_one_frame(fwhm: float, most: float) -> None:
    rng = np.random.default_rng(12)
    x, taken = np.arange(1000.0), []
    for _ in range(100):
        centres, heights = rng.uniform(20, 980, 12), 10 ** rng.uniform(1.5, 4.5, 12)
        widths = (x - centres[:, None]) / fwhm
        light = (heights[:, None] * np.exp(-4.0 * np.log(2.0) * widths**2)).sum(axis=0) + 300.0
        rays = repair_single_frame(light + np.sqrt(9.0 + 0.25 * light) * rng.standard_normal(1000)).rays
        taken += [bool(rays[round(centre) - 1 : round(centre) + 2].any()) for centre in centres]

    assert np.mean(taken) <= most


def test_the_lines_of_a_lamp_are_safe_between_frames_and_not_in_one(data_dir: Path) -> None:
    folder = data_dir / "raman_multi_instrument_charisma"
    arrays = np.load(folder / "charisma_raman.npz")
    with (folder / "index.csv").open() as lines:
        keys = [row["key"] for row in csv.DictReader(lines) if row["sample"] == "Neon"]
    neon = [arrays[f"{key}_y"].astype(np.float64) for key in keys]

    _, wrong = rates(neon, between(3))
    losing = sum(bool(repair_single_frame(spectrum).rays.any()) for spectrum in neon)

    assert wrong < 50.0
    assert (losing, len(neon)) == (7, 12)  # why docs/corrections.md warns
