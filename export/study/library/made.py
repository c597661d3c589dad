"""A SYNTHETIC Raman library that no instrument has seen: its scans, dealt to what is learnt, what limits are chosen on,
and what is tried; and how mixtures of it are made, in lots of one stretch of signal to noise each."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from edged.bundle.vocabulary import Axis
from export.data.mixtures.library import Library
from export.data.mixtures.synthetic import synthetic_library
from export.data.mixtures.words import Synthesis
from export.words import Words

MARK = "SYNTHETIC"  # on every table and picture
LEARNT, CHOSEN_ON, TRIED_ON = 4, 2, 2  # scans of each compound
SCANS = LEARNT + CHOSEN_ON + TRIED_ON
LOTS = 3  # stretches of signal to noise, equal on a logarithmic scale
Rows = NDArray[np.float64]


class LibraryWords(Words):
    """A synthetic library, and what mixtures of it are, on the axis that every detector reads. points: of its own."""

    compounds: Annotated[int, Field(ge=2, le=1024)] = 368
    points: Annotated[int, Field(ge=64, le=8192)] = 1024
    seed: Annotated[int, Field(ge=0)] = 0
    synthesis: Synthesis
    axis: Axis

    @model_validator(mode="after")
    def _noisy(self) -> LibraryWords:
        if self.synthesis.raman is None or not self.synthesis.raman.noise[0]:
            raise ValueError("synthesis.raman.noise: lots are made by signal to noise")
        return self

    @property
    def grid(self) -> Rows:
        """What every detector reads, [points]."""
        return np.linspace(self.axis.start, self.axis.stop, self.axis.points)

    @property
    def signal_to_noise(self) -> tuple[float, ...]:
        """The edges of the lots, descending: of the highest band without baseline."""
        assert self.synthesis.raman is not None
        least, most = self.synthesis.raman.noise
        return tuple(float(edge) for edge in 1.0 / np.geomspace(least, most, LOTS + 1))

    def lots(self) -> list[Synthesis]:
        """Return how mixtures of each lot are made."""
        assert self.synthesis.raman is not None
        return [
            self.synthesis.model_copy(
                update={"raman": self.synthesis.raman.model_copy(update={"noise": (1.0 / high, 1.0 / low)})}
            )
            for high, low in pairwise(self.signal_to_noise)
        ]


class Scans:
    """The scans of a synthetic library, dealt to what is learnt, what limits are chosen on, and what is tried."""

    def __init__(self, words: LibraryWords) -> None:
        made = synthetic_library(words.compounds, words.points, words.seed, scans=SCANS)
        self._whole, self.family = made.library, made.family

    @cached_property
    def learnt(self) -> Library:
        """The first scans of each compound."""
        return self._part(0, LEARNT)

    @cached_property
    def chosen_on(self) -> Library:
        """The next."""
        return self._part(LEARNT, LEARNT + CHOSEN_ON)

    @cached_property
    def tried_on(self) -> Library:
        """The last."""
        return self._part(LEARNT + CHOSEN_ON, SCANS)

    def _part(self, first: int, stop: int) -> Library:
        whole, scan = self._whole, self._whole.groups % SCANS
        rows = (first <= scan) & (scan < stop)
        return replace(whole, values=whole.values[rows], compound=whole.compound[rows], groups=whole.groups[rows])
