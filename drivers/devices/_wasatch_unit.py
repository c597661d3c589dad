"""A Wasatch spectrometer as it is known once it is open, and what it can be asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass

from drivers.contract import ExposureSettings, Limits, Settings, Unit
from drivers.devices._wasatch_laser import LaserPlan, plan_of
from drivers.devices._wasatch_memory import Memory
from drivers.devices._wasatch_message import FULL_SCALE, Board
from drivers.errors import BadSettings
from drivers.framing import Exactly

STALE_FRAMES = 1  # the first spectrum after a change was begun before it
MAX_REPEATS = 1_000  # of 4096 pixels: 16 MB
FRAME_OVERHEAD_S = 0.1  # [inferred] request, read-out and transfer of one frame
MAX_IMX_DB = 31.0  # analog; above it only the numbers grow
NO_WATCHDOG = "it has no watchdog, and would shine on if this program died"


@dataclass(slots=True)
class Course:
    """What has been said to a unit so far, since it cannot be asked; lives as long as its link.

    current: integration time and gain of the last `configure` that went well, None after one that did not.
    owed: a spectrum was asked for and has not come. stale: how many are to be thrown away before the next one counts,
    dropped: how many were. doubtful: for so many scans one that got lost may still turn up. asked_c, since_c_s: the
    detector's temperature, and how long has been exposed since it was asked for.
    """

    integration_ms: int
    before_ms: int
    gain: float | None
    current: tuple[int, float | None] | None = None
    watchdog_s: int = 0
    has_asked: bool = False
    owed: bool = False
    stale: int = STALE_FRAMES
    dropped: int = 0
    doubtful: int = 0
    adc_selected: bool = False
    asked_c: float | None = None
    since_c_s: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class WasatchUnit(Unit):
    """pipes: where the parts of a spectrum come, in order."""

    board: Board
    memory: Memory
    pipes: tuple[tuple[int, Exactly], ...]
    warning_delay_s: float
    course: Course


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Settings that were found possible. gain: to be sent now, None leaves it. laser None: stays off."""

    ms: int
    repeats: int
    gain: float | None
    set_point_c: float | None
    laser: LaserPlan | None


def exposure_of(unit: WasatchUnit, settings: Settings) -> Exposure:
    """Return settings that this unit can do. Raises BadSettings with value and limits."""
    name, limits = unit.identity.model, unit.limits
    assert limits is not None
    if not isinstance(settings, ExposureSettings):
        raise BadSettings(f"a {name} exposes a detector array", hint="use integration_ms and repeats")
    if not 1 <= settings.repeats <= MAX_REPEATS:
        raise BadSettings(f"repeats {settings.repeats}; a {name} does 1 to {MAX_REPEATS}")
    low_ms, high_ms = limits.integration_ms
    if not low_ms <= settings.integration_ms <= high_ms:
        raise BadSettings(f"integration_ms {settings.integration_ms:g}; this {name} does {low_ms:g} to {high_ms:g}")
    ms = min(max(round(settings.integration_ms), math.ceil(low_ms)), math.floor(high_ms))
    return Exposure(
        ms=ms,
        repeats=settings.repeats,
        gain=gain_of(unit, settings.gain),
        set_point_c=set_point_of(unit, settings.detector_c),
        laser=laser_of(unit, settings, ms),
    )


def gain_of(unit: WasatchUnit, factor: float | None) -> float | None:
    """Return the gain as the unit has it. Raises BadSettings."""
    if factor is None or unit.limits is None:
        return unit.memory.gain
    if unit.limits.gain is None:
        raise BadSettings(f"the gain of a {unit.identity.model} is a trim of its maker", hint="leave gain unset")
    low, high = unit.limits.gain
    if not low <= factor <= high:
        raise BadSettings(f"gain {factor:g}; a {unit.identity.model} does {low:g} to {high:.4g}")
    return round(20 * math.log10(factor), 1)


def set_point_of(unit: WasatchUnit, detector_c: float | None) -> float | None:
    """Return the temperature to cool to: as asked, else as stored. Raises BadSettings."""
    if detector_c is None:
        return unit.memory.set_point_c
    if unit.memory.cooler_c is None:
        raise BadSettings(f"this {unit.identity.model} has no cooler to set", hint="leave detector_c unset")
    low, high = unit.memory.cooler_c
    if not low <= detector_c <= high:
        raise BadSettings(f"detector_c {detector_c:g}; this {unit.identity.model} does {low} to {high}")
    return detector_c


def laser_of(unit: WasatchUnit, settings: ExposureSettings, ms: int) -> LaserPlan | None:
    """Return how the laser is to be used. Raises BadSettings also where it must not be."""
    if settings.laser_mw is None:
        return None
    laser = unit.memory.laser
    if laser is None:
        why = unit.memory.no_laser
        raise BadSettings(f"laser_mw {settings.laser_mw:g}: the laser of this {unit.identity.model} is not used: {why}")
    if not unit.board.has_watchdog:
        raise BadSettings(
            f"laser_mw {settings.laser_mw:g}: the laser of this {unit.identity.model} is not used: {NO_WATCHDOG}",
            hint="switch the laser on by hand, or use an XS",
        )
    frames_s = (settings.repeats + STALE_FRAMES) * (2 * ms / 1000 + FRAME_OVERHEAD_S)
    return plan_of(laser, settings.laser_mw, warning_delay_s=unit.warning_delay_s, frames_s=frames_s)


def limits_of(board: Board, memory: Memory) -> Limits:
    """Return what the unit can be asked for."""
    low_ms, high_ms = memory.integration_ms
    laser = memory.laser if board.has_watchdog else None
    return Limits(
        integration_ms=(float(low_ms), float(high_ms)),
        saturation_counts=FULL_SCALE,
        laser_mw=(laser.min_mw, laser.max_mw) if laser else None,
        gain=(1.0, 10 ** (MAX_IMX_DB / 20)) if "IMX" in memory.detector.upper() else None,
    )


def notes_of(board: Board, memory: Memory) -> tuple[str, ...]:
    """Return what a human should know of this unit."""
    if memory.laser is not None and not board.has_watchdog:
        return (*memory.notes, f"the laser is not used: {NO_WATCHDOG}")
    return memory.notes


def factor_of(unit: WasatchUnit, gain: float | None) -> float:
    """Return the gain as a factor: of dB where the detector has dB."""
    in_db = unit.limits is not None and unit.limits.gain is not None
    return 1.0 if gain is None else 10 ** (gain / 20) if in_db else gain
