"""How a Wasatch spectrometer gives spectra: one by one, fresh, awake, and in step with the requests for them.

A spectrum has no mark: one that comes late looks like the next one. So what was asked for is counted, what is owed is
let pass before anything new is asked, and after a loss each scan ends with a look whether one came too many.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drivers.attempt import attempt
from drivers.contract import Conversation, Drain, Receive
from drivers.devices._wasatch_message import Set, is_flat, readings_of, tell
from drivers.devices._wasatch_unit import STALE_FRAMES, WasatchUnit
from drivers.errors import DeviceRefused, Resynchronise, WireError

MAX_FLAT = 8  # a sensor that was asleep needs as many frames
ARM_FRAMES, ARM_ALLOWANCE_S, FIRST_ALLOWANCE_S = 8, 0.52, 10.0  # time limits of the maker's program
FX2_FRAMES, FX2_ALLOWANCE_S = 2, 1.0
LATE_ALLOWANCE_S = 1.0  # what one that is owed gets on top of its exposure, after its time limit
QUIET_MARGIN_S, QUIET_S = 0.1, 0.005
DOUBTFUL_SCANS = 10  # after a loss; one that is later than that is not known


def frame_within_s(unit: WasatchUnit) -> float:
    """Return how long a spectrum may take, by the maker's rule."""
    course = unit.course
    longest_s = max(course.integration_ms, course.before_ms) / 1000
    if not unit.board.is_arm:
        return FX2_FRAMES * longest_s + FX2_ALLOWANCE_S
    return ARM_FRAMES * longest_s + ARM_ALLOWANCE_S + (0.0 if course.has_asked else FIRST_ALLOWANCE_S)


def take_frame(unit: WasatchUnit) -> Conversation[bytes]:
    """Ask for one spectrum and return its bytes, once more after a fault. Raises WireError, NoAnswer."""
    course = unit.course

    def ask_frame() -> Conversation[bytes]:
        if course.owed:
            yield from let_pass(unit)
        within_s = frame_within_s(unit)
        course.owed = course.has_asked = True
        yield from tell(unit.board, Set.ACQUIRE)
        frame = b""
        for endpoint, framer in unit.pipes:
            frame += (yield Receive(framer=framer, within_s=within_s, endpoint=endpoint)) or b""
        course.owed = False
        return frame

    frame = yield from attempt(ask_frame, (Resynchronise,))
    course.before_ms = course.integration_ms
    course.since_c_s += course.integration_ms / 1000
    return frame


def let_pass(unit: WasatchUnit) -> Conversation[None]:
    """Receive and forget the spectrum that was asked for before, if it still comes."""
    course = unit.course
    within_s = max(course.integration_ms, course.before_ms) / 1000 + LATE_ALLOWANCE_S
    course.doubtful = DOUBTFUL_SCANS
    try:
        for endpoint, framer in unit.pipes:
            yield Receive(framer=framer, within_s=within_s, endpoint=endpoint)
    except Resynchronise:
        yield Drain()
    course.owed = False


def throw_away(unit: WasatchUnit) -> Conversation[None]:
    """Take the spectra that were begun before the last change."""
    course = unit.course
    while course.stale:
        yield from take_frame(unit)
        course.stale -= 1
        course.dropped += 1


def take_frames(unit: WasatchUnit, count: int) -> Conversation[list[bytes]]:
    """Take so many fresh spectra. Raises DeviceRefused when the sensor does not wake up, WireError when one is over."""
    course = unit.course
    frames: list[bytes] = []
    if course.doubtful and not course.owed:
        yield Drain(quiet_s=QUIET_S)
    for _ in range(MAX_FLAT + 1):
        yield from throw_away(unit)
        while len(frames) < count:
            frame = yield from take_frame(unit)
            if unit.board.is_arm and is_flat(readings_of(frame)):
                course.stale, course.dropped = STALE_FRAMES, course.dropped + 1  # the next one may be dim
                break
            frames.append(frame)
        else:
            if course.doubtful:
                yield from raise_unless_quiet(unit, course.integration_ms / 1000 + QUIET_MARGIN_S)
                course.doubtful -= 1
            return frames
    raise DeviceRefused(
        f"the sensor gave {MAX_FLAT + 1} flat spectra and does not wake up", hint="unplug the instrument for 10 s"
    )


def raise_unless_quiet(unit: WasatchUnit, within_s: float = QUIET_S) -> Conversation[None]:
    """Make sure that the spectra are those that were asked for. Raises WireError when one more comes within this time.

    After a fault it has to be as long as an exposure.
    """
    endpoint, framer = unit.pipes[-1]
    try:
        yield Receive(framer=framer, within_s=within_s, endpoint=endpoint)
    except Resynchronise:
        return
    raise WireError("one spectrum more came than was asked for: none of this scan can be trusted", hint="measure again")


def stacked(frames: list[bytes]) -> NDArray[np.int32]:
    """Return frames as (frames, pixels)."""
    return np.frombuffer(b"".join(frames), dtype="<u2").reshape(len(frames), -1).astype(np.int32)
