"""Ways of reading what the methods of the study of solvents name: each answer of each method, seed by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from export.study.solvents.namings import Answer, Bools, Learnt, NamingCell, NamingOutcome, Shipped, Where


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way of reading what a method names: all its outcomes, one a seed, and which of their sets is meant."""

    name: str
    outcomes: tuple[NamingOutcome, ...]
    what: Answer

    def sets(self, rows: slice) -> list[Bools]:
        """Return what is named in some mixtures [n, compounds], seed by seed."""
        return [outcome.named(self.what)[rows] for outcome in self.outcomes]

    def right(self, holds: Sequence[set[str]]) -> float:
        """Return how many mixtures are told just what they hold, of those that hold something; mean over seeds."""
        names = self.outcomes[0].compounds
        return float(
            np.mean(
                [
                    sum(
                        {names[c] for c in np.flatnonzero(row)} == held
                        for row, held in zip(found, holds, strict=True)
                        if held
                    )
                    for found in self.sets(slice(None))
                ]
            )
        )


def ways_of(outcomes: Sequence[NamingOutcome], library: Where) -> list[Way]:
    """Return the ways of one library in the order of the cells; the second answer of a method beside its first."""
    names = dict.fromkeys(outcome.cell.name for outcome in outcomes if outcome.cell.library == library)
    found = []
    for name in names:
        own = tuple(one for one in outcomes if (one.cell.name, one.cell.library) == (name, library))
        found.append(Way(name=name, outcomes=own, what="found"))
        if any(isinstance(one.cell.method, Shipped) and one.told != one.found for one in own):
            found.append(Way(name=f"{name}, told", outcomes=own, what="told"))
        if all(one.at_half for one in own) and not any(_limits_are_of_others(one.cell) for one in own):
            found.append(Way(name=f"{name}, at one half", outcomes=own, what="at_half"))
    return found


def _limits_are_of_others(cell: NamingCell) -> bool:
    """Whether limits are from other mixtures than taught the network, whose row at one half is told already."""
    words = cell.method
    return isinstance(words, Learnt) and words.taught is not None and words.limits_on != words.taught.synthesis
