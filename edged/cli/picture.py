"""The picture of an explanation: an SVG drawn by hand, since a board has no plotting library. Curves in, text out.

One panel a target: the spectrum with the bands shaded behind it, the target's reference and the relevance under it,
over one axis. Each curve has a scale of its own; what matters is where they stand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import click
import numpy as np
from numpy.typing import NDArray

from edged.infer.verdict import Band, Why
from edged.infer.why import Curves

SUFFIX = ".svg"
WIDTH, LEFT, RIGHT = 900, 20, 20
HEAD, SPECTRUM, STRIP, GAP, FOOT = 58, 150, 56, 10, 24  # heights of the parts of a panel
INK, BLUE, GREY, BAND, RED = "#222222", "#1f5fa8", "#777777", "#f6d27a", "#b3261e"
TICKS = 8  # about so many on the axis


def svg(why: tuple[Why, ...], curves: Curves, *, title: str) -> str:
    """Return the picture. `why` and the rows of `curves` are of the same targets in the same order."""
    panel = HEAD + SPECTRUM + GAP + STRIP + GAP + STRIP + FOOT
    height = 34 + panel * len(why)
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        _text(LEFT, 24, title, size=16),
    ]
    for number, one in enumerate(why):
        parts += _panel(one, curves, number, top=34 + number * panel)
    return "\n".join([*parts, "</svg>"]) + "\n"


def require_free_picture(path: Path) -> None:
    """Raise UsageError before anything is measured when the picture cannot be written in the end."""
    if path.suffix.lower() != SUFFIX:
        raise click.UsageError(f"--plot {path}: the picture is an SVG: let the name end in {SUFFIX}")
    if path.exists():
        raise click.UsageError(f"--plot {path}: exists already; choose another name, or remove it first")


def _panel(one: Why, curves: Curves, number: int, *, top: int) -> Iterator[str]:
    spectrum, reference = top + HEAD, top + HEAD + SPECTRUM + GAP
    relevance = reference + STRIP + GAP
    bottom = relevance + STRIP
    told = one.title if one.title == one.label else f"{one.title} ({one.label})"
    evidence = f"evidence {one.score:.1f}, {one.without:.1f} without the shaded bands"
    yield _text(LEFT, top + 18, f"{told}: {evidence}", size=14)
    yield _text(LEFT, top + 36, _beside(one), colour=RED if one.is_off_band else GREY, size=12)
    for band in one.bands:
        yield _shade(band, curves, spectrum, bottom)
        middle = (_x(band.low, curves) + _x(band.high, curves)) / 2.0
        yield _text(middle, spectrum - 1, f"{100.0 * band.share:.0f} %", colour=GREY, size=10, anchor="middle")
    yield _curve(curves.axis, curves.values, spectrum, SPECTRUM, INK)
    yield _text(LEFT + 4, spectrum + 12, "spectrum", colour=INK, size=11)
    if np.any(curves.references[number]):
        yield _curve(curves.axis, curves.references[number], reference, STRIP, BLUE)
    yield _text(
        LEFT + 4, reference + 12, "reference" if one.known is not None else "no reference", colour=BLUE, size=11
    )
    yield _curve(curves.axis, np.maximum(curves.relevance[number], 0.0), relevance, STRIP, RED)
    yield _text(LEFT + 4, relevance + 12, "relevance", colour=RED, size=11)
    yield from _axis(curves, bottom)


def _beside(one: Why) -> str:
    """How the bands stand to those of the reference."""
    if not one.bands:
        return "no stretch of the spectrum speaks for it"
    if one.off_band is None or one.known is None:
        return "there is no reference to compare the bands with"
    return (
        f"{100.0 * one.off_band:.0f} % of what the bands hold lies where the reference has none; "
        f"it has bands on {100.0 * one.known:.0f} % of the axis" + (": look twice" if one.is_off_band else "")
    )


def _axis(curves: Curves, at: int) -> Iterator[str]:
    yield f'<line x1="{LEFT}" y1="{at}" x2="{WIDTH - RIGHT}" y2="{at}" stroke="{GREY}"/>'
    unit = "1/cm" if curves.unit == "cm-1" else curves.unit
    ticks = _ticks(float(curves.axis[0]), float(curves.axis[-1]))
    for place, tick in enumerate(ticks):
        x = _x(tick, curves)
        yield f'<line x1="{x:.1f}" y1="{at}" x2="{x:.1f}" y2="{at + 4}" stroke="{GREY}"/>'
        text = f"{tick:g} {unit}" if place == len(ticks) - 1 else f"{tick:g}"
        yield _text(x, at + 17, text, colour=GREY, size=11, anchor="middle")


def _ticks(first: float, last: float) -> list[float]:
    rough = (last - first) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1.0, 2.0, 5.0, 10.0) if power * factor >= rough)
    at = math.ceil(first / step) * step
    found = [at + step * number for number in range(int((last - at) / step) + 1)]
    return [tick for tick in found if tick <= last - 0.02 * (last - first)] or found


def _shade(band: Band, curves: Curves, top: int, bottom: int) -> str:
    x, past = _x(band.low, curves), _x(band.high, curves)
    return (
        f'<rect x="{x:.1f}" y="{top}" width="{max(past - x, 1.0):.1f}" height="{bottom - top}" fill="{BAND}" '
        f'fill-opacity="0.55"/>'
    )


def _curve(axis: NDArray[np.float64], values: NDArray[np.floating], top: int, height: int, colour: str) -> str:
    low, span = float(values.min()), float(np.ptp(values)) or 1.0
    x = LEFT + (axis - axis[0]) / (axis[-1] - axis[0]) * (WIDTH - LEFT - RIGHT)
    y = top + (height - 4) * (1.0 - (values.astype(np.float64) - low) / span) + 2
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.3"/>'


def _x(position: float, curves: Curves) -> float:
    share = (position - float(curves.axis[0])) / float(curves.axis[-1] - curves.axis[0])
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _text(x: float, y: float, text: str, *, colour: str = INK, size: int = 13, anchor: str = "start") -> str:
    plain = escape("".join(c if c.isprintable() else " " for c in text)[:160])
    return f'<text x="{x:.1f}" y="{y}" fill="{colour}" font-size="{size}" text-anchor="{anchor}">{plain}</text>'
