"""What is known of a set of spectra besides its numbers: whose it is, what may be done with it, what is a group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from export.data.spectra import Spectra

NOTRE_DAME_PAPER = (
    "O. Awotunde, M. Lieberman et al., Discrimination of Substandard and Falsified Formulations from Genuine "
    "Pharmaceuticals Using NIR Spectra and Machine Learning, Analytical Chemistry (2022)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """A public set. ships: whether data, and models trained on them, may be given away. grouping: what a group is.

    folder: below the data folder. load: reads the set from the data folder; raises DataUnusable.
    """

    name: str
    title: str
    folder: str
    licence: str
    copyright: str
    origin: str
    paper: str
    instruments: tuple[str, ...]
    conditions: str
    grouping: str
    ships: bool
    load: Callable[[Path], Spectra]

    def other(self, *, name: str, title: str, load: Callable[[Path], Spectra]) -> DataSet:
        """Return another set of the same source."""
        return replace(self, name=name, title=title, load=load)
