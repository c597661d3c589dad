"""From logits and the prepared spectrum to the compounds of a sample, at one operating point. numpy only, any thread.

    more compounds claimed than any sample holds          -> inconclusive (too_many_claimed)
    none claimed, or none confirmed                       -> inconclusive (nothing_found), with what was claimed
    the rest of the fit is above its limit                -> inconclusive (unknown_component), with what fits
    else                                                  -> resolved, with every compound and its share

A compound that is found is told, however little of it there is. Under its detection limit a reason says so
(under_detection_limit): the limit is the share from which on it is missed seldom, and no bar to what was seen (Currie,
Anal. Chem. 40, 586 (1968), has decision limit and detection limit apart).

The gates have been passed before: see `edged.infer.judge`.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edged.bundle.components import MAX_CLAIMED, Components
from edged.infer.confirm import Confirmed, Confirmer, Kept
from edged.infer.resample import positions
from edged.infer.verdict import Candidate, Component, Outcome, Preset, Reason, Unexplained

Row = NDArray[np.floating]
FARTHEST = 700.0  # of a logit from zero: exp of it is still finite


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """What the compounds that fit leave of the prepared spectrum: `values` float32 [m] at `axis` float64 [m]."""

    axis: NDArray[np.float64]
    unit: Literal["nm", "cm-1"]
    values: NDArray[np.float32]

    def packed(self) -> bytes:
        """Return the bytes of a .npz (axis, values, unit), at most 50 kB. Equal residuals give equal bytes."""
        file = io.BytesIO()
        np.savez(file, axis=self.axis, values=self.values, unit=np.array(self.unit))
        return file.getvalue()

    def as_json(self) -> dict[str, Any]:
        """Return the same for JSON; numbers as short as float32 tells them apart."""
        return {"unit": self.unit, "axis": self.axis.tolist(), "values": [float(str(value)) for value in self.values]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What a verdict says of components. residual: what an unknown component may be read from, None without one."""

    outcome: Outcome
    components: tuple[Component, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    unexplained: Unexplained | None = None
    reasons: tuple[Reason, ...] = ()
    residual: Residual | None = None


class Resolver:
    """The table of one manifest, and its library where a preset confirms. Raises EngineFault when that is no use."""

    def __init__(self, components: Components, library: Mapping[str, NDArray[np.float32]]) -> None:
        self._table = components
        self._thresholds = {
            preset: np.array([-math.inf if t is None else t for t in point.thresholds], dtype=np.float64)
            for preset, point in components.presets.items()
        }
        self._confirmer = Confirmer(components, library) if components.confirmation else None

    def resolve(self, logits: Row, prepared: Row, preset: Preset) -> Resolved:
        """Answer for one row of logits [compounds] and prepared [m], both finite. Raises EngineFault."""
        scores = 1.0 / (1.0 + np.exp(-np.clip(logits.astype(np.float64), -FARTHEST, FARTHEST)))
        thresholds = self._thresholds[preset]
        claimed = [int(column) for column in np.flatnonzero(logits >= thresholds)]
        screened = [column for column in claimed if math.isfinite(thresholds[column])]
        if len(screened) > MAX_CLAIMED:
            return Resolved(outcome="inconclusive", reasons=(_too_many(len(screened), preset),))
        if not self._table.presets[preset].confirm:
            return self._by_score(claimed, scores, preset)
        assert self._confirmer is not None
        confirmed = self._confirmer.confirm(prepared, claimed, preset)
        return self._by_fit(confirmed, screened, scores, preset)

    def _by_score(self, claimed: list[int], scores: Row, preset: Preset) -> Resolved:
        if not claimed:
            return Resolved(outcome="inconclusive", reasons=(self._nothing([], scores, preset),))
        limits = self._table.presets[preset].detection_limits
        ordered = sorted(claimed, key=lambda column: (-scores[column], column))
        found = [
            Component(
                label=self._table.compounds[column].label,
                title=self._table.compounds[column].title,
                score=float(scores[column]),
                detection_limit=limits[column],
            )
            for column in ordered
        ]
        return Resolved(outcome="resolved", components=tuple(found))

    def _by_fit(self, confirmed: Confirmed, screened: list[int], scores: Row, preset: Preset) -> Resolved:
        limit = self._table.presets[preset].max_rest
        assert limit is not None
        unexplained = Unexplained(value=confirmed.rest, limit=limit)
        flags = tuple(self._too_little(kept) for kept in confirmed.kept if kept.is_under)
        reasons = []
        if not confirmed.kept:
            reasons.append(self._nothing(screened, scores, preset))
        if confirmed.rest > limit:
            reasons.append(_unknown(confirmed, limit))
        if reasons:
            unknown = confirmed.rest > limit
            shown = [kept.column for kept in confirmed.kept] or screened
            return Resolved(
                outcome="inconclusive",
                candidates=self._candidates(shown, scores),
                unexplained=unexplained,
                reasons=(*reasons, *flags),
                residual=self._residual(confirmed.residual) if unknown else None,
            )
        found = sorted((self._component(kept, scores, preset) for kept in confirmed.kept), key=_largest_first)
        return Resolved(outcome="resolved", components=tuple(found), unexplained=unexplained, reasons=flags)

    def _component(self, kept: Kept, scores: Row, preset: Preset) -> Component:
        confirmation, compound = self._table.confirmation, self._table.compounds[kept.column]
        assert confirmation is not None
        low = high = None
        if confirmation.fractions is not None and kept.fraction is not None:
            half = confirmation.fractions.half_widths[preset][kept.column]
            low, high = max(kept.fraction - half, 0.0), min(kept.fraction + half, 1.0)
        return Component(
            label=compound.label,
            title=compound.title,
            score=float(scores[kept.column]),
            support=kept.support,
            visible=min(kept.visible, 1.0),
            fraction=None if kept.fraction is None else min(kept.fraction, 1.0),
            low=low,
            high=high,
            detection_limit=kept.limit,
        )

    def _too_little(self, kept: Kept) -> Reason:
        assert kept.limit is not None
        label, told, limit = self._table.compounds[kept.column].label, 100.0 * kept.told, 100.0 * kept.limit
        return Reason(
            code="under_detection_limit",
            message=f"{label}: {told:.3g} % is under its detection limit of {limit:.3g} % in such a mixture: "
            "so little is often missed",
            value=kept.told,
            limit=kept.limit,
        )

    def _residual(self, values: NDArray[np.float32]) -> Residual:
        assert self._table.confirmation is not None
        axis = self._table.confirmation.axis
        return Residual(axis=positions(axis), unit=axis.unit, values=values)

    def _candidates(self, columns: Sequence[int], scores: Row) -> tuple[Candidate, ...]:
        ordered = sorted(columns, key=lambda column: (-scores[column], column))
        pairs = [(self._table.compounds[column], float(scores[column])) for column in ordered]
        return tuple(Candidate(label=info.label, title=info.title, probability=score) for info, score in pairs)

    def _nothing(self, screened: list[int], scores: Row, preset: Preset) -> Reason:
        if screened:
            names = ", ".join(self._table.compounds[column].label for column in screened[:3])
            more = f" and {len(screened) - 3} more" if len(screened) > 3 else ""
            message = f"no compound reaches its limits at {preset}; claimed and not confirmed: {names}{more}"
            return Reason(code="nothing_found", message=message, value=0.0, limit=float(len(screened)))
        best = int(scores.argmax())
        return Reason(
            code="nothing_found",
            message=f"no compound reaches its limits at {preset}: the best score is {float(scores[best]):.3f}, of "
            f"{self._table.compounds[best].label}",
            value=float(scores[best]),
        )


def _largest_first(component: Component) -> tuple[float, str]:
    return -(component.share or 0.0), component.label


def _too_many(claimed: int, preset: Preset) -> Reason:
    return Reason(
        code="too_many_claimed",
        message=f"{claimed} compounds are claimed at {preset}: no sample holds more than {MAX_CLAIMED}",
        value=float(claimed),
        limit=float(MAX_CLAIMED),
    )


def _unknown(confirmed: Confirmed, limit: float) -> Reason:
    what = "the compounds that fit leave" if confirmed.kept else "there is"
    return Reason(
        code="unknown_component",
        message=f"unknown component: {what} an unexplained rest of {confirmed.rest:.3g}, allowed is {limit:.3g}",
        value=confirmed.rest,
        limit=limit,
    )
