"""What the firmware of the NIRscan Nano family does with a request, whatever link brought it.

Images are in `_nirscan_tpl`, the light's way in `_nirscan_scan`, the scan under way and the last one in `_nirscan_bay`.
A failed scan shows only in the error status, and the data stay those of the scan before.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar

from firmware_sim import detector, optics
from firmware_sim.contract import Event, OperatorError
from firmware_sim.devices import _nirscan_scan as scanning
from firmware_sim.devices import _nirscan_tpl as tpl
from firmware_sim.devices import _nirscan_uart as uart
from firmware_sim.devices._nirscan_bay import ScanBay, ScanOrder, Unit
from firmware_sim.faults import SCAN_FAULTS, Fault, FaultPlan, FaultPlanError
from firmware_sim.sample import Tray

# status word, error word, error codes
TIVA_OK, SCAN_IN_PROGRESS = 0x01, 0x02
ERROR_SCAN, ERROR_UART = 0x001, 0x800
CODE_LAMP = 0x04
CODE_UART_SUM = 1  # our reading of the codes: scan first of the 16 bytes, UART at the thirteenth
SCAN_CODE_AT, UART_CODE_AT, ERROR_CODES_BYTES = 0, 12, 16

PROCESSING_S = 0.002
REBOOT_S = 3.0
NEVER = {0x002F: "boot loader"}
POWER_ON = datetime(2026, 1, 1)  # noqa: DTZ001  the unit's clock knows no zone


class Refused(Exception):
    """The request is answered with an error reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A reply before any framing. `command` is that of the request, b"" where the request was not served."""

    flags: int
    sequence: int
    command: bytes = b""
    data: bytes = b""


class NirscanFirmware:
    """One unit. `speed` divides the durations of scans, bytes and reboots; 0 = nothing takes time."""

    chunk_bytes: ClassVar[int] = 512  # data of one message
    own_faults: ClassVar[Mapping[str, int]] = {}  # as in FaultPlan.parse

    def __init__(
        self,
        tray: Tray,
        *,
        unit: Unit | None = None,
        seed: int = 0,
        speed: float = 1.0,
        faults: FaultPlan | None = None,
    ) -> None:
        self.unit = unit or Unit()
        self.serial_number = self.unit.serial_number
        self.tray = tray
        self.plan = faults or FaultPlan(seed=seed)
        self._bay = ScanBay(tray, self.unit, seed)
        self._seed = seed
        self._speed = speed
        self._events: list[Event] = []
        self._requests = {code: handler for handler, codes in self._handlers().items() for code in codes}
        self._asked = 0  # scans asked for since the plan of faults was given
        self.boot(0.0)

    def boot(self, now_s: float) -> None:
        """Begin with what the factory stored. The images are the bay's business."""
        self._errors: int = 0
        self._codes: bytearray = bytearray(ERROR_CODES_BYTES)
        self._configuration = tpl.Configuration(serial_number=self.serial_number)
        self._stored = [self._configuration]
        self._active = 0
        self._gain: int | None = None  # None: the gain-setting pass chooses
        self._lamp_automatic, self._dlpc_on, self._lamp_on = True, False, False
        self.hibernates = True
        self._clock_offset = POWER_ON - datetime(1970, 1, 1) - timedelta(seconds=now_s)  # noqa: DTZ001

    def restarts(self, now_s: float) -> None:
        """Begin anew because the host said so; a face adds what its link sees of that."""
        self.boot(now_s)
        self._bay.boot()

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
        """`white`, `sample NAME`, `drift HOW`, `faults PLAN`. Raises OperatorError."""
        verb, _, rest = line.strip().partition(" ")
        match verb:
            case "white" if not rest:
                self.tray.show_white()
            case "sample":
                self.tray.place(rest.strip())
            case "drift":
                self.tray.set_drift(rest)
            case "faults":
                try:
                    self.plan = FaultPlan.parse(rest, seed=self._seed, own=self.own_faults)
                except FaultPlanError as error:
                    raise OperatorError(str(error)) from error
                self._asked = 0
            case _:
                said, known = line.strip(), "white, sample NAME, drift HOW, faults PLAN, hangup [SECONDS] or quit"
                raise OperatorError(f"{said!r}: say {known}")

    def respond(self, message: bytes, now_s: float, is_busy: Callable[[], bool]) -> Answer | None:
        """Serve one request, from its flags to its data; None where the firmware is silent.

        is_busy: asked once for a request that wants an answer; such a one is not served when it says so.
        """
        flags, sequence = message[0], message[1]
        command, data = int.from_bytes(message[4:6], "little"), message[6:]
        if flags & (uart.RESERVED_MASK | uart.RESPONSE_MASK | uart.DESTINATION_MASK):
            return None  # the firmware drops these without a word
        wanted = bool(flags & uart.REPLY_WANTED)
        if wanted and is_busy():
            return Answer(flags=flags | uart.BUSY, sequence=sequence)
        try:
            if command in NEVER:
                self._events.append(
                    {"event": "refused", "serial_number": self.serial_number, "command": f"0x{command:04x}"}
                )
            handler = self._requests.get((command, bool(flags & uart.READ)))
            if handler is None:
                raise Refused
            told = handler(command, data, now_s)
        except (Refused, struct.error):  # struct.error: too few data bytes for this command
            return Answer(flags=flags | uart.ERROR, sequence=sequence) if wanted else None
        return Answer(flags=flags, sequence=sequence, command=message[4:6], data=told) if wanted else None

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
            told = self.plan.estimate_ms
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
        faults = {name: self._strikes_scan(name) for name in SCAN_FAULTS}
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
            chunk = self._bay.next_chunk(self.chunk_bytes)
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
                self.hibernates = bool(struct.unpack_from("<B", data)[0])
            case 0x030F:
                return bytes((self.hibernates,))
            case 0x021A:
                self.restarts(now_s)
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

    def _strikes_scan(self, name: str) -> Fault | None:
        fault = self.plan.strikes(name, self._asked)
        if fault:
            self._note_fault(name, scan=self._asked)
        return fault

    def _takes(self, seconds: float) -> float:
        return seconds / self._speed if self._speed else 0.0

    def _note_fault(self, name: str, **where: int) -> None:
        self._events.append({"event": "fault", "serial_number": self.serial_number, "fault": name, **where})
