"""The second stage of `components`: a compound is told only where the spectrum cannot be explained without it.

The whitened spectrum is fitted by the references of the claimed compounds, no weight below zero, and baseline terms of
either sign; then one compound after the other is left out, and the fit must get worse by more than noise could make it.
`docs/models/manifest.md` has the formulas. numpy only; a Confirmer holds no state between spectra and may be called
from any thread.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edged.bundle.components import Components, Confirmation, OperatingPoint
from edged.infer.errors import EngineFault
from edged.infer.fit import Columns, Fit, Reals, fitted
from edged.infer.nnls import NotSolved
from edged.infer.scatter import Scatter
from edged.infer.verdict import Preset

DISTINCT: Final = 1e-5
"""Share of a whitened reference's length that must remain without the baseline terms; float32 has 1e-7."""
ROUNDS: Final = 3
"""Of fitting with the noise of the last fit; the weights of real powders move by less than 1 % in a fourth."""
_USE_ANOTHER: Final = "install another bundle, or go back to the previous one: edged bundle rollback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A compound that the fit cannot do without.

    column: of the compound. support: how much worse the fit is without it. visible: its share of the weights.
    fraction: by mass, None where the model cannot tell it. limit: the smallest that is found reliably beside the
    others, None where it was not measured.
    """

    column: int
    support: float
    visible: float
    fraction: float | None
    limit: float | None

    @property
    def told(self) -> float:
        """What the limit is for."""
        return self.visible if self.fraction is None else self.fraction

    @property
    def is_under(self) -> bool:
        """Whether it is so little that it is missed more often than one in twenty times."""
        return self.limit is not None and self.told < self.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """What is left of the claims, and what they leave unexplained.

    rest: in the units of the manifest. residual: `prepared` less the fit, baseline terms included, float32 [m].
    """

    kept: tuple[Kept, ...]
    rest: float
    residual: NDArray[np.float32]


class Confirmer:
    """The library of one bundle, whitened, without its baseline terms.

    Raises EngineFault when it cannot be used, ValueError where there is none.
    """

    def __init__(self, components: Components, library: Mapping[str, NDArray[np.float32]]) -> None:
        if components.confirmation is None or not library:
            raise ValueError("components are confirmed with a library, and there is none")
        self._components = components
        self._words: Confirmation = components.confirmation
        self._compounds = np.array(self._words.references, dtype=np.intp)
        self._library = {name: array.astype(np.float64) for name, array in library.items()}
        terms = self._library.get("baseline", np.empty((0, self._words.axis.points)))
        self._terms = self._whitened(terms)
        self._basis = _basis(self._terms)
        whole = self._whitened(self._library["references"])
        self._references = self._without_baseline(whole)
        self._scatter = None
        if "scatter" in self._library:
            ways = self._without_baseline(self._whitened(self._library["scatter"]))
            self._scatter = Scatter(ways, np.array(self._words.scatter, dtype=np.intp))
        lengths, left = np.linalg.norm(whole, axis=1), np.linalg.norm(self._references, axis=1)
        if (dull := np.flatnonzero(left <= DISTINCT * lengths)).size:
            label = components.compounds[self._compounds[dull[0]]].label
            raise EngineFault(
                f"reference {dull[0]} of the library, {label}, is nothing but baseline", hint=_USE_ANOTHER
            )

    def confirm(self, prepared: NDArray[np.floating], claimed: Sequence[int], preset: Preset) -> Confirmed:
        """Fit one spectrum [m] by the claimed columns and drop those that it does not need. Raises EngineFault.

        Who is dropped first matters, since each drop leaves more to the others: the least supported for its limit.
        """
        whitened = self._without_baseline(self._whitened(prepared.astype(np.float64)[None]))[0]
        point = self._components.presets[preset]
        needed = np.array(point.min_support, dtype=np.float64)
        rows = np.flatnonzero(np.isin(self._compounds, claimed))
        points = len(whitened) - len(self._basis)
        try:
            fit = fitted(whitened, self._references[rows], rows, self._compounds[rows], points=points)
            for _ in range(ROUNDS if self._scatter is not None and len(rows) else 0):
                fit = self._refitted(whitened, rows, fit)
            while (narrower := fit.without_the_least(needed[fit.present])) is not None:
                fit = narrower
            supports = fit.without_each()[1] / fit.unit
        except (NotSolved, np.linalg.LinAlgError) as error:
            raise EngineFault(f"the claims cannot be confirmed: {error}", hint=_USE_ANOTHER) from error
        rest, kept = self._rest(fit), self._kept(fit, supports, point)
        if not all(math.isfinite(number) for one in kept for number in (one.support, one.told)):
            raise EngineFault(
                "the claims cannot be confirmed: the library is beyond double precision", hint=_USE_ANOTHER
            )
        return Confirmed(kept=kept, rest=rest, residual=self._residual(prepared, fit))

    def _refitted(self, whitened: Reals, rows: Columns, fit: Fit) -> Fit:
        """Fit anew, with the noise of what the last fit says is there."""
        assert self._scatter is not None
        quiet = self._scatter.quieted(np.vstack([whitened, self._references[rows]]), fit.present, fit.amounts)
        return fitted(quiet[0], quiet[1:], rows, self._compounds[rows], points=fit.points)

    def _kept(self, fit: Fit, supports: Reals, point: OperatingPoint) -> tuple[Kept, ...]:
        amounts, columns = fit.amounts, fit.present.tolist()
        visible = amounts / amounts.sum()
        told, fractions = visible, None
        if self._words.fractions is not None:
            amounts = amounts / np.array([self._words.fractions.responses[column] for column in columns])
            told = fractions = amounts / amounts.sum()
        return tuple(
            Kept(
                column=column,
                support=float(supports[place]),
                visible=float(visible[place]),
                fraction=None if fractions is None else float(fractions[place]),
                limit=self._limit(place, columns, told, point),
            )
            for place, column in enumerate(columns)
        )

    def _limit(self, place: int, columns: list[int], told: Reals, point: OperatingPoint) -> float | None:
        """The detection limit beside the compound that makes up the most of the rest."""
        general = point.detection_limits[columns[place]]
        if len(columns) < 2 or not point.detection_limits_in:
            return general
        others = np.where(np.arange(len(told)) == place, -1.0, told)
        row = point.detection_limits_in.get(self._components.compounds[columns[int(others.argmax())]].label)
        beside = None if row is None else row[columns[place]]
        return general if beside is None else beside

    def _rest(self, fit: Fit) -> float:
        if self._words.rest == "noise":
            return math.sqrt(fit.squares / fit.free)
        return math.sqrt(max(fit.squares - fit.free, 0.0) / fit.total) if fit.total > 0.0 else 0.0

    def _residual(self, prepared: NDArray[np.floating], fit: Fit) -> NDArray[np.float32]:
        rest = prepared.astype(np.float64) - fit.weights @ self._library["references"][fit.rows]
        if len(self._terms):
            heights = np.linalg.lstsq(self._terms.T, self._whitened(rest[None])[0], rcond=1e-10)[0]
            rest = rest - heights @ self._library["baseline"]
        limit = np.finfo(np.float32).max
        return np.clip(rest, -limit, limit).astype(np.float32)

    def _whitened(self, rows: Reals) -> Reals:
        whitener = self._library["whitener"]
        return rows * whitener[0] if len(whitener) == 1 else rows @ whitener.T

    def _without_baseline(self, rows: Reals) -> Reals:
        return rows - (rows @ self._basis.T) @ self._basis


def _basis(terms: Reals) -> Reals:
    """Orthonormal rows that span the terms; terms that say the same twice count once."""
    if not len(terms):
        return terms
    _, sizes, rows = np.linalg.svd(terms, full_matrices=False)
    return np.asarray(rows[sizes > 1e-10 * sizes[0]])
