"""What a spectrum itself shows of a solvent about which methods disagree: how much of it there is, whether its own band
stands there, and what has moved.

Plain least squares on slopes, by scipy: nothing here is what edged ships. Spectra are counts over the Raman shift,
1/cm, on one even axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.signal import savgol_filter

from export.data.augment import FWHM_TO_SIGMA

Rows = NDArray[np.float64]
Bools = NDArray[np.bool_]
THERE, NOT_THERE = 0.5, 0.25
"""Of an equal part: at least so much is there, at most so much is not; between them nothing is said."""
FIRST_GUESS, ROUNDS = 0.1, 50
HALF_WIDTH_CM1 = 20.0  # of the window in which a band is looked for: the bands are 10 to 20 wide
STRONG = 0.2  # of the strongest band of a solvent, what a band of its own must have to be looked for
ALONE = 0.9  # of what bends a spectrum in a window: enough for a band to be a solvent's own
BAND_NOISE = 3.0  # standard deviations from which on a band stands there
CUT_CM1 = 2000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """How much of each solvent mixtures hold, if each was poured in equal parts [n, solvents].

    part: 1 is as much as the median of the solvents that are there. one: the weight of one part.
    """

    part: Rows
    one: Rows

    @property
    def there(self) -> Bools:
        """Of which there is a part."""
        return self.part >= THERE

    @property
    def said(self) -> Bools:
        """Of which it can be said whether it is there."""
        return (self.part >= THERE) | (self.part <= NOT_THERE)


def equal_parts(weights: Rows) -> Parts:
    """Read weights [n, solvents] as parts: a factor a solvent and one a mixture, such that most parts are 1 or 0.

    A pure spectrum was not taken as long as a mixture's, hence the factor: the median of what a solvent has where it is
    there, with all solvents of a mixture alike. Found by turns; who is there at first has a tenth of the largest
    weight.
    """
    there = weights > FIRST_GUESS * weights.max(axis=1, keepdims=True)
    part = one = np.ones_like(weights)
    for _ in range(ROUNDS):
        of_one = weights * there.sum(axis=1, keepdims=True)
        factor = np.array([np.median(of_one[rows, c]) if rows.any() else 1.0 for c, rows in enumerate(there.T)])
        level = np.array([np.median((row / factor)[held]) for row, held in zip(weights, there, strict=True)])
        one = level[:, None] * factor
        part = weights / one
        if np.array_equal(part >= THERE, there):
            break
        there = part >= THERE
    return Parts(part=part, one=one)


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A band by which a solvent is known. centre: its top, 1/cm.

    own: the solvent's share of all that bends the spectrum in the window, where each solvent has one part.
    """

    centre: float
    own: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What of a solvent's own band stands in what the others leave of a mixture. part: as in Parts; error: its own."""

    part: float
    error: float

    @property
    def stands(self) -> bool:
        """Whether it is more than noise."""
        return self.part > BAND_NOISE * self.error


class Light:
    """Pure spectra of height one [solvents, m], mixtures in counts [n, m], `axis` [m] up to 2000 1/cm, and their
    slopes; parts as slopes tell them."""

    def __init__(self, axis: Rows, pure: Rows, mixtures: Rows) -> None:
        kept = axis <= CUT_CM1
        self.axis = axis[kept]
        self.counts = pure[:, kept].max(axis=1)
        self.pure = pure[:, kept] / self.counts[:, None]
        self.mixtures = mixtures[:, kept]
        self.slopes, self._seen = slopes(self.pure), slopes(self.mixtures)
        everything = range(len(self.pure))
        self.weights = np.stack([self.fit(row, everything) for row in range(len(self.mixtures))])
        self.parts = equal_parts(self.weights / self.counts)
        self._half = round(HALF_WIDTH_CM1 / float(self.axis[1] - self.axis[0]))
        self._tops = [self._tops_of(column) for column in everything]

    def fit(self, row: int, columns: Sequence[int]) -> Rows:
        """Return the weight of every solvent, those of `columns` fitted, none below zero."""
        found = np.zeros(len(self.pure))
        found[list(columns)] = nnls(self.slopes[list(columns)].T, self._seen[row])[0]
        return found

    def there(self, row: int) -> list[int]:
        """Return the solvents of which a mixture holds a part."""
        return [int(column) for column in np.flatnonzero(self.parts.there[row])]

    def rest(self, row: int) -> float:
        """Return how much of a mixture's slopes no mixture of the solvents explains, as a share of their length."""
        left = self._seen[row] - self.weights[row] @ self.slopes
        return float(np.linalg.norm(left) / np.linalg.norm(self._seen[row]))

    def sighting(self, row: int, column: int) -> Sighting:
        """Look for a solvent's own band in what all others, fitted without it, leave."""
        others = [other for other in range(len(self.pure)) if other != column]
        band = self.band(row, column)
        found, error = self._weight(row, column, self.fit(row, others), band.centre)
        one = self.parts.one[row, column] * self.counts[column]
        return Sighting(part=found / one, error=error / one)

    def weight_at(self, row: int, column: int, centre: float) -> float:
        """Return the weight of a solvent that one of its bands tells, the others taken off as all of the axis tells
        them."""
        others = self.weights[row].copy()
        others[column] = 0.0
        return self._weight(row, column, others, centre)[0]

    def _weight(self, row: int, column: int, others: Rows, centre: float) -> tuple[float, float]:
        """The weight of a solvent in a window of what others leave, beside a straight line, and its standard error."""
        window = self._window(centre)
        left = (self.mixtures[row] - others @ self.pure)[window]
        at = self.axis[window] - centre
        terms = np.stack([self.pure[column, window], np.ones(len(at)), at])
        found = np.linalg.lstsq(terms.T, left, rcond=None)[0]
        noise = float(np.sum((left - found @ terms) ** 2)) / (len(at) - len(terms))
        return float(found[0]), float(np.sqrt(noise * np.linalg.inv(terms @ terms.T)[0, 0]))

    def displaced(self, row: int) -> tuple[float, float]:
        """Return by how much the bands of a mixture lie higher than the library's, and are wider, both 1/cm.

        To first order, of all bands alike; the width added to a line, negative where lines are narrower.
        """
        columns = self.there(row)
        model = self.fit(row, columns) @ self.pure
        moved = np.gradient(model, self.axis)
        wider = 0.5 * np.gradient(moved, self.axis)
        terms = np.vstack([self.slopes[columns], slopes(np.stack([moved, wider]))])
        *_, shift, variance = np.linalg.lstsq(terms.T, self._seen[row], rcond=None)[0]
        return -float(shift), float(np.sign(variance) * np.sqrt(abs(variance)) / FWHM_TO_SIGMA)

    def own_shift(self, row: int, column: int) -> float:
        """Return by how much one solvent's bands lie higher than the library's, 1/cm; each solvent moves by its own."""
        columns = self.there(row)
        moved = np.stack([np.gradient(self.pure[c], self.axis) for c in columns])
        terms = np.vstack([self.slopes[columns], slopes(moved)])
        found = np.linalg.lstsq(terms.T, self._seen[row], rcond=None)[0]
        place = columns.index(column)
        return -float(found[len(columns) + place] / found[place])

    def band_shift(self, row: int, column: int, centre: float) -> float:
        """Return by how much one band of a solvent lies higher than in the library, 1/cm, the others taken off."""
        others = self.weights[row].copy()
        others[column] = 0.0
        window = self._window(centre)
        at = self.axis[window] - centre
        terms = np.stack([self.pure[column], np.gradient(self.pure[column], self.axis)])[:, window]
        left = (self.mixtures[row] - others @ self.pure)[window]
        found = np.linalg.lstsq(np.vstack([terms, np.ones(len(at)), at]).T, left, rcond=None)[0]
        return -float(found[1] / found[0])

    def _window(self, centre: float) -> slice:
        """The points about a band."""
        middle = int(np.abs(self.axis - centre).argmin())
        return slice(middle - self._half, middle + self._half + 1)

    def band(self, row: int, column: int) -> Band:
        """Return the strongest band of a solvent that is as good as its own, else the one whose window holds least of
        what else is there."""
        tops, powers = self._tops[column]
        among = self.parts.there[row].copy()
        among[column] = True
        seen = powers * (self.parts.one[row] * self.counts) ** 2 * among
        own = seen[:, column] / seen.sum(axis=1)
        alone = own >= ALONE
        best = int((powers[:, column] * alone).argmax() if alone.any() else own.argmax())
        return Band(centre=float(self.axis[tops[best]]), own=float(own[best]))

    def _tops_of(self, column: int) -> tuple[list[int], Rows]:
        """Where a solvent has strong bands, and what each pure spectrum of height one changes there, squared [t, c]."""
        half, spectrum = self._half, self.pure[column]
        inside = range(half, len(spectrum) - half)
        tops = [top for top in inside if spectrum[top] == spectrum[top - 3 : top + 4].max()]
        powers = np.stack([_changes(self.pure[:, top - half : top + half + 1]) for top in tops])
        strong = powers[:, column] >= STRONG**2 * powers[:, column].max()
        return [top for top, kept in zip(tops, strong, strict=True) if kept], powers[strong]


def slopes(values: Rows) -> Rows:
    """Return first derivatives [n, m] by a parabola through nine points, a point."""
    return np.asarray(savgol_filter(values, 9, 2, deriv=1, axis=-1))


def _changes(window: Rows) -> Rows:
    """The square of what each row [n, w] has beside a straight line [n]."""
    at = np.linspace(-1.0, 1.0, window.shape[1])
    line = np.stack([np.ones_like(at) / np.sqrt(len(at)), at / np.linalg.norm(at)])
    return np.asarray(((window - (window @ line.T) @ line) ** 2).sum(axis=1))
