"""A whitened spectrum explained by whitened references, and what becomes of that without one compound. Any thread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edged.infer.nnls import RIDGE, nnls

Reals = NDArray[np.float64]
Columns = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """References of the compounds that have a weight: rows of the library, compounds, products with the spectrum and
    weights, all [r]; gram [r, r].

    present: the compounds [c], in order. total: the spectrum's own sum of squares. points: independent values in it.
    """

    rows: Columns
    compounds: Columns
    gram: Reals
    product: Reals
    weights: Reals
    present: Columns
    total: float
    points: int

    @property
    def squares(self) -> float:
        """The sum of squares that is left."""
        return max(self.total + float(_loss(self.gram, self.product, self.weights[None])[0]), 0.0)

    @property
    def free(self) -> int:
        """Degrees of freedom that are left, at least one."""
        return max(self.points - int(np.count_nonzero(self.weights)), 1)

    @property
    def amounts(self) -> Reals:
        """The weight of each present compound, all of its references together [c]."""
        amounts = np.zeros(len(self.present))
        np.add.at(amounts, np.searchsorted(self.present, self.compounds), self.weights)
        return amounts

    @property
    def unit(self) -> float:
        """What growth of the sum of squares is measured in: the variance of the noise, or of what is left if larger."""
        return max(1.0, self.squares / self.free)

    def without_the_least(self, limits: Reals) -> Fit | None:
        """Leave out the compound whose absence grows the sum of squares least, relative to its limit [c], in `unit`.

        None where no growth is under its limit.
        """
        if not len(self.present):
            return None
        weights, growth, exact = self._without_each_of_either_sign()
        place = int(_ratio(growth / self.unit, limits).argmin())
        if not exact[place] and (growth < limits * self.unit).any():
            weights, growth = self.without_each()
            place = int(_ratio(growth / self.unit, limits).argmin())
        return self.with_weights(weights[place]) if growth[place] < limits[place] * self.unit else None

    def without_each(self) -> tuple[Reals, Reals]:
        """Leave one compound out after the other: weights [c, r], and by how much the sum of squares grows [c]."""
        allowed = self.compounds[None] != self.present[:, None]
        start = np.where(allowed, self.weights, 0.0)
        product = np.broadcast_to(self.product, start.shape)
        weights = nnls(self.gram, product, allowed=allowed, start=start)
        whole = _loss(self.gram, self.product, self.weights[None])[0]
        return weights, np.maximum(_loss(self.gram, self.product, weights) - whole, 0.0)

    def _without_each_of_either_sign(self) -> tuple[Reals, Reals, NDArray[np.bool_]]:
        """As `without_each` with weights below zero allowed; and where there are none, so that it is the same.

        Elsewhere the growth is at least this. Nothing is said, growth zero and not the same, where a compound has
        several references: one that had no weight may come in.
        """
        c, r = len(self.present), len(self.weights)
        if r != c:
            return np.zeros((c, r)), np.zeros(c), np.zeros(c, dtype=bool)
        inverse = np.linalg.inv(self.gram + np.diag(RIDGE * np.diagonal(self.gram)))
        own = np.maximum(np.diagonal(inverse), np.finfo(np.float64).tiny)
        weights = self.weights - inverse * (self.weights / own)[:, None]
        np.fill_diagonal(weights, 0.0)
        return weights, self.weights**2 / own, np.asarray((weights >= 0.0).all(axis=1))

    def with_weights(self, weights: Reals) -> Fit:
        """Return the fit of the compounds that have one of these weights [r]."""
        present = np.unique(self.compounds[weights > 0.0])
        used = np.isin(self.compounds, present)
        return Fit(
            rows=self.rows[used],
            compounds=self.compounds[used],
            gram=self.gram[np.ix_(used, used)],
            product=self.product[used],
            weights=weights[used],
            present=present,
            total=self.total,
            points=self.points,
        )


def fitted(spectrum: Reals, references: Reals, rows: Columns, compounds: Columns, *, points: int) -> Fit:
    """Fit a spectrum [k] by references [r, k], no weight below zero. Raises NotSolved, LinAlgError."""
    gram, product = references @ references.T, references @ spectrum
    weights = nnls(gram, product[None], start=_near(gram, product)[None])[0]
    everything = Fit(
        rows=rows,
        compounds=compounds,
        gram=gram,
        product=product,
        weights=weights,
        present=np.unique(compounds),
        total=float(spectrum @ spectrum),
        points=points,
    )
    return everything.with_weights(weights)


def _ratio(growth: Reals, limits: Reals) -> Reals:
    return np.divide(growth, limits, out=np.full_like(growth, np.inf), where=limits > 0.0)


def _loss(gram: Reals, product: Reals, weights: Reals) -> Reals:
    """The sum of squares for each row of weights, less the constant that is the spectrum's own."""
    return np.asarray(((weights @ gram - 2.0 * product) * weights).sum(axis=1))


def _near(gram: Reals, product: Reals) -> Reals:
    """A start for the fit: what least squares without a sign gives, nothing below zero; zeros where it gives none."""
    try:
        weights = np.linalg.solve(gram + np.diag(1e-9 * np.diagonal(gram)), product)
    except np.linalg.LinAlgError:
        return np.zeros_like(product)
    return np.where(np.isfinite(weights), np.maximum(weights, 0.0), 0.0)
