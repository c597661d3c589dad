"""The laser of a Ventana-785L: light source 0 of module 0. Off is told, and read back, or it is an alarm.

0x810031 -> module, source, u8 enable           0x810021 -> module, source   <- u8
0x810051 -> module, source, f32 intensity 0..1  0x810041 -> module, source   <- f32
Source: libseabreeze, OBPLightSource*; the other Ventanas have no light source and refuse these messages.
"""

from __future__ import annotations

import struct

from drivers.attempt import attempt
from drivers.contract import Conversation, Drain, Wait
from drivers.devices._obp_talk import Talk, is_absent
from drivers.errors import (
    DeviceRefused,
    DriverError,
    InterlockOpen,
    Interrupted,
    LaserAlarm,
    LinkLost,
    NoAnswer,
)

GET_ENABLED, SET_ENABLED, GET_INTENSITY, SET_INTENSITY = 0x810021, 0x810031, 0x810041, 0x810051
SOURCE = b"\0\0"
OFF, ON = SOURCE + b"\0", SOURCE + b"\1"
ENABLED, INTENSITY = struct.Struct("<B"), struct.Struct("<f")

FULL_MW = 100.0  # [inferred] the sheets name no power; intensity is a fraction of this
LEAST_MW = 1.0  # [inferred] a diode laser near its threshold is neither stable nor monochromatic
WARM_UP_S = 1.0  # [inferred] until the diode's temperature has come to rest
LASER_MW = (LEAST_MW, FULL_MW)
OFF_TRIES = 3
PAUSE_S = 0.1
STEP = 1e-3  # an intensity read back may be lower by this much of full power, and never higher


def switch_off(talk: Talk, *, busy_s: float = 0.0) -> Conversation[bool]:
    """Switch the laser off and see that it is; return whether there is one. The instrument may be busy for so long.

    Raises LaserAlarm when it does not say so in several tries, LinkLost when nobody can be asked any more, and
    Interrupted, but off it is also then.
    """
    try:
        return (yield from _see_it_off(talk, busy_s))
    except Interrupted:  # which comes once only
        yield from _see_it_off(talk, busy_s)
        raise


def tell_off(talk: Talk) -> Conversation[bool]:
    """Tell the laser once to be off, on a line that does not tell the model; return whether there is one.

    Who is busy does it when it comes to it. `switch_off` sees that it is so.
    """
    try:
        yield from talk.command(SET_ENABLED, OFF)
    except DeviceRefused as refused:
        if is_absent(refused):
            return False
        raise
    return True


def switch_off_unknown(talk: Talk, *, busy_s: float = 0.0) -> Conversation[bool]:
    """Switch the laser off on a line that does not tell whether there is one; return that.

    Raises NoAnswer after one try: most who are silent have none, and who is busy does it when it comes to it. Whoever
    gives another answer may be a Ventana, and is told on as `switch_off` does.
    """
    try:
        has_laser = yield from tell_off(talk)
    except (NoAnswer, LinkLost):
        raise
    except DriverError:
        yield Drain()
        try:
            return (yield from switch_off(talk, busy_s=busy_s))
        except LaserAlarm as alarm:
            hint = "if it has a laser, cut its power: nobody knows whether it is off"
            raise LaserAlarm(alarm.message, hint=hint) from alarm
    return has_laser and (yield from switch_off(talk, busy_s=busy_s))


def switch_on(talk: Talk, laser_mw: float) -> Conversation[None]:
    """Set the power, then switch on, then wait until it is steady. The caller switches off whatever this raises."""
    intensity = at_most(laser_mw / FULL_MW)
    yield from attempt(lambda: talk.command(SET_INTENSITY, SOURCE + intensity))
    told = yield from attempt(lambda: talk.number(GET_INTENSITY, INTENSITY, SOURCE))
    if not -STEP <= told - laser_mw / FULL_MW <= 0.0:
        raise DeviceRefused(
            f"the laser was set to {laser_mw / FULL_MW:.3f} of its power and says {told:.3f}", codes={"laser_power": 1}
        )
    yield from attempt(lambda: talk.command(SET_ENABLED, ON))
    yield Wait(seconds=WARM_UP_S)
    yield from raise_unless_on(talk)


def at_most(share: float) -> bytes:
    """Return the f32 nearest to `share` from below: rounding up would be more light than is allowed."""
    packed = INTENSITY.pack(share)
    if INTENSITY.unpack(packed)[0] <= share:
        return packed
    return (int.from_bytes(packed, "little") - 1).to_bytes(INTENSITY.size, "little")  # the next smaller one


def raise_unless_on(talk: Talk) -> Conversation[None]:
    """Raise InterlockOpen when the laser is not on."""
    enabled = yield from attempt(lambda: talk.number(GET_ENABLED, ENABLED, SOURCE))
    if enabled != 1:
        raise InterlockOpen(
            "the laser did not come on, or did not stay on",
            hint="check its interlock, key and power supply",
            codes={"laser_off": 1},
        )


def _see_it_off(talk: Talk, busy_s: float) -> Conversation[bool]:
    fault: DriverError | None = None
    for _ in range(OFF_TRIES):
        try:
            yield from talk.command(SET_ENABLED, OFF, busy_s=busy_s)
            if not (yield from talk.number(GET_ENABLED, ENABLED, SOURCE)):
                return True
        except DeviceRefused as refused:
            if is_absent(refused):
                return False
            fault = refused
        except LinkLost:
            raise
        except DriverError as error:  # whatever its cure is: a laser that may be on comes first
            fault = error
        yield Wait(seconds=PAUSE_S)
        yield Drain()
    why = fault.message if fault else "it says that it is on"
    raise LaserAlarm(
        f"the laser was told {OFF_TRIES} times to be off: {why}", hint="cut its power: nobody knows whether it is off"
    ) from fault
