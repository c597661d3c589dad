"""What is known of a set of spectra besides its numbers: whose it is, what may be done with it, what is a group."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from export.data.spectra import Spectra

NOTRE_DAME_PAPER = (
    "O. Awotunde, M. Lieberman et al., Discrimination of Substandard and Falsified Formulations from Genuine "
    "Pharmaceuticals Using NIR Spectra and Machine Learning, Analytical Chemistry (2022)"
)
CHEMOMETRICS_DATA = "github.com/caseykneale/ChemometricsData.jl, commit 9aae583"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """A public set, or a user's own folder. grouping: what a group is.

    folder: below the data folder. files: what the set is read from, by name below that folder, and where each is
    published byte for byte; empty text where nowhere: such a file was made from others, and is had by hand. ships:
    whether data, and models trained on them, may be given away. load: reads the set from the folder above `folder`;
    raises DataUnusable.
    """

    name: str
    title: str
    folder: str
    files: Mapping[str, str]
    licence: str
    copyright: str
    origin: str
    paper: str
    instruments: tuple[str, ...]
    conditions: str
    grouping: str
    ships: bool
    load: Callable[[Path], Spectra]

    @property
    def fetchable(self) -> bool:
        """Whether every file is published as it is read."""
        return bool(self.files) and all(self.files.values())

    def other(
        self, *, name: str, title: str, load: Callable[[Path], Spectra], files: Mapping[str, str] | None = None
    ) -> DataSet:
        """Return another set of the same source, of the same files where no others are given."""
        return replace(self, name=name, title=title, load=load, files=self.files if files is None else files)


def on_github(repository: str, commit: str, path: str) -> str:
    """Return the address of a file as it was at a commit, 40 hex digits."""
    return f"https://raw.githubusercontent.com/{repository}/{commit}/{quote(path)}"
