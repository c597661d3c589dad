"""Every baseline that a recipe may name, and the settings that were published for some of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from export.baselines.dose import PlsDoseWords, SvrDoseWords
from export.baselines.forest import ForestWords
from export.baselines.lda import LdaWords, PcaLdaWords
from export.baselines.library import LibraryWords
from export.baselines.logistic import LogisticWords
from export.baselines.neighbours import NeighboursWords
from export.baselines.plsda import PlsDaWords
from export.baselines.plslda import PlsLdaWords
from export.baselines.svm import SvmWords
from export.words import Words

BaselineWords = Annotated[
    PlsDaWords
    | PlsLdaWords
    | SvmWords
    | ForestWords
    | LogisticWords
    | LdaWords
    | PcaLdaWords
    | NeighboursWords
    | LibraryWords,
    Field(discriminator="kind"),
]
"""A classifier: `tune(spectra [n, points], targets [n], groups [n], seed=...)`."""

DoseWords = Annotated[PlsDoseWords | SvrDoseWords, Field(discriminator="kind")]
"""A regression of an amount: `tune(spectra [n, points], amounts [n], groups [n], seed=...)`."""


def chooses(words: Words) -> bool:
    """Whether a baseline has more than one value of some setting to choose among; a network has none."""
    return any(isinstance(values, tuple) and len(values) > 1 for _, values in words)


PUBLISHED: Mapping[str, PlsDaWords | SvmWords | ForestWords] = {
    "PLS-DA": PlsDaWords(components=(228,)),
    "SVM": SvmWords(linear_costs=(), rbf_costs=(1.0,), gamma=1e-3, scaled=False),
    "RF": ForestWords(trees=(15,), leaves=(3,), depth=3, split=3),
}
"""As coded in OpenSA (github.com/FuSiry/OpenSA), by the names of its tables: one setting each, so nothing is tuned.
Studies show them beside the tuned ones."""
