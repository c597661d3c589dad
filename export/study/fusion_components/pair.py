"""A SYNTHETIC library of the same compounds in two techniques, which no instrument has seen. Its scans are dealt to
what is learnt, what limits are chosen on, and what is tried.

By construction: compounds of one family are more alike in NIR than in Raman; some show next to nothing in Raman (as
salts do, or hosts whose light drowns), others next to nothing in NIR (no X-H bond in them), none in neither.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Annotated, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from edged.bundle.vocabulary import Axis
from export.data.mixtures.library import Library
from export.data.mixtures.synthetic import synthetic_library
from export.data.mixtures.synthetic_nir import synthetic_nir
from export.data.mixtures.words import Synthesis
from export.study.library.made import CHOSEN_ON, LEARNT, SCANS
from export.words import Words

Technique = Literal["NIR", "Raman"]
TECHNIQUES: tuple[Technique, ...] = ("NIR", "Raman")
Kind = Literal["in both", "next to nothing in Raman", "next to nothing in NIR"]
KINDS: tuple[Kind, ...] = get_args(Kind)
OWN = 0.25  # of how a relative differs from its family's first compound in NIR, as if they were no relatives
LEFT = 0.03  # of a compound's bands, in the technique in which it shows next to nothing
NIR_NM, RAMAN_POINTS = (900.0, 1700.0, 201), 1024
Libraries = tuple[Library, Library]
Rows = NDArray[np.float64]


class PairWords(Words):
    """A library in two techniques, and what mixtures of it are. nir, raman: the axes that detectors read.

    silent: how many compounds show next to nothing in Raman, and as many others in NIR.
    """

    compounds: Annotated[int, Field(ge=4, le=1024)]
    silent: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0)] = 0
    synthesis: Synthesis
    nir: Axis
    raman: Axis

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if 2 * self.silent >= self.compounds:
            raise ValueError(f"silent: twice {self.silent} of {self.compounds} compounds leave none that shows in both")
        return self

    @property
    def grids(self) -> tuple[Rows, Rows]:
        """What detectors read of NIR and of Raman."""
        first, second = (np.linspace(axis.start, axis.stop, axis.points) for axis in (self.nir, self.raman))
        return first, second


class Pair:
    """Both libraries, NIR first. kinds: of each compound, its place in KINDS. family: equal for close relatives."""

    def __init__(self, words: PairWords) -> None:
        made = synthetic_library(words.compounds, RAMAN_POINTS, words.seed, scans=SCANS)
        self.family = made.family
        drawn = np.random.default_rng([words.seed, 5]).permutation(words.compounds)
        self.kinds = np.zeros(words.compounds, dtype=np.int64)
        self.kinds[drawn[: words.silent]], self.kinds[drawn[words.silent : 2 * words.silent]] = 1, 2
        self._whole = self._in_nir(words, made.library), self._in_raman(made.library)

    @cached_property
    def learnt(self) -> Libraries:
        """The first scans of each compound."""
        return self._part(0, LEARNT)

    @cached_property
    def chosen_on(self) -> Libraries:
        """The next."""
        return self._part(LEARNT, LEARNT + CHOSEN_ON)

    @cached_property
    def tried_on(self) -> Libraries:
        """The last."""
        return self._part(LEARNT + CHOSEN_ON, SCANS)

    def likeness(self) -> dict[Technique, float]:
        """Return how alike relatives are that show in both: mean correlation of the slopes of their mean spectra.

        Of a library without such relatives, nothing.
        """
        loud = np.flatnonzero(self.kinds == 0)
        one, other = np.nonzero(np.triu(self.family[loud, None] == self.family[loud], k=1))
        alike: dict[Technique, float] = {}
        if not len(one):
            return alike
        for name, library in zip(TECHNIQUES, self._whole, strict=True):
            slopes = np.asarray(np.gradient(library.means()[loud], axis=1))
            alike[name] = float(np.mean(np.corrcoef(slopes)[one, other]))
        return alike

    def _in_raman(self, library: Library) -> Library:
        heights = np.where(self.kinds == 1, LEFT, 1.0)[library.compound]
        return replace(library, values=library.values * heights[:, None])

    def _in_nir(self, words: PairWords, raman: Library) -> Library:
        """Relatives share most of what their family's first compound shows; each scan is a filling of its own."""
        made = synthetic_nir(words.compounds, np.linspace(*NIR_NM), words.seed, scans=SCANS)
        means = made.means()
        first = np.array([np.flatnonzero(self.family == family)[0] for family in self.family])
        alike = means[first] + np.where(first == np.arange(len(first)), 1.0, OWN)[:, None] * (means - means[first])
        values = made.values + (alike - means)[made.compound]
        level = values.mean(axis=1, keepdims=True)
        shown = np.where(self.kinds == 2, LEFT, 1.0)[made.compound, None]
        return replace(made, values=level + shown * (values - level), names=raman.names, holds=raman.holds)

    def _part(self, first: int, stop: int) -> Libraries:
        nir, raman = (_scans(library, first, stop) for library in self._whole)
        return nir, raman


def _scans(whole: Library, first: int, stop: int) -> Library:
    scan = whole.groups % SCANS
    rows = (first <= scan) & (scan < stop)
    return replace(whole, values=whole.values[rows], compound=whole.compound[rows], groups=whole.groups[rows])
