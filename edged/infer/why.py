"""From a verdict to what it rests on: which targets are explained, against which references, by which graph.

An Explainer holds no state between spectra but references that it has prepared; it may be called from any thread, from
one at a time. The method is `edged.infer.explain`'s.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from edged.bundle.archive import Bundle
from edged.infer.errors import NotOffered
from edged.infer.explain import Reals, Rows, bands, bridge_bands, relevance, structure
from edged.infer.resample import positions
from edged.infer.verdict import MAX_TARGETS, Band, Procedure, Verdict, Why

MAX_PACKED_BYTES: Final = 1 << 20  # eight targets of 4,096 points, two curves each, are 0.3 MB
_FRAME_BYTES: Final = 4096  # of a .npz beside its numbers: names, headers, room to spare
_LARGEST: Final = float(np.finfo(np.float32).max)
_ARRAYS = ("axis", "unit", "values", "relevance", "references")


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """What an explanation is drawn from: `values` float32 [points] at `axis` float64 [points], as the graph was given
    them; relevance and references float32 [targets, points], in the order of `Why`. A target without a reference has a
    row of zeros.
    """

    axis: NDArray[np.float64]
    unit: Literal["nm", "cm-1"]
    values: NDArray[np.float32]
    relevance: NDArray[np.float32]
    references: NDArray[np.float32]

    def packed(self) -> bytes:
        """Return the bytes of a .npz. Equal curves give equal bytes."""
        file = io.BytesIO()
        arrays = {name: np.array(getattr(self, name)) for name in _ARRAYS}
        np.savez(file, **arrays)  # type: ignore[arg-type]
        return file.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What an answer rests on: for people and records `why`, one a target, and the curves behind it."""

    why: tuple[Why, ...]
    curves: Curves


def most_targets(points: int) -> int:
    """Return of how many targets the curves on so many points fit into MAX_PACKED_BYTES; none on the longest axes."""
    room = MAX_PACKED_BYTES - _FRAME_BYTES - points * (8 + 4)  # axis and values
    return min(max(room // (points * (4 + 4)), 0), MAX_TARGETS)  # relevance and reference


def unpack_curves(data: bytes) -> Curves:
    """Read back what `Curves.packed` wrote. Raises ValueError for anything else."""
    if len(data) > MAX_PACKED_BYTES:
        raise ValueError(f"{len(data)} bytes are no stored explanation; at most {MAX_PACKED_BYTES}")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            unit, axis = str(file["unit"]), file["axis"].astype(np.float64)
            found: dict[str, Any] = {name: file[name].astype(np.float32) for name in _ARRAYS[2:]}
    except Exception as error:  # what numpy and zipfile raise on damaged bytes is not listed anywhere
        raise ValueError("the stored explanation cannot be read") from error
    targets = len(found["relevance"])
    fits = (
        unit in ("nm", "cm-1")
        and axis.ndim == 1
        and len(axis) >= 2
        and 1 <= targets <= MAX_TARGETS
        and found["values"].shape == axis.shape
        and found["relevance"].shape == found["references"].shape == (targets, len(axis))
        and all(np.isfinite(array).all() for array in (axis, *found.values()))
        and bool((np.diff(axis) > 0).all())
    )
    if not fits:
        raise ValueError("the stored explanation does not fit together")
    return Curves(axis=axis, unit="nm" if unit == "nm" else "cm-1", **found)


def require_explained(procedure: Procedure) -> None:
    """Raise NotOffered for a procedure whose answers are not explained."""
    if procedure == "quantify":
        raise NotOffered(
            "an amount is not explained: bands speak for a class or a compound",
            hint="ask for the procedure identify, verify or components, or leave the explanation out",
        )


class Explainer:
    """Explains the verdicts of one bundle.

    run: rows float32 [k, points] to logits [k, classes or compounds]. run_alone: the same rows and some columns of the
    logits to those columns alone, where the bundle can say them without the rest.
    """

    def __init__(
        self,
        bundle: Bundle,
        run: Callable[[Rows], NDArray[np.floating]],
        run_alone: Callable[[Rows, list[int]], NDArray[np.floating]] | None = None,
    ) -> None:
        self._manifest = bundle.manifest
        self._library = bundle.library
        self._golden = bundle.golden
        self._run, self._run_alone = run, run_alone
        compounds = [(info.label, info.title) for info in self._manifest.compounds]
        self._titles = compounds or [(info.label, info.title) for info in self._manifest.classes]
        self._columns = {label: column for column, (label, _) in enumerate(self._titles)}
        self._known: dict[int, tuple[Reals, NDArray[np.bool_]] | None] = {}

    def targets(self, verdict: Verdict) -> list[int]:
        """Return the columns of the logits that are explained; none where the verdict names no class and no compound.

        Raises NotOffered for amounts and for an axis that is too long.
        """
        require_explained(verdict.procedure)
        points = self._manifest.axis.points
        columns = [self._columns[label] for label in _labels(verdict)]
        if columns and not most_targets(points):
            raise NotOffered(
                f"an answer on an axis of {points} points is not explained: its curves would be too large to keep",
                hint="use a bundle with fewer points, or leave the explanation out",
            )
        return columns[: most_targets(points)]

    def explain(self, row: Rows, verdict: Verdict) -> Explanation | None:
        """Explain the verdict on a row [points] of the manifest's axis; None where there are no targets.

        Raises what `targets` and `run` raise.
        """
        columns, axis = self.targets(verdict), self._manifest.axis
        if not columns:
            return None
        ask = self._evidence(columns)
        curves = relevance(row, axis, ask)
        told = [bands(curve, axis) for curve in curves]
        scores = ask(row[None])[0]
        without = ask(np.stack([bridge_bands(row, each, axis) for each in told]))
        why, references = [], np.zeros_like(curves)
        for at, column in enumerate(columns):
            label, title = self._titles[column]
            known = self._reference(column)
            off = share = None
            if known is not None:
                references[at] = known[0]
                off = _off_band(curves[at], known[1], told[at], positions(axis))
                share = float(known[1].mean())
            why.append(
                Why(
                    label=label,
                    title=title,
                    unit=axis.unit,
                    score=float(scores[at]),
                    without=float(without[at, at]),
                    bands=told[at],
                    off_band=off,
                    known=share,
                )
            )
        return Explanation(
            why=tuple(why),
            curves=Curves(
                axis=positions(axis),
                unit=axis.unit,
                values=row,
                relevance=np.clip(curves, -_LARGEST, _LARGEST).astype(np.float32),
                references=references.astype(np.float32),
            ),
        )

    def _evidence(self, columns: list[int]) -> Callable[[Rows], Reals]:
        def ask(rows: Rows) -> Reals:
            if self._run_alone is not None and self._manifest.compounds:
                return self._run_alone(rows, columns).astype(np.float64)
            logits = self._run(rows).astype(np.float64)
            if self._manifest.compounds:
                return logits[:, columns]
            return np.stack([logits[:, c] - _log_sum(np.delete(logits, c, axis=1)) for c in columns], axis=1)

        return ask

    def _reference(self, column: int) -> tuple[Reals, NDArray[np.bool_]] | None:
        """What is known of a target: a curve to draw and where its bands are, both [points]; None without any."""
        if column not in self._known:
            self._known[column] = self._prepared_reference(column)
        return self._known[column]

    def _prepared_reference(self, column: int) -> tuple[Reals, NDArray[np.bool_]] | None:
        components = self._manifest.components
        if components is None:
            rows = self._golden["spectra"][self._golden["logits"].argmax(axis=1) == column]
            own = self._manifest.axis
        elif components.confirmation is not None:
            owners = np.array(components.confirmation.references)
            rows, own = self._library["references"][owners == column], components.confirmation.axis
        else:
            return None
        if not len(rows):
            return None
        at, its = positions(self._manifest.axis), positions(own)
        known = np.any([_nearest(structure(row, own), its, at) for row in rows], axis=0)
        return np.interp(at, its, rows.mean(axis=0, dtype=np.float64), left=0.0, right=0.0), known


def _labels(verdict: Verdict) -> list[str]:
    """Whom the verdict speaks of, the first in mind first."""
    if verdict.outcome in ("identified", "pass") and verdict.label is not None:
        return [verdict.label]
    if verdict.components:
        return [component.label for component in verdict.components]
    candidates = [candidate.label for candidate in verdict.candidates]
    refused = verdict.label is not None and verdict.label not in candidates
    return [*candidates, verdict.label] if refused and verdict.label is not None else candidates


def _log_sum(logits: Reals) -> Reals:
    highest = logits.max(axis=1)
    return np.asarray(highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1)))


def _nearest(known: NDArray[np.bool_], its: Reals, at: Reals) -> NDArray[np.bool_]:
    """The same on another axis; where the reference does not reach, nothing is known."""
    return np.asarray(np.interp(at, its, known.astype(np.float64), left=0.0, right=0.0) >= 0.5)


def _off_band(curve: Reals, known: NDArray[np.bool_], told: tuple[Band, ...], at: Reals) -> float | None:
    """The share of the relevance within the bands that lies where the reference has none; None without bands."""
    if not told:
        return None
    inside = np.any([(at >= band.low) & (at <= band.high) for band in told], axis=0)
    weights = np.where(inside, np.maximum(curve, 0.0), 0.0)
    return min(float(weights[~known].sum() / weights.sum()), 1.0)  # the two sums are not rounded alike
