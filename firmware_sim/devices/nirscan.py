"""TI DLP NIRscan Nano family (InnoSpectra NIR-M-R2), firmware with the UART option, 115200 8N1.

Frames are drawn in `_nirscan_uart`, images in `_nirscan_tpl`, the light's way in `_nirscan_scan`; here is what the
firmware does with a request. A failed scan shows only in the error status, and the data stay those of the scan before.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from drivers.framing import Frame, Skip
from firmware_sim import detector, optics
from firmware_sim.contract import Event, OperatorError, Output
from firmware_sim.devices import _nirscan_scan as scanning
from firmware_sim.devices import _nirscan_tpl as tpl
from firmware_sim.devices import _nirscan_uart as uart
from firmware_sim.devices._nirscan_bay import ScanBay, ScanOrder, Unit
from firmware_sim.devices._nirscan_reply import ReplyLine
from firmware_sim.faults import SCAN_FAULTS, FaultPlan, FaultPlanError
from firmware_sim.sample import Tray

# status word, error word, error codes
TIVA_OK, SCAN_IN_PROGRESS = 0x01, 0x02
ERROR_SCAN, ERROR_UART = 0x001, 0x800
CODE_LAMP = 0x04
CODE_UART_SUM = 1  # our reading of the codes: scan first of the 16 bytes, UART at the thirteenth
SCAN_CODE_AT, UART_CODE_AT, ERROR_CODES_BYTES = 0, 12, 16

PROCESSING_S = 0.002
REBOOT_S = 3.0
STRICT_GAP_S, LENIENT_GAP_S = 0.001, 1.0
NEVER = {0x002F: "boot loader"}
POWER_ON = datetime(2026, 1, 1)  # noqa: DTZ001  the unit's clock knows no zone


class Refused(Exception):
    """The request is answered with an error reply."""


class NirscanNano:
    """The firmware. `speed` divides the durations of scans, bytes and reboots; 0 = nothing takes time.

    strict_gap: a pause of more than 1 ms within a request drops it, as the firmware does on a real line.
    """

    def __init__(
        self,
        tray: Tray,
        *,
        unit: Unit | None = None,
        seed: int = 0,
        speed: float = 1.0,
        faults: FaultPlan | None = None,
        strict_gap: bool = False,
    ) -> None:
        self.unit = unit or Unit()
        self.serial_number = self.unit.serial_number
        self.tray = tray
        self._bay = ScanBay(tray, self.unit, seed)
        self._seed = seed
        self._speed = speed
        self._gap_s = STRICT_GAP_S if strict_gap else LENIENT_GAP_S
        self._framer = uart.RequestFramer()
        self._line = ReplyLine(faults or FaultPlan(seed=seed), speed=speed, note=self._note_fault)
        self._events: list[Event] = []
        self._requests = {code: handler for handler, codes in self._handlers().items() for code in codes}
        self._asked = 0  # scans asked for since the plan of faults was given
        self._buffer = b""
        self._heard_s = -math.inf
        self._boot(0.0)

    def line_opened(self, now_s: float) -> None:
        """Forget an unfinished request; the fault plan may put garbage in front of the first reply."""
        self._buffer = b""
        self._line.opened()

    def receive(self, data: bytes, now_s: float) -> list[Output]:
        """Take request bytes; return replies with the time at which each piece of them is on the line."""
        self.wake(now_s)
        if now_s < self._deaf_until_s:
            return []
        if self._buffer and now_s - self._heard_s > self._gap_s:
            self._buffer = b""
        self._heard_s = now_s
        self._buffer += data
        outputs: list[Output] = []
        while (found := self._framer.find(self._buffer)) is not None:
            taken, self._buffer = self._buffer[: found.size_bytes], self._buffer[found.size_bytes :]
            ready_s = now_s + self._takes(PROCESSING_S) + self._line.wire_s(len(taken))
            match found:
                case Frame(payload=message):
                    outputs += self._answer(message, now_s, ready_s)
                case Skip(reason=uart.WRONG_SUM):
                    self._errors |= ERROR_UART
                    self._codes[UART_CODE_AT] = CODE_UART_SUM
                    outputs += self._line.send(uart.STANDARD_FAILURE, ready_s)
        return outputs

    def wake_at(self) -> float | None:
        """Return when the scan under way ends."""
        return self._bay.done_at_s

    def wake(self, now_s: float) -> None:
        """End the scan under way when its time has come."""
        if event := self._bay.settle(now_s):
            self._events.append(event)

    def take_events(self) -> list[Event]:
        """Return scans and faults since the last call."""
        events, self._events = self._events, []
        return events

    def operate(self, line: str) -> None:
        """`white`, `sample NAME`, `faults PLAN`. Raises OperatorError."""
        verb, _, rest = line.strip().partition(" ")
        match verb:
            case "white" if not rest:
                self.tray.show_white()
            case "sample":
                self.tray.place(rest.strip())
            case "faults":
                try:
                    self._line.plan = FaultPlan.parse(rest, seed=self._seed)
                except FaultPlanError as error:
                    raise OperatorError(str(error)) from error
                self._asked = 0
            case _:
                raise OperatorError(f"{line.strip()!r}: say white, sample NAME, faults PLAN, hangup [SECONDS] or quit")

    def _boot(self, now_s: float) -> None:
        self._buffer = b""
        self._heard_s = -math.inf
        self._deaf_until_s: float = now_s
        self._errors: int = 0
        self._codes: bytearray = bytearray(ERROR_CODES_BYTES)
        self._configuration = tpl.Configuration(serial_number=self.serial_number)
        self._stored = [self._configuration]
        self._active = 0
        self._gain: int | None = None  # None: the gain-setting pass chooses
        self._lamp_automatic, self._dlpc_on, self._lamp_on = True, False, False
        self._hibernates = True
        self._clock_offset = POWER_ON - datetime(1970, 1, 1) - timedelta(seconds=now_s)  # noqa: DTZ001

    # requests

    def _answer(self, message: bytes, now_s: float, ready_s: float) -> list[Output]:
        flags, sequence = message[0], message[1]
        command, data = int.from_bytes(message[4:6], "little"), message[6:]
        if flags & (uart.RESERVED_MASK | uart.RESPONSE_MASK | uart.DESTINATION_MASK):
            return []  # the firmware drops these without a word
        wanted = bool(flags & uart.REPLY_WANTED)
        if wanted and self._line.is_busy():
            return self._line.send(uart.reply(flags | uart.BUSY, sequence, b""), ready_s)
        try:
            if command in NEVER:
                self._events.append(
                    {"event": "refused", "serial_number": self.serial_number, "command": f"0x{command:04x}"}
                )
            handler = self._requests.get((command, bool(flags & uart.READ)))
            if handler is None:
                raise Refused
            answer = handler(command, data, now_s)
        except (Refused, struct.error):  # struct.error: too few data bytes for this command
            return self._line.send(uart.reply(flags | uart.ERROR, sequence, b""), ready_s) if wanted else []
        return self._line.send(uart.reply(flags, sequence, message[4:6] + answer), ready_s) if wanted else []

    def _handlers(self) -> dict[Callable[[int, bytes, float], bytes], tuple[tuple[int, bool], ...]]:
        """Return who serves which (command, is a read)."""
        read, write = True, False
        return {
            self._facts: tuple((code, read) for code in (0x0216, 0x0233, 0x023C, 0x022A)),
            self._status: ((0x0403, read), (0x0404, read), (0x0405, write)),
            self._configure: ((0x021E, write), (0x022E, write), (0x0237, read)),
            self._store: ((0x0222, read), (0x0223, read), (0x0224, write), (0x021F, write), (0x0220, read)),
            self._scan: ((0x0218, write), (0x0219, read)),
            self._transfer: ((0x002D, read), (0x002E, read)),
            self._power: ((0x0105, write), (0x0225, write), (0x021A, write), (0x030E, write), (0x030F, read)),
            self._set_gain: ((0x021B, write), (0x0228, read), (0x040C, write)),
            self._sense: tuple((code, read) for code in (0x0300, 0x0302, 0x030A, 0x030B, 0x0402)),
            self._tell_time: ((0x0309, write), (0x030C, read)),
        }

    def _facts(self, command: int, data: bytes, now_s: float) -> bytes:
        match command:
            case 0x0216:
                return struct.pack("<7I", *self.unit.versions)
            case 0x0233:
                return self.serial_number.encode("ascii").ljust(8, b"\0")
            case 0x023C:
                return self.unit.model.encode("ascii").ljust(16, b"\0")
        return tpl.calibration_image(self.unit.coefficients)

    def _status(self, command: int, data: bytes, now_s: float) -> bytes:
        match command:
            case 0x0403:
                return struct.pack("<I", TIVA_OK | (0 if self._bay.done_at_s is None else SCAN_IN_PROGRESS))
            case 0x0404:
                return struct.pack("<I", self._errors) + bytes(self._codes)
        self._errors = 0
        self._codes = bytearray(ERROR_CODES_BYTES)
        return b""

    def _configure(self, command: int, data: bytes, now_s: float) -> bytes:
        if command == 0x0237:
            told = self._line.plan.estimate_ms
            return struct.pack("<i", scanning.estimated_ms(self._configuration) if told is None else told)
        if self._bay.done_at_s is not None:
            raise Refused
        if command == 0x022E:
            (repeats,) = struct.unpack_from("<H", data)
            if repeats < 1:
                raise Refused
            self._configuration = replace(self._configuration, repeats=repeats)
            return b""
        try:
            configuration = tpl.configuration_from(data)
        except tpl.TplError:
            return struct.pack("<i", -1)
        if not scanning.is_possible(configuration):
            return struct.pack("<i", -1)
        self._configuration = configuration
        return struct.pack("<i", configuration.patterns)

    def _store(self, command: int, data: bytes, now_s: float) -> bytes:
        match command:
            case 0x0222:
                return bytes((len(self._stored),))
            case 0x0223:
                return bytes((self._active,))
            case 0x0220:
                return tpl.configuration_image(self._at(data[0] if data else 0))
            case 0x0224:
                self._configuration = self._at(struct.unpack_from("<B", data)[0])
                self._active = data[0]
                return struct.pack("<I", self._active)
        try:
            configuration = tpl.configuration_from(data)
        except tpl.TplError as error:
            raise Refused from error
        if not scanning.is_possible(configuration) or len(self._stored) >= 20:
            raise Refused
        self._stored.append(configuration)
        return b""

    def _at(self, index: int) -> tpl.Configuration:
        if index >= len(self._stored):
            raise Refused
        return self._stored[index]

    def _scan(self, command: int, data: bytes, now_s: float) -> bytes:
        if command == 0x0219:
            return bytes((self._bay.says_done,))
        (to_card,) = struct.unpack_from("<B", data)
        if to_card or self._bay.done_at_s is not None or self._errors & ERROR_SCAN:
            raise Refused  # there is no card; what failed must be cleared away first
        self._asked += 1
        faults = {name: self._line.strikes_scan(name, self._asked) for name in SCAN_FAULTS}
        if error := faults["error"]:
            self._errors |= ERROR_SCAN
            self._codes[SCAN_CODE_AT] = int(error.parameter(0, CODE_LAMP))
        order = ScanOrder(
            configuration=self._configuration,
            gain=self._gain,
            lamp=None if self._lamp_automatic else float(self._lamp_on and self._dlpc_on),
            when=self._when(now_s),
            faults=faults,
        )
        self._bay.start(order, now_s + self._takes(scanning.estimated_ms(self._configuration) / 1000))
        self.wake(now_s)
        return b""

    def _transfer(self, command: int, data: bytes, now_s: float) -> bytes:
        if command == 0x002E:
            chunk = self._bay.next_chunk()
            if chunk is None:
                raise Refused
            return chunk
        size = self._bay.open_file(data[0] if data else -1, self._when(now_s))
        if size is None:
            raise Refused
        return struct.pack("<I", size)

    def _power(self, command: int, data: bytes, now_s: float) -> bytes:
        match command:
            case 0x0105:
                dlpc, lamp = struct.unpack_from("<BB", data)
                self._dlpc_on, self._lamp_on = bool(dlpc), bool(lamp)
            case 0x0225:
                self._lamp_automatic = bool(struct.unpack_from("<B", data)[0])
            case 0x030E:
                self._hibernates = bool(struct.unpack_from("<B", data)[0])
            case 0x030F:
                return bytes((self._hibernates,))
            case 0x021A:
                self._boot(now_s)
                self._bay.boot()
                self._deaf_until_s = now_s + self._takes(REBOOT_S)
        return b""

    def _set_gain(self, command: int, data: bytes, now_s: float) -> bytes:
        if command == 0x0228:
            return bytes((self._bay.gain_used if self._gain is None else self._gain,))
        fixed, gain = (True, data[0] if data else 0) if command == 0x021B else struct.unpack_from("<BB", data)
        if fixed and gain not in detector.GAINS:
            raise Refused
        if command == 0x040C or self._gain is not None:
            self._gain = gain if fixed else None  # alone, 0x021B does not keep the next gain-setting pass from choosing
        return b""

    def _sense(self, command: int, data: bytes, now_s: float) -> bytes:
        climate = optics.Climate.after(self._bay.scans)
        match command:
            case 0x0300:
                return struct.pack("<2i", round(climate.system_c * 100), round(climate.detector_c * 100))
            case 0x0302:
                return struct.pack("<2i", round(climate.system_c * 100), round(climate.humidity_percent * 100))
            case 0x030A:
                return struct.pack("<i", 412)
            case 0x030B:
                return struct.pack("<i", round(climate.system_c) + 6)
        lit = self._bay.done_at_s is not None if self._lamp_automatic else self._lamp_on
        level = climate.lamp_photodiode if lit else 12
        return struct.pack("<3I", level, level * 3 // 4, level // 2)

    def _tell_time(self, command: int, data: bytes, now_s: float) -> bytes:
        if command == 0x030C:
            return bytes(self._when(now_s))
        year, month, day, _, hour, minute, second = struct.unpack_from("<7B", data)
        try:
            told = datetime(2000 + year, month, day, hour, minute, second)  # noqa: DTZ001
        except ValueError as error:
            raise Refused from error
        self._clock_offset = told - datetime(1970, 1, 1) - timedelta(seconds=now_s)  # noqa: DTZ001
        return b""

    def _when(self, now_s: float) -> tuple[int, int, int, int, int, int, int]:
        now = datetime(1970, 1, 1) + self._clock_offset + timedelta(seconds=now_s)  # noqa: DTZ001
        return now.year - 2000, now.month, now.day, now.isoweekday() % 7, now.hour, now.minute, now.second

    def _takes(self, seconds: float) -> float:
        return seconds / self._speed if self._speed else 0.0

    def _note_fault(self, name: str, **where: int) -> None:
        self._events.append({"event": "fault", "serial_number": self.serial_number, "fault": name, **where})
