"""Relative intensity: the spectrum of a certified glass in, the factors that undo the instrument's colour out.

ASTM E2911: factor = certified curve / measured luminescence, the latter with its dark level removed and smoothed. The
factors hold on the certified range only, and up to a common factor: they are scaled to a median of one. Any thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edged.spectra.spectrum import Spectrum, SpectrumError
from edged.spectra.standards.certificates import Certificate
from edged.spectra.standards.outcome import CheckReason, CheckVerdict, graded, verdict_of
from edged.spectra.standards.peaks import local_noise

SMOOTH_CM1 = 15.0  # narrower than the fringes of a thinned detector, which belong to the response
MIN_SNR = 20.0  # of the smoothed luminescence's points before smoothing; below, the factor multiplies noise
MIN_POINTS = 32
_TRIM_SHARE = 0.02  # of the brightest; less light there would be multiplied by more than fifty

Row = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """Factors by which an instrument's values are multiplied, on its own axis (1/cm), median one. Arrays read-only."""

    axis: Row
    factors: Row
    certificate: str

    def __post_init__(self) -> None:
        if self.axis.shape != self.factors.shape or len(self.axis) < MIN_POINTS or not (np.diff(self.axis) > 0).all():
            raise SpectrumError(f"a response has {MIN_POINTS} or more factors on an ascending axis")
        if not (np.isfinite(self.factors).all() and (self.factors > 0).all()):
            raise SpectrumError("a factor of a response is not a positive number")
        self.axis.flags.writeable = False
        self.factors.flags.writeable = False

    def at(self, axis: Row) -> Row:
        """Return the factors at other positions. Raises SpectrumError outside of the range."""
        if axis[0] < self.axis[0] or axis[-1] > self.axis[-1]:
            raise SpectrumError(
                f"the response is known from {self.axis[0]:.0f} to {self.axis[-1]:.0f} 1/cm, "
                f"asked from {axis[0]:.0f} to {axis[-1]:.0f}",
                hint="cut the spectrum to the certified range",
            )
        return np.asarray(np.interp(axis, self.axis, self.factors), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntensityLimits:
    """warn_share, fail_share: change of the response against the stored one. Our choice: no standard sets one.

    min_covered: share of the certified range, as far as it lies on the axis, that must be bright enough.
    """

    warn_share: float = 0.05
    fail_share: float = 0.10
    min_covered: float = 0.8

    def __post_init__(self) -> None:
        if not 0 < self.warn_share <= self.fail_share or not 0 < self.min_covered <= 1:
            raise ValueError("limits of a response rise, and a share is from 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class IntensityCheck:
    """The response of a session, None where there is none. change: the largest against the stored one, as a share."""

    response: Response | None
    change: float | None
    verdict: CheckVerdict
    reasons: tuple[CheckReason, ...]


def check_intensity(
    luminescence: Spectrum,
    certificate: Certificate,
    *,
    stored: Response | None = None,
    limits: IntensityLimits | None = None,
    smooth_cm1: float = SMOOTH_CM1,
) -> IntensityCheck:
    """Return the response that the glass shows, and how far it is from a stored one.

    luminescence: dark level removed, over shift in 1/cm.
    Raises SpectrumError for another axis, OutsideCertificate for a certificate without a range.
    """
    if luminescence.axis_unit != "cm-1":
        raise SpectrumError("a glass is certified over Raman shift", hint="give the shift, not the wavelength")
    limits = limits or IntensityLimits()
    axis, values = luminescence.axis, luminescence.values.astype(np.float64)
    lowest, highest = certificate.certified_range()
    certified = (axis >= lowest) & (axis <= highest)
    if np.count_nonzero(certified) < MIN_POINTS:
        return _without(
            "range_not_covered",
            f"{np.count_nonzero(certified)} points lie in the range of {certificate.name}, "
            f"{lowest:g} to {highest:g} 1/cm",
        )
    if luminescence.saturated is not None and luminescence.saturated[certified].any():
        return _without("saturated", "the glass is beyond the detector's range: expose shorter")
    smooth = smoothed(values, fwhm_points=smooth_cm1 / float(np.median(np.diff(axis))))
    bright = certified & (smooth > MIN_SNR * local_noise(values)) & (smooth > _TRIM_SHARE * smooth[certified].max())
    first, last = _longest(bright)
    covered = (last - first) / np.count_nonzero(certified)
    if last - first < MIN_POINTS:
        return _without("low_signal", "the glass is too dim: expose longer, or look whether the laser is on")
    kept = slice(first, last)
    factors = certificate.intensity(axis[kept]) / smooth[kept]
    if not (factors > 0).all():
        return _without("low_signal", f"the curve of {certificate.name} is not positive on this axis")
    response = Response(axis=axis[kept].copy(), factors=factors / np.median(factors), certificate=certificate.name)
    reasons = graded(
        "low_signal",
        f"only {axis[first]:.0f} to {axis[last - 1]:.0f} 1/cm is bright enough",
        value=covered,
        warn=limits.min_covered,
        fail=0.0,
        above_is_bad=False,
    )
    change = None
    if stored is not None:
        change, where = _change(response, stored)
        if change is None:
            return _without("range_not_covered", "the stored response and this one have no range in common")
        reasons += graded(
            "response_changed",
            f"the response at {where:.0f} 1/cm is {100 * change:.0f} % from the stored one",
            value=change,
            warn=limits.warn_share,
            fail=limits.fail_share,
        )
    return IntensityCheck(response=response, change=change, verdict=verdict_of(reasons), reasons=reasons)


def smoothed(values: Row, *, fwhm_points: float) -> Row:
    """Return a local straight line through Gaussian weights at each point: no sag at the ends."""
    sigma = max(fwhm_points / 2.354820, 0.3)
    reach = min(int(np.ceil(4.0 * sigma)), (len(values) - 1) // 2)
    offset = np.arange(-reach, reach + 1, dtype=np.float64)
    weight = np.exp(-0.5 * (offset / sigma) ** 2)

    def moment(of: Row, power: int) -> Row:
        return np.asarray(np.convolve(of, (weight * offset**power)[::-1], mode="same"), dtype=np.float64)

    ones = np.ones_like(values)
    s0, s1, s2 = (moment(ones, power) for power in range(3))
    t0, t1 = moment(values, 0), moment(values, 1)
    return np.asarray((s2 * t0 - s1 * t1) / (s0 * s2 - s1**2), dtype=np.float64)


def _longest(mask: NDArray[np.bool_]) -> tuple[int, int]:
    """Return begin and end of the longest run of true points."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    if not len(edges):
        return 0, 0
    begins, ends = edges[::2], edges[1::2]
    longest = int(np.argmax(ends - begins))
    return int(begins[longest]), int(ends[longest])


def _change(now: Response, stored: Response) -> tuple[float | None, float]:
    inside = (now.axis >= stored.axis[0]) & (now.axis <= stored.axis[-1])
    if np.count_nonzero(inside) < MIN_POINTS:
        return None, 0.0
    ratio = now.factors[inside] / stored.at(now.axis[inside])
    off = np.abs(ratio / np.median(ratio) - 1.0)
    worst = int(np.argmax(off))
    return float(off[worst]), float(now.axis[inside][worst])


def _without(code: Literal["range_not_covered", "saturated", "low_signal"], message: str) -> IntensityCheck:
    reason = CheckReason(code=code, severity="fail", message=message)
    return IntensityCheck(response=None, change=None, verdict="fail", reasons=(reason,))
