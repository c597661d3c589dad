"""Boards of one's own making that print spectra as lines of text: "CSV over serial", version 1, at 115200 or 9600 8N1.

Lines of ASCII end with LF; a CR before it is ignored. The host may say (->), a board may know (<-):

    "?"       <- "#edged-csv 1"  begins the header, "#end" ends it; between them, in any order and number:
                 "#model TEXT"  "#serial TEXT"           who it is
                 "#nm L,L,..."                           wavelength of each pixel, or
                 "#nm-of N A0 A1 ..."                    of N pixels p = 1 to N: A0 + A1 p + A2 p^2 + ...
                 "#full-scale C"                         counts of a saturated pixel
                 "#integration-ms T" or "LOW HIGH"       the time it always takes, or what "t" may ask for
                 "#lamp"                                 it knows "l"
                 "#asked"                                a row comes for each "m"; without it they come by themselves
                 "#numbered"                             a row begins with its number
    "m"       <- a row: "C,C,..." or "N,C,C,..."         C  integer counts, one a pixel; N  number, up by one each time;
                                                         separated by commas, semicolons, tabs or blanks
    "t MS"    <- "#ok t MS"        "l 0", "l 1" <- "#ok l 0", "#ok l 1"        "#error TEXT" to any of them

A line may end with "*XXXX", the CRC-16/XMODEM of all before the "*", in hex. Where "#edged-csv 1" does, every line has
to, the host's "m", "t" and "l 1" too. Any other line is talk between the board and its maker, and is passed over.
Source: docs/csv-over-serial.md.
"""

from __future__ import annotations

import binascii
import contextlib
import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from drivers.attempt import attempt
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
    SetBaud,
    Settings,
    Unit,
    UsbIds,
)
from drivers.errors import (
    BadSettings,
    DeviceRefused,
    DriverError,
    Interrupted,
    NoAnswer,
    Resynchronise,
    WireError,
    WrongInstrument,
)
from drivers.framing import Lines

# Facts
KIND = "csvserial"
FIRST_LINE = b"#edged-csv 1"
RATES = (115_200, 9_600)  # what sketches use; a board with USB of its own takes either
ASKS = 4  # a board that restarts when its port is opened is deaf for two seconds, and some for three
ASK_WITHIN_S = 1.0
LISTEN_S = 5.0  # for a row as a sign of life: who wants to measure meanwhile waits for as long
LINE_WITHIN_S = 4.0  # the longest line at 115200 baud takes 3.6 s, 500 numbers at 9600 as long
UNTOLD_MS = 10_000.0  # the longest that a board which does not say its integration time may take
PIXELS = (8, 4096)  # fewer are a colour sensor; the longest array on a hobbyist's board has 3694
MAX_LINE_BYTES = 40_960  # 4096 numbers of nine characters
MAX_HEADER_LINES = 64  # bounds a header whose end was lost
MAX_LINES_BEFORE = 20  # rows and talk of a board before its header, or its answer
MAX_ROWS_AGAIN = 8  # of a number that was seen already
TEXT_BYTES = 32
RANGE_NM = (150.0, 6_000.0)  # beyond, no array sees anything: another unit, or no axis
MAX_NUMBER = 1e9  # of a header; bounds the arithmetic
REPEATS = (1, 1000)
DOCUMENT = "see docs/csv-over-serial.md"

# Layouts
LINE = Lines(limit_bytes=MAX_LINE_BYTES)
SUM = re.compile(rb"(.*)\*([0-9A-Fa-f]{4})")
BETWEEN = re.compile(rb"[,; \t]+")
COUNT = re.compile(rb"-?\d{1,9}(\.0*)?")  # some print an integer as 1023.00
NUMBER = re.compile(rb"[-+]?(\d{1,12}\.?\d{0,15}|\.\d{1,15})([eE][-+]?\d{1,3})?")


Rows = tuple[list[NDArray[np.int32]], int | None, bytes]  # frames, number of the last one, the lines themselves


@dataclass(slots=True)
class Course:
    """What changes while a board is open. latest: number of the row that was taken last, None without numbers.

    told_ms: the longest integration time that may be in force, 0 before it was told any. silent_s: for how long nobody
    heard anything of it who listened.
    """

    latest: int | None = None
    told_ms: float = 0.0
    silent_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Board(Unit):
    """One board. `fixed_ms` is None where it does not tell, `full_scale` too; limits are None unless it knows "t"."""

    axis_nm: NDArray[np.float64]
    full_scale: int | None = None
    fixed_ms: float | None = None
    has_lamp: bool = False
    is_asked: bool = False
    is_numbered: bool = False
    is_checked: bool = False
    course: Course = field(default_factory=Course)


def with_sum(line: bytes) -> bytes:
    """Return the line with its checksum."""
    return line + b"*%04X" % binascii.crc_hqx(line, 0)


def body_of(line: bytes, *, checked: bool) -> bytes:
    """Return the line without end and checksum. Raises WireError for a wrong one, or none where there has to be one."""
    line = line.strip()
    found = SUM.fullmatch(line)
    if found and int(found[2], 16) == binascii.crc_hqx(found[1], 0):
        return found[1]
    if found or checked:
        raise WireError("a line with a wrong checksum" if found else "a line without its checksum", received=line)
    return line


def cells_of(body: bytes) -> list[bytes]:
    """Return what stands between separators; one behind the last cell means nothing."""
    return BETWEEN.split(body.strip(b",; \t"))


def row_from(body: bytes, board: Board) -> tuple[int | None, NDArray[np.int32]]:
    """Return number and counts of a row. Raises WireError."""
    cells, expected = cells_of(body), len(board.axis_nm) + board.is_numbered
    if len(cells) != expected:
        raise WireError(f"a row of {len(cells)} numbers, expected {expected}", received=body)
    if not all(map(COUNT.fullmatch, cells)):
        raise WireError("a row with something that is no integer", received=body)
    numbers = np.array([int(cell.partition(b".")[0]) for cell in cells], dtype=np.int32)
    number, counts = (int(numbers[0]), numbers[1:]) if board.is_numbered else (None, numbers)
    if board.full_scale is not None and counts.max() > board.full_scale:
        raise WireError(f"{counts.max()} counts, full scale is {board.full_scale}", received=body)
    return number, counts


def board_from(fields: dict[str, bytes], *, checked: bool) -> Board:
    """Understand a header. Raises WrongInstrument naming what is missing or makes no sense."""
    serial_number = _text(fields.get("serial", b""))
    if not serial_number:
        raise WrongInstrument("the board tells no serial number", hint=f'let it print "#serial ...": {DOCUMENT}')
    times = _numbers(fields, "integration-ms")
    scale = _numbers(fields, "full-scale")
    if len(times) > 2 or any(not 0 < time <= 3_600_000 for time in times) or times != sorted(times):
        raise WrongInstrument(f"#integration-ms {times} is no time and no range", hint=DOCUMENT)
    if len(scale) > 1 or any(not 1 <= counts < 1e9 for counts in scale):
        raise WrongInstrument(f"#full-scale {scale} is no number of counts", hint=DOCUMENT)
    notes = []
    if not checked:
        notes.append("its lines have no checksum: a digit that was spoilt on the way is not noticed")
    if not scale:
        notes.append("it does not tell its full scale: saturation is not noticed")
    if len(times) < 2:
        notes.append("it chooses its own integration time; integration_ms has no effect")
    return Board(
        identity=Identity(kind=KIND, model=_text(fields.get("model", b"")) or "board", serial_number=serial_number),
        limits=Limits(integration_ms=(times[0], times[1]), saturation_counts=int(scale[0]) if scale else 2**31 - 1)
        if len(times) == 2
        else None,
        notes=tuple(notes),
        axis_nm=_axis_nm(fields),
        full_scale=int(scale[0]) if scale else None,
        fixed_ms=times[0] if len(times) == 1 else None,
        has_lamp="lamp" in fields,
        is_asked="asked" in fields,
        is_numbered="numbered" in fields,
        is_checked=checked,
    )


def checked_settings(board: Board, settings: Settings) -> ExposureSettings:
    """Return the settings if this board can do them. Raises BadSettings."""
    if not isinstance(settings, ExposureSettings):
        raise BadSettings("a board takes frames of an array", hint="remove start_nm, end_nm, points and width_px")
    given = [name for name in ("gain", "laser_mw", "detector_c") if getattr(settings, name) is not None]
    if given:
        raise BadSettings(f"a board that prints lines has no {' and no '.join(given)}", hint="leave it unset")
    if not REPEATS[0] <= settings.repeats <= REPEATS[1]:
        raise BadSettings(f"repeats {settings.repeats} ({REPEATS[0]} to {REPEATS[1]})")
    if board.limits is not None:
        low, high = board.limits.integration_ms
        if not low <= settings.integration_ms <= high:
            raise BadSettings(f"integration_ms {settings.integration_ms:g}; this board does {low:g} to {high:g}")
    return settings


def _axis_nm(fields: dict[str, bytes]) -> NDArray[np.float64]:
    hint = f'let it print "#nm ..." or "#nm-of ...": {DOCUMENT}'
    listed, polynomial = _numbers(fields, "nm"), _numbers(fields, "nm-of")
    if bool(listed) == bool(polynomial):
        raise WrongInstrument(f"the board tells {'two' if listed else 'no'} wavelengths of its pixels", hint=hint)
    pixels = len(listed) or int(polynomial[0])
    if not PIXELS[0] <= pixels <= PIXELS[1] or (polynomial and not 3 <= len(polynomial) <= 7):
        raise WrongInstrument(
            f"{pixels} pixels, expected {PIXELS[0]} to {PIXELS[1]} and 2 to 6 coefficients", hint=hint
        )
    axis: NDArray[np.float64] = np.array(listed, dtype=np.float64)
    if polynomial:
        axis = np.asarray(
            np.polynomial.polynomial.polyval(np.arange(1.0, pixels + 1), polynomial[1:]), dtype=np.float64
        )
    steps = np.diff(axis)
    if not (RANGE_NM[0] < axis.min() and axis.max() < RANGE_NM[1] and ((steps > 0).all() or (steps < 0).all())):
        raise WrongInstrument(f"wavelengths {axis[0]:g} to {axis[-1]:g} nm that are no axis", hint=hint)
    return axis


def _numbers(fields: dict[str, bytes], key: str) -> list[float]:
    cells = cells_of(fields[key]) if fields.get(key) else []
    numbers = [float(cell) for cell in cells if NUMBER.fullmatch(cell)]
    if len(numbers) != len(cells) or any(abs(number) > MAX_NUMBER for number in numbers):
        raise WrongInstrument(f"#{key} holds something that is no number, or a monstrous one", hint=DOCUMENT)
    return numbers


def _decimal(value: float) -> bytes:
    return f"{value:.3f}".rstrip("0").rstrip(".").encode()


def _text(value: bytes) -> str:
    return "".join(chr(byte) for byte in value if 0x20 <= byte < 0x7F).strip()[:TEXT_BYTES]


# Conversations


def find() -> Conversation[Board]:
    """Light off, then ask at each rate until a header comes. Raises NoAnswer, WireError, WrongInstrument."""
    error: Resynchronise = NoAnswer("no answer")
    for baud in RATES:
        yield SetBaud(baud=baud)
        for _ in range(ASKS):
            yield Drain(within_s=0.3)
            yield Send(data=b"l 0\n?\n")
            try:
                return (yield from read_header())
            except Resynchronise as caught:
                error = caught
    raise error


def read_header() -> Conversation[Board]:
    """Pass over what comes before a header, and read it."""
    fields: dict[str, bytes] | None = None
    checked, rows, within_s = False, 0, ASK_WITHIN_S
    for _ in range(MAX_LINES_BEFORE + MAX_HEADER_LINES):
        line = ((yield Receive(framer=LINE, within_s=within_s)) or b"").strip()
        if line in (FIRST_LINE, with_sum(FIRST_LINE)):
            fields, checked, within_s = {}, line != FIRST_LINE, LINE_WITHIN_S
        elif fields is None:
            rows += len(cells_of(line)) >= PIXELS[0] and all(map(COUNT.fullmatch, cells_of(line)))
            if rows >= MAX_LINES_BEFORE:
                raise WrongInstrument("a board prints numbers and not what they are", hint=f"{DOCUMENT}: its header")
        elif (body := body_of(line, checked=checked)) == b"#end":
            return board_from(fields, checked=checked)
        elif body.startswith(b"#"):
            key, _, value = body[1:].partition(b" ")
            fields[key.decode("ascii", errors="replace")] = value.strip()
    raise WireError("many lines and no whole header", hint=f"is it a board for {KIND}? {DOCUMENT}")


def tell(board: Board, command: bytes) -> Conversation[None]:
    """Say it and wait for the echo. Raises DeviceRefused with the board's words."""
    yield Send(data=(with_sum(command) if board.is_checked else command) + b"\n")
    for _ in range(MAX_LINES_BEFORE + MAX_HEADER_LINES):
        body = body_of((yield Receive(framer=LINE, within_s=LINE_WITHIN_S)) or b"", checked=board.is_checked)
        if body.startswith(b"#ok"):
            if cells_of(body) != [b"#ok", *cells_of(command)]:
                raise WireError(f"an answer to something else than {command.decode('ascii')}", received=body)
            return
        raise_if_refused(body, command)
    raise WireError(f"many lines and no answer to {command.decode('ascii')}")


def take_row(board: Board, within_s: float) -> Conversation[tuple[int | None, NDArray[np.int32], bytes]]:
    """Take the next row, asked for where that is needed: its number, counts, and the line itself."""
    if board.is_asked:
        yield Send(data=(with_sum(b"m") if board.is_checked else b"m") + b"\n")
    for _ in range(MAX_LINES_BEFORE + MAX_HEADER_LINES):
        line = (yield Receive(framer=LINE, within_s=within_s)) or b""
        body = body_of(line, checked=board.is_checked)
        raise_if_refused(body, b"m")
        if body[:1].isdigit() or body[:1] == b"-":
            return *row_from(body, board), line
    raise WireError("many lines and no row")


def raise_if_refused(body: bytes, command: bytes) -> None:
    """Raise DeviceRefused for "#error TEXT"."""
    if body.startswith(b"#error"):
        words = _text(body.removeprefix(b"#error")) or "no reason given"
        raise DeviceRefused(f"the board refused {command.decode('ascii')}: {words}", codes={"error": 1})


def take_new_row(board: Board, within_s: float) -> Conversation[tuple[int | None, NDArray[np.int32], bytes]]:
    """Take rows until one comes that is not the last one again."""
    for _ in range(MAX_ROWS_AGAIN):
        number, counts, line = yield from attempt(lambda: take_row(board, within_s))
        if number is None or number != board.course.latest:
            board.course.latest, board.course.silent_s = number, 0.0
            return number, counts, line
    raise WireError(f"row {board.course.latest} comes again and again")


def take_rows(board: Board, settings: ExposureSettings) -> Conversation[Rows]:
    """Take the frames, each another one."""
    within_s = exposure_ms(board, settings, UNTOLD_MS) / 1000 + LINE_WITHIN_S
    frames: list[NDArray[np.int32]] = []
    blob, number = b"", None
    if not board.is_asked:
        with contextlib.suppress(WireError):  # the rest of the row that was under way
            yield from take_row(board, within_s)
    for _ in range(settings.repeats):
        number, counts, line = yield from take_new_row(board, within_s)
        frames.append(counts)
        blob += line + b"\n"
    return frames, number, blob


def take_lit_rows(board: Board, settings: ExposureSettings) -> Conversation[Rows]:
    """Take the frames with the lamp on, if there is one; it is off afterwards, whatever happened."""
    if not board.has_lamp:
        return (yield from take_rows(board, settings))
    try:
        yield from attempt(lambda: tell(board, b"l 1"))
        rows = yield from take_rows(board, settings)
    except (DriverError, Interrupted):
        yield Drain(within_s=0.3)
        with contextlib.suppress(Resynchronise, DeviceRefused):
            yield from attempt(lambda: tell(board, b"l 0"))
        raise
    yield from attempt(lambda: tell(board, b"l 0"))
    return rows


def exposure_ms(board: Board, settings: ExposureSettings, untold_ms: float) -> float:
    """Return the integration time in force, `untold_ms` where nobody knows it."""
    if board.limits is not None:
        return settings.integration_ms
    return untold_ms if board.fixed_ms is None else board.fixed_ms


def listen(board: Board) -> Conversation[None]:
    """Wait for a line of a board that prints by itself, but not for long: rows may be far apart.

    Raises NoAnswer when it has been silent for longer than a row takes, counting only the time that we listened.
    """
    course = board.course
    longest_ms = board.limits.integration_ms[1] if board.limits else UNTOLD_MS
    row_s = (course.told_ms or board.fixed_ms or longest_ms) / 1000 + LINE_WITHIN_S
    within_s = min(LISTEN_S, row_s - course.silent_s)
    try:
        yield Receive(framer=LINE, within_s=within_s)
    except NoAnswer as error:
        course.silent_s += within_s
        if course.silent_s >= row_s:
            raise NoAnswer(f"no row for {row_s:g} s, of a board that prints by itself") from error
    else:
        course.silent_s = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvSerialDevice:
    """Holds no state: two boards may share it."""

    kind: str = KIND
    title: str = "boards that print CSV over a serial port"
    links: tuple[Medium, ...] = ("serial",)
    usb: UsbIds | None = None
    default_settings: Settings = field(default_factory=ExposureSettings)

    def over(self, medium: Medium) -> CsvSerialDevice:
        """Return the family on this medium; there is one only."""
        return self

    def open(self) -> Conversation[Board]:
        """Find the rate, light off, and read who it is."""
        board = yield from find()
        if board.has_lamp:
            yield from attempt(lambda: tell(board, b"l 0"))
        return board

    def configure(self, unit: Board, settings: Settings) -> Conversation[None]:
        """Set the integration time and throw one row away, which may still be of the time before."""
        exposure = checked_settings(unit, settings)
        if unit.limits is None:
            return
        unit.course.told_ms = max(unit.course.told_ms, exposure.integration_ms)  # if it refuses, either may be in force
        yield from attempt(lambda: tell(unit, b"t %b" % _decimal(exposure.integration_ms)))
        within_s = unit.limits.integration_ms[1] / 1000 + LINE_WITHIN_S
        yield from take_new_row(unit, within_s)
        unit.course.told_ms = exposure.integration_ms

    def scan(self, unit: Board, settings: Settings) -> Conversation[RawScan]:
        """Light on for one scan, and off also when it fails or is interrupted."""
        exposure = checked_settings(unit, settings)
        yield Drain(quiet_s=0.02, within_s=0.3)  # a row that came twice or late is not of this scan
        frames, number, blob = yield from take_lit_rows(unit, exposure)
        raw = np.stack(frames)
        full_scale = np.iinfo(np.int32).max if unit.full_scale is None else unit.full_scale
        known_ms = exposure_ms(unit, exposure, 0.0)
        return RawScan(
            identity=unit.identity,
            settings=settings,
            scan_index=number,
            axis=unit.axis_nm.copy(),
            axis_unit="nm",
            counts=raw.mean(axis=0, dtype=np.float64),
            raw=raw,
            dark_level=0.0,
            saturated=np.max(raw, axis=0) >= full_scale,
            gain=1.0,
            environment=Environment(),
            blob=blob,
            exposure_ms=known_ms or None,
            frames_dropped=0 if unit.is_asked else 1,
        )

    def environment(self, unit: Board) -> Conversation[Environment]:
        """A board tells no conditions; a row of one that prints by itself, or its header, says that it is there."""
        if unit.is_asked:
            yield Send(data=b"?\n")
            yield from read_header()
        else:
            yield from listen(unit)
        return Environment()

    def close(self) -> Conversation[None]:
        """Light off, said twice: who does not know yet what the board can do waits for no answer."""
        yield Drain(within_s=0.3)
        yield Send(data=b"l 0\nl 0\n")


DEVICE = CsvSerialDevice()
