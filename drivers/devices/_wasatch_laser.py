"""The laser of a Wasatch spectrometer: how it is planned, switched on, watched, and switched off.

It is used on ARM boards only: they have a watchdog that switches it off when nobody does. After a process was killed
light may come out for as long as the watchdog was set to, and not longer. Power is set before the laser is enabled, by
the share of each millisecond in which it is on, and read back. "Enabled" is not "firing": the unit warns first, and may
refuse. Why FX2 boards are refused: docs/decisions/0007-no-laser-without-a-watchdog.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from drivers.attempt import attempt
from drivers.contract import Conversation, Wait
from drivers.devices._wasatch_memory import LaserFacts
from drivers.devices._wasatch_message import (
    LONG_BYTES,
    Board,
    Get,
    Get2,
    Set,
    Set2,
    ask,
    ask2,
    ask_firing,
    ask_flag,
    tell,
    tell2,
)
from drivers.errors import (
    AskAgain,
    BadSettings,
    DeviceRefused,
    DriverError,
    InterlockOpen,
    Interrupted,
    LaserAlarm,
    Resynchronise,
)

PERIOD_US = 1_000  # what the maker calibrates the power with
MODULATION_BYTES = 5  # 40 bits
OFF_PAUSES_S = (0.05, 0.25, 0.5)  # three tries; a unit that was just plugged in may need the time
WARNING_DELAY_S = 3.0  # as made; blinks before there is light
MAX_WARNING_DELAY_S = 60
POLL_S = 0.1  # a tenth of what the unit stands
ENABLED_WITHIN_S = 1.0  # after the warning delay; [inferred] until then the flag may still say no
FIRING_PATIENCE_S = 5.0  # after the warning delay
WATCHDOG_MARGIN_S = 2.0
MAX_WATCHDOG_S = 180  # no sample is worth a laser that shines on for longer with nobody there
INTERLOCK_HINT = "close the lid, turn the key, plug the interlock in; then measure again"


@dataclass(frozen=True, slots=True, kw_only=True)
class LaserPlan:
    """One use of the laser. width_us None: all of the time, without modulation."""

    power_mw: float
    width_us: int | None
    warning_delay_s: float
    warm_up_s: float
    watchdog_s: int


def plan_of(laser: LaserFacts, power_mw: float, *, warning_delay_s: float, frames_s: float) -> LaserPlan:
    """Return how to get this power for frames that take so long. Raises BadSettings with value and limits.

    The width is rounded down: never more than was asked for.
    """
    if not laser.min_mw <= power_mw <= laser.max_mw or power_mw <= 0:
        raise BadSettings(f"laser_mw {power_mw:g}; this laser does {laser.min_mw:g} to {laser.max_mw:g}")
    percent = laser.percent_at(min(power_mw, laser.max_mw))
    width_us = math.floor(percent * PERIOD_US / 100)
    if width_us < 1:
        raise BadSettings(f"laser_mw {power_mw:g} is less than this laser can be turned down to")
    needed_s = warning_delay_s + laser.warm_up_s + FIRING_PATIENCE_S + frames_s + WATCHDOG_MARGIN_S
    if needed_s > MAX_WATCHDOG_S:
        raise BadSettings(
            f"the laser would be on for up to {needed_s:.0f} s in one scan; at most {MAX_WATCHDOG_S} s are allowed",
            hint="expose for less time, or with fewer repeats",
        )
    return LaserPlan(
        power_mw=power_mw,
        width_us=None if width_us >= PERIOD_US else width_us,
        warning_delay_s=warning_delay_s,
        warm_up_s=float(laser.warm_up_s),
        watchdog_s=math.ceil(needed_s),
    )


def switch_off(board: Board, *, used: bool) -> Conversation[None]:
    """Laser off, and read back that it is. Raises LaserAlarm when it does not say so after three tries.

    used: we switched it on, so that a unit that does not answer is an alarm as well, and light itself is asked for. An
    interrupt does not keep it from being done.
    """
    try:
        yield from tell_off(board, used=used)
    except Interrupted:
        yield from tell_off(board, used=used)
        raise


def tell_off(board: Board, *, used: bool) -> Conversation[None]:
    """The same, unless interrupted."""
    fault: DriverError | None = None
    for pause_s in OFF_PAUSES_S:
        try:
            yield from tell(board, Set.LASER, 0)
            enabled = yield from ask_flag(Get.LASER, 1)
            if not enabled and not (used and board.is_arm and (yield from ask_firing())):
                return
            fault = None
        except (AskAgain, Resynchronise) as error:
            fault = error
        yield Wait(seconds=pause_s)
    if fault is not None and not used:
        raise fault
    told = f"the last answer was: {fault.message}" if fault else "it says that it is on"
    raise LaserAlarm(
        f"the laser was told {len(OFF_PAUSES_S)} times to be off; {told}",
        hint="do not look into the probe; cut the power of the spectrometer",
    ) from fault


def silence(board: Board, *, used: bool = False) -> Conversation[None]:
    """Laser off first of all, then without modulation."""
    yield from switch_off(board, used=used)
    yield from attempt(lambda: tell(board, Set.MODULATION, 0))


def ask_warning_delay_s() -> Conversation[float]:
    """Ask how long the unit warns before there is light; the maker's value where its firmware cannot tell."""
    try:
        seconds = (yield from ask(Get.WARNING_DELAY, LONG_BYTES, least=1))[0]
    except DeviceRefused:
        return WARNING_DELAY_S
    return float(seconds) if seconds <= MAX_WARNING_DELAY_S else WARNING_DELAY_S


def set_watchdog(seconds: int) -> Conversation[None]:
    """Set the unit's own watchdog and read it back. Raises BadSettings where it does not take it."""
    yield from attempt(lambda: tell2(Set2.WATCHDOG, seconds))
    answer = yield from attempt(lambda: ask2(Get2.WATCHDOG, least=2))
    told_s = int.from_bytes(answer, "big")
    if told_s != seconds:
        raise BadSettings(
            f"the watchdog of the laser was set to {seconds} s and says {told_s} s",
            hint="without its watchdog the laser is not used; measure without laser_mw",
        )


def with_light(
    board: Board, plan: LaserPlan, work: Callable[[], Conversation[list[bytes]]]
) -> Conversation[list[bytes]]:
    """Hold the conversation that `work` begins while the laser fires, and switch it off whatever happens.

    Raises InterlockOpen, DeviceRefused when it did not fire or not all the time, LaserAlarm when it does not go off.
    """
    try:
        yield from switch_on(board, plan)
        frames = yield from work()
        yield from raise_unless_firing(plan, "during the scan")
    except (DriverError, Interrupted):
        yield from switch_off(board, used=True)
        raise
    yield from switch_off(board, used=True)
    return frames


def switch_on(board: Board, plan: LaserPlan) -> Conversation[None]:
    """Set the power, enable, and wait until it fires and is warm."""
    yield from raise_if_interlock_open()
    yield from set_power(board, plan.width_us)
    yield from tell(board, Set.LASER, 1)
    limit_s = plan.warning_delay_s + plan.warm_up_s + FIRING_PATIENCE_S
    for poll in range(math.ceil(limit_s / POLL_S)):
        yield Wait(seconds=POLL_S)
        if (yield from ask_firing()):
            yield Wait(seconds=plan.warm_up_s)
            return
        yield from raise_if_interlock_open()
        if (poll + 1) * POLL_S >= plan.warning_delay_s + ENABLED_WITHIN_S and not (yield from ask_flag(Get.LASER, 1)):
            raise DeviceRefused(
                "the instrument refused to enable its laser",
                hint="look for a fault light on the instrument",
                codes={"laser": 0},
            )
    raise DeviceRefused(
        f"the laser is enabled but gives no light after {limit_s:.0f} s",
        hint="it may be defective",
        codes={"firing": 0},
    )


def set_power(board: Board, width_us: int | None) -> Conversation[None]:
    """Set the power and read it back, for what would be wrong here would be light. Raises DeviceRefused."""
    if width_us is not None:
        yield from tell(board, Set.MODULATION_PERIOD, PERIOD_US)
        yield from tell(board, Set.MODULATION_WIDTH, width_us)
        for name, request, wanted in (
            ("period", Get.MODULATION_PERIOD, PERIOD_US),
            ("width", Get.MODULATION_WIDTH, width_us),
        ):
            answer = yield from ask(request, LONG_BYTES, least=MODULATION_BYTES)
            raise_unless_as_set(f"the {name} of its pulses", int.from_bytes(answer, "little"), wanted)
    modulated = width_us is not None
    yield from tell(board, Set.MODULATION, int(modulated))
    raise_unless_as_set("its modulation", int((yield from ask_flag(Get.MODULATION, LONG_BYTES))), int(modulated))


def raise_unless_as_set(what: str, told: int, wanted: int) -> None:
    """Raise DeviceRefused when the unit would not give the power asked for."""
    if told != wanted:
        raise DeviceRefused(
            f"the laser was not switched on: {what} was set to {wanted} and reads {told}", codes={"power": told}
        )


def raise_if_interlock_open() -> Conversation[None]:
    """Raise InterlockOpen at once when the laser may not fire."""
    if not (yield from ask_flag(Get.MAY_FIRE, LONG_BYTES)):
        raise_interlock("the laser may not fire: its interlock is open")


def raise_unless_firing(plan: LaserPlan, when: str) -> Conversation[None]:
    """Raise what made the laser go off by itself: its interlock, or its watchdog."""
    if (yield from ask_flag(Get.LASER, 1)) and (yield from ask_firing()):
        return
    if not (yield from ask_flag(Get.MAY_FIRE, LONG_BYTES)):
        raise_interlock(f"the laser went off {when}: its interlock was opened")
    raise DeviceRefused(
        f"the laser went off {when}: its watchdog of {plan.watchdog_s} s ran out",
        hint="the scan is thrown away; measure again",
        codes={"watchdog": plan.watchdog_s},
    )


def raise_interlock(message: str) -> NoReturn:
    """Raise InterlockOpen."""
    raise InterlockOpen(message, hint=INTERLOCK_HINT, codes={"interlock": 0})
