"""How quiet an instrument is: scans of one thing taken one after the other in, noise and drift out. Any thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edged.spectra.spectrum import Spectrum, SpectrumError
from edged.spectra.standards.outcome import CheckReason, CheckVerdict, graded, verdict_of

MAX_REPLICATES = 1000  # a self test of more is a mistake


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseLimits:
    """In the unit of the values: absorbance for NIR (commonly 0.3e-3 at high flux, 1e-3 at low), counts for Raman.

    There is no default: what is quiet depends on the instrument and its exposure.
    """

    warn_noise: float
    fail_noise: float
    warn_drift: float = float("inf")
    fail_drift: float = float("inf")

    def __post_init__(self) -> None:
        if not (0 < self.warn_noise <= self.fail_noise and 0 < self.warn_drift <= self.fail_drift):
            raise ValueError("limits of noise and drift are positive and rise")


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseCheck:
    """noise: RMS over the points of the difference of neighbouring scans, less its mean, over sqrt(2); their mean.

    drift: the largest change of the mean level between any two scans. level: the mean level. In the values' unit.
    """

    noise: float
    drift: float
    level: float
    verdict: CheckVerdict
    reasons: tuple[CheckReason, ...]


def check_noise(
    replicates: Sequence[Spectrum], *, limits: NoiseLimits, between: tuple[float, float] | None = None
) -> NoiseCheck:
    """Measure short-term noise and drift of two or more scans, in the order of time.

    between: the part of the axis to look at. Raises SpectrumError for fewer than two, or different axes.
    """
    rows = _rows(replicates, between)
    steps = np.diff(rows, axis=0)
    noise = float(np.mean(np.sqrt(np.mean((steps - steps.mean(axis=1, keepdims=True)) ** 2, axis=1) / 2.0)))
    levels = rows.mean(axis=1)
    drift = float(np.ptp(levels))
    reasons = graded(
        "noise",
        f"neighbouring scans differ by {noise:.3g} (RMS)",
        value=noise,
        warn=limits.warn_noise,
        fail=limits.fail_noise,
    ) + graded(
        "noise",
        f"the level moved by {drift:.3g} over {len(rows)} scans",
        value=drift,
        warn=limits.warn_drift,
        fail=limits.fail_drift,
    )
    return NoiseCheck(
        noise=noise, drift=drift, level=float(levels.mean()), verdict=verdict_of(reasons), reasons=reasons
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DarkLimits:
    """max_level, max_noise: counts, of the instrument at hand. max_hot: points over the level by hot_counts."""

    max_level: float
    max_noise: float
    hot_counts: float
    max_hot: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DarkCheck:
    """level: median counts without light. noise: spread of the points, robust. hot: positions of points far above."""

    level: float
    noise: float
    hot: tuple[float, ...]
    verdict: CheckVerdict
    reasons: tuple[CheckReason, ...]


def check_dark(dark: Spectrum, *, limits: DarkLimits) -> DarkCheck:
    """Judge a scan taken without light. Raises SpectrumError for anything but counts."""
    if dark.quantity != "counts":
        raise SpectrumError(f"a dark level is in counts, not {dark.quantity}")
    values = dark.values.astype(np.float64)
    level = float(np.median(values))
    noise = float(1.482602 * np.median(np.abs(values - level)))
    hot = tuple(float(place) for place in dark.axis[values - level > limits.hot_counts])
    reasons = graded(
        "dark_level",
        f"{level:.0f} counts without light, {limits.max_level:.0f} are allowed: light leaks in, or it is too warm",
        value=level,
        warn=limits.max_level,
        fail=limits.max_level,
    ) + graded(
        "noise",
        f"{noise:.1f} counts of spread without light, {limits.max_noise:.1f} are allowed",
        value=noise,
        warn=limits.max_noise,
        fail=limits.max_noise,
    )
    if len(hot) > limits.max_hot:
        reasons += (
            CheckReason(
                code="dark_level",
                severity="warn",
                message=f"{len(hot)} points shine without light, {limits.max_hot} are allowed",
                value=float(len(hot)),
                limit=float(limits.max_hot),
            ),
        )
    return DarkCheck(level=level, noise=noise, hot=hot, verdict=verdict_of(reasons), reasons=reasons)


def _rows(
    replicates: Sequence[Spectrum], between: tuple[float, float] | None
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    if not 2 <= len(replicates) <= MAX_REPLICATES:
        raise SpectrumError(f"{len(replicates)} scans; noise is measured on 2 to {MAX_REPLICATES}")
    first = replicates[0]
    for number, spectrum in enumerate(replicates[1:], start=2):
        same = spectrum.axis_unit == first.axis_unit and spectrum.quantity == first.quantity
        if not same or not np.array_equal(spectrum.axis, first.axis):
            raise SpectrumError(
                f"scan {number} has another axis or quantity than the first", hint="take all with one setting"
            )
    rows = np.stack([spectrum.values.astype(np.float64) for spectrum in replicates])
    if between is None:
        return rows
    inside = (first.axis >= between[0]) & (first.axis <= between[1])
    if np.count_nonzero(inside) < 2:
        raise SpectrumError(f"no points between {between[0]:g} and {between[1]:g}")
    return rows[:, inside]
