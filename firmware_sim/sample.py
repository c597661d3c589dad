"""What lies before the window: the white tile, a product drawn from a twin, or a recorded spectrum.

A product twin is the mean and the first principal components of many real scans of one product. Absorbance is against
the white tile. Which view comes next, and what is drawn, depends on the number of good scans only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from firmware_sim import kept
from firmware_sim.contract import OperatorError
from firmware_sim.drift import Drift
from firmware_sim.optics import light
from firmware_sim.spectra_file import RecordedSpectra

Array = NDArray[np.float64]

WHITE, DARK = "white", "dark"
STRAY_ABSORBANCE = 5.0  # a closed shutter still passes some light inside the housing
TRUNCATION_SD = 2.0  # scores beyond were seldom or never scanned
DEFAULT_TWIN = "powders12.npz"
SIGNAL = "signal"  # a twin of -log10 of counts
LEAST_ABSORBANCE = 0.05  # of such a twin: powders send back less than the tile


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One thing before the window: absorbance against the white tile on an ascending axis in nm; held at the ends.

    row: number from 0 of the spectrum in a replayed file; None when it is from elsewhere.
    """

    label: str
    wavelength_nm: Array
    absorbance: Array
    row: int | None = None

    def at(self, wavelength_nm: Array) -> Array:
        """Return the absorbance at these wavelengths."""
        return np.interp(wavelength_nm, self.wavelength_nm, self.absorbance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """Products as (mean, components, standard deviation of the scores), one entry a label."""

    wavelength_nm: Array
    labels: tuple[str, ...]
    means: Array
    components: Array
    score_sds: Array

    @classmethod
    def load(cls, path: Path | None = None) -> Twin:
        """Read a twin; None reads the one that comes with the simulator.

        One made of counts that no white has touched is put against the light of this simulator's own lamp, such that
        its brightest product absorbs next to nothing where it is brightest.
        """
        source = path or resources.files("firmware_sim") / "twins" / DEFAULT_TWIN
        with source.open("rb") as file, np.load(file, allow_pickle=False) as data:
            wavelength_nm, means = data["wavelength_nm"].astype(float), data["means"].astype(float)
            if "quantity" in data and str(data["quantity"]) == SIGNAL:
                means = means + np.log10(light(wavelength_nm))
                means = means - means.min() + LEAST_ABSORBANCE
            return cls(
                wavelength_nm=wavelength_nm,
                labels=tuple(str(label) for label in data["labels"]),
                means=means,
                components=data["components"].astype(float),
                score_sds=data["score_sds"].astype(float),
            )

    @classmethod
    def named(cls, name: str) -> Twin:
        """Read one of the twins that come with the simulator. Raises OperatorError when none has that name."""
        return kept.named(name, cls.load, folder="twins", what="twin")

    @classmethod
    def chosen(cls, where: str) -> Twin:
        """Read the file where it ends in .npz, else the one of that name that comes with the simulator.

        Raises OperatorError.
        """
        if not where.endswith(".npz"):
            return cls.named(where)
        return kept.from_file(where, cls.load, cls._fits, what="twin", of="NIR")

    def _fits(self) -> bool:
        labels, points, parts = len(self.labels), len(self.wavelength_nm), self.score_sds.shape[-1]
        shapes = (self.means.shape, self.components.shape, self.score_sds.shape)
        return (
            labels > 0
            and shapes == ((labels, points), (labels, parts, points), (labels, parts))
            and all(bool(np.isfinite(array).all()) for array in (self.means, self.components, self.score_sds))
            and bool((np.diff(self.wavelength_nm) > 0).all())
        )

    def draw(self, label: str, chance: np.random.Generator) -> View:
        """Return one filling of this product, as one more scan of it might look without noise."""
        index = self.labels.index(label)
        scores: Array = np.asarray(chance.standard_normal(self.score_sds.shape[1]))
        while (outside := np.abs(scores) > TRUNCATION_SD).any():
            scores[outside] = chance.standard_normal(int(outside.sum()))
        absorbance = self.means[index] + (scores * self.score_sds[index]) @ self.components[index]
        return View(label=label, wavelength_nm=self.wavelength_nm, absorbance=absorbance)


def flat(label: str, absorbance: float) -> View:
    """Return a view that is the same at all wavelengths."""
    return View(label=label, wavelength_nm=np.array([900.0, 1700.0]), absorbance=np.full(2, absorbance))


def tile() -> View:
    """Return the white tile, which absorbs nothing by definition."""
    return flat(WHITE, 0.0)


class Source(Protocol):
    """What follows after the white tile."""

    ideal: bool  # the spectra hold a real instrument's noise already: add none
    lowest_absorbance: float

    def view(self, turn: int, seed: int) -> View:
        """Return view number `turn`, counted from 0; goes round at the end."""

    def place(self, name: str) -> None:
        """Put this in place of what followed. Raises OperatorError when there is nothing of that name."""


@runtime_checkable
class Mixable(Protocol):
    """A source whose samples another one may get into."""

    def other(self, name: str, turn: int, seed: int) -> View:
        """Return what gets into view number `turn`. Raises OperatorError when there is nothing of that name."""


class Products:
    """Samples of a twin, by label; `white` and `dark` too. `names` None: every product of the twin in turn."""

    ideal = False
    lowest_absorbance = 0.0

    def __init__(self, names: Sequence[str] | None = None, twin: Twin | None = None) -> None:
        self._twin = twin or Twin.load()
        self._names = [self._known(name) for name in (self._twin.labels if names is None else names)]
        if not self._names:
            raise OperatorError(f"no sample named; there are {', '.join(self.names())}")

    def names(self) -> tuple[str, ...]:
        """Return every name that may be asked for."""
        return (*self._twin.labels, WHITE, DARK)

    def view(self, turn: int, seed: int) -> View:
        """Return a new filling each turn."""
        name = self._names[turn % len(self._names)]
        if name == WHITE:
            return tile()
        if name == DARK:
            return flat(DARK, STRAY_ABSORBANCE)
        return self._twin.draw(name, np.random.default_rng([seed, 2, turn]))

    def place(self, name: str) -> None:
        """Put one sample there for all scans to come."""
        self._names = [self._known(name)]

    def other(self, name: str, turn: int, seed: int) -> View:
        """Return another filling of another product."""
        if name not in self._twin.labels:
            raise OperatorError(f"no product {name!r}; there are {', '.join(self._twin.labels)}")
        return self._twin.draw(name, np.random.default_rng([seed, 4, turn]))

    def _known(self, name: str) -> str:
        if name not in self.names():
            raise OperatorError(f"no sample {name!r}; there are {', '.join(self.names())}")
        return name


class Replay:
    """The spectra of a file, in order."""

    ideal = True

    def __init__(self, recorded: RecordedSpectra) -> None:
        self._recorded = recorded
        self.lowest_absorbance = min(0.0, float(recorded.values.min()))

    def view(self, turn: int, seed: int) -> View:
        """Return the spectrum whose turn it is."""
        row = turn % len(self._recorded.values)
        return View(
            label=self._recorded.titles[row],
            wavelength_nm=self._recorded.wavelength_nm,
            absorbance=self._recorded.values[row],
            row=row,
        )

    def place(self, name: str) -> None:
        """Refuse: a replay has an order of its own."""
        raise OperatorError(f"sample {name}: this simulator replays a file; start another one for samples")


class Tray:
    """Whose turn it is: the tile for the first `white` scans, then the source in order."""

    def __init__(self, source: Source, *, white: int = 1, seed: int = 0) -> None:
        self.source = source
        self._white = white
        self._seed = seed
        self._turn = 0
        self.drift = Drift()

    def view(self) -> View:
        """Return what lies there now, as far as it has drifted; the same until `used`."""
        if self._white:
            return tile()
        view = self.source.view(self._turn, self._seed)
        if self.drift == Drift() or view.label in (WHITE, DARK):
            return view
        at = view.wavelength_nm
        other = self._other(self.drift)
        absorbance = self.drift.absorbance(at, view.absorbance, None if other is None else other.at(at))
        return replace(view, absorbance=absorbance)

    def set_drift(self, text: str) -> None:
        """Let drift what the text says, from the next scan on. Raises OperatorError."""
        drift = Drift.parse(text)
        self._other(drift)
        self.drift = drift

    def _other(self, drift: Drift) -> View | None:
        if drift.other is None:
            return None
        if not isinstance(self.source, Mixable):
            raise OperatorError(f"product {drift.other}: what is shown here mixes with nothing; show products instead")
        return self.source.other(drift.other, self._turn, self._seed)

    def used(self) -> None:
        """Go on to the next: the scan was good."""
        if self._white:
            self._white -= 1
        else:
            self._turn += 1

    def show_white(self) -> None:
        """Put the tile there for the next scan."""
        self._white = max(self._white, 1)

    def place(self, name: str) -> None:
        """Put this sample there, from the next scan on, instead of what would have followed."""
        self.source.place(name)
        self._white = 0
