"""What a trial found of a model that names classes, as figures with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from export.figures import Figure, class_figures, share_of, together
from export.recipe import Data
from export.trial.answers import NOBODY, Answers
from export.trust import COVERAGES, Trust

ALL = "held-out, all blocks"  # each judged by models that had not seen it
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """What was said of n spectra, beside their classes and units: what the split keeps whole."""

    answers: Answers
    truth: Numbers
    units: Numbers


class OfClass(TypedDict):
    """taken_for: the class that most of the others are most likely to be; None where all are right."""

    spectra: int
    right: int
    taken_for: str | None


def named_figures(tested: Mapping[str, Tested], *, rng: np.random.Generator) -> dict[str, dict[str, Figure]]:
    """Return accuracy, macro-F1, Matthews' coefficient and kappa of the most likely class, by kind of spectra."""
    return {kind: class_figures(of.truth, of.answers.best, of.units, rng=rng) for kind, of in tested.items()}


def by_class(tested: Mapping[str, Tested], classes: Sequence[str]) -> dict[str, OfClass]:
    """Return how many spectra of each class are right, of all blocks where there are such."""
    of = tested.get(ALL, tested["held-out"])
    found = {}
    for column in np.unique(of.truth):
        best = of.answers.best[of.truth == column]
        wrong = best[best != column]
        taken = classes[int(np.bincount(wrong).argmax())] if len(wrong) else None
        found[classes[column]] = OfClass(spectra=len(best), right=len(best) - len(wrong), taken_for=taken)
    return found


def criteria_of(
    tested: Mapping[str, Tested],
    figures: Mapping[str, Mapping[str, Figure]],
    trust: Mapping[str, Trust],
    others: Mapping[str, tuple[Answers, Numbers]],
    data: Data,
) -> dict[str, Figure | None]:
    """Return figures by the names of criteria, None for what was not measured. others: what was said of spectra of
    other things, and the groups of their set, which are units here."""
    held, every = tested["held-out"], tested.get(ALL)
    wrong = (held.answers.named != held.truth) & (held.answers.named != NOBODY)
    found: dict[str, Figure | None] = {
        "accuracy": figures["held-out"]["accuracy"],
        "accuracy_all_blocks": figures[ALL]["accuracy"] if every else None,
        "stress_accuracy": figures["stress sessions"]["accuracy"],
        "macro_f1": figures["held-out"]["macro_f1"],
        "wrong_names": share_of(wrong, held.units),
        "wrong_refusals": share_of(held.answers.named == NOBODY, held.units),
        "wrong_refusals_all_blocks": share_of(every.answers.named == NOBODY, every.units) if every else None,
        "others_refused": _refused(others, data.outsiders),
        "near_others_refused": _refused(others, data.near_outsiders),
    }
    for name, kind in (("coverage", "held-out"), ("stress_coverage", "stress sessions")):
        for asked, sets in zip(COVERAGES, trust[kind]["sets"], strict=True):
            found[f"{name}_{100 * asked:.0f}"] = Figure(
                value=sets["covered"],
                low=sets["low"],
                high=sets["high"],
                spectra=trust[kind]["spectra"],
                units=len(np.unique(tested[kind].units)),
            )
    return found


def _refused(others: Mapping[str, tuple[Answers, Numbers]], names: Sequence[str]) -> Figure | None:
    if not names:
        return None
    refusals = np.concatenate([others[name][0].named == NOBODY for name in names])
    return share_of(refusals, together([others[name][1] for name in names]))
