"""What the daemon's own code says of many mixtures at once, beside what they hold. Nothing here judges anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edged.bundle.components import Components
from edged.infer.components import Resolver
from edged.infer.verdict import Preset

Bools = NDArray[np.bool_]
SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)  # edges between which recall is told
EVERYTHING = 1e12  # a rest under which nothing is called unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """n mixtures as a graph sees them: logits [n, c], prepared [n, m]; and what is known of them.

    present [n, c]: what each holds. shares [n, c]: as it shows, summing to one.
    """

    logits: NDArray[np.float32]
    prepared: NDArray[np.float32]
    present: Bools
    shares: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.logits)

    def of(self, rows: NDArray[np.int64] | Bools) -> Mixture:
        """Return some of them."""
        return Mixture(
            logits=self.logits[rows],
            prepared=self.prepared[rows],
            present=self.present[rows],
            shares=self.shares[rows],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What one preset says of n mixtures.

    found [n, c]: what is left of the claims, whatever the rest. supports [n, c]: how much worse the fit is without
    each, 0 where it is not in it. rest [n]: unexplained, 0 where nothing was fitted. visible [n, c]: shares of the fit.
    """

    found: Bools
    supports: NDArray[np.float64]
    rest: NDArray[np.float64]
    visible: NDArray[np.float64]


def joined(parts: Sequence[Mixture]) -> Mixture:
    """Return mixtures one after another."""
    names = [field.name for field in fields(Mixture)]
    return Mixture(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def together(parts: Sequence[Said]) -> Said:
    """Return what was said one after another."""
    names = [field.name for field in fields(Said)]
    return Said(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def ask(resolver: Resolver, table: Components, mixtures: Mixture, preset: Preset) -> Said:
    """Ask one preset about every mixture."""
    n, c = mixtures.logits.shape
    columns = {compound.label: column for column, compound in enumerate(table.compounds)}
    found, supports = np.zeros((n, c), dtype=bool), np.zeros((n, c))
    rest, visible = np.zeros(n), np.zeros((n, c))
    for row in range(n):
        answer = resolver.resolve(mixtures.logits[row], mixtures.prepared[row], preset)
        rest[row] = answer.unexplained.value if answer.unexplained else 0.0
        for component in answer.components:
            column = columns[component.label]
            found[row, column] = True
            supports[row, column] = component.support or 0.0
            visible[row, column] = component.visible or 0.0
    return Said(found=found, supports=supports, rest=rest, visible=visible)


def asked(table: Components, library: dict[str, NDArray[np.float32]], mixtures: Mixture, preset: Preset) -> Said:
    """Ask one preset of a table about every mixture; a rest that is too large hides nothing."""
    point = table.presets[preset]
    lenient = table.model_copy(
        update={"presets": {preset: point.model_copy(update={"max_rest": EVERYTHING}) if point.confirm else point}}
    )
    return ask(Resolver(lenient, library if lenient.confirmation else {}), lenient, mixtures, preset)


def rates(found: Bools, present: Bools) -> dict[str, float]:
    """Return precision, recall, F1, the share of exact sets, and false names a sample, as fractions."""
    right = int((found & present).sum())
    false, missed = int((found & ~present).sum()), int((~found & present).sum())
    return {
        "precision": right / max(right + false, 1),
        "recall": right / max(right + missed, 1),
        "f1": 2 * right / max(2 * right + false + missed, 1),
        "exact": float((found == present).all(axis=1).mean()),
        "false_names": false / len(found),
    }


def recall_by_share(mixtures: Mixture, found: Bools) -> list[dict[str, float]]:
    """Return how many of the compounds that show with a share between two edges are found, lowest first."""
    rows: list[dict[str, float]] = []
    for low, high in pairwise(SHARES):
        inside = mixtures.present & (mixtures.shares >= low) & (mixtures.shares <= high)
        if inside.any():
            rows.append({"from": low, "to": high, "number": int(inside.sum()), "recall": float(found[inside].mean())})
    return rows
