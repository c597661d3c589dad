"""Print how well three ways place a peak, measured now: python -m tests.spectra.peak_table

A peak of 9 1/cm, seen by pixels that sum over their width, signal to noise 100 at the top, 200 places between pixels;
on a slope of 5 % of its height a width. Parabola: through the highest three points. Centroid: of what is above half.
"""

from __future__ import annotations

import numpy as np

from edged.spectra.spectrum import Spectrum
from edged.spectra.standards.peaks import find_peaks

FWHM, CENTER, TRIALS = 9.0, 1000.0, 200


def sample(points: float, shape: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    step = FWHM / points
    axis = np.arange(300.0, 1700.0, step) + rng.uniform(-0.5, 0.5) * step
    offset = (axis[:, None] + np.linspace(-0.5, 0.5, 41) * step - CENTER) / FWHM
    light = np.exp(-4 * np.log(2) * offset**2) if shape == "Gaussian" else 1 / (1 + 4 * offset**2)
    return axis, light.mean(axis=1) + 0.05 * (axis - CENTER) / FWHM + rng.normal(0, 0.01, len(axis))


def parabola(axis: np.ndarray, values: np.ndarray) -> float:
    top = int(np.argmax(np.where(np.abs(axis - CENTER) < FWHM, values, -np.inf)))
    low, high, after = values[top - 1 : top + 2]
    return float(axis[top] + (axis[1] - axis[0]) * 0.5 * (low - after) / (low - 2 * high + after))


def centroid(axis: np.ndarray, values: np.ndarray) -> float:
    near = np.abs(axis - CENTER) < 2.5 * FWHM
    base = values[near].min()
    top = values[np.abs(axis - CENTER) < FWHM].max()
    above = np.maximum(values - base - 0.5 * (top - base), 0.0) * (np.abs(axis - CENTER) < 1.5 * FWHM)
    return float(np.sum(axis * above) / np.sum(above))


def fitted(axis: np.ndarray, values: np.ndarray) -> float:
    spectrum = Spectrum(axis=axis, values=values.astype(np.float32), axis_unit="cm-1", quantity="intensity")
    near = [peak for peak in find_peaks(spectrum) if abs(peak.position - CENTER) < FWHM]
    return max(near, key=lambda peak: peak.height).position if near else float("nan")


def main() -> None:
    print("| shape | points a width | parabola | centroid | fit of the top |\n|---|---|---|---|---|")
    for shape in ("Gaussian", "Lorentzian"):
        for points in (1.0, 1.5, 2.0, 3.0, 4.0):
            rng = np.random.default_rng(1)
            off: dict[str, list[float]] = {"parabola": [], "centroid": [], "fitted": []}
            for _ in range(TRIALS):
                axis, values = sample(points, shape, rng)
                for way in (parabola, centroid, fitted):
                    off[way.__name__].append(way(axis, values) - CENTER)
            cells = [f"{np.nanmean(found):+.2f} ± {np.nanstd(found):.2f}" for found in off.values()]
            lost = int(np.isnan(off["fitted"]).sum())
            print(f"| {shape} | {points:g} | " + " | ".join(cells) + (f" ({lost} not found)" if lost else "") + " |")


if __name__ == "__main__":
    main()
