"""Print how far the fitted tops of polystyrene's bands lie from their maxima: python -m tests.spectra.shape_table

A well resolved spectrum (s078, 633 nm, 0.9 1/cm a point) is made as blunt as instruments are: by a Gaussian of one
width in nm, so that it narrows in 1/cm towards higher shifts, as behind a laser of 785 nm. `lean` is where `find_peaks`
places a band there, less the maximum of that band in the spectrum as it was measured. Only differences within one band
are used, so that the axis of the spectrum does not matter. Then: the ten spectra, read with these shapes and others.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from edged.spectra.spectrum import Spectrum
from edged.spectra.standards.correction import fit_correction
from edged.spectra.standards.matching import Match, assign
from edged.spectra.standards.materials import POLYSTYRENE
from edged.spectra.standards.peaks import SMOOTH_CM1, find_peaks
from edged.spectra.standards.shapes import GAUGES_CM1, SHAPES, Band, Shapes, at_maxima
from tests.spectra.charisma import Charisma

RESOLVED, OTHER = "s078", "s002"  # the sharpest with light in all bands; the next, of another laboratory and laser
BLURS_CM1 = (0.0, 5.0, 9.0, 13.0)  # at 1001.4
FINE_CM1, PITCH_CM1 = 0.25, 1.5
LASER_CM1 = 1e7 / 785.0
LINES = [(line.position, line.strength) for line in POLYSTYRENE.lines]


def blurred(spectrum: Spectrum, fwhm: float) -> tuple[np.ndarray, np.ndarray]:
    axis = np.arange(spectrum.axis[0], spectrum.axis[-1], FINE_CM1)
    values = np.interp(axis, spectrum.axis, spectrum.values.astype(np.float64))
    if fwhm == 0.0:
        return axis, values
    half = int(np.ceil(3.0 * fwhm / FINE_CM1))
    kernel = np.exp(-4.0 * np.log(2.0) * (np.arange(-half, half + 1) * FINE_CM1 / fwhm) ** 2)
    return axis, np.convolve(np.pad(values, half, mode="edge"), kernel / kernel.sum(), mode="valid")


def seen(spectrum: Spectrum, fwhm: float) -> dict[float, Match]:
    """Return the bands as an instrument shows them that is blunter by `fwhm`."""
    axis, values = blurred(spectrum, fwhm)
    every = round(PITCH_CM1 / FINE_CM1)
    coarse = Spectrum(
        axis=axis[::every], values=values[::every].astype(np.float32), axis_unit="cm-1", quantity="intensity"
    )
    found = assign(LINES, find_peaks(coarse), span=(float(axis[0]), float(axis[-1])))
    return {match.table: match for match in found.matches}


def maxima(spectrum: Spectrum) -> dict[float, float]:
    """Return the position of each band's highest point, noise smoothed as the search for peaks does."""
    axis, values = blurred(spectrum, SMOOTH_CM1)
    highest = {}
    for table, match in seen(spectrum, 0.0).items():
        near = np.abs(axis - match.found) < 6.0
        highest[table] = float(axis[near][np.argmax(values[near])])
    return highest


def shapes_of(spectrum: Spectrum, blurs: tuple[float, ...] = BLURS_CM1) -> Shapes:
    """Return what the spectrum shows, blurred so far; where two bands have merged, the last lean before that."""
    own, highest = seen(spectrum, 0.0), maxima(spectrum)
    widths: list[float] = []
    lean: dict[float, list[float]] = {band: [] for band in highest}
    for blur in blurs:
        gauge = seen(spectrum, blur)
        widths.append(float(np.mean([gauge[line].fwhm for line in GAUGES_CM1])))
        for band, values in lean.items():
            there = seen(spectrum, blur * ((LASER_CM1 - band) / (LASER_CM1 - 1001.4)) ** 2)
            values.append(there[band].found - highest[band] if band in there else values[-1])
    bands = {band: Band(width=own[band].fwhm, lean=tuple(values)) for band, values in lean.items()}
    return Shapes(widths=tuple(widths), bands=bands)


def read_with(
    charisma: Charisma, shapes: Shapes | None, skip: str = ""
) -> dict[tuple[str, float], tuple[float, float]]:
    """Return what is left of each band that counts: corrected by all bands of its spectrum, and by the others."""
    left = {}
    for key in charisma.keys("PST"):
        if key == skip:
            continue
        spectrum = charisma.spectrum(key)
        span = (float(spectrum.axis[0]), float(spectrum.axis[-1]))
        matches = assign(LINES, find_peaks(spectrum), span=span).matches
        matches = matches if shapes is None else at_maxima(matches, shapes)
        for match in matches:
            if match.doubt is None:
                fits = (matches, [other for other in matches if other is not match])
                rest = [
                    match.difference - float(fit_correction(used, material="").shift(np.array([match.found]))[0])
                    for used in fits
                ]
                left[key, match.table] = (rest[0], rest[1])
    return left


def main() -> None:
    default = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    charisma = Charisma(Path(os.environ.get("EDGED_DATA") or default))
    read: dict[str, tuple[Shapes | None, str]] = {
        "the fitted tops": (None, ""),
        "the shapes that are shipped": (SHAPES["polystyrene"], ""),
        "the same, on the nine others": (SHAPES["polystyrene"], RESOLVED),
    }
    for key in (RESOLVED, OTHER):
        shapes = shapes_of(charisma.spectrum(key))
        print(f"{key}, {charisma.entries[key].instrument}:\n")
        print("| band | its width | " + " | ".join(f"{width:.1f}" for width in shapes.widths) + " |")
        print("|---|---|" + "---|" * len(shapes.widths))
        for place, band in shapes.bands.items():
            print(f"| {place:g} | {band.width:.1f} | " + " | ".join(f"{lean:+.2f}" for lean in band.lean) + " |")
        print()
        if key == OTHER:
            read["the shapes of s002"] = (shapes, "")
            read["the same, on the nine others than s002"] = (shapes, OTHER)
    print("| bands that count, within 1.5 | corrected by all bands | by the others |\n|---|---|---|")
    for title, (used, skip) in read.items():
        left = np.abs(np.array(list(read_with(charisma, used, skip).values())))
        cells = [f"{int(np.sum(way <= 1.5))} of {len(way)}, worst {way.max():.2f}" for way in left.T]
        print(f"| {title} | {cells[0]} | {cells[1]} |")


if __name__ == "__main__":
    main()
