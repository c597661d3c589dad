"""Ocean Binary Protocol: STS, Spark, QE Pro, Ventana, Ocean FX and HDX, on USB, TCP and RS-232 (8N1, 9600 to 115200).

The frame is drawn in `_obp_message`, models are in `_obp_models`, the laser in `_obp_laser`. Messages, sent (->) and
answered (<-), a command being answered with an acknowledgement:

    0x000100 <- serial number, text          0x110110 -> u8 trigger, 0 at once     0x120010 -> u16 scans to average
    0x110010 -> u32 integration, us          0x110290 -> u8 binning, 0 none        0x121010 -> u8 boxcar half-width
    0x110000 <- u32 the same; 1, 2: limits   0x110510 -> u32 trigger delay, us     0x000810 -> u32 baud
    0x101100 <- u16 a pixel, raw             0x101000 <- u16 a pixel, corrected (FX and HDX have this one only)
    0x100928 <- 32 bytes, u32 a pixel (QE Pro); 0x100830 -> clears its buffer, 0x100832 -> u32 spectra that it keeps
    0x180100 <- u8 count, 0x180101 -> u8 index <- f32: wavelength; 0x1811.. non-linearity and 0x1831.. stray light alike
    0x400001 -> u8 sensor <- f32 C           0x420004 <- f32 C of a cooled detector, 0x420003 <- u8 stable
    0x420010 -> u8 cooler on, 0x420011 -> f32 its set point, C

Metadata of a QE Pro: CC x4 count | TT x8 clock, us | II x4 integration, us | 2 reserved | M trigger | 13 reserved

On USB the product id tells the model. Elsewhere the instrument is asked for it, which only the newer ones answer, and
then by the length of a spectrum; the serial number's prefix is no rule. The lamp line (0x110410) is left as it is: it
belongs to whoever wired a lamp to it. Source: STS sheet 030-00000-003-05, QE Pro sheet 891-00000-000-05, libseabreeze.
"""

from __future__ import annotations

import contextlib
import struct
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drivers.attempt import Faults, attempt
from drivers.clock import Clock, SystemClock
from drivers.contract import (
    Conversation,
    Drain,
    Environment,
    ExposureSettings,
    Medium,
    RawScan,
    Receive,
    Settings,
    UsbIds,
    Wait,
)
from drivers.devices._obp_laser import (
    LASER_MW,
    raise_unless_on,
    switch_off,
    switch_off_unknown,
    switch_on,
)
from drivers.devices._obp_line import SLOWEST_BAUD, find_serial, find_socket, find_usb
from drivers.devices._obp_memory import (
    F32,
    GET_INTEGRATION,
    SET_INTEGRATION,
    U8,
    U16,
    U32,
    Conditions,
    Exposure,
    ObpUnit,
    exposure_left_s,
    introduce,
)
from drivers.devices._obp_message import HEAD
from drivers.devices._obp_models import MODELS, OCEAN, Model
from drivers.devices._obp_talk import EXPOSURE_LEFT_S, Line, Talk, if_there, is_number, numbers
from drivers.errors import (
    AskAgain,
    BadSettings,
    DeviceRefused,
    DriverError,
    Interrupted,
    Reopen,
    Resynchronise,
    WireError,
)

# Facts
KIND = "obp"
SET_TRIGGER, SET_DELAY, SET_BINNING, SET_AVERAGES, SET_BOXCAR = 0x110110, 0x110510, 0x110290, 0x120010, 0x121010
CLEAR_BUFFER, SET_BUFFER = 0x100830, 0x100832
GET_TEMPERATURE, GET_STABLE, GET_COOLED = 0x400001, 0x420003, 0x420004
SET_COOLER, SET_COLD = 0x420010, 0x420011
DETECTOR_SENSOR = b"\0"  # [inferred] the first sensor is the detector's

FRAME_WITHIN_S = 1.0  # beside integration and transfer
REPEATS = (1, 1_000)
LONGEST_S = 3_600.0  # of a scan, all its frames together
COLD_C = (-40.0, 30.0)  # what a Peltier element reaches below a warm room, and a warm room
COOL_WITHIN_S = 30.0  # then the scan says that it has not settled
COOL_POLL_S = 0.5
STEP_US = 10  # the coarsest step in which a model of this family sets its integration time
STALE_FRAMES = 1  # after a change of settings the frame under way is still of the former ones
TEMPERATURE_C = (-100.0, 150.0)  # outside, a sensor is broken

USB = UsbIds(ids=tuple((OCEAN, model.product_id) for model in MODELS))
WORDS: dict[int, np.dtype[np.unsignedinteger]] = {2: np.dtype("<u2"), 4: np.dtype("<u4")}
COUNT = np.dtype(np.int32)
METADATA = struct.Struct("<IQIHB13x")
NORMAL = (  # what a former user may have left otherwise; not every model knows all of it
    (SET_TRIGGER, U8.pack(0)),
    (SET_AVERAGES, U16.pack(1)),
    (SET_BOXCAR, U8.pack(0)),
)
TIDY = ((SET_DELAY, U32.pack(0)), (SET_BINNING, U8.pack(0)))  # the same, but if it is refused a frame shows it
FRESH = ((SET_BUFFER, U32.pack(1)), (CLEAR_BUFFER, b""))  # of a model that counts its frames: an old one shows it


class SpectrumFrame(NamedTuple):  # one a spectrum: a frozen dataclass takes three times as long to make
    """One spectrum as transferred. number and ticks_us: the instrument's own, None where it does not tell."""

    message: bytes
    pixels: NDArray[np.int32]
    number: int | None = None
    ticks_us: int | None = None


# Layouts


def spectrum_from(message: bytes, model: Model, integration_us: int) -> SpectrumFrame:
    """Understand the answer to a request for a spectrum. Raises WireError."""
    size = len(message) - HEAD.size - 20
    if size != model.payload_bytes:
        raise WireError(f"a spectrum of {size} bytes, expected {model.payload_bytes}", received=message)
    words = np.frombuffer(message, WORDS[model.word_bytes], model.pixels, HEAD.size + model.metadata_bytes)
    if (brightest := np.maximum.reduce(words)) > model.full_scale:
        raise WireError(f"a count of {brightest}, a {model.name} has at most {model.full_scale}", received=message)
    pixels = words.astype(COUNT)
    if not model.metadata_bytes:
        return SpectrumFrame(message, pixels)
    number, ticks_us, told_us, _, trigger = METADATA.unpack_from(message, HEAD.size)
    if abs(told_us - integration_us) > STEP_US or trigger:
        raise WireError(
            f"a frame of {told_us} us and trigger mode {trigger}, expected {integration_us} us and 0: it is stale",
            received=message,
        )
    return SpectrumFrame(message, pixels, number, ticks_us)


def exposure_from(unit: ObpUnit, settings: Settings) -> Exposure:
    """Return settings that the unit can do. Raises BadSettings."""
    possible = unit.possible
    if possible.exposure is None or possible.settings is not settings:
        possible.exposure, possible.settings = work_out(unit, settings), settings
    return possible.exposure


def work_out(unit: ObpUnit, settings: Settings) -> Exposure:
    """Return the settings in the instrument's terms. Raises BadSettings."""
    if not isinstance(settings, ExposureSettings):
        raise BadSettings("an array spectrometer takes an exposure", hint="set integration_ms and repeats")
    limits, problems = unit.limits, []
    assert limits is not None
    low_ms, high_ms = limits.integration_ms
    if not low_ms <= settings.integration_ms <= high_ms:  # NaN is outside as well
        problems.append(f"integration_ms {settings.integration_ms:g} ({low_ms:g} to {high_ms:g})")
    if not REPEATS[0] <= settings.repeats <= REPEATS[1]:
        problems.append(f"repeats {settings.repeats} ({REPEATS[0]} to {REPEATS[1]})")
    if not problems and (takes_s := settings.integration_ms * settings.repeats / 1000) > LONGEST_S:
        problems.append(f"a scan of {takes_s:.0f} s (at most {LONGEST_S:g} s)")
    if settings.gain is not None:
        problems.append(f"gain {settings.gain:g} (it has none that can be set)")
    if settings.laser_mw is not None:
        low_mw, high_mw = limits.laser_mw or (0.0, 0.0)
        if limits.laser_mw is None:
            problems.append(f"laser_mw {settings.laser_mw:g} (it has no laser)")
        elif not low_mw <= settings.laser_mw <= high_mw:
            problems.append(f"laser_mw {settings.laser_mw:g} ({low_mw:g} to {high_mw:g})")
        elif not settings.laser_unattended:
            problems.append(
                f"laser_mw {settings.laser_mw:g} (this laser has no watchdog: it stays on when edged is killed;"
                " set laser_unattended where that is safe)"
            )
    if settings.detector_c is not None:
        if not unit.model.cooled:
            problems.append(f"detector_c {settings.detector_c:g} (its detector is not cooled)")
        elif not COLD_C[0] <= settings.detector_c <= COLD_C[1]:
            problems.append(f"detector_c {settings.detector_c:g} ({COLD_C[0]:g} to {COLD_C[1]:g})")
    if problems:
        raise BadSettings(f"settings outside what this {unit.identity.model} can do: {'; '.join(problems)}")
    integration_us = round(settings.integration_ms * 1000)
    answer = unit.talk.answer(unit.model.payload_bytes, integration_us / 1e6 + FRAME_WITHIN_S)
    return Exposure(asked=settings, us=integration_us, answer=answer)


def stacked(frames: list[SpectrumFrame]) -> NDArray[np.int32]:
    """Return one row a frame."""
    return np.stack([frame.pixels for frame in frames])


# Conversations


def apply_settings(unit: ObpUnit, exposure: Exposure) -> Conversation[None]:
    """Send all that matters to a frame, also what should be so already. Raises Reopen if the time did not take."""
    talk, settings = unit.talk, exposure.asked
    for message_type, data in NORMAL:
        yield from if_there(told(talk, message_type, data))
    yield from talk.command(SET_INTEGRATION, U32.pack(exposure.us))
    for message_type, data in (*TIDY, *(FRESH if unit.model.metadata_bytes else ())):
        with contextlib.suppress(DeviceRefused):
            yield from talk.command(message_type, data)
    if settings.detector_c is not None:
        yield from talk.command(SET_COLD, F32.pack(settings.detector_c))
        yield from talk.command(SET_COOLER, U8.pack(1))
    yield from raise_unless_at(unit, exposure.us)


def told(talk: Talk, message_type: int, data: bytes) -> Conversation[bytes]:
    """Send a command that not every unit has, for `if_there`."""
    yield from talk.command(message_type, data)
    return b""


def raise_unless_at(unit: ObpUnit, integration_us: int) -> Conversation[None]:
    """Raise Reopen when the instrument has another integration time: it restarted, and forgot all settings."""
    if not unit.tells_integration:
        return
    told_us = yield from unit.talk.number(GET_INTEGRATION, U32)
    if abs(told_us - integration_us) > STEP_US:
        raise Reopen(
            f"the instrument is at {told_us:.0f} us instead of {integration_us} us",
            hint="it may have restarted; it is opened and configured anew",
        )
    if unit.talk.line.inward is not None:  # on USB it would leave the bus, or break off what it says
        unit.at_exposure.keep(None)


def take_frames(
    unit: ObpUnit, exposure: Exposure, count: int, *, answer: Receive | None = None
) -> Conversation[list[SpectrumFrame]]:
    """Take so many frames; after a fault each is asked for as often as the session's patience allows.

    answer: in place of the usual step that receives a spectrum. Raises WireError for a frame that came before, where
    they are counted.
    """
    model, newest, faults = unit.model, unit.newest, None
    frames: list[SpectrumFrame] = []

    def keep(message: bytes) -> bool:
        nonlocal faults
        frame = spectrum_from(message, model, exposure.us)
        if frame.number is not None and frame.ticks_us is not None:
            if frame.number <= newest.count or frame.ticks_us <= newest.ticks_us:
                raise WireError(f"spectrum {frame.number} after {newest.count}: it is stale", received=message)
            newest.count, newest.ticks_us = frame.number, frame.ticks_us
        frames.append(frame)
        faults = None
        return len(frames) < count

    while len(frames) < count:
        try:
            yield from unit.talk.frames(model.spectrum, answer or exposure.answer, keep)
        except (AskAgain, Resynchronise) as error:
            unit.at_exposure.forget()
            faults = faults or Faults()
            yield faults.recover(error)
    return frames


def discard(unit: ObpUnit, exposure: Exposure, left_s: float) -> Conversation[None]:
    """Throw away what was under way when the settings changed; a QE Pro tells by its metadata that it was."""
    patient = replace(exposure.answer, within_s=exposure.answer.within_s + left_s)
    for _ in range(STALE_FRAMES):
        try:
            yield from take_frames(unit, exposure, 1, answer=patient)
        except WireError:
            if not unit.model.metadata_bytes:
                raise


def take_lit_frames(unit: ObpUnit, exposure: Exposure, laser_mw: float) -> Conversation[list[SpectrumFrame]]:
    """Take frames with the laser on. It is off afterwards, whatever happens: an exposure under way is waited for."""
    try:
        yield from switch_on(unit.talk, laser_mw)
        yield from take_frames(unit, exposure, STALE_FRAMES)
        frames = yield from take_frames(unit, exposure, exposure.asked.repeats)
        yield from raise_unless_on(unit.talk)
    except (DriverError, Interrupted):
        yield from switch_off(unit.talk, busy_s=exposure.us / 1e6)
        raise
    yield from switch_off(unit.talk)
    return frames


def await_cold(talk: Talk) -> Conversation[None]:
    """Give the cooler time; a scan says whether it was enough."""
    for _ in range(round(COOL_WITHIN_S / COOL_POLL_S)):
        if (yield from is_stable(talk)):
            return
        yield Wait(seconds=COOL_POLL_S)


def is_stable(talk: Talk) -> Conversation[bool]:
    """Ask whether the cooler is at its set point."""
    return (yield from attempt(lambda: talk.number(GET_STABLE, U8))) == 1


def look_at_detector(unit: ObpUnit, exposure: Exposure) -> Conversation[None]:
    """Ask how warm the detector is, and whether its cooler is where it was told to be."""
    environment = yield from measure_conditions(unit)
    cooled = unit.model.cooled and exposure.asked.detector_c is not None
    settled = (yield from is_stable(unit.talk)) if cooled else True
    unit.conditions.keep(Conditions(environment, settled))


def measure_conditions(unit: ObpUnit) -> Conversation[Environment]:
    """Ask for the detector's temperature, None where it does not tell."""
    message_type, sensor = (GET_COOLED, b"") if unit.model.cooled else (GET_TEMPERATURE, DETECTOR_SENSOR)
    answer = yield from attempt(lambda: if_there(unit.talk.query(message_type, sensor)))
    if answer is None or len(answer) != F32.size:
        return Environment()
    (detector_c,) = F32.unpack(answer)
    return Environment(detector_c=detector_c if is_number(detector_c, *TEMPERATURE_C) else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObpDevice:
    """The family on one medium. Holds no state: what a session learns is in its unit."""

    kind: str = KIND
    title: str = "Ocean STS, Spark, QE Pro, Ventana, FX, HDX (OBP)"
    links: tuple[Medium, ...] = ("serial", "usb", "tcp")
    usb: UsbIds | None = USB
    default_settings: Settings = field(default_factory=ExposureSettings)
    medium: Medium = "serial"
    clock: Clock = field(default_factory=SystemClock)

    def over(self, medium: Medium) -> ObpDevice:
        """Return the family on this medium."""
        return replace(self, medium=medium)

    def open(self) -> Conversation[ObpUnit]:
        """Laser off before anything else that could fail; drain; who it is and what it stores.

        On a line it is told to whoever listens, and seen to be off as soon as somebody answers.
        """
        if self.medium == "usb":
            return (yield from self._open_usb())
        regarding = numbers()
        if self.medium == "serial":
            talk = yield from attempt(lambda: find_serial(regarding), (Resynchronise,))
        else:
            talk = yield from attempt(lambda: find_socket(regarding))
        has_laser = yield from attempt(lambda: switch_off_unknown(talk, busy_s=EXPOSURE_LEFT_S), (Resynchronise,))
        laser_mw = LASER_MW if has_laser else None
        return (yield from introduce(KIND, talk, None, laser_mw=laser_mw, clock=self.clock))

    def configure(self, unit: ObpUnit, settings: Settings) -> Conversation[None]:
        """Make the settings current and throw the first frame away. Raises BadSettings before anything is sent."""
        exposure = exposure_from(unit, settings)
        unit.conditions.forget()
        left_s = yield from exposure_left_s(unit.talk)
        yield from attempt(lambda: apply_settings(unit, exposure))
        if exposure.asked.detector_c is not None:
            yield from await_cold(unit.talk)
        yield from discard(unit, exposure, left_s)

    def scan(self, unit: ObpUnit, settings: Settings) -> Conversation[RawScan]:
        """Take the frames: without laser first, then with it where that is asked for.

        The detector's temperature was read after the latest `configure`, and at most RECENT_S before the scan's end.
        """
        exposure = exposure_from(unit, settings)
        asked, dark = exposure.asked, list[SpectrumFrame]()
        if asked.laser_mw is None:
            frames = yield from take_frames(unit, exposure, asked.repeats)
        else:
            dark = yield from take_frames(unit, exposure, asked.repeats)
            frames = yield from take_lit_frames(unit, exposure, asked.laser_mw)
        if not unit.model.metadata_bytes and unit.at_exposure.is_old():  # those tell it with every frame
            yield from attempt(lambda: raise_unless_at(unit, exposure.us))
        if unit.conditions.is_old():
            yield from look_at_detector(unit, exposure)
        conditions = unit.conditions.value
        if asked.repeats == 1:
            most = mean = frames[0].pixels
            raw = mean[np.newaxis]
            counts = mean.astype(np.float64)
        else:
            raw = stacked(frames)
            counts = np.add.reduce(raw, axis=0, dtype=np.float64) / len(raw)
            most = np.maximum.reduce(raw, axis=0)
        return RawScan(
            identity=unit.identity,
            settings=settings,
            scan_index=frames[-1].number,
            axis=unit.axis,
            axis_unit="nm",
            counts=counts,
            raw=raw,
            dark_level=0.0,
            saturated=most >= unit.brightest,
            gain=1.0,
            environment=conditions.environment,
            blob=b"".join([frame.message for frame in (*dark, *frames)]),
            calibration=unit.calibration,
            dark=stacked(dark) if dark else None,
            exposure_ms=exposure.us / 1000,
            settled=conditions.settled,
            frames_dropped=STALE_FRAMES,
            laser_mw=asked.laser_mw,
        )

    def environment(self, unit: ObpUnit) -> Conversation[Environment]:
        """Ask for the detector's temperature; also a sign of life."""
        return (yield from measure_conditions(unit))

    def close(self) -> Conversation[None]:
        """Laser off, where there is one. Who is silent on a line is told once: most have none."""
        if self.medium != "usb":
            yield from switch_off_unknown(Talk(line=Line(baud=SLOWEST_BAUD), regarding=numbers()))
            return
        model = yield from attempt(find_usb)
        if model.laser:
            talk = Talk(line=Line(outward=model.outward, inward=model.inward), regarding=numbers())
            yield from switch_off(talk)

    def _open_usb(self) -> Conversation[ObpUnit]:
        model = yield from attempt(find_usb)
        talk = Talk(line=Line(outward=model.outward, inward=model.inward), regarding=numbers())
        has_laser = model.laser and (yield from switch_off(talk, busy_s=EXPOSURE_LEFT_S))
        yield Drain()
        laser_mw = LASER_MW if has_laser else None
        return (yield from introduce(KIND, talk, model, laser_mw=laser_mw, clock=self.clock))


DEVICE = ObpDevice()
