"""What an Ocean instrument's firmware does with a message of the Ocean Binary Protocol, whatever line it came by.

One request is served at a time; a spectrum keeps the next request waiting.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable

from drivers.framing import Frame
from firmware_sim.contract import Event, OperatorError
from firmware_sim.devices import _obp_frame as frames
from firmware_sim.devices._obp_bench import Bench
from firmware_sim.devices._obp_models import MODELS, SimModel
from firmware_sim.devices._obp_registers import (
    BAD_DATA,
    BAD_LENGTH,
    BAD_SUM,
    BAD_VERSION,
    COMMANDS,
    F32,
    INTERNAL,
    NOT_READY,
    SOFTWARE_TRIGGER,
    U8,
    U32,
    UNKNOWN,
    UNKNOWN_SUM,
    Handler,
    Refused,
    Registers,
)
from firmware_sim.faults import Fault, FaultPlan, FaultPlanError
from firmware_sim.scene import Scene

QUIRKS = {
    "echo", "version", "no-md5", "refuses-md5", "double", "slow", "blank", "restarts", "no-laser", "interlock",
    "stuck-laser",
}  # fmt: skip
OWN_FAULTS = {"off_refused": 1}
SWITCH_LASER, OFF = 0x810031, b"\0\0\0"
BAUDS = (9_600, 19_200, 38_400, 57_600, 115_200, 230_400)
PROCESSING_S = 0.0005
GAP_S = 0.25  # a request that pauses for longer is forgotten
REBOOT_S = 1.0
RESTART_SPECTRUM = 3
OTHER_VERSION = 0x1200


class ObpFirmware:
    """All but the line. `speed` divides durations; 0 = nothing takes time.

    model: a name in MODELS. ideal: a detector without noise, pattern and dark current. baud: the rate that it wakes
    up with. meant, laser_log and frames_per_sample: see Bench.
    """

    def __init__(
        self,
        model: str,
        scene: Scene,
        *,
        serial_number: str = "SIM0001",
        seed: int = 0,
        speed: float = 1.0,
        faults: FaultPlan | None = None,
        quirks: Iterable[str] = (),
        ideal: bool = False,
        frames_per_sample: int = 0,
        baud: int = BAUDS[0],
        facts: SimModel | None = None,
    ) -> None:
        self.model = facts or MODELS[model]
        self.serial_number = serial_number
        self.quirks = frozenset(quirks)
        if unknown := self.quirks - QUIRKS:
            raise OperatorError(f"no quirk {', '.join(sorted(unknown))}; there are {', '.join(sorted(QUIRKS))}")
        wavelength = tuple(F32.unpack(F32.pack(value))[0] for value in self.model.wavelength)
        self.bench = Bench(
            self.model,
            scene,
            wavelength=wavelength,
            seed=seed,
            ideal=ideal,
            quirks=self.quirks,
            frames_per_sample=frames_per_sample,
        )
        self.meant = self.bench.meant
        self.laser_log = self.bench.laser_log
        self._seed = seed
        self.speed = speed
        self._stored_baud = baud
        self._framer = frames.RequestFramer()
        self._events: list[Event] = []
        self._handlers = self._table()
        self._buffer = b""
        self._heard_s = -math.inf
        self._restarted = False
        self.follow(faults or FaultPlan(seed=seed))
        self.boot(0.0)

    def follow(self, plan: FaultPlan) -> None:
        """Let these faults happen; spectra, requests, and those to switch the laser off count from 1 from now on."""
        self.plan = plan
        self._planned_at = self.bench.frames
        self._requests = self._offs = 0

    def wake(self, now_s: float) -> None:
        """Nothing happens by itself."""

    def take_events(self) -> list[Event]:
        """Return spectra, laser and faults since the last call."""
        events, self._events = self._events, []
        return events

    def operate(self, line: str) -> None:
        """`sample NAME`, `next`, `faults PLAN`. Raises OperatorError."""
        verb, _, rest = line.strip().partition(" ")
        match verb:
            case "sample":
                self.bench.scene.place(rest.strip())
            case "next" if not rest:
                self.bench.scene.used()
            case "faults":
                try:
                    self.follow(FaultPlan.parse(rest, seed=self._seed, own=OWN_FAULTS))
                except FaultPlanError as error:
                    raise OperatorError(str(error)) from error
            case _:
                raise OperatorError(f"{line.strip()!r}: say sample NAME, next, faults PLAN, hangup [SECONDS] or quit")

    def boot(self, now_s: float) -> None:
        """Power comes, or the firmware starts afresh."""
        self.bench.boot(now_s)
        self._buffer = b""
        self._heard_s = -math.inf
        self._deaf_until_s = now_s
        self._free_at_s = now_s
        self._waiting: bytes | None = None  # a spectrum's request that waits for a trigger
        self.baud = self._stored_baud
        self.next_baud: int | None = None  # asked for, and in force as soon as that is acknowledged

    def forget(self) -> None:
        """Drop an unfinished request."""
        self._buffer = b""

    def requests(self, data: bytes, now_s: float) -> list[bytes]:
        """Take bytes; return the messages that are whole."""
        if now_s < self._deaf_until_s:
            return []
        return self._messages(data, now_s)

    def _messages(self, data: bytes, now_s: float) -> list[bytes]:
        if self._buffer and now_s - self._heard_s > GAP_S:
            self._buffer = b""
        self._heard_s = now_s
        self._buffer += data
        messages = []
        while (found := self._framer.find(self._buffer)) is not None:
            self._buffer = self._buffer[found.size_bytes :]
            if isinstance(found, Frame):
                messages.append(found.payload)
        return messages

    def serve(self, message: bytes, arrived_s: float, *, fired: bool = False) -> list[tuple[float, bytes]]:
        """Return (when, answer) for each answer; a spectrum waits for its trigger, unless that was `fired`."""
        request = frames.request_from(message)
        self._requests += 1
        start_s = max(arrived_s, self._free_at_s)
        sums = request.sum_type == frames.MD5 and not self.quirks & {"no-md5", "refuses-md5"}
        version = OTHER_VERSION if "version" in self.quirks else frames.VERSION
        takes_s = PROCESSING_S
        try:
            self._check(request)
            if request.message_type in self.model.spectra:
                if self.bench.settings.trigger and not fired:
                    self._waiting = message
                    return []
                takes_s += self.bench.takes_s()
            data = self._answer(request, start_s)
        except Refused as refused:
            flags = frames.IS_RESPONSE | frames.IS_NACK
            answer = frames.reply(request, flags=flags, error=refused.number, sums=sums, version=version)
            return [(start_s + self._takes(PROCESSING_S), answer)]
        self._free_at_s = start_s + self._takes(takes_s)
        triggered: list[tuple[float, bytes]] = []
        if request.message_type == SOFTWARE_TRIGGER and self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            triggered = self.serve(waiting, self._free_at_s, fired=True)
        if request.flags & frames.WANTS_ACK:
            flags = frames.IS_RESPONSE | frames.IS_ACK
            acknowledged = frames.reply(request, flags=flags, sums=sums, version=version)
            return [(start_s + self._takes(takes_s), acknowledged), *triggered]
        if request.message_type in COMMANDS:
            return triggered
        answer = frames.reply(request, data, sums=sums, version=version)
        if request.message_type in self.model.spectra and self._restarts():
            answer = answer[: len(answer) // 2]
            self.boot(self._free_at_s)
            self._deaf_until_s = self._free_at_s + self._takes(REBOOT_S)
        return [(self._free_at_s, answer)]

    def _check(self, request: frames.Request) -> None:
        if request.version != frames.VERSION:
            raise Refused(BAD_VERSION)
        if request.sum_type not in (frames.NONE, frames.MD5) or (request.sum_type and "refuses-md5" in self.quirks):
            raise Refused(UNKNOWN_SUM)
        if not request.sum_right:
            raise Refused(BAD_SUM)
        if self.plan.strikes("busy", self._requests):
            self.note_fault("busy", reply=self._requests)
            raise Refused(NOT_READY)
        if (request.message_type, request.data) == (SWITCH_LASER, OFF):
            self._offs += 1
            if fault := self.plan.strikes("off_refused", self._offs):
                self.note_fault("off_refused", request=self._offs)
                raise Refused(int(fault.parameter(0, INTERNAL)))

    def _answer(self, request: frames.Request, now_s: float) -> bytes:
        handler = self._handlers.get(request.message_type)
        if handler is None:
            raise Refused(UNKNOWN)
        try:
            return handler(request.message_type, request.data, now_s)
        except struct.error as error:
            raise Refused(BAD_LENGTH) from error

    def _restarts(self) -> bool:
        if "restarts" not in self.quirks or self._restarted or self.bench.frames < RESTART_SPECTRUM:
            return False
        self._restarted = True
        return True

    def _takes(self, seconds: float) -> float:
        return seconds / self.speed if self.speed else 0.0

    def note_fault(self, name: str, **where: int) -> None:
        """Tell whoever watches that a planned fault struck."""
        self._tell({"event": "fault", "fault": name, **where})

    def _tell(self, event: Event) -> None:
        self._events.append({"serial_number": self.serial_number, **event})

    def _table(self) -> dict[int, Handler]:
        """Return who serves which message."""
        registers = Registers(self.model, self.bench, self.quirks, self.serial_number, self._tell)
        own: dict[Handler, tuple[int, ...]] = {
            self._serial_port: (0x800, 0x810, 0x804, 0x814, 0x8F0),
            self._reset: (0x000, 0x001),
            self._spectrum: self.model.spectra,
            self._trigger: (SOFTWARE_TRIGGER,),
        }
        return registers.table() | {message_type: served for served, types in own.items() for message_type in types}

    def _serial_port(self, message_type: int, data: bytes, now_s: float) -> bytes:
        match message_type:
            case 0x800:
                return U32.pack(self.baud)
            case 0x804:
                return U8.pack(0)
            case 0x810:
                (baud,) = U32.unpack(data)
                if baud not in BAUDS:
                    raise Refused(BAD_DATA)
                self.next_baud = baud
            case 0x8F0:
                self._stored_baud = self.baud
        return b""

    def _reset(self, message_type: int, data: bytes, now_s: float) -> bytes:
        self.boot(now_s)
        self._deaf_until_s = now_s + self._takes(REBOOT_S)
        return b""

    def _spectrum(self, message_type: int, data: bytes, now_s: float) -> bytes:
        if error := self._strikes("error", self.bench.frames + 1):
            self.bench.frames += 1
            raise Refused(int(error.parameter(0, INTERNAL)))
        sample = self.bench.scene.label
        spectrum = self.bench.spectrum(now_s, self._strikes)
        self._tell({"event": "scan", "frame": self.bench.frames, "sample": sample})
        return spectrum

    def _strikes(self, name: str, frame: int) -> Fault | None:
        fault = self.plan.strikes(name, frame - self._planned_at)
        if fault:
            self.note_fault(name, scan=frame - self._planned_at)
        return fault

    def _trigger(self, message_type: int, data: bytes, now_s: float) -> bytes:
        return b""
