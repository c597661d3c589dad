"""The words by which files name axes and quantities, and what they mean here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import get_args

from edged.spectra.rows import clean_title
from edged.spectra.spectrum import AxisUnit, Quantity

_AXES: tuple[tuple[str, AxisUnit, float], ...] = (
    (r"(raman )?shift[ (/\[]*(1/cm|cm-1|cm\^-1)?[)\]]*", "cm-1", 1.0),
    (r"(wave ?numbers?)?[ (\[]*(1/cm|cm-1|cm\^-1|/cm|cm\^\(-1\)|cm⁻¹|cm−1)[)\]]*", "cm-1", 1.0),
    (r"wave ?numbers?|raman shift.*", "cm-1", 1.0),
    (r"(wave ?lengths?)?[ (\[]*(nm|nanomet(er|re)s?)[)\]]*", "nm", 1.0),
    (r"(wave ?lengths?)?[ (\[]*(um|µm|μm|micromet(er|re)s?|microns?)[)\]]*", "nm", 1000.0),
)
_INTENSITY: tuple[Quantity, ...] = ("intensity", "counts")
_COUNTS: tuple[Quantity, ...] = ("counts", "intensity")

_CORNERS: dict[str, tuple[Quantity, ...]] = {
    f"{quantity} by {unit}": (quantity,) for quantity in get_args(Quantity) for unit in get_args(AxisUnit)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """An axis as a file names it: its positions times `scale` are in `unit`."""

    unit: AxisUnit
    scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """Values as a file names them.

    offers: what they can be taken for, the likeliest first; empty when the file does not say.
    scale: brings percent to fractions.
    foreign: what the file calls them when that is no quantity of ours; then only what the caller insists on is right.
    """

    offers: tuple[Quantity, ...] = ()
    scale: float = 1.0
    foreign: str = ""


def axis_named(text: str) -> Axis | None:
    """Return what an axis label means; None for one that is no optical axis."""
    plain = " ".join(text.lower().split())
    for pattern, unit, scale in _AXES:
        if re.fullmatch(pattern, plain):
            return Axis(unit=unit, scale=scale)
    return None


def values_named(text: str) -> Values:
    """Return what a value label means."""
    plain = " ".join(text.lower().replace("_", " ").split())
    percent = 0.01 if "%" in plain or "percent" in plain else 1.0
    if not plain:
        return Values()
    if re.search(r"absorbance|log ?\(?1/|optical density", plain) or plain in ("a", "au", "abs"):
        return Values(offers=("absorbance",))
    if "reflect" in plain or plain in ("r", "%r"):
        return Values(offers=("reflectance",), scale=percent)
    if re.search(r"\bcounts?\b|\bcnts?\b", plain):
        return Values(offers=_COUNTS)
    if re.search(r"arbitrary|intens|a\.u\.", plain):
        return Values(offers=_INTENSITY)
    return Values(foreign=clean_title(text)[:40], scale=percent)


def corner_of(quantity: Quantity, unit: AxisUnit) -> str:
    """Return the label that our own tables have in their corner, such as `absorbance by nm`."""
    return f"{quantity} by {unit}"


def offered_by(corner: str) -> tuple[Quantity, ...]:
    """Return the quantity that the corner of one of our own tables names; nothing for other labels."""
    return _CORNERS.get(corner.strip().lower(), ())
