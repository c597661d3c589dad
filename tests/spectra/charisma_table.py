"""Print the tables of docs/selftest.md, measured now: python -m tests.spectra.charisma_table [--plot FILE.png]

`before` reads each peak on the axis as it came. `in sample` corrects with all peaks of the same spectrum. `left out`
reads each peak on an axis that the other peaks of its spectrum corrected. `other spectrum` corrects with another
spectrum of the same instrument. `lamp` corrects the pixel axis by neon, and the rest by an offset from the other peaks.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edged.spectra.spectrum import Spectrum
from edged.spectra.standards.axis_check import BROAD_CM1, AxisCheck, check_axis, check_lamp
from edged.spectra.standards.correction import fit_correction
from edged.spectra.standards.matching import Match
from edged.spectra.standards.materials import POLYSTYRENE
from edged.spectra.standards.resolution import check_resolution
from tests.spectra.charisma import NEON_OF, TWINS, Charisma

LIMIT = 1.5
WAYS = ("before", "in sample", "left out", "other spectrum", "lamp")


@dataclass(frozen=True)
class Reading:
    """One band of one spectrum; `off` is found - table."""

    key: str
    table: float
    width: float
    error: float
    doubt: str
    off: float

    @property
    def sharp(self) -> bool:
        return self.width <= BROAD_CM1

    @property
    def counts(self) -> bool:
        return not self.doubt


def _reading(key: str, match: Match, off: float) -> Reading:
    return Reading(key, match.table, match.fwhm, match.error, match.doubt or "", off)


def before(check: AxisCheck, key: str) -> list[Reading]:
    return [_reading(key, match, match.difference) for match in check.matches]


def in_sample(check: AxisCheck, key: str) -> list[Reading]:
    correction = fit_correction(check.matches, material="polystyrene")
    return [_reading(key, match, _left(match, correction.shift)) for match in check.matches]


def left_out(check: AxisCheck, key: str) -> list[Reading]:
    readings = []
    for match in check.matches:
        others = [other for other in check.matches if other is not match]
        readings.append(_reading(key, match, _left(match, fit_correction(others, material="polystyrene").shift)))
    return readings


def from_twin(check: AxisCheck, key: str, twin: AxisCheck) -> list[Reading]:
    correction = fit_correction(twin.matches, material="polystyrene")
    return [_reading(key, match, _left(match, correction.shift)) for match in check.matches]


def from_lamp(charisma: Charisma, key: str) -> list[Reading]:
    neon = charisma.spectrum(NEON_OF[key])
    lamp = check_lamp(neon, laser_nm={633.0: 632.8}.get(charisma.entries[key].laser_nm, charisma.entries[key].laser_nm))
    if lamp.correction is None:
        return []
    spectrum = charisma.spectrum(key)
    corrected = check_axis(_on(spectrum, lamp.correction.apply(spectrum.axis)), POLYSTYRENE)
    readings = []
    for match in corrected.matches:
        rest = [other.difference for other in corrected.matches if other is not match and other.doubt is None]
        readings.append(_reading(key, match, match.difference - float(np.median(rest))))
    return readings


def _on(spectrum: Spectrum, axis: np.ndarray) -> Spectrum:
    """Return the spectrum on another axis, without what came to lie below zero."""
    assert spectrum.saturated is not None
    keep = axis > 0
    return Spectrum(
        axis=axis[keep],
        values=spectrum.values[keep],
        axis_unit="cm-1",
        quantity=spectrum.quantity,
        saturated=spectrum.saturated[keep],
    )


def _left(match: Match, shift) -> float:  # type: ignore[no-untyped-def]
    return float(match.difference - shift(np.array([match.found]))[0])


def measure(charisma: Charisma) -> dict[str, list[Reading]]:
    """Return the readings of every way."""
    checks = {key: check_axis(charisma.spectrum(key), POLYSTYRENE) for key in charisma.keys("PST")}
    result: dict[str, list[Reading]] = {way: [] for way in WAYS}
    for key, check in checks.items():
        result["before"] += before(check, key)
        result["in sample"] += in_sample(check, key)
        result["left out"] += left_out(check, key)
        result["lamp"] += from_lamp(charisma, key)
        for twins in TWINS:
            if key in twins:
                twin = twins[(twins.index(key) + 1) % len(twins)]
                result["other spectrum"] += from_twin(check, key, checks[twin])
    return result


def summary(charisma: Charisma, result: dict[str, list[Reading]]) -> Iterable[str]:
    """Yield a row a spectrum: largest deviation of sharp bands / of all that count."""
    yield "| spectrum | instrument | " + " | ".join(WAYS) + " |"
    yield "|---|---|" + "---|" * len(WAYS)
    for key in charisma.keys("PST"):
        cells = [_worst([reading for reading in result[way] if reading.key == key]) for way in WAYS]
        yield f"| {key} | {charisma.entries[key].instrument} | " + " | ".join(cells) + " |"
    cells = [_share(result[way], sharp=True) for way in WAYS]
    yield "| sharp bands within 1.5 | | " + " | ".join(cells) + " |"
    cells = [_share(result[way], sharp=False) for way in WAYS]
    yield "| all that count within 1.5 | | " + " | ".join(cells) + " |"


def bands(charisma: Charisma, readings: list[Reading]) -> Iterable[str]:
    """Yield a row a spectrum: every band; in brackets those in doubt, bold those over the limit."""
    yield "| spectrum | " + " | ".join(f"{line.position:g}" for line in POLYSTYRENE.lines) + " |"
    yield "|---|" + "---|" * len(POLYSTYRENE.lines)
    for key in charisma.keys("PST"):
        found = {reading.table: reading for reading in readings if reading.key == key}
        yield f"| {key} | " + " | ".join(_cell(found.get(line.position)) for line in POLYSTYRENE.lines) + " |"


CALCITE_OF = {  # polystyrene: calcite on the same instrument and grating
    "s002": "s008",
    "s010": "s017",
    "s019": "s026",
    "s028": "s035",
    "s038": "s044",
    "s047": "s053",
    "s054": "s061",
    "s062": "s068",
    "s069": "s075",
    "s078": "s085",
}


@dataclass(frozen=True)
class Calcite:
    """Its band of 1085 1/cm on one instrument, as it came and as that instrument's polystyrene corrects it."""

    key: str
    came: float
    corrected: float
    width: float
    clipped: bool


def calcite(charisma: Charisma) -> list[Calcite]:
    """Return what no correction was fitted to: another material on the same instruments."""
    found = []
    for polystyrene, key in CALCITE_OF.items():
        correction = check_axis(charisma.spectrum(polystyrene), POLYSTYRENE).correction
        check = check_resolution(charisma.spectrum(key))
        assert correction is not None
        assert check.position is not None
        assert check.width is not None
        corrected = check.position - float(correction.shift(np.array([check.position]))[0])
        clipped = any(reason.code == "saturated" for reason in check.reasons)
        found.append(Calcite(key, check.position, corrected, check.width, clipped))
    return found


def calcite_rows(charisma: Charisma) -> Iterable[str]:
    """Yield a row a spectrum, and the spread of the rest in the last."""
    yield "| spectrum | instrument | as it came | corrected | width |"
    yield "|---|---|---|---|---|"
    rows = calcite(charisma)
    for row in rows:
        width = f"{row.width:.1f}" + (" (clipped)" if row.clipped else "")
        instrument = charisma.entries[row.key].instrument
        yield f"| {row.key} | {instrument} | {row.came:.2f} | {row.corrected:.2f} | {width} |"
    came, corrected = np.array([row.came for row in rows]), np.array([row.corrected for row in rows])
    yield f"| spread: standard deviation | | {came.std(ddof=1):.2f} | {corrected.std(ddof=1):.2f} | |"
    yield f"| spread: lowest to highest | | {np.ptp(came):.2f} | {np.ptp(corrected):.2f} | |"


def _cell(reading: Reading | None) -> str:
    if reading is None:
        return ""
    text = f"{reading.off:+.2f}"
    if not reading.counts:
        return f"({text})"
    return f"**{text}**" if abs(reading.off) > LIMIT else text


def _worst(readings: list[Reading]) -> str:
    counted = [reading for reading in readings if reading.counts]
    if not counted:
        return "–"
    sharp = max(abs(reading.off) for reading in counted if reading.sharp)
    return f"{sharp:.2f} / {max(abs(reading.off) for reading in counted):.2f}"


def _share(readings: list[Reading], *, sharp: bool) -> str:
    counted = [reading for reading in readings if reading.counts and (reading.sharp or not sharp)]
    within = sum(abs(reading.off) <= LIMIT for reading in counted)
    return f"{within} of {len(counted)}"


def plot(result: dict[str, list[Reading]], path: Path) -> None:
    """Draw the deviations before and left out over the shift."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(9, 3.4), sharey=True)
    keys = sorted({reading.key for reading in result["before"]})
    for panel, way in zip(panels, ("before", "left out"), strict=True):
        panel.axhspan(-LIMIT, LIMIT, color="0.9")
        for number, key in enumerate(keys):
            mine = [reading for reading in result[way] if reading.key == key and reading.counts]
            style = {"color": f"C{number}", "markersize": 5, "linestyle": "none"}
            sharp, broad = [r for r in mine if r.sharp], [r for r in mine if not r.sharp]
            panel.plot([r.table for r in sharp], [r.off for r in sharp], marker="o", label=key, **style)
            panel.plot([r.table for r in broad], [r.off for r in broad], marker="o", fillstyle="none", **style)
        panel.set_title({"before": "as it came", "left out": "corrected by the other peaks"}[way], fontsize=10)
        panel.set_xlabel("Raman shift, 1/cm")
    panels[0].set_ylabel("found - ASTM E1840, 1/cm")
    panels[1].legend(fontsize=7, ncols=2, loc="upper left")
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    default = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    charisma = Charisma(Path(os.environ.get("EDGED_DATA") or default))
    result = measure(charisma)
    print("Largest deviation in 1/cm, of sharp bands / of all bands that count:\n")
    print("\n".join(summary(charisma, result)))
    for way in ("before", "left out", "lamp"):
        print(f"\nBand by band, {way}:\n")
        print("\n".join(bands(charisma, result[way])))
    print("\nCalcite, which no correction was fitted to:\n")
    print("\n".join(calcite_rows(charisma)))
    if options.plot:
        plot(result, options.plot)


if __name__ == "__main__":
    main()
