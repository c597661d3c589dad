"""One column scan of the NIRscan Nano family: what lies before the window becomes converter readings.

Pure: configuration, view, number of scans so far, lamp and seed decide the readings to the bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from firmware_sim import detector, optics
from firmware_sim.devices._nirscan_tpl import BLACK_PERIOD, COLUMN, FIRST_BLACK, Configuration
from firmware_sim.drift import Drift
from firmware_sim.sample import View

MIRROR_COLUMNS = 854
PATTERNS_A_FRAME = 24
FRAME_S = 1 / 60
MIN_NM, MAX_NM = 900, 1700
MIN_PATTERNS, MAX_PATTERNS = 2, 624
MAX_WIDTH_PX = 60
UNCHANGED = Drift()
GLINT = 1000.0  # a mirror-like reflection next to powder
IDEAL_LIGHT = 0.9  # of full scale: where a replayed file's brightest value lands


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one scan left: readings with the black ones among them, the gain used, and the climate meanwhile."""

    adc: NDArray[np.int32]
    gain: int
    climate: optics.Climate


def is_possible(configuration: Configuration) -> bool:
    """Say whether the firmware can make patterns for it; column scans only."""
    return (
        configuration.scan_type == COLUMN
        and MIN_NM <= configuration.start_nm < configuration.end_nm <= MAX_NM
        and 1 <= configuration.width_px <= MAX_WIDTH_PX
        and MIN_PATTERNS <= configuration.patterns <= MAX_PATTERNS
        and configuration.repeats >= 1
    )


def estimated_ms(configuration: Configuration) -> int:
    """Return the scan time that the firmware announces: set-up, lamp warm-up, gain-setting pass, and the frames."""
    blocks = configuration.patterns // PATTERNS_A_FRAME
    gain_pass_s = (blocks + 4) * FRAME_S
    return math.floor(300 + 625 + 150 + 100 + 1000 * (gain_pass_s + configuration.repeats * _pass_s(configuration)))


def pattern_nm(configuration: Configuration, pixel_to_nm: tuple[float, float, float]) -> NDArray[np.float64]:
    """Return the wavelength of each pattern: columns a constant step apart, cut to whole ones, centred."""
    c0, c1, c2 = pixel_to_nm
    first, last = (_column(nm, pixel_to_nm) for nm in (configuration.start_nm, configuration.end_nm))
    step = (last - first) / (configuration.patterns - 1)
    column = np.trunc(first + step * np.arange(configuration.patterns))
    if configuration.width_px % 2 == 0:
        column = column - 0.5
    return c0 + c1 * column + c2 * column * column


def scan(
    configuration: Configuration,
    view: View,
    pixel_to_nm: tuple[float, float, float],
    *,
    scans: int,
    seed: int,
    gain: int | None,
    lamp: float | None,
    ideal_floor: float | None,
    glint: bool = False,
    drift: Drift = UNCHANGED,
) -> Reading:
    """Return the readings of scan number `scans`, counted from 0.

    drift: of its own, only the lamp's; the view has the rest already.

    gain: None lets the gain-setting pass choose. lamp: None = switched on for this scan, else its output (0 = off,
    1 = warm). ideal_floor: None = the real thing; else the lowest absorbance that will ever come, for an instrument
    without noise, drift and weak ends, scaled so that nothing exceeds full scale.
    """
    nm = pattern_nm(configuration, pixel_to_nm)
    climate = optics.Climate.after(scans)
    climate = replace(climate, lamp_photodiode=round(climate.lamp_photodiode * drift.sensor))
    if ideal_floor is None:
        light = _real_light(nm, configuration, climate, scans, lamp)
        seen_nm = optics.drifted_nm(nm, climate.system_c)
    else:
        white = IDEAL_LIGHT * detector.FULL_SCALE * 10.0 ** min(ideal_floor, 0.0)
        light, seen_nm = np.full(len(nm), white * (1.0 if lamp is None else lamp)), nm
    signal = light * drift.light(nm) * 10.0 ** -view.at(seen_nm)
    if gain is None:
        # an ideal instrument is scaled to its file, so that nothing of it exceeds full scale at the largest gain
        gain = detector.auto_gain(float(signal.max())) if ideal_floor is None else detector.GAINS[-1]
    if glint:
        signal = signal * GLINT
    readings = np.zeros(configuration.readings)
    readings[np.arange(configuration.readings) % BLACK_PERIOD != FIRST_BLACK] = signal
    adc = detector.digitise(
        readings,
        gain=gain,
        repeats=configuration.repeats,
        detector_c=climate.detector_c,
        noise=np.random.default_rng([seed, 1, scans]) if ideal_floor is None else None,
    )
    return Reading(adc=adc, gain=gain, climate=climate)


def _real_light(
    nm: NDArray[np.float64], configuration: Configuration, climate: optics.Climate, scans: int, lamp: float | None
) -> NDArray[np.float64]:
    width = configuration.width_px / detector.REFERENCE_WIDTH_PX
    if lamp is None:
        # the lamp is lit for its warm-up, the gain-setting pass and the frames; repeats follow at a constant period
        before_s = 0.625 + (configuration.patterns // PATTERNS_A_FRAME + 4) * FRAME_S
        since_on_s = before_s + np.arange(len(nm)) / PATTERNS_A_FRAME * FRAME_S
        output = optics.lamp_ramp(since_on_s, period_s=_pass_s(configuration), repeats=configuration.repeats)
        output = output * optics.lamp_warmth(scans)
    else:
        output = np.full(len(nm), lamp)
    drift = optics.throughput_drift(nm, climate.system_c)
    return detector.WHITE_COUNTS * width * optics.light(nm) * drift * output


def _pass_s(configuration: Configuration) -> float:
    frames = configuration.patterns // PATTERNS_A_FRAME + 1
    return (frames + 3) * FRAME_S


def _column(nm: float, pixel_to_nm: tuple[float, float, float]) -> float:
    c0, c1, c2 = pixel_to_nm
    root = math.sqrt(c1 * c1 - 4 * c2 * (c0 - nm))
    columns = [(-c1 + sign * root) / (2 * c2) for sign in (1, -1)]
    return next(column for column in columns if 0 <= column < MIRROR_COLUMNS)
