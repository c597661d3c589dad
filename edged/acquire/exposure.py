"""Automatic exposure: the integration time, laser power, gain and number of frames that make a good scan.

Decisions follow from the scans alone, and the time budget is counted in exposure, not on a clock: under a simulator's
seed the same scan comes out every time. Everything blocks, on the station's thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from drivers.contract import ExposureSettings, Limits, RawScan
from drivers.errors import DeviceRefused

Measure = Callable[[ExposureSettings], RawScan]

MAX_PROBES = 8  # from 1 us to a minute by factors of `FARTHEST` needs 7
FARTHEST = 16.0  # a scan in the dark says little about how much longer it takes
RETREAT = 0.25  # after a saturated scan, of which nobody knows how far it is above the range
MAD_TO_SIGMA = 1.482602  # of a normal distribution
MOST_REPEATS = 1_000  # as the configuration allows, and every detector array that is supported
EMPTY_SHARE = 0.002  # of the range; less signal than this is taken for none


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposurePlan:
    """What to reach. Window: shares of the detector's range between which the brightest pixel has to lie.

    snr: signal to noise that the mean of the frames should have, by `frames_snr`; None leaves `repeats` alone.
    budget_s: exposure that all probes and the scan may take together.
    """

    low: float = 0.35
    high: float = 0.85
    snr: float | None = None
    budget_s: float = 10.0

    def __post_init__(self) -> None:
        if not 0.0 < self.low < self.high < 1.0:
            raise ValueError(f"window {self.low:g} to {self.high:g}: shares of the range, low below high")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposed:
    """A scan, the settings that it was taken with, and the number of scans thrown away on the way to them."""

    scan: RawScan
    settings: ExposureSettings
    probes: int


def expose(measure: Measure, start: ExposureSettings, limits: Limits, plan: ExposurePlan) -> Exposed:
    """Find good settings from `start` on, and measure with them. `start.laser_mw` is the most that is ever used.

    Raises DeviceRefused when the light is too strong for the shortest time, or the budget is spent before the scan is
    free of saturation. A sample that stays dark at the longest affordable time is measured so, in as many frames as are
    wanted and affordable: quality checks say what that is worth. Raises what `measure` raises.
    """
    settings = replace(start, integration_ms=_within(start.integration_ms, limits), repeats=1)
    spent_ms = 0.0
    for probe in range(MAX_PROBES):
        one = Exposed(scan=measure(settings), settings=settings, probes=probe)
        spent_ms += exposure_ms(settings)
        if _is_settled(one.scan, limits, plan):
            break
        left_ms = plan.budget_s * 1e3 - spent_ms
        further = _affordable(settings, _next(one.scan, settings, start, limits, plan), left_ms, limits)
        if further is None:
            break
        settings = further
    if one.scan.saturated.any():
        raise _too_bright(one.scan, one.settings)
    return _averaged(one, measure, start, plan, spent_ms)


def _averaged(one: Exposed, measure: Measure, start: ExposureSettings, plan: ExposurePlan, spent_ms: float) -> Exposed:
    """Take as many frames as are wanted and affordable, now that one of them is as good as one can be."""
    wanted, frame_ms = start.repeats, exposure_ms(one.settings)
    left = int((plan.budget_s * 1e3 - spent_ms) // frame_ms)
    best = one
    if plan.snr is not None and left >= 2:
        best = _with_repeats(2, best, measure)
        left -= 2
        wanted = math.ceil(2 * (plan.snr / max(frames_snr(best.scan), 1e-3)) ** 2)
    wanted = min(wanted, left, MOST_REPEATS)
    best = _with_repeats(wanted, best, measure) if wanted > best.settings.repeats else best
    if best.scan.saturated.any():  # the light grew meanwhile
        raise _too_bright(best.scan, best.settings)
    return best


def _with_repeats(repeats: int, before: Exposed, measure: Measure) -> Exposed:
    settings = replace(before.settings, repeats=repeats)
    return Exposed(scan=measure(settings), settings=settings, probes=before.probes + 1)


def frames_snr(scan: RawScan) -> float:
    """Return the median signal of the mean of two or more frames over its noise, from the frames' differences.

    What differs from pixel to pixel and not from frame to frame is no noise that more frames would lessen.
    """
    noise = frame_noise(scan) / scan.count_scale / math.sqrt(len(scan.raw))
    signal = float(np.median(_seen(scan, scan.raw).mean(axis=0))) - _floor(scan)
    return max(signal, 0.0) / noise if noise > 0 else math.inf


def frame_noise(scan: RawScan) -> float:
    """Return the standard deviation of one frame's counts, from the differences of two or more frames."""
    steps = np.diff(_seen(scan, scan.raw).astype(np.float64), axis=0) * scan.count_scale
    return MAD_TO_SIGMA * float(np.median(np.abs(steps - np.median(steps)))) / math.sqrt(2.0)


def exposure_ms(settings: ExposureSettings) -> float:
    """Return how long the detector collects for one scan: frames without the laser come on top of those with it."""
    return settings.integration_ms * settings.repeats * (1 if settings.laser_mw is None else 2)


def peak_share(scan: RawScan, limits: Limits) -> float:
    """Return the brightest reading of any frame as a share of the detector's range above its floor."""
    floor = _floor(scan)
    return float((_seen(scan, scan.raw).max() - floor) / max(1.0, limits.saturation_counts - floor))


def _floor(scan: RawScan) -> float:
    """Return the level without light: of the dark frames, else of the darkest pixels."""
    if scan.dark is not None:
        return float(np.median(_seen(scan, scan.dark)))
    return float(np.percentile(_seen(scan, scan.raw), 2))


def _seen(scan: RawScan, frames: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the pixels that see the spectrum: some detectors send filler at the ends, of any value."""
    if scan.calibration.active is None:
        return frames
    first, last = scan.calibration.active
    return frames[..., first : last + 1]


def _is_settled(scan: RawScan, limits: Limits, plan: ExposurePlan) -> bool:
    return not scan.saturated.any() and plan.low <= peak_share(scan, limits) <= plan.high


def _next(
    scan: RawScan, settings: ExposureSettings, start: ExposureSettings, limits: Limits, plan: ExposurePlan
) -> ExposureSettings:
    """Return settings that should bring the peak to the middle of the window.

    More light: power that was taken away before comes back first since it costs no time, then time, then gain, which
    lifts the noise as well. Less light: gain, time, power.
    """
    share = peak_share(scan, limits)
    if scan.saturated.any() or share > 1.0:
        factor = RETREAT
    elif share < EMPTY_SHARE:
        factor = FARTHEST
    else:
        factor = min(FARTHEST, max(RETREAT, (plan.low + plan.high) / 2 / share))
    power_mw, gain = settings.laser_mw, scan.gain
    if factor > 1.0:
        power_mw, factor = _power(power_mw, factor, start, limits)
        integration_ms, factor = _time(settings.integration_ms, factor, limits)
        gain, _ = _gain(gain, factor, limits)
    else:
        gain, factor = _gain(gain, factor, limits)
        integration_ms, factor = _time(settings.integration_ms, factor, limits)
        power_mw, _ = _power(power_mw, factor, start, limits)
    changed_gain = None if limits.gain is None else gain
    return replace(settings, integration_ms=integration_ms, laser_mw=power_mw, gain=changed_gain)


def _time(integration_ms: float, factor: float, limits: Limits) -> tuple[float, float]:
    """Return the new value, and the factor that is still wanted."""
    new_ms = _within(integration_ms * factor, limits)
    return new_ms, factor * integration_ms / new_ms


def _gain(gain: float, factor: float, limits: Limits) -> tuple[float, float]:
    if limits.gain is None:
        return gain, factor
    low, high = limits.gain
    new = min(high, max(low, gain * factor))
    return new, factor * gain / new


def _power(
    power_mw: float | None, factor: float, start: ExposureSettings, limits: Limits
) -> tuple[float | None, float]:
    """As the others; the ceiling is what the user allows, the floor what the laser can do."""
    if not power_mw or start.laser_mw is None or limits.laser_mw is None:
        return power_mw, factor
    low_mw, high_mw = limits.laser_mw
    new_mw = min(start.laser_mw, high_mw, max(low_mw, power_mw * factor))
    return new_mw, factor * power_mw / new_mw


def _affordable(
    settings: ExposureSettings, further: ExposureSettings, left_ms: float, limits: Limits
) -> ExposureSettings | None:
    """Return `further` shortened to what is left of the budget, None when that is no step ahead."""
    frames = exposure_ms(further) / further.integration_ms
    shortened = replace(further, integration_ms=_within(min(further.integration_ms, left_ms / frames), limits))
    if exposure_ms(shortened) > left_ms:
        return None
    longer = shortened.integration_ms > settings.integration_ms
    others = (further.laser_mw, further.gain) != (settings.laser_mw, settings.gain)
    return shortened if longer or others or further.integration_ms < settings.integration_ms else None


def _within(integration_ms: float, limits: Limits) -> float:
    low, high = limits.integration_ms
    return min(high, max(low, integration_ms))


def _too_bright(scan: RawScan, settings: ExposureSettings) -> DeviceRefused:
    pixels = int(scan.saturated.sum())
    return DeviceRefused(
        f"too much light: {pixels} pixels are saturated at {settings.integration_ms:g} ms",
        hint="move the sample away, close the slit or dim the lamp",
        codes={"saturated": pixels},
    )
