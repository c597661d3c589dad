"""From what is seen of each compound to fractions by mass: the one thing that real mixtures teach.

A response says how much more of a compound is seen than of another at equal mass: grains of one scatter and hide
another. They are fitted by least squares on the fractions themselves. How far off a told fraction may be is measured on
mixtures whose composition was left out of the fit, one composition after the other, so that a half width is for
compositions that taught nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from edged.bundle.components import Components, Fractions
from edged.infer.verdict import Preset
from export.components.evidence import Mixture, Said, asked
from export.components.operate import open_point
from export.components.recipe import FractionWords
from export.conformal import supported
from export.errors import DataUnusable

Numbers = NDArray[np.float64]
FEWEST_COMPOSITIONS = 3
NARROWEST, WIDEST = 1e-3, 1.0
FARTHEST = 6.9  # of the logarithm of a response: two are at most e^13.8 apart, a million, as the manifest has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """Real mixtures with stated fractions: as the graph sees them, fractions by mass [n, c], and labels [n]."""

    mixtures: Mixture
    fractions: Numbers
    labels: NDArray[np.str_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """The manifest's table, and the figures that speak for it."""

    fractions: Fractions
    evidence: dict[str, Any]


def teach(words: FractionWords, table: Components, library: dict[str, NDArray[np.float32]], stated: Stated) -> Taught:
    """Fit responses and half widths. Raises DataUnusable where the mixtures do not tell every compound's response."""
    names = [compound.label for compound in table.compounds]
    holds = stated.fractions > 0.0
    kept = np.flatnonzero(holds.sum(axis=1) > 1)
    labels = stated.labels[kept]
    compositions = list(dict.fromkeys(labels.tolist()))
    _require_connected(holds[kept], labels, names, compositions)
    n = len(names)
    everything = Components(
        compounds=table.compounds,
        presets={"confirm": open_point(n, thresholds=(None,) * n)},
        confirmation=table.confirmation,
    )
    mixtures, truth = stated.mixtures.of(kept), stated.fractions[kept]
    seen = asked(everything, library, mixtures, "confirm").visible * holds[kept]
    responses = fitted_responses(seen, truth)
    said = {preset: asked(table, library, mixtures, preset) for preset in words.coverage}
    errors: dict[Preset, Numbers] = {preset: np.full(truth.shape, np.nan) for preset in said}
    for composition in compositions:
        out = labels == composition
        others = fitted_responses(seen[~out], truth[~out])
        for preset, of in said.items():
            errors[preset][out] = np.where(of.found[out], told_fractions(of, others)[out] - truth[out], np.nan)
    half_widths = {preset: half_widths_of(errors[preset], words.coverage[preset]) for preset in said}
    off = told_fractions_of(seen, responses) - truth
    return Taught(
        fractions=Fractions(responses=tuple(responses.tolist()), half_widths=half_widths),
        evidence={
            "mixtures": len(kept),
            "compositions": compositions,
            "responses": dict(zip(names, responses.tolist(), strict=True)),
            "rmse": float(np.sqrt(np.mean(off[holds[kept]] ** 2))),
            "promised": {
                name: supported(len(np.unique(labels[holds[kept][:, column]]))) for column, name in enumerate(names)
            },
            "rmse_left_out": {
                preset: float(np.sqrt(np.nanmean(np.where(holds[kept], of, np.nan) ** 2)))
                for preset, of in errors.items()
            },
        },
    )


def fitted_responses(seen: Numbers, truth: Numbers) -> Numbers:
    """Return responses [c], the largest 1, such that seen [n, c] tells the fractions truth [n, c] best."""

    def off(logarithms: Numbers) -> Numbers:
        return np.asarray((told_fractions_of(seen, np.exp(logarithms)) - truth).ravel())

    start = np.zeros(seen.shape[1])
    found = least_squares(off, start, bounds=(-FARTHEST, FARTHEST), x_scale=1.0).x
    return np.asarray(np.exp(found - found.max()), dtype=np.float64)


def told_fractions_of(seen: Numbers, responses: Numbers) -> Numbers:
    """Return fractions [n, c] of what is seen [n, c], zero where nothing is."""
    parts = seen / responses
    return np.asarray(parts / np.maximum(parts.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny))


def told_fractions(said: Said, responses: Numbers) -> Numbers:
    """Return the fractions of what was found."""
    return told_fractions_of(said.visible * said.found, responses)


def half_widths_of(errors: Numbers, coverage: float) -> tuple[float, ...]:
    """Return for each compound the ceil((n + 1) coverage)-th smallest absolute error; the widest where there are too
    few. errors [n, c]: nan where nothing was told."""
    found = []
    for column in errors.T:
        sizes = np.sort(np.abs(column[np.isfinite(column)]))
        rank = int(np.ceil((len(sizes) + 1) * coverage))
        found.append(float(np.clip(sizes[rank - 1], NARROWEST, WIDEST)) if rank <= len(sizes) else WIDEST)
    return tuple(found)


def _require_connected(
    holds: NDArray[np.bool_], labels: NDArray[np.str_], names: list[str], compositions: list[str]
) -> None:
    """Responses are ratios: every compound must be linked to the others by mixtures, each left out in turn."""
    if len(compositions) < FEWEST_COMPOSITIONS:
        raise DataUnusable(
            f"{len(compositions)} compositions teach fractions", hint=f"at least {FEWEST_COMPOSITIONS}, or none at all"
        )
    for left_out in compositions:
        if lost := _unlinked(holds[labels != left_out]):
            raise DataUnusable(
                f"without {left_out} no stated mixture tells how much of {names[lost[0]]} is seen beside {names[0]}",
                hint="leave fractions out of the recipe, or add mixtures",
            )


def _unlinked(holds: NDArray[np.bool_]) -> list[int]:
    """The compounds that no chain of mixtures links to the first."""
    reached, pairs = {0}, np.unique(holds, axis=0)
    for _ in range(holds.shape[1]):
        for row in pairs:
            members = set(np.flatnonzero(row).tolist())
            if members & reached:
                reached |= members
    return [column for column in range(holds.shape[1]) if column not in reached]
