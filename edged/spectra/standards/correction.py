"""The axis correction of one session: a smooth function fitted to matched peaks, kept as data. Any thread.

It is not for storing over the day: it follows temperature, pressure and the laser. The guard rails are those of
ENLIGHTEN: at least four matched peaks, and no shift over 20 1/cm, because a larger one is a fault and no drift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from edged.spectra.spectrum import SpectrumError

if TYPE_CHECKING:  # the search for peaks is loaded by who searches
    from edged.spectra.standards.matching import Match

MIN_PEAKS = 4
MAX_SHIFT_CM1 = 20.0
LINEAR_PEAKS, LINEAR_SPAN_CM1 = 6, 500.0  # fewer or nearer peaks tell a slope from chance only
QUADRATIC_PEAKS, QUADRATIC_SPAN_CM1 = 8, 1200.0
LINEAR_GAIN, QUADRATIC_GAIN = 0.9, 0.8  # of the cross-validated error that must remain below the simpler form's
TABLE_ERROR_CM1 = 0.6  # standard error of a published position: 1.1 to 1.2 expanded (k = 2), Anal. Sci. 37, 1533
WIDTH_ERROR = 0.08  # of a width: how far the top of a composite band was seen to move between ten spectra
_HUBER = 1.345  # standard errors from which a peak pulls no harder
_ROUNDS = 20

Row = NDArray[np.float64]
Form = Literal["offset", "linear", "quadratic"]


class CorrectionRefused(SpectrumError):
    """The peaks do not support a correction, or it does not fit the axis. Cure: measure again, or service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisCorrection:
    """found - table = sum of coefficients[k] * u**k, u from -1 to 1 between `first` and `last`, constant outside.

    coefficients, first, last: 1/cm. peaks: how many it rests on. residual: RMS of these peaks after it.
    cross_validated: RMS of peaks left out of the fit, one at a time: what to expect of a peak that was not used.
    """

    coefficients: tuple[float, ...]
    first: float
    last: float
    material: str
    peaks: int
    residual: float
    cross_validated: float

    def __post_init__(self) -> None:
        numbers = (*self.coefficients, self.first, self.last, self.residual, self.cross_validated)
        if not 1 <= len(self.coefficients) <= 3 or not np.isfinite(numbers).all() or not self.first < self.last:
            raise CorrectionRefused("an axis correction has one to three finite coefficients and a range")
        if sum(abs(number) for number in self.coefficients) > 2.0 * MAX_SHIFT_CM1:
            raise CorrectionRefused(
                f"an axis correction shifts by at most {MAX_SHIFT_CM1:g} 1/cm",
                hint="the instrument needs service, not a correction",
            )

    @property
    def form(self) -> Form:
        """Return how many coefficients there are, in words."""
        forms: tuple[Form, ...] = ("offset", "linear", "quadratic")
        return forms[len(self.coefficients) - 1]

    def shift(self, axis: Row) -> Row:
        """Return by how much each position (1/cm) reads too high."""
        scaled = _scaled(np.clip(axis, self.first, self.last), self.first, self.last)
        return np.asarray(np.polynomial.polynomial.polyval(scaled, self.coefficients), dtype=np.float64)

    def apply(self, axis: Row) -> Row:
        """Return the corrected axis, 1/cm. Outside of the peaks the shift of the nearest end holds.

        Raises CorrectionRefused where the corrected axis would not ascend.
        """
        corrected = axis.astype(np.float64) - self.shift(axis)
        if not (np.diff(corrected) > 0).all():
            raise CorrectionRefused(
                "the corrected axis does not ascend",
                hint="the correction belongs to another instrument: run the self test again",
            )
        return corrected


def fit_correction(matches: Sequence[Match], *, material: str) -> AxisCorrection:
    """Return the correction that the matches without doubt support: the simplest whose cross-validation is not beaten.

    Raises CorrectionRefused for fewer than MIN_PEAKS of them, or when one is off by more than MAX_SHIFT_CM1.
    """
    used = [match for match in matches if match.doubt is None]
    if len(used) < MIN_PEAKS:
        raise CorrectionRefused(
            f"{len(used)} peaks count, a correction needs {MIN_PEAKS}", hint="measure longer, or another standard"
        )
    far = max(used, key=lambda match: abs(match.difference))
    if abs(far.difference) > MAX_SHIFT_CM1:
        raise CorrectionRefused(
            f"the peak of {far.table:g} 1/cm is off by {far.difference:+.1f}, allowed are {MAX_SHIFT_CM1:g}",
            hint="the instrument needs service, not a correction",
        )
    x = np.array([match.found for match in used])
    y = np.array([match.difference for match in used])
    sigma = np.array([expected_error(match) for match in used])
    first, last = float(x.min()), float(x.max())
    u = _scaled(x, first, last)
    degree, error = 0, _left_out(u, y, sigma, 0)
    steps = ((1, LINEAR_PEAKS, LINEAR_SPAN_CM1, LINEAR_GAIN), (2, QUADRATIC_PEAKS, QUADRATIC_SPAN_CM1, QUADRATIC_GAIN))
    for higher, peaks, span, gain in steps:
        if len(used) < peaks or last - first < span:
            break
        tried = _left_out(u, y, sigma, higher)
        if tried < gain * error:
            degree, error = higher, tried
    coefficients = _fitted(u, y, sigma, degree)
    residual = y - np.polynomial.polynomial.polyval(u, coefficients)
    return AxisCorrection(
        coefficients=tuple(float(number) for number in coefficients),
        first=first,
        last=last,
        material=material,
        peaks=len(used),
        residual=float(np.sqrt(np.mean(residual**2))),
        cross_validated=error,
    )


def expected_error(match: Match) -> float:
    """Return the standard error of a difference, 1/cm: of the table, the measurement, and the shape of the band."""
    return float(np.sqrt(TABLE_ERROR_CM1**2 + match.error**2 + (WIDTH_ERROR * match.fwhm) ** 2))


def _scaled(x: Row, first: float, last: float) -> Row:
    return np.asarray((2.0 * x - first - last) / (last - first), dtype=np.float64)


def _fitted(u: Row, y: Row, sigma: Row, degree: int) -> Row:
    """Return the polynomial by Huber's weights: one misread peak does not bend it."""
    basis = np.polynomial.polynomial.polyvander(u, degree)
    start = np.zeros(degree + 1)
    start[0] = np.median(y)
    residual = y - start[0]
    for _ in range(_ROUNDS):
        pull = np.minimum(1.0, _HUBER / np.maximum(np.abs(residual) / sigma, 1e-12))
        weight = np.sqrt(pull) / sigma
        start = np.linalg.lstsq(basis * weight[:, None], y * weight, rcond=None)[0]
        residual = y - basis @ start
    return np.asarray(start, dtype=np.float64)


def _left_out(u: Row, y: Row, sigma: Row, degree: int) -> float:
    """Return the RMS, weighted like the fit, of each peak as read by a fit to the others."""
    errors = []
    for out in range(len(u)):
        rest = np.arange(len(u)) != out
        fitted = _fitted(u[rest], y[rest], sigma[rest], degree)
        errors.append(float(y[out] - np.polynomial.polynomial.polyval(u[out], fitted)))
    weight = 1.0 / sigma**2
    return float(np.sqrt(np.sum(weight * np.square(errors)) / np.sum(weight)))
