"""What is asked of each bundle: influence quantities one at a time, in three sizes, and two mixtures of them; and what
comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from export.data.stress import Influence
from export.words import Words

DRAWS = 10
SEED = 31
SHIPPED = "shipped"  # in figures: the bundle, where classical models stand beside it
UNCHANGED = "unchanged"
Figures = Mapping[str, tuple[float, float]]
"""Mean and standard deviation over the draws, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One influence quantity in three sizes, as people read them: size x scale in `unit`."""

    title: str
    word: str
    sizes: tuple[float, float, float]
    unit: str
    scale: float = 1.0
    drawn_as: str
    """The word of the recipe's augmentation that means the same."""

    def shown(self, size: float) -> str:
        """Say a size in words."""
        return f"x {size:g}" if self.unit == "x" else f"{self.scale * size:g} {self.unit}"


KINDS = (
    Kind(title="path length", word="path", sizes=(0.05, 0.15, 0.4), unit="%", scale=100.0, drawn_as="path"),
    Kind(title="another filling", word="refill", sizes=(0.5, 1.0, 2.0), unit="x", drawn_as="refill"),
    Kind(title="scatter, offset", word="offset_au", sizes=(0.05, 0.15, 0.5), unit="AU", drawn_as="offset_au"),
    Kind(title="scatter, slope", word="slope_au", sizes=(0.02, 0.1, 0.3), unit="AU", drawn_as="slope_au"),
    Kind(title="moisture", word="water_au", sizes=(0.01, 0.03, 0.1), unit="AU", drawn_as="water_au"),
    Kind(title="axis shift", word="shift", sizes=(1.0, 2.0, 3.0), unit="nm", drawn_as="shift"),
    Kind(title="axis stretch", word="stretch", sizes=(1.0, 2.0, 3.0), unit="nm", drawn_as="stretch"),
    Kind(title="broader lines", word="broader", sizes=(3.0, 6.0, 12.0), unit="nm", drawn_as="resolution"),
    Kind(title="narrower lines", word="narrower", sizes=(3.0, 6.0, 12.0), unit="nm", drawn_as="resolution"),
    Kind(title="white reference", word="gain", sizes=(0.015, 0.05, 0.15), unit="%", scale=100.0, drawn_as="gain_au"),
    Kind(title="lamp", word="lamp_k", sizes=(25.0, 100.0, 300.0), unit="K", drawn_as="lamp_au"),
    Kind(title="stray light", word="stray", sizes=(0.001, 0.005, 0.02), unit="%", scale=100.0, drawn_as="stray"),
    Kind(title="noise", word="noise_au", sizes=(5e-4, 2e-3, 5e-3), unit="AU", drawn_as="noise_au"),
)
PACKING = Influence(path=0.1, refill=1.0, offset_au=0.1, slope_au=0.02)
INSTRUMENT = Influence(shift=1.2, stretch=0.8, broader=5.0, gain=0.015, lamp_k=50.0, stray=0.002)
TOGETHER: Mapping[str, tuple[Influence, tuple[float, float, float]]] = {
    "another packing": (PACKING, (0.5, 1.0, 2.0)),
    "another instrument": (INSTRUMENT, (0.5, 1.0, 1.5)),  # at 1.5 the axis is off by 3 nm at its ends
}


class Asked(Words):
    """An influence in one size, and what tables call both."""

    title: str
    size: str
    influence: Influence

    @property
    def called(self) -> str:
        """Both in one."""
        return f"{self.title} {self.size}".strip()


class StressCell(Words):
    """A shipped bundle, by the SHA-256 of its file, and what is done to its held-out spectra, `draws` times each."""

    name: str
    version: str
    bundle: str
    asked: tuple[Asked, ...]
    draws: Annotated[int, Field(ge=1, le=100)] = DRAWS
    seed: Annotated[int, Field(ge=0)] = SEED


class StressOutcome(Words):
    """figures: of each that was asked, mean and standard deviation over the draws, by name.

    `shipped` and the names of classical models: accuracy of the most likely class, or RMSE of the amount. Shares of the
    spectra at the default preset: `right`, `wrong`, what is told, a right amount being one whose interval holds the
    true one; `silent`, nothing is told; `gate`, the part of it that a gate refuses. `90 %`, `99 %`: sets of classes
    that hold the true one. spectra, fillings: how many are held out. settings: what tuning chose.
    """

    cell: StressCell
    spectra: int
    fillings: int
    figures: tuple[dict[str, tuple[float, float]], ...]
    settings: dict[str, dict[str, Any]]
    seconds: float

    @property
    def tells_amounts(self) -> bool:
        """Whether the bundle tells an amount, and names nothing."""
        return "90 %" not in self.figures[0]

    def best_classical(self, figures: Figures) -> tuple[str, float]:
        """Return the classical model of the highest accuracy, and that."""
        name = max(self.settings, key=lambda name: figures[name][0])
        return name, figures[name][0]


def every_asked() -> tuple[Asked, ...]:
    """Return nothing, every kind in every size, and the two mixtures of them."""
    found = [Asked(title=UNCHANGED, size="", influence=Influence())]
    for kind in KINDS:
        found += [
            Asked(title=kind.title, size=kind.shown(size), influence=Influence(**{kind.word: size}))
            for size in kind.sizes
        ]
    for title, (influence, factors) in TOGETHER.items():
        found += [Asked(title=title, size=f"x {f:g}", influence=influence.times(f)) for f in factors]
    return tuple(found)
