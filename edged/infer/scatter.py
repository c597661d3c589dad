"""Noise that grows with what is there: the ways in which scans of one compound differ, as much as it is in the sample.

No two fillings of a powder give one spectrum, and what they differ by looks like other compounds. It is known from the
compound's own scans, as directions; the covariance of a whitened spectrum that holds the amounts a is then

    I + sum over compounds c of  a_c^2 U_c' U_c            U_c: the rows of c

and least squares are generalised by its inverse root (Aitken, Proc. R. Soc. Edinb. 55, 42 (1935)). numpy only.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Columns = NDArray[np.intp]

FLAT: Final = 1e-9  # of the largest variance: under it there is no direction


class Scatter:
    """rows [s, k]: directions in the whitened space, one standard deviation long where the compound's weight is one;
    compounds [s]: whose they are."""

    def __init__(self, rows: Reals, compounds: Columns) -> None:
        self._rows, self._compounds = rows, compounds

    def quieted(self, spectra: Reals, present: Columns, amounts: Reals) -> Reals:
        """Return whitened spectra [n, k] as they are when the noise of these amounts [c] of compounds [c] is white too.

        Only directions of compounds that are there change; the rest of the space stays. Raises LinAlgError.
        """
        if not len(present):
            return spectra
        place = np.searchsorted(present, self._compounds)
        there = (place < len(present)) & (present[np.minimum(place, len(present) - 1)] == self._compounds)
        if not there.any():
            return spectra
        ways = self._rows[there] * amounts[place[there]][:, None]
        if len(ways) > ways.shape[1]:
            ways = np.linalg.qr(ways, mode="r")  # the same covariance in fewer rows
        variance, turned = np.linalg.eigh(ways @ ways.T)
        kept = variance > FLAT * max(float(variance[-1]), np.finfo(np.float64).tiny)
        directions = (turned[:, kept].T @ ways) / np.sqrt(variance[kept])[:, None]
        lost = 1.0 - 1.0 / np.sqrt(1.0 + variance[kept])
        return np.asarray(spectra - ((spectra @ directions.T) * lost) @ directions)
