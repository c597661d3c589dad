"""What an Ocean instrument's firmware does with a message of the Ocean Binary Protocol, whatever line it came by.

One request is served at a time; a spectrum keeps the next request waiting.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable

import numpy as np

from drivers.framing import Frame
from firmware_sim.contract import Event, OperatorError
from firmware_sim.devices import _obp_frame as frames
from firmware_sim.devices._obp_bench import Bench
from firmware_sim.devices._obp_models import MODELS, OCEAN, SimModel
from firmware_sim.faults import Fault, FaultPlan, FaultPlanError
from firmware_sim.scene import Scene

QUIRKS = {
    "echo", "version", "no-md5", "refuses-md5", "double", "slow", "blank", "restarts", "no-laser", "interlock",
    "stuck-laser",
}  # fmt: skip
BAUDS = (9_600, 19_200, 38_400, 57_600, 115_200, 230_400)
PROCESSING_S = 0.0005
GAP_S = 0.25  # a request that pauses for longer is forgotten
REBOOT_S = 1.0
RESTART_SPECTRUM = 3
SOFTWARE_TRIGGER = 0x110120
OTHER_VERSION = 0x1200

BAD_VERSION, UNKNOWN, BAD_SUM, BAD_LENGTH, BAD_DATA, NOT_READY, UNKNOWN_SUM, NO_VALUE, INTERNAL = (
    1, 2, 3, 5, 6, 7, 8, 12, 13,
)  # fmt: skip
U8, U16, U32, F32 = struct.Struct("<B"), struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<f")

Handler = Callable[[int, bytes, float], bytes]


class Refused(Exception):
    """The request is answered with an error number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


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
        self._texts = {0x200: b"", 0x302: b""}
        self._restarted = False
        self.follow(faults or FaultPlan(seed=seed))
        self.boot(0.0)

    def follow(self, plan: FaultPlan) -> None:
        """Let these faults happen; spectra and requests are counted from 1 from now on."""
        self.plan = plan
        self._planned_at = self.bench.frames
        self._requests = 0

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
                    self.follow(FaultPlan.parse(rest, seed=self._seed))
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
        self._events.append({"event": "fault", "serial_number": self.serial_number, "fault": name, **where})

    def _table(self) -> dict[int, Handler]:
        """Return who serves which message."""
        model = self.model
        served: dict[Handler, tuple[int, ...]] = {
            self._say: (0x080, 0x090, 0x100, 0x101, 0x200, 0x201, 0x300, 0x301, 0x302),
            self._keep_text: (0x210, 0x310),
            self._serial_port: (0x800, 0x810, 0x804, 0x814, 0x8F0),
            self._reset: (0x000, 0x001),
            self._spectrum: model.spectra,
            self._set: tuple(SETTERS),
            self._get: tuple(GETTERS),
            self._calibration: (0x180100, 0x180101, 0x181100, 0x181101, 0x183100, 0x183101, 0x186000),
            self._trigger: (SOFTWARE_TRIGGER,),
            self._temperature: (0x400000, 0x400001, 0x400002),
        }
        if model.tells_limits:
            served[self._limits] = (0x110001, 0x110002, 0x110003)
        if model.tells_product:
            served[self._product] = (0xE00, 0xE01)
        if model.tells_saturation:
            served[self._saturation] = (0x1010A0,)
        if model.word == "<u4":
            served[self._buffering] = (0x100820, 0x100822, 0x100830, 0x100832, 0x100900)
        if model.cooled:
            served[self._cooler] = (*range(0x420000, 0x420005), 0x420010, 0x420011, 0x420012)
        if model.laser_nm is not None and "no-laser" not in self.quirks:
            served[self._laser] = (0x810021, 0x810031, 0x810041, 0x810051)
        return {message_type: handler for handler, types in served.items() for message_type in types}

    def _say(self, message_type: int, data: bytes, now_s: float) -> bytes:
        match message_type:
            case 0x080:
                return U8.pack(2)
            case 0x090:
                return U16.pack(0x0110)
            case 0x100:
                return self.serial_number.encode("ascii")
            case 0x101 | 0x201 | 0x301:
                return U8.pack(15)
            case 0x300:
                return U8.pack(1)
        return self._texts[message_type]

    def _keep_text(self, message_type: int, data: bytes, now_s: float) -> bytes:
        self._texts[0x200 if message_type == 0x210 else 0x302] = data[:15]
        return b""

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
        spectrum = self.bench.spectrum(now_s, self._strikes)
        self._events.append({"event": "scan", "serial_number": self.serial_number, "frame": self.bench.frames})
        return spectrum

    def _strikes(self, name: str, frame: int) -> Fault | None:
        fault = self.plan.strikes(name, frame - self._planned_at)
        if fault:
            self.note_fault(name, scan=frame - self._planned_at)
        return fault

    def _trigger(self, message_type: int, data: bytes, now_s: float) -> bytes:
        return b""

    def _set(self, message_type: int, data: bytes, now_s: float) -> bytes:
        name, layout, low, high = SETTERS[message_type]
        (value,) = layout.unpack(data)
        if message_type == 0x110010:
            low, high = self.model.integration_us
        if not low <= value <= high:
            raise Refused(BAD_DATA)
        if message_type == 0x110010:
            self.bench.set_integration(value)
        else:
            setattr(self.bench.settings, name, value)
        return b""

    def _get(self, message_type: int, data: bytes, now_s: float) -> bytes:
        name, layout = GETTERS[message_type]
        return layout.pack(getattr(self.bench.settings, name))

    def _limits(self, message_type: int, data: bytes, now_s: float) -> bytes:
        return U32.pack((*self.model.integration_us, 1)[message_type - 0x110001])

    def _product(self, message_type: int, data: bytes, now_s: float) -> bytes:
        return U16.pack(OCEAN if message_type == 0xE00 else self.model.product_id)

    def _saturation(self, message_type: int, data: bytes, now_s: float) -> bytes:
        return U32.pack(self.model.detector.full_scale)

    def _calibration(self, message_type: int, data: bytes, now_s: float) -> bytes:
        if message_type == 0x186000:
            return np.array(self.model.hot_pixels, dtype="<u2").tobytes()
        stored = {0x180100: self.model.wavelength, 0x181100: self.model.nonlinearity, 0x183100: self.model.stray_light}
        values = stored[message_type & ~1]
        if message_type in stored:
            return U8.pack(len(values))
        (index,) = U8.unpack(data)
        if index >= len(values):
            raise Refused(NO_VALUE)
        return b"\xff" * 4 if "blank" in self.quirks else F32.pack(values[index])

    def _temperature(self, message_type: int, data: bytes, now_s: float) -> bytes:
        values = (self.bench.detector_c(now_s), 0.0, 33.5)
        if message_type == 0x400000:
            return U8.pack(len(values))
        if message_type == 0x400002:
            return struct.pack("<3f", *values)
        (index,) = U8.unpack(data)
        if index >= len(values):
            raise Refused(NO_VALUE)
        return F32.pack(values[index])

    def _buffering(self, message_type: int, data: bytes, now_s: float) -> bytes:
        settings = self.bench.settings
        match message_type:
            case 0x100820:
                return U32.pack(15_000)
            case 0x100822:
                return U32.pack(settings.buffer_size)
            case 0x100832:
                (settings.buffer_size,) = U32.unpack(data)
            case 0x100900:
                return U32.pack(0)
            case 0x100830:
                self.bench.clear_buffer()
        return b""

    def _cooler(self, message_type: int, data: bytes, now_s: float) -> bytes:
        bench = self.bench
        match message_type:
            case 0x420000:
                return U8.pack(bench.settings.cooler_on)
            case 0x420001:
                return F32.pack(bench.settings.cold_c)
            case 0x420002:
                return U8.pack(bench.settings.fan_on)
            case 0x420003:
                return U8.pack(bench.is_stable(now_s))
            case 0x420004:
                return F32.pack(bench.detector_c(now_s))
            case 0x420010:
                bench.set_cooler(now_s, on=bool(U8.unpack(data)[0]))
            case 0x420011:
                (cold_c,) = F32.unpack(data)
                if not -60.0 <= cold_c <= 50.0:
                    raise Refused(BAD_DATA)
                bench.set_cooler(now_s, cold_c=cold_c)
            case 0x420012:
                bench.settings.fan_on = bool(U8.unpack(data)[0])
        return b""

    def _laser(self, message_type: int, data: bytes, now_s: float) -> bytes:
        bench = self.bench
        module, source = struct.unpack_from("<2B", data)
        if (module, source) != (0, 0):
            raise Refused(NO_VALUE)
        match message_type:
            case 0x810021:
                return U8.pack(bench.laser_on)
            case 0x810031:
                (on,) = U8.unpack(data[2:])
                changes = bench.switch_laser(bool(on), now_s)
                self._events += [{"serial_number": self.serial_number, **change} for change in changes]
            case 0x810041:
                return F32.pack(bench.settings.intensity)
            case 0x810051:
                (intensity,) = F32.unpack(data[2:])
                if not 0.0 <= intensity <= 1.0:
                    raise Refused(BAD_DATA)
                bench.settings.intensity = intensity
        return b""


SETTERS = {  # message -> setting, layout, limits
    0x110010: ("integration_us", U32, 0, 0),
    0x110110: ("trigger", U8, 0, 3),
    0x110290: ("binning", U8, 0, 3),
    0x110410: ("lamp", U8, 0, 1),
    0x110510: ("delay_us", U32, 0, 335_500),
    0x120010: ("averages", U16, 1, 5_000),
    0x121010: ("boxcar", U8, 0, 15),
}
GETTERS = {
    0x110000: ("integration_us", U32),
    0x110100: ("trigger", U8),
    0x110280: ("binning", U8),
    0x110400: ("lamp", U8),
    0x110500: ("delay_us", U32),
    0x120000: ("averages", U16),
    0x121000: ("boxcar", U8),
}
COMMANDS = {
    *SETTERS, 0x000, 0x001, 0x210, 0x310, 0x810, 0x814, 0x8F0, 0x100830, 0x100832, SOFTWARE_TRIGGER, 0x420010,
    0x420011, 0x420012, 0x810031, 0x810051,
}  # fmt: skip
