"""Wasatch Photonics Raman and NIR spectrometers, protocol FID: X, XM, XS, SiG with silicon, InGaAs and CMOS arrays.

USB, vendor 24AA, interface 0. Everything is asked and told by vendor requests on the control pipe, spectra come by 82.

    product 1000  FX2, silicon     2000  FX2, InGaAs     4000  ARM: each request outward carries 8 bytes
Set     AD          acquire; then u16 x pixels on 82     B2 LLLL 00HH   integration time, ms
        B6 OOOO     offset, signed              B7 WWFF  gain, W whole, F 1/256
        BE 0001     laser           BD 0001  modulation      C7 / DB    its period, width, us
        D8 0DDD     set point of the cooler, DAC             D6 0001    cooler
        D2 0000     free running, FX2 only      ED 0000  ADC of the laser
Get     C0 -> PPNNMMJJ  firmware J.M.N.P   B4 -> FPGA, 7 ASCII     BF -> LLHHHH  ms
        D7 -> AAAA      detector, big-endian ADC   D5 -> AAAA  laser, ADC   E2  laser enabled   EF  it may fire
        FF 01 00PP -> one page of the memory       FF 0D  it fires
ARM     FF 17, FF 18  watchdog of the laser, s, get and set      FF 21, FF 23  first and last line, set
FX2 with 2048 pixels: 1024 of them by 82, the others by 86. A spectrum has no mark and no checksum.

The gain is a trim of the converter and sent as the maker stored it, but on CMOS arrays (IMX), where it is in dB; there
`ExposureSettings.gain` is the factor. Source: Wasatch.PY, FeatureIdentificationDevice.py (vendor document ENG-0001).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from drivers.attempt import attempt
from drivers.contract import (
    Conversation,
    Drain,
    Environment,
    ExposureSettings,
    Identity,
    Medium,
    RawScan,
    Settings,
    UsbIds,
    Wait,
)
from drivers.devices._wasatch_frames import raise_unless_quiet, stacked, take_frames, throw_away
from drivers.devices._wasatch_laser import (
    WARNING_DELAY_S,
    LaserPlan,
    ask_warning_delay_s,
    set_watchdog,
    silence,
    with_light,
)
from drivers.devices._wasatch_memory import PAGE_BYTES, PAGES, read_memory
from drivers.devices._wasatch_message import (
    BOARDS,
    FULL_SCALE,
    LONG_BYTES,
    VENDOR_ID,
    Board,
    Get,
    Get2,
    Set,
    Set2,
    ask,
    ask2,
    ask_board,
    ask_integration_ms,
    ask_or_none,
    dac_at,
    gain_word,
    pipes_of,
    plausible_c,
    polynomial,
    tell,
    tell2,
    tell_integration,
)
from drivers.devices._wasatch_unit import (
    STALE_FRAMES,
    Course,
    Exposure,
    WasatchUnit,
    exposure_of,
    factor_of,
    limits_of,
    notes_of,
)
from drivers.errors import BadSettings, WireError

KIND = "wasatch"
MAX_PENDING_S, PENDING_MARGIN_S = 60.0, 0.1  # longest exposure of an earlier session that is waited for
POLL_S = 0.1  # the detector's temperature is asked for ten times a second at most
COOLED_C = 0.5  # [inferred] so near, dark current is within 5 %
COOL_WITHIN_S, COOL_POLL_S, COOL_PATIENCE = 30.0, 1.0, 5  # a cooler that gets no nearer for 5 polls is not waited for
ADC_MASK = 0xFFF

USB = UsbIds(ids=tuple((VENDOR_ID, product_id) for product_id in BOARDS), reset_on_close=True)


# Conversations


def introduce(board: Board) -> Conversation[WasatchUnit]:
    """Read versions and memory. Raises WrongInstrument."""
    pages = []
    for page in range(PAGES):
        read = yield from attempt(lambda page=page: ask2(Get2.PAGE, index=page, least=PAGE_BYTES))  # type: ignore[misc]
        pages.append(read)
    memory = read_memory(pages, ingaas=board.is_ingaas)
    firmware = yield from attempt(lambda: ask(Get.FIRMWARE, LONG_BYTES, least=4))
    fpga = yield from attempt(lambda: ask(Get.FPGA, 7))
    running_ms = yield from attempt(ask_integration_ms)
    if running_ms:  # what somebody asked for before us may still come
        quiet_s = min(running_ms / 1000, MAX_PENDING_S) + PENDING_MARGIN_S
        yield Drain(quiet_s=quiet_s, within_s=2 * quiet_s)
    warning_delay_s = WARNING_DELAY_S
    if memory.laser is not None and board.has_watchdog:
        warning_delay_s = yield from attempt(ask_warning_delay_s)
    course = Course(integration_ms=running_ms, before_ms=running_ms, gain=None)
    return WasatchUnit(
        identity=Identity(
            kind=KIND,
            model=memory.model or "Wasatch",
            serial_number=memory.serial_number,
            versions={
                "firmware": ".".join(str(part) for part in reversed(firmware)),
                "fpga": "".join(chr(byte) for byte in fpga if 0x20 < byte < 0x7F),
                "memory": str(memory.format),
            },
        ),
        calibration=memory.calibration,
        limits=limits_of(board, memory),
        notes=notes_of(board, memory),
        board=board,
        memory=memory,
        pipes=pipes_of(board, len(memory.axis)),
        warning_delay_s=warning_delay_s,
        course=course,
    )


def trim(unit: WasatchUnit) -> Conversation[None]:
    """Send gain, offset and lines as the maker stored them; FX2 boards do not keep them.

    Those of the odd pixels are not sent, as by the maker's program: they are left to corrections (`Calibration`).
    """
    board, memory = unit.board, unit.memory
    if memory.gain is not None and memory.offset is not None:
        yield from tell(board, Set.GAIN, gain_word(memory.gain))
        yield from tell(board, Set.OFFSET, memory.offset & 0xFFFF)
    if not board.is_arm:
        yield from tell(board, Set.TRIGGER, 0)
    elif memory.lines is not None:
        yield from tell2(Set2.FIRST_LINE, memory.lines[0])
        yield from tell2(Set2.LAST_LINE, memory.lines[1])


def expose(unit: WasatchUnit, exposure: Exposure) -> Conversation[None]:
    """Make integration time and gain current, and throw the stale spectrum away. Raises WireError if not taken."""
    board, course = unit.board, unit.course

    def send() -> Conversation[None]:
        if exposure.gain is not None and exposure.gain != course.gain:
            yield from tell(board, Set.GAIN, gain_word(exposure.gain))
        yield from tell_integration(board, exposure.ms)
        if board.is_arm:  # it ends the exposure under way first, and hears nothing meanwhile
            yield Wait(seconds=min(course.integration_ms / 1000, MAX_PENDING_S))
        told_ms = yield from ask_integration_ms()
        if told_ms != exposure.ms:
            raise WireError(f"the integration time was set to {exposure.ms} ms and reads {told_ms} ms")

    course.current = None
    course.before_ms = max(course.before_ms, course.integration_ms)
    yield from attempt(send)
    course.integration_ms, course.gain = exposure.ms, exposure.gain
    course.stale = STALE_FRAMES
    yield from throw_away(unit)
    course.current = (exposure.ms, exposure.gain)


def ask_detector_c(unit: WasatchUnit) -> Conversation[float | None]:
    """Ask for the detector's temperature, or remember it where that was less than a poll ago; None: no such sensor."""
    to_c, course = unit.memory.to_c, unit.course
    if not unit.memory.has_cooler or to_c is None:
        return None
    if course.since_c_s >= POLL_S:
        raw = int.from_bytes((yield from attempt(lambda: ask(Get.DETECTOR, 2))), "big")
        course.asked_c, course.since_c_s = plausible_c(polynomial(to_c, raw)), 0.0
    return course.asked_c


def cool(unit: WasatchUnit, set_point_c: float) -> Conversation[None]:
    """Set the cooler and wait for it, within limits; whether it got there is asked at each scan."""
    to_dac, board = unit.memory.to_dac, unit.board
    if to_dac is None:
        return
    dac = dac_at(to_dac, set_point_c)

    def send() -> Conversation[None]:
        yield from tell(board, Set.SET_POINT, dac)  # the cooler does nothing before it knows where to
        yield from tell(board, Set.COOLER, 1)

    yield from attempt(send)
    nearest_c, patience = math.inf, COOL_PATIENCE
    for _ in range(round(COOL_WITHIN_S / COOL_POLL_S)):
        detector_c = yield from ask_detector_c(unit)
        away_c = math.inf if detector_c is None else abs(detector_c - set_point_c)
        patience = COOL_PATIENCE if away_c < nearest_c - 0.1 else patience - 1
        nearest_c = min(nearest_c, away_c)
        if away_c <= COOLED_C or not patience:
            return
        yield Wait(seconds=COOL_POLL_S)
        unit.course.since_c_s += COOL_POLL_S


def ask_laser_adc(unit: WasatchUnit) -> Conversation[int]:
    """Read the laser's thermistor; the first reading after the ADC was switched is of before."""
    if not unit.course.adc_selected:
        yield from tell(unit.board, Set.ADC, 0)
        yield from ask(Get.ADC, 2)
        unit.course.adc_selected = True
    return int.from_bytes((yield from ask(Get.ADC, 2)), "little") & ADC_MASK


def ask_ambient_c() -> Conversation[float | None]:
    """Read the temperature inside the housing, whole degrees [inferred: signed]."""
    (byte,) = yield from ask2(Get2.AMBIENT)
    return plausible_c(float(byte - 256 if byte > 127 else byte))


@dataclass(frozen=True, slots=True, kw_only=True)
class WasatchDevice:
    """The family, on USB only. Holds no state: what has to be remembered is in the unit."""

    kind: str = KIND
    title: str = "Wasatch Photonics WP Raman and NIR (X, XM, XS, SiG)"
    links: tuple[Medium, ...] = ("usb",)
    usb: UsbIds | None = USB
    default_settings: Settings = field(default_factory=ExposureSettings)

    def over(self, medium: Medium) -> WasatchDevice:
        """Return the family on this medium; there is one only."""
        return self

    def open(self) -> Conversation[WasatchUnit]:
        """Laser off and read back, drain, who it is, what its memory holds.

        Raises LaserAlarm when the laser stays on, WrongInstrument for a memory that is not programmed.
        """
        board = yield from attempt(ask_board)  # a standard request: how the others have to look
        yield from silence(board)
        yield Drain()
        unit = yield from introduce(board)
        yield from attempt(lambda: trim(unit))
        unit.course.gain = unit.memory.gain
        return unit

    def configure(self, unit: WasatchUnit, settings: Settings) -> Conversation[None]:
        """Make the settings current; a cooler gets up to half a minute. Raises BadSettings before anything is sent.

        With laser_mw the laser's watchdog is set as well, and BadSettings is raised where the unit has none.
        """
        exposure = exposure_of(unit, settings)
        if exposure.laser is not None:
            unit.course.watchdog_s = 0
            yield from set_watchdog(exposure.laser.watchdog_s)
            unit.course.watchdog_s = exposure.laser.watchdog_s
        if exposure.set_point_c is not None:
            yield from cool(unit, exposure.set_point_c)
        yield from expose(unit, exposure)

    def scan(self, unit: WasatchUnit, settings: Settings) -> Conversation[RawScan]:
        """Take the frames; with laser_mw as many without the laser first. The laser is off when this ends.

        Raises InterlockOpen, DeviceRefused when the laser did not fire all the time, LaserAlarm when it stays on.
        """
        exposure = exposure_of(unit, settings)
        course, laser = unit.course, exposure.laser
        if course.current != (exposure.ms, exposure.gain):
            raise BadSettings("these settings are not those that were configured", hint="configure, then scan")
        detector_c = yield from ask_detector_c(unit)
        dark: list[bytes] = []
        if laser is None:
            frames = yield from take_frames(unit, exposure.repeats)
        else:
            if laser.watchdog_s > course.watchdog_s:
                raise BadSettings("the laser's watchdog was not set for these settings", hint="configure, then scan")
            dark = yield from take_frames(unit, exposure.repeats)
            course.stale = STALE_FRAMES
            frames = yield from self._lit(unit, laser, exposure.repeats)
            yield from raise_unless_quiet(unit)  # which are dark and which are lit is known by their count alone
        raw = stacked(frames)
        dropped, course.dropped = course.dropped, 0
        return RawScan(
            identity=unit.identity,
            settings=settings,
            scan_index=None,
            axis=unit.memory.axis,
            axis_unit="nm",
            counts=raw[0].astype(np.float64) if len(raw) == 1 else raw.mean(axis=0),
            raw=raw,
            dark_level=0.0,
            saturated=raw.max(axis=0) >= FULL_SCALE,
            gain=factor_of(unit, exposure.gain),
            environment=Environment(detector_c=detector_c),
            blob=b"".join((*dark, *frames)),
            calibration=unit.calibration,
            dark=stacked(dark) if dark else None,
            exposure_ms=float(exposure.ms),
            settled=is_settled(detector_c, exposure.set_point_c),
            frames_dropped=dropped,
            laser_mw=laser.power_mw if laser else None,
        )

    def environment(self, unit: WasatchUnit) -> Conversation[Environment]:
        """Read what sensors there are; a unit without any is asked for its integration time, to keep it awake."""
        yield Wait(seconds=POLL_S)
        unit.course.since_c_s += POLL_S
        detector_c = yield from ask_detector_c(unit)
        if not unit.board.is_arm:
            yield from attempt(ask_integration_ms)
            return Environment(detector_c=detector_c)
        adc = (yield from ask_or_none(lambda: ask_laser_adc(unit))) if unit.memory.laser else None
        return Environment(ambient_c=(yield from ask_or_none(ask_ambient_c)), detector_c=detector_c, laser_adc=adc)

    def close(self) -> Conversation[None]:
        """Laser off, and read back. Raises LaserAlarm when it stays on."""
        board = yield from attempt(ask_board)
        yield from silence(board)

    def _lit(self, unit: WasatchUnit, laser: LaserPlan, repeats: int) -> Conversation[list[bytes]]:
        work: Callable[[], Conversation[list[bytes]]] = lambda: take_frames(unit, repeats)  # noqa: E731
        try:
            return (yield from with_light(unit.board, laser, work))
        finally:
            unit.course.stale = STALE_FRAMES  # the next spectrum may have seen the end of the light


def is_settled(detector_c: float | None, set_point_c: float | None) -> bool:
    """Say whether the detector is as cold as it was asked to be; one that nobody cools always is."""
    return set_point_c is None or (detector_c is not None and abs(detector_c - set_point_c) <= COOLED_C)


DEVICE = WasatchDevice()
