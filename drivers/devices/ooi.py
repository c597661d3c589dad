"""Ocean spectrometers of the legacy ("OOI") protocol: NIRQuest, USB2000+, Flame, USB4000, HR, QE65000, Maya, Apex.

USB, vendor 2457, one vendor interface. Commands go out by 01, one a transfer, and are answered by 81 if at all;
spectra come by 82. All numbers are little-endian.

    01                 initialise; then 100 ms      05 SS         -> 05 SS T...   memory slot S, 15 bytes T
    02 TTTTTTTT        integration, us or ms        6B 04         -> RR VVVV      FPGA version V, any R
    03 LLLL            lamp line off, on            6C            -> 08 CCCC      board, 0.003906 C, signed
    09                 one spectrum                 72            -> CCCC         detector, 0.1 C, signed
    0A MMMM            trigger mode, 0 = free       FE            -> 16 bytes     status, below
    70 EE 00           fan        71 EE 00  cooler        73 CCCC   set point, 0.1 C, signed
Status  PPPP TTTTTTTT LL MM AA KK UU NN xx xx SS xx    A acquiring, S 80 high speed or 00 full speed
Spectrum  one u16 a pixel, XOR the model's mask, then 69 as a packet of its own (Flame-NIR: without)
    at high speed USB4000 and HR4000 send its first 2048 bytes by 86

A unit scales its readings: slot 17 holds the reading S at which it saturates, and counts are reading x full scale / S.
`RawScan.raw` keeps the readings (after the mask), `count_scale` the factor, `counts` the product. There is no checksum
but that of USB. Source: python-seabreeze, pyseabreeze/protocol.py and features/; libseabreeze for FE, 6C and Flame-NIR.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace

import numpy as np

from drivers.attempt import Faults, attempt
from drivers.clock import Clock, SystemClock
from drivers.contract import (
    Conversation,
    Drain,
    Environment,
    ExposureSettings,
    Identity,
    Limits,
    Medium,
    RawScan,
    Receive,
    Send,
    Settings,
    Unit,
    UsbIds,
    Wait,
)
from drivers.devices._ooi_memory import SET_POINT_C, SLOTS, Memory, read_memory
from drivers.devices._ooi_message import OUT, Status, check_frame, pipes_of, readings_of
from drivers.devices._ooi_models import FLAME_S_FPGA, MODELS, VENDOR_ID, Model
from drivers.devices._ooi_talk import (
    FRAME_ALLOWANCE_S,
    KIND,
    MAX_PENDING_S,
    ask_board_c,
    ask_detector_c,
    ask_fpga,
    ask_model,
    ask_or_none,
    ask_slot,
    ask_status,
    lamp_off,
    let_pass,
    tell,
)
from drivers.devices._recent import Recent
from drivers.errors import BadSettings, Resynchronise
from drivers.framing import Exactly

INITIALISED_S = 0.1
STALE_FRAMES = 1  # the first spectrum after a change was begun before it
MAX_REPEATS = 1_000  # of 3840 pixels: 15 MB
COOLED_C = 0.5  # [inferred] the cooler holds a tenth; so near, dark current is within 5 %
COOL_WITHIN_S, COOL_POLL_S, COOL_PATIENCE = 30.0, 1.0, 5  # a cooler that gets no nearer for 5 polls is not waited for

USB = UsbIds(ids=tuple((VENDOR_ID, product_id) for product_id in MODELS), reset_on_close=True)

REQUEST = Send(data=b"\x09", endpoint=OUT)
UNKNOWN = Environment()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Settings that were found possible, in the instrument's units. set_point_c None: the cooler is left alone.

    parts: what is received for one spectrum; within_s: how long that may take.
    """

    ticks: int
    ms: float
    repeats: int
    set_point_c: float | None
    within_s: float
    parts: tuple[Receive, ...]


@dataclass(slots=True, kw_only=True)
class Found:
    """What the settings of the latest scan came to: scans of a burst have the same."""

    settings: Settings | None = None
    exposure: Exposure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OoiUnit(Unit):
    """pipes: where the parts of a spectrum come, in order. tells_status: it answers FE.

    detector: its temperature, where there is a sensor. found moves on with the settings.
    """

    model: Model
    memory: Memory
    pipes: tuple[tuple[int, Exactly], ...]
    tells_status: bool
    detector: Recent[Environment]
    found: Found = field(default_factory=Found)


def exposure_of(unit: OoiUnit, settings: Settings) -> Exposure:
    """Return settings that this unit can do. Raises BadSettings with value and limits."""
    found = unit.found
    if found.exposure is None or found.settings is not settings:
        found.exposure, found.settings = possible(unit, settings), settings
    return found.exposure


def possible(unit: OoiUnit, settings: Settings) -> Exposure:
    """Work out what the settings are in the instrument's units. Raises BadSettings."""
    model = unit.model
    if not isinstance(settings, ExposureSettings):
        raise BadSettings(f"a {model.name} exposes a detector array", hint="use integration_ms and repeats")
    if settings.laser_mw is not None:
        raise BadSettings(f"a {model.name} controls no laser", hint="leave laser_mw unset; switch the laser by hand")
    if settings.gain is not None:
        raise BadSettings(f"the gain of a {model.name} cannot be changed", hint="leave gain unset")
    if not 1 <= settings.repeats <= MAX_REPEATS:
        raise BadSettings(f"repeats {settings.repeats}; a {model.name} does 1 to {MAX_REPEATS}")
    low_us, high_us = model.integration_us
    low_ms, high_ms = low_us / 1000, high_us / 1000
    if not low_ms <= settings.integration_ms <= high_ms:
        raise BadSettings(f"integration_ms {settings.integration_ms:g}; a {model.name} does {low_ms:g} to {high_ms:g}")
    ticks = round(settings.integration_ms * 1000 / model.tick_us)
    ms = ticks * model.tick_us / 1000
    within_s = 2 * ms / 1000 + FRAME_ALLOWANCE_S  # one exposure may be under way when another is asked for
    return Exposure(
        ticks=ticks,
        ms=ms,
        repeats=settings.repeats,
        set_point_c=set_point_of(unit, settings.detector_c),
        within_s=within_s,
        parts=parts_of(unit, within_s),
    )


def parts_of(unit: OoiUnit, within_s: float) -> tuple[Receive, ...]:
    """Return what is received for one spectrum."""
    return tuple(Receive(framer=framer, within_s=within_s, endpoint=endpoint) for endpoint, framer in unit.pipes)


def set_point_of(unit: OoiUnit, detector_c: float | None) -> float | None:
    """Return the temperature to cool to: as asked, else as stored. Raises BadSettings."""
    if detector_c is None:
        return unit.memory.set_point_c
    if not unit.model.has_cooler:
        raise BadSettings(f"a {unit.model.name} has no cooler", hint="leave detector_c unset")
    low, high = SET_POINT_C
    if not low <= detector_c <= high:
        raise BadSettings(f"detector_c {detector_c:g}; a {unit.model.name} does {low:g} to {high:g}")
    return detector_c


# Conversations


def introduce(clock: Clock) -> Conversation[OoiUnit]:
    """Ask who it is and read its memory. Raises WrongInstrument."""
    model = yield from attempt(ask_model)
    yield from attempt(lambda: tell(b"\x01"))
    yield Wait(seconds=INITIALISED_S)
    if model.split_bytes:  # which pipe its spectra come by depends on the speed
        status: Status | None = yield from attempt(lambda: ask_status(model))
    else:
        status = yield from ask_or_none(lambda: ask_status(model))
    pipes = pipes_of(model, high_speed=status is None or status.high_speed)
    if status is not None:
        yield from attempt(lambda: let_pass(model, pipes))
    fpga = yield from ask_or_none(ask_fpga)
    slots: dict[int, bytes] = {}
    for slot in SLOTS:
        slots[slot] = yield from attempt(lambda slot=slot: ask_slot(slot))  # type: ignore[misc]
    memory = read_memory(slots, model)
    return OoiUnit(
        identity=identity_of(model, memory, fpga),
        calibration=memory.calibration,
        limits=Limits(
            integration_ms=(model.integration_us[0] / 1000, model.integration_us[1] / 1000),
            saturation_counts=memory.saturation,
        ),
        notes=memory.notes,
        model=model,
        memory=memory,
        pipes=pipes,
        tells_status=status is not None,
        detector=Recent(clock, UNKNOWN),
    )


def identity_of(model: Model, memory: Memory, fpga: int | None) -> Identity:
    """Return who it is. Two products share an id: the FPGA tells a Flame-S from a USB2000+."""
    name, versions = model.name, {}
    if fpga is not None:
        versions["fpga"] = f"{fpga >> 12}.{fpga >> 4 & 0xFF:02x}.{fpga & 0xF}"
        if model.name == "USB2000+" and fpga >> 12 >= FLAME_S_FPGA:
            name = "Flame-S"
    if memory.bench:
        versions["bench"] = memory.bench
    return Identity(kind=KIND, model=name, serial_number=memory.serial_number, versions=versions)


def take_frames(unit: OoiUnit, repeats: int, parts: tuple[Receive, ...]) -> Conversation[list[bytes]]:
    """Ask for spectra one after the other and return their bytes; each is asked for once more after a fault.

    Raises WireError, NoAnswer.
    """
    model, faults = unit.model, None
    frames: list[bytes] = []
    while len(frames) < repeats:
        try:
            if faults and unit.tells_status:
                yield from let_pass(model, unit.pipes)  # the one asked for before may still come
            yield REQUEST
            frame = b""
            for part in parts:
                frame += (yield part) or b""
            check_frame(frame, model)
            frames.append(frame)
            faults = None
        except Resynchronise as error:
            faults = faults or Faults()
            yield faults.recover(error)
    return frames


def expose(unit: OoiUnit, exposure: Exposure) -> Conversation[None]:
    """Make the integration time current, free running, and throw the stale spectrum away."""
    before = (yield from attempt(lambda: ask_status(unit.model))) if unit.tells_status else None
    before_s = min(before.integration_ms / 1000, MAX_PENDING_S) if before else MAX_PENDING_S

    def send() -> Conversation[None]:
        yield from tell(struct.pack("<BH", 0x0A, 0))
        yield from tell(struct.pack("<BI", 0x02, exposure.ticks))

    yield from attempt(send)
    yield from take_frames(unit, STALE_FRAMES, parts_of(unit, before_s + exposure.within_s))


def cool(unit: OoiUnit, set_point_c: float) -> Conversation[None]:
    """Set the cooler and wait for it, within limits; whether it got there is asked at each scan."""

    def send() -> Conversation[None]:
        if unit.memory.fan_on:
            yield from tell(b"\x70\x01\x00")
        yield from tell(b"\x71\x01\x00")
        yield from tell(struct.pack("<Bh", 0x73, round(set_point_c * 10)))

    yield from attempt(send)
    nearest_c, patience = float("inf"), COOL_PATIENCE
    for _ in range(round(COOL_WITHIN_S / COOL_POLL_S)):
        detector_c = yield from attempt(ask_detector_c)
        away_c = float("inf") if detector_c is None else abs(detector_c - set_point_c)
        patience = COOL_PATIENCE if away_c < nearest_c - 0.1 else patience - 1
        nearest_c = min(nearest_c, away_c)
        if away_c <= COOLED_C or not patience:
            return
        yield Wait(seconds=COOL_POLL_S)


def look_at_detector(unit: OoiUnit) -> Conversation[None]:
    """Ask a cooled detector for its temperature."""
    detector_c = yield from attempt(ask_detector_c)
    unit.detector.keep(UNKNOWN if detector_c is None else Environment(detector_c=detector_c))


@dataclass(frozen=True, slots=True, kw_only=True)
class OoiDevice:
    """The family, on USB only. Holds no state."""

    kind: str = KIND
    title: str = "Ocean NIRQuest, Flame, USB2000+, USB4000, HR, QE65000, Maya, Apex"
    links: tuple[Medium, ...] = ("usb",)
    usb: UsbIds | None = USB
    default_settings: Settings = field(default_factory=ExposureSettings)
    clock: Clock = field(default_factory=SystemClock)

    def over(self, medium: Medium) -> OoiDevice:
        """Return the family on this medium; there is one only."""
        return self

    def open(self) -> Conversation[OoiUnit]:
        """Lamp off, drain, who it is, what its memory holds. Raises WrongInstrument for a memory without an axis."""
        yield from lamp_off()
        yield Drain()
        return (yield from introduce(self.clock))

    def configure(self, unit: OoiUnit, settings: Settings) -> Conversation[None]:
        """Make the settings current; a cooler gets up to half a minute. Raises BadSettings before anything is sent."""
        exposure = exposure_of(unit, settings)
        unit.detector.forget()
        if exposure.set_point_c is not None:
            yield from cool(unit, exposure.set_point_c)
        yield from expose(unit, exposure)

    def scan(self, unit: OoiUnit, settings: Settings) -> Conversation[RawScan]:
        """Take the frames. A cooler that is not at its set point makes the scan an unsettled one.

        Its temperature was read after the latest `configure`, and at most RECENT_S before the scan.
        """
        exposure, model, memory = exposure_of(unit, settings), unit.model, unit.memory
        if model.has_cooler and unit.detector.is_old():
            yield from look_at_detector(unit)
        environment = unit.detector.value
        blob = b"".join((yield from take_frames(unit, exposure.repeats, exposure.parts)))
        raw = readings_of(blob, model)
        if exposure.repeats == 1:
            mean = most = raw[0]
        else:
            mean = raw.sum(axis=0, dtype=np.int32) / exposure.repeats  # 1000 x 65535 fits
            most = raw.max(axis=0)
        saturated = most >= memory.brightest
        if model.active is not None:  # filler may have any value
            saturated[: model.active[0]] = saturated[model.active[1] + 1 :] = False
        return RawScan(
            identity=unit.identity,
            settings=settings,
            scan_index=None,
            axis=memory.axis,
            axis_unit="nm",
            counts=mean * memory.factor,
            raw=raw,
            count_scale=memory.scale,
            dark_level=0.0,
            saturated=saturated,
            gain=1.0,
            environment=environment,
            blob=blob,
            calibration=unit.calibration,
            exposure_ms=exposure.ms,
            settled=is_settled(environment.detector_c, exposure.set_point_c),
            frames_dropped=STALE_FRAMES,
        )

    def environment(self, unit: OoiUnit) -> Conversation[Environment]:
        """Read what sensors there are; a unit without any is asked for its status, if it has that."""
        if unit.model.has_cooler:
            yield from look_at_detector(unit)
        board_c = (yield from attempt(ask_board_c)) if unit.model.has_board_sensor else None
        if unit.tells_status and not (unit.model.has_cooler or unit.model.has_board_sensor):
            yield from attempt(lambda: ask_status(unit.model))
        return replace(unit.detector.value, ambient_c=board_c)

    def close(self) -> Conversation[None]:
        """Lamp off."""
        yield from lamp_off()


def is_settled(detector_c: float | None, set_point_c: float | None) -> bool:
    """Say whether the detector is as cold as it was asked to be; one that nobody cools always is."""
    return set_point_c is None or (detector_c is not None and abs(detector_c - set_point_c) <= COOLED_C)


DEVICE = OoiDevice()
