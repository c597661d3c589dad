"""Whether a measurement is fit to be judged: counts in, a `Quality` with its reasons out. Any thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edged.infer.verdict import Model, Reason
from edged.spectra.spectrum import Spectrum

FLAGS_ONLY = frozenset({"reference_stale", "reference_changed", "dark_stale", "selftest_advised"})
"""Reasons that are shown beside a verdict without changing it; every other reason makes the measurement unfit.

A stale white reference moves the level of a spectrum slowly, and the model's gates see when it moved too far. One taken
with other settings or on another instrument, or none at all, gives numbers that are no absorbance.
"""
_MAD_TO_SIGMA = 1.482602  # of a normal distribution
_LEAST_NOISE_COUNTS = 12.0**-0.5  # of rounding to whole counts, which hides what is less


class Quality(Model):
    """Whether the measurement itself is fit. `reasons` may hold flags that leave it fit."""

    fit: bool
    snr: float | None = None
    saturated_points: int = 0
    peak_counts: int | None = None
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a measurement must reach. The defaults are for the DLP NIRscan family, from 100 raw and 1,200 ratio scans.

    min_peak_counts: the dullest powder reflects 4.6 % of a white reference, whose peak is about 23,000 counts: half of
        that product. The raw scans peak at 17,700 to 43,500.
    min_snr: half of the smallest of the 1,300 scans; they lie between 70 and 470.
    max_saturated_points: a point beyond the range is a lie of unknown size, and the preprocessing spreads it.
    max_dark_share: share of points without any light (counts at or under zero); none of the raw scans has one.
    """

    min_peak_counts: float = 500.0
    min_snr: float = 35.0
    max_saturated_points: int = 0
    max_dark_share: float = 0.05


def is_unfit(reasons: tuple[Reason, ...]) -> bool:
    """Whether a reason among these forbids a verdict other than `rejected`."""
    return any(reason.code not in FLAGS_ONLY for reason in reasons)


def assess(counts: Spectrum, *, limits: Limits | None = None, known: tuple[Reason, ...] = ()) -> Quality:
    """Judge the fitness of one measurement from its counts, dark level removed.

    known: reasons found elsewhere (white reference, conditions at the instrument); they count and are listed last.
    Raises ValueError for a spectrum that does not hold counts.
    """
    if counts.quantity != "counts":
        raise ValueError(f"quality is judged on counts, not on {counts.quantity}")
    limits = limits or Limits()
    saturated = int(np.count_nonzero(counts.saturated)) if counts.saturated is not None else 0
    peak = float(counts.values.max())
    snr = signal_to_noise(counts.values)
    stuck = _stuck(counts.values)
    reasons = (*_light(counts, limits, saturated=saturated, peak=peak), *stuck, *_noise(snr, limits), *known)
    return Quality(
        fit=not is_unfit(reasons), snr=snr, saturated_points=saturated, peak_counts=round(peak), reasons=reasons
    )


def signal_to_noise(values: NDArray[np.float32]) -> float:
    """DER_SNR: the median over a robust noise from second differences of lag two, where none is seen that of rounding.

    Stoehr et al. 2008, "DER_SNR: A Simple & General Spectroscopic Signal-to-Noise Measurement Algorithm", ADASS XVII,
    ASP Conf. Ser. 394, 505. The lag skips the neighbour that shares the optical resolution. On five scans each
    of 20 vials the median noise was 0.57 % of the signal this way and 0.48 % from pairs of scans: curvature of the
    signal makes it a little strict.
    """
    flux = values.astype(np.float64)
    noise = _MAD_TO_SIGMA / np.sqrt(6.0) * _median(np.abs(2.0 * flux[2:-2] - flux[:-4] - flux[4:]))
    return float(max(_median(flux), 0.0) / (noise if noise > 0 else _LEAST_NOISE_COUNTS))


def _median(values: NDArray[np.float64]) -> float:
    """As `np.median`, which loads all masked arrays, 1.3 MB, to ask whether these are."""
    lower, upper = (len(values) - 1) // 2, len(values) // 2
    ordered = np.partition(values, (lower, upper))
    return float((ordered[lower] + ordered[upper]) / 2.0)


def reference_reasons(
    state: Literal["fresh", "stale", "mismatched"] | None, *, age_s: float | None = None, max_age_s: float | None = None
) -> tuple[Reason, ...]:
    """What the state of the white reference means for a measurement.

    state: None when there is no reference. age_s: None when nobody knows it.
    """
    match state:
        case "fresh":
            return ()
        case "stale":
            message = "the age of the white reference is unknown: the clock was not synced"
            if age_s is not None:
                allowed = f", allowed are {max_age_s / 60:.0f} min" if max_age_s is not None else ""
                message = f"the white reference is {age_s / 60:.0f} min old{allowed}"
            return (Reason(code="reference_stale", message=message, value=age_s, limit=max_age_s),)
        case "mismatched":
            message = "the white reference was taken with other settings or on another instrument"
            return (Reason(code="reference_mismatched", message=message),)
        case None:
            return (Reason(code="reference_missing", message="no white reference has been taken"),)


def dark_reasons_for(
    state: Literal["fresh", "stale", "mismatched"] | None, *, age_s: float | None = None, max_age_s: float | None = None
) -> tuple[Reason, ...]:
    """What the state of the dark reference means for a scan that needs one. state: None when there is none."""
    match state:
        case "fresh":
            return ()
        case "stale":
            age = "of unknown age" if age_s is None else f"{age_s / 60:.0f} min old"
            return (Reason(code="dark_stale", message=f"the dark reference is {age}", value=age_s, limit=max_age_s),)
        case "mismatched":
            message = "the dark reference was taken at another exposure, temperature or gain, or on another instrument"
            return (Reason(code="dark_mismatched", message=message),)
        case None:
            return (Reason(code="dark_missing", message="no dark reference has been taken"),)


def _light(counts: Spectrum, limits: Limits, *, saturated: int, peak: float) -> tuple[Reason, ...]:
    reasons = []
    if saturated > limits.max_saturated_points:
        reasons.append(
            Reason(
                code="saturated",
                message=f"{saturated} of {len(counts.axis)} points are beyond the detector's range",
                value=float(saturated),
                limit=float(limits.max_saturated_points),
            )
        )
    dark = int(np.count_nonzero(counts.values <= 0))
    if peak < limits.min_peak_counts:
        reasons.append(
            Reason(
                code="low_signal",
                message=f"the brightest point has {peak:.0f} counts, {limits.min_peak_counts:.0f} are needed",
                value=peak,
                limit=limits.min_peak_counts,
            )
        )
    elif dark > limits.max_dark_share * len(counts.axis):
        reasons.append(
            Reason(
                code="low_signal",
                message=f"{dark} of {len(counts.axis)} points saw no light",
                value=dark / len(counts.axis),
                limit=limits.max_dark_share,
            )
        )
    return tuple(reasons)


def _stuck(values: NDArray[np.float32]) -> tuple[Reason, ...]:
    """No light is the same at all wavelengths to the count."""
    if values.min() < values.max():
        return ()
    message = f"all {len(values)} points read {values[0]:.0f} counts: the detector does not see the light"
    return (Reason(code="low_signal", message=message),)


def _noise(snr: float, limits: Limits) -> tuple[Reason, ...]:
    if snr >= limits.min_snr:
        return ()
    message = f"signal to noise is {snr:.0f}, {limits.min_snr:.0f} is needed"
    return (Reason(code="low_snr", message=message, value=snr, limit=limits.min_snr),)
