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

from drivers.attempt import attempt
from drivers.contract import (
    Conversation,
    Drain,
    Environment,
    ExposureSettings,
    Medium,
    RawScan,
    Settings,
    UsbIds,
    Wait,
)
from drivers.devices._obp_laser import LASER_MW, raise_unless_on, switch_off, switch_on
from drivers.devices._obp_memory import (
    F32,
    GET_INTEGRATION,
    SET_INTEGRATION,
    U8,
    U16,
    U32,
    ObpUnit,
    exposure_left_s,
    introduce,
)
from drivers.devices._obp_message import HEAD
from drivers.devices._obp_models import MODELS, OCEAN, Model
from drivers.devices._obp_talk import (
    EXPOSURE_LEFT_S,
    SLOWEST_BAUD,
    Line,
    Talk,
    find_serial,
    find_usb,
    if_there,
    is_number,
    learn_sums,
    numbers,
)
from drivers.errors import BadSettings, DeviceRefused, DriverError, Interrupted, Reopen, Resynchronise, WireError

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
    word = "<u4" if model.word_bytes == 4 else "<u2"
    words = np.frombuffer(message, word, model.pixels, HEAD.size + model.metadata_bytes)
    if (brightest := np.maximum.reduce(words)) > model.full_scale:
        raise WireError(f"a count of {brightest}, a {model.name} has at most {model.full_scale}", received=message)
    pixels = words.astype(np.int32)
    if not model.metadata_bytes:
        return SpectrumFrame(message=message, pixels=pixels)
    number, ticks_us, told_us, _, trigger = METADATA.unpack_from(message, HEAD.size)
    if abs(told_us - integration_us) > STEP_US or trigger:
        raise WireError(
            f"a frame of {told_us} us and trigger mode {trigger}, expected {integration_us} us and 0: it is stale",
            received=message,
        )
    return SpectrumFrame(message=message, pixels=pixels, number=number, ticks_us=ticks_us)


def exposure_from(unit: ObpUnit, settings: Settings) -> tuple[ExposureSettings, int]:
    """Return settings that the unit can do, and the integration time in us. Raises BadSettings."""
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
    return settings, round(settings.integration_ms * 1000)


# Conversations


def apply_settings(unit: ObpUnit, settings: ExposureSettings, integration_us: int) -> Conversation[None]:
    """Send all that matters to a frame, also what should be so already. Raises Reopen if the time did not take."""
    talk = unit.talk
    for message_type, data in NORMAL:
        yield from if_there(told(talk, message_type, data))
    yield from talk.command(SET_INTEGRATION, U32.pack(integration_us))
    for message_type, data in (*TIDY, *(FRESH if unit.model.metadata_bytes else ())):
        with contextlib.suppress(DeviceRefused):
            yield from talk.command(message_type, data)
    if settings.detector_c is not None:
        yield from talk.command(SET_COLD, F32.pack(settings.detector_c))
        yield from talk.command(SET_COOLER, U8.pack(1))
    yield from raise_unless_at(unit, integration_us)


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


def take_frames(unit: ObpUnit, integration_us: int, count: int) -> Conversation[list[SpectrumFrame]]:
    """Take so many frames; after a fault each is asked for as often as the session's patience allows."""
    frames: list[SpectrumFrame] = []
    failed = False

    def more() -> Conversation[None]:
        nonlocal failed
        wanted = len(frames) + 1 if failed else count  # one that came restores the patience
        failed = True
        yield from take_until(unit, integration_us, frames, wanted)
        failed = False

    while len(frames) < count:
        yield from attempt(more)
    return frames


def take_until(
    unit: ObpUnit, integration_us: int, frames: list[SpectrumFrame], wanted: int, *, left_s: float = 0.0
) -> Conversation[None]:
    """Add frames until there are so many; the first may take `left_s` more.

    Raises WireError for one that came before, where they are counted.
    """
    model, newest = unit.model, unit.newest

    def keep(message: bytes) -> bool:
        frame = spectrum_from(message, model, integration_us)
        if frame.number is not None and frame.ticks_us is not None:
            if frame.number <= newest.count or frame.ticks_us <= newest.ticks_us:
                raise WireError(f"spectrum {frame.number} after {newest.count}: it is stale", received=message)
            newest.count, newest.ticks_us = frame.number, frame.ticks_us
        frames.append(frame)
        return len(frames) < wanted

    within_s = integration_us / 1e6 + FRAME_WITHIN_S + left_s
    yield from unit.talk.frames(model.spectrum, payload_bytes=model.payload_bytes, within_s=within_s, keep=keep)


def discard(unit: ObpUnit, integration_us: int, left_s: float) -> Conversation[None]:
    """Throw away what was under way when the settings changed; a QE Pro tells by its metadata that it was."""
    for _ in range(STALE_FRAMES):
        try:
            yield from attempt(lambda: take_until(unit, integration_us, [], 1, left_s=left_s))
        except WireError:
            if not unit.model.metadata_bytes:
                raise


def take_lit_frames(
    unit: ObpUnit, integration_us: int, count: int, laser_mw: float
) -> Conversation[list[SpectrumFrame]]:
    """Take frames with the laser on. It is off afterwards, whatever happens: an exposure under way is waited for."""
    try:
        yield from switch_on(unit.talk, laser_mw)
        yield from take_frames(unit, integration_us, STALE_FRAMES)
        frames = yield from take_frames(unit, integration_us, count)
        yield from raise_unless_on(unit.talk)
    except (DriverError, Interrupted):
        yield from switch_off(unit.talk, busy_s=integration_us / 1e6)
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

    def over(self, medium: Medium) -> ObpDevice:
        """Return the family on this medium."""
        return replace(self, medium=medium)

    def open(self) -> Conversation[ObpUnit]:
        """Laser off before anything else that could fail; drain; who it is and what it stores."""
        if self.medium == "usb":
            return (yield from self._open_usb())
        regarding = numbers()
        if self.medium == "serial":
            talk = yield from attempt(lambda: find_serial(regarding), (Resynchronise,))
        else:
            yield Drain()
            talk = yield from attempt(lambda: learn_sums(Line(baud=SLOWEST_BAUD), regarding))
        return (yield from introduce(KIND, talk, None, laser_mw=None))

    def configure(self, unit: ObpUnit, settings: Settings) -> Conversation[None]:
        """Make the settings current and throw the first frame away. Raises BadSettings before anything is sent."""
        exposure, integration_us = exposure_from(unit, settings)
        left_s = yield from exposure_left_s(unit.talk)
        yield from attempt(lambda: apply_settings(unit, exposure, integration_us))
        if exposure.detector_c is not None:
            yield from await_cold(unit.talk)
        yield from discard(unit, integration_us, left_s)

    def scan(self, unit: ObpUnit, settings: Settings) -> Conversation[RawScan]:
        """Take the frames: without laser first, then with it where that is asked for."""
        exposure, integration_us = exposure_from(unit, settings)
        dark: list[SpectrumFrame] = []
        if exposure.laser_mw is None:
            frames = yield from take_frames(unit, integration_us, exposure.repeats)
        else:
            dark = yield from take_frames(unit, integration_us, exposure.repeats)
            frames = yield from take_lit_frames(unit, integration_us, exposure.repeats, exposure.laser_mw)
        if not unit.model.metadata_bytes:  # those tell it with every frame
            yield from attempt(lambda: raise_unless_at(unit, integration_us))
        raw = np.stack([frame.pixels for frame in frames])
        return RawScan(
            identity=unit.identity,
            settings=settings,
            scan_index=frames[-1].number,
            axis=unit.axis,
            axis_unit="nm",
            counts=np.add.reduce(raw, axis=0, dtype=np.float64) / len(raw),
            raw=raw,
            dark_level=0.0,
            saturated=np.maximum.reduce(raw, axis=0) >= unit.saturation,
            gain=1.0,
            environment=(yield from measure_conditions(unit)),
            blob=b"".join(frame.message for frame in (*dark, *frames)),
            calibration=unit.calibration,
            dark=np.stack([frame.pixels for frame in dark]) if dark else None,
            exposure_ms=integration_us / 1000,
            settled=(yield from is_stable(unit.talk))
            if unit.model.cooled and exposure.detector_c is not None
            else True,
            frames_dropped=STALE_FRAMES,
            laser_mw=exposure.laser_mw,
        )

    def environment(self, unit: ObpUnit) -> Conversation[Environment]:
        """Ask for the detector's temperature; also a sign of life."""
        return (yield from measure_conditions(unit))

    def close(self) -> Conversation[None]:
        """Laser off, where the model has one."""
        if self.medium != "usb":
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
        return (yield from introduce(KIND, talk, model, laser_mw=LASER_MW if has_laser else None))


DEVICE = ObpDevice()
