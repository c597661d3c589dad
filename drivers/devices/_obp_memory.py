"""What an OBP instrument stores of itself: axis, calibration, limits, versions. Asked once, at opening."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drivers.attempt import attempt
from drivers.clock import Clock
from drivers.contract import (
    Calibration,
    Conversation,
    Environment,
    ExposureSettings,
    Identity,
    Limits,
    Receive,
    Settings,
    Unit,
)
from drivers.devices._obp_models import (
    BUFFERED_32,
    BY_PRODUCT_ID,
    LONGEST_PAYLOAD_BYTES,
    RAW_NOW,
    STS,
    VENTANA,
    Model,
    by_range,
    excitation_nm,
    name_of,
)
from drivers.devices._obp_talk import (
    EXPOSURE_LEFT_S,
    GET_SERIAL_NUMBER,
    REPLY_WITHIN_S,
    SERIAL_NUMBER_BYTES,
    Talk,
    if_there,
    is_number,
)
from drivers.devices._recent import Recent
from drivers.errors import WrongInstrument

GET_HARDWARE, GET_FIRMWARE, GET_PRODUCT_ID = 0x080, 0x090, 0xE01
GET_SATURATION, SET_INTEGRATION = 0x1010A0, 0x110010
GET_INTEGRATION, GET_SHORTEST, GET_LONGEST = 0x110000, 0x110001, 0x110002
WAVELENGTHS, NONLINEARITY, STRAY_LIGHT = 0x180100, 0x181100, 0x183100  # count; one more is the value by index
GET_HOT_PIXELS = 0x186000

U8, U16, U32, F32 = struct.Struct("<B"), struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<f")
MAX_COEFFICIENTS = 16  # twice the eight of the non-linearity polynomial
MAX_HOT_PIXELS = 128  # more than one in ten pixels hot is no list of exceptions
PROBE_US = 22_000  # the least that a Ventana can do, within the limits of every model, and soon over
RANGE_NM = (100.0, 5_000.0)  # wider than any grating spectrometer
LONGEST_US = 1_600_000_000
LONGEST_LEFT_S = 30.0  # half of what a station allows for opening; a longer one is met again at the next
MODELS_BY_PAYLOAD = {model.payload_bytes: model for model in BY_PRODUCT_ID.values() if not model.laser} | {
    STS.payload_bytes: STS  # a Spark on a serial line looks the same, and has the same limits
}


@dataclass(slots=True, kw_only=True)
class Newest:
    """The last spectrum that an instrument counted: what is not beyond it is an old one again."""

    count: int = -1
    ticks_us: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Settings that were found possible. us: the integration time; answer: the step that receives a spectrum."""

    asked: ExposureSettings
    us: int
    answer: Receive


@dataclass(slots=True, kw_only=True)
class Possible:
    """What the latest settings came to: scans of a burst have the same."""

    settings: Settings | None = None
    exposure: Exposure | None = None


class Conditions(NamedTuple):
    """settled: the cooler is at its set point, or need not be."""

    environment: Environment
    settled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ObpUnit(Unit):
    """One instrument. axis: nm of each pixel. tells_integration: the integration time can be read back.

    brightest: `saturation`, in the form that numpy is quickest with. newest moves on with every spectrum, for a model
    that counts them, and possible with the settings. conditions: of the detector. at_exposure: when the integration
    time was read back.
    """

    model: Model
    talk: Talk
    axis: NDArray[np.float64]
    integration_us: tuple[int, int]
    saturation: int
    tells_integration: bool
    brightest: NDArray[np.int32]
    conditions: Recent[Conditions]
    at_exposure: Recent[None]
    newest: Newest = field(default_factory=Newest)
    possible: Possible = field(default_factory=Possible)


def introduce(
    kind: str, talk: Talk, model: Model | None, *, laser_mw: tuple[float, float] | None, clock: Clock
) -> Conversation[ObpUnit]:
    """Ask who it is and what it stores. model: None where the medium did not tell. laser_mw: None without a laser."""
    serial_number = yield from attempt(lambda: _serial_number(talk))
    found = model or (yield from _find_model(talk, has_laser=laser_mw is not None))
    axis = yield from _axis(talk, found)
    model = model or by_range(found, axis[0], axis[-1])
    notes = [] if talk.line.sums_needed or not talk.line.baud else ["no checksums: a byte gone wrong may go unseen"]
    nonlinearity = yield from _coefficients(talk, NONLINEARITY, "non-linearity", notes)
    stray_light = yield from _coefficients(talk, STRAY_LIGHT, "stray light", notes)
    hot_pixels = yield from _hot_pixels(talk, model, notes)
    integration_us = yield from _integration_limits(talk, model)
    tells_integration = (yield from _optional(talk, GET_INTEGRATION, U32)) is not None
    if not tells_integration and not model.metadata_bytes:
        notes.append("it does not tell its integration time: after a restart of its own a scan may have another")
    told = yield from _optional(talk, GET_SATURATION, U32)
    saturation = int(told) if told is not None and 0 < told <= model.full_scale else model.saturation
    return ObpUnit(
        identity=Identity(
            kind=kind,
            model=name_of(model, axis[0], axis[-1]),
            serial_number=serial_number,
            versions=(yield from _versions(talk)),
        ),
        calibration=Calibration(
            bad_pixels=hot_pixels,
            dark_pixels=model.dark_pixels,
            nonlinearity=nonlinearity,
            stray_light=stray_light,
            active=model.active,
            excitation_nm=excitation_nm(model, axis[0], axis[-1]),
        ),
        limits=Limits(
            integration_ms=(integration_us[0] / 1000, integration_us[1] / 1000),
            saturation_counts=saturation,
            laser_mw=laser_mw if model.laser else None,
        ),
        notes=tuple(notes),
        model=model,
        talk=talk,
        axis=axis,
        integration_us=integration_us,
        saturation=saturation,
        tells_integration=tells_integration,
        brightest=np.array(saturation, np.int32),
        conditions=Recent(clock, Conditions(Environment(), settled=True)),
        at_exposure=Recent(clock, None),
    )


def exposure_left_s(talk: Talk) -> Conversation[float]:
    """Return how long a spectrum may take that was under way before the integration time is changed."""
    told_us = yield from _optional(talk, GET_INTEGRATION, U32)
    return EXPOSURE_LEFT_S if told_us is None else min(told_us / 1e6, LONGEST_LEFT_S)


def read_clean(text: bytes) -> str:
    """Return printable ASCII up to the first NUL."""
    return "".join(
        c for c in text.split(b"\0")[0].decode("ascii", errors="replace") if c.isascii() and c.isprintable()
    ).strip()


def _serial_number(talk: Talk) -> Conversation[str]:
    text = read_clean((yield from talk.query(GET_SERIAL_NUMBER, payload_bytes=SERIAL_NUMBER_BYTES)))
    if not text:
        raise WrongInstrument("the instrument has no serial number", hint="its memory may be blank")
    return text


def _find_model(talk: Talk, *, has_laser: bool) -> Conversation[Model]:
    """Learn the model on a line that does not tell: some say their USB product id, of others a spectrum has the length.

    That of a Ventana is an STS's; with a light source of its own it is the Ventana-785L, and without one `by_range`
    tells. The serial number's first letters do not: they are the customer's in OEM units.
    """
    product_id = yield from _optional(talk, GET_PRODUCT_ID, U16)
    if product_id is not None and (model := BY_PRODUCT_ID.get(int(product_id))):
        return model
    left_s = yield from exposure_left_s(talk)
    yield from attempt(lambda: talk.command(SET_INTEGRATION, U32.pack(PROBE_US)))
    for message_type in (RAW_NOW, BUFFERED_32):
        spectrum = yield from attempt(lambda kind=message_type: _probe(talk, kind, left_s))  # type: ignore[misc]
        if spectrum is None:
            continue
        if has_laser and len(spectrum) == VENTANA.payload_bytes:
            return VENTANA
        if model := MODELS_BY_PAYLOAD.get(len(spectrum)):
            return model
        sizes = ", ".join(f"{size} ({model.name})" for size, model in MODELS_BY_PAYLOAD.items())
        raise WrongInstrument(f"its spectra have {len(spectrum)} bytes; known are {sizes}")
    raise WrongInstrument("it answers, but gives no spectra in a form that this driver knows")


def _probe(talk: Talk, message_type: int, left_s: float) -> Conversation[bytes | None]:
    within_s = REPLY_WITHIN_S + PROBE_US / 1e6 + left_s
    return if_there(talk.query(message_type, payload_bytes=LONGEST_PAYLOAD_BYTES, within_s=within_s))


def _axis(talk: Talk, model: Model) -> Conversation[NDArray[np.float64]]:
    """Return the polynomial's values, lowest power first, which other clients add up in the same order."""
    coefficients = yield from _coefficients(talk, WAVELENGTHS, "wavelength", [])
    pixel = np.arange(model.pixels, dtype=np.float64)
    axis = np.zeros(model.pixels)
    for power, coefficient in enumerate(coefficients):
        axis = axis + coefficient * pixel**power
    inside = bool(((axis >= RANGE_NM[0]) & (axis <= RANGE_NM[1])).all())
    if not inside or not ((np.diff(axis) > 0).all() or (np.diff(axis) < 0).all()):
        raise WrongInstrument(
            "the wavelength calibration in its memory is blank or damaged",
            hint="write the coefficients of its calibration sheet back with the maker's program",
        )
    axis.flags.writeable = False
    return axis


def _coefficients(talk: Talk, message_type: int, name: str, notes: list[str]) -> Conversation[tuple[float, ...]]:
    """Return a stored polynomial, () where there is none that can be used, which is noted."""
    count = yield from _optional(talk, message_type, U8)
    if not count:
        return ()
    values = []
    for index in range(min(int(count), MAX_COEFFICIENTS)):
        value = yield from _optional(talk, message_type + 1, F32, U8.pack(index))
        values.append(float("nan") if value is None else value)
    if count > MAX_COEFFICIENTS or not all(is_number(value, -1e30, 1e30) for value in values):
        notes.append(f"the {name} coefficients in its memory are blank or damaged, and not used")
        return ()
    return tuple(values)


def _hot_pixels(talk: Talk, model: Model, notes: list[str]) -> Conversation[tuple[int, ...]]:
    """Return the indices of pixels to leave out; [inferred] a list of u16."""
    answer = yield from attempt(lambda: if_there(talk.query(GET_HOT_PIXELS, payload_bytes=2 * MAX_HOT_PIXELS)))
    if not answer:
        return ()
    indices = tuple(int(index) for index in np.frombuffer(answer[: len(answer) // 2 * 2], dtype="<u2"))
    if len(answer) % 2 or any(index >= model.pixels for index in indices):
        notes.append("the list of hot pixels in its memory is damaged, and not used")
        return ()
    return tuple(sorted(set(indices)))


def _integration_limits(talk: Talk, model: Model) -> Conversation[tuple[int, int]]:
    shortest = yield from _optional(talk, GET_SHORTEST, U32)
    longest = yield from _optional(talk, GET_LONGEST, U32)
    if shortest is None or longest is None or not 1 <= shortest < longest <= LONGEST_US:
        return model.integration_us
    return int(shortest), int(longest)


def _versions(talk: Talk) -> Conversation[dict[str, str]]:
    versions = {}
    hardware = yield from _optional(talk, GET_HARDWARE, U8)
    firmware = yield from _optional(talk, GET_FIRMWARE, U16)
    if hardware is not None:
        versions["hardware"] = str(int(hardware))
    if firmware is not None:
        versions["firmware"] = f"{int(firmware) >> 8:x}.{int(firmware) & 0xFF:02x}"
    return versions


def _optional(talk: Talk, message_type: int, layout: struct.Struct, data: bytes = b"") -> Conversation[float | None]:
    """Ask for one number that not every unit has; None also for an answer in a layout that we do not know."""
    answer = yield from attempt(lambda: if_there(talk.query(message_type, data)))
    if answer is None or len(answer) != layout.size:
        return None
    value: float = layout.unpack(answer)[0]
    return value
