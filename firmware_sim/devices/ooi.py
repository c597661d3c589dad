"""Ocean spectrometers of the legacy ("OOI") protocol over USB: what the firmware does with a command.

One transfer to pipe 01 is one command; short or unknown ones are ignored, as nothing answers them. Answers queue on 81,
spectra on 82, and the first 2048 bytes of a USB4000 or HR4000 spectrum on 86 at high speed. The detector runs one
exposure after the other's end: the first one after a change of the integration time is still the old one.

Faults of a plan that strike a spectrum, counted from 1 when it is asked for: stale, saturate, and of this family
no_sync (the last byte is missing), bad_sync (it is another), short_spectrum (cut, to MORE bytes) and stall_spectrum
(pipe 82 halts).
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from firmware_sim.array import ArrayDetector
from firmware_sim.contract import Event, OperatorError, Setup, Stall, UsbDescriptors
from firmware_sim.devices._ooi_memory import BLANK, LAST_SLOT, SLOT_BYTES, default_slots, in_state
from firmware_sim.devices._ooi_models import (
    AMBIENT_C,
    ENDPOINTS,
    MODELS,
    STORED_C,
    VENDOR_ID,
    SimModel,
    detector_of,
    lit_mask,
    wavelengths_nm,
)
from firmware_sim.faults import Fault, FaultPlan, FaultPlanError
from firmware_sim.scene import REFERENCE_MW, Scene

OUT, REPLY_IN, SPECTRUM_IN, SPECTRUM_IN_2 = ENDPOINTS
SYNC = b"\x69"
SPECTRUM_FAULTS = {"no_sync": 0, "bad_sync": 0, "short_spectrum": 1, "stall_spectrum": 0}  # name -> numbers it takes
KEPT_FRAMES = 64
COOLING_S = 4.0  # time constant of the cooler
FREE_RUNNING, SOFTWARE, SINGLE_SHOT = 0, 1, 4  # the other trigger modes wait for a signal from outside
LENGTHS = {  # command -> its bytes; all others are unknown
    0x01: 1, 0x02: 5, 0x03: 3, 0x05: 2, 0x06: 17, 0x09: 1, 0x0A: 3, 0x6A: 4, 0x6B: 2, 0x6C: 1, 0x70: 3, 0x71: 3,
    0x72: 1, 0x73: 3, 0xFE: 1,
}  # fmt: skip


class OoiSpectrometer:
    """One unit. `speed` divides every duration, 0 lets nothing take time.

    meant: the readings of the last 64 spectra, after the mask, as a client should find them; what it shows of them is
    `scale` times that. exact: a detector without noise, dark current and offset. memory: slots in place of the usual
    ones. frames_per_sample: after so many spectra that are not stale the scene goes on to its next sample. filler: the
    words at the ends that are of no pixel.
    """

    def __init__(
        self,
        scene: Scene,
        *,
        model: str = "nirquest512",
        serial_number: str | None = None,
        seed: int = 0,
        speed: float = 1.0,
        faults: FaultPlan | None = None,
        high_speed: bool = True,
        exact: bool = False,
        memory: Mapping[int, bytes] | None = None,
        memory_state: str = "good",
        frames_per_sample: int = 1,
        filler: int = 0,
    ) -> None:
        self.model = _known(model)
        self.serial_number = self.model.serial_number if serial_number is None else serial_number
        if not (self.serial_number.isascii() and 0 < len(self.serial_number) < SLOT_BYTES):
            raise OperatorError(f"serial number {self.serial_number!r}: 1 to {SLOT_BYTES - 1} ASCII characters")
        self.scene = scene
        self.slots = in_state(default_slots(self.model, self.serial_number), memory_state) | dict(memory or {})
        self.descriptors = UsbDescriptors(
            vendor_id=VENDOR_ID,
            product_id=self.model.product_id,
            release=0x0002,
            strings=("Ocean Optics Inc.", f"Ocean Optics {self.model.title}", self.serial_number),
            endpoints=ENDPOINTS,
            packet_bytes=512 if high_speed else 64,
        )
        self.meant: deque[NDArray[np.int32]] = deque(maxlen=KEPT_FRAMES)
        self.lamp_on = False
        self._high_speed = high_speed
        self._seed = seed
        self._speed = speed
        self._plan = faults or FaultPlan(seed=seed)
        self._frames_per_sample = frames_per_sample
        self._filler = filler
        self._fresh = 0
        self._asked = 0
        self._frame = 0
        self._events: list[Event] = []
        self._queues: dict[int, deque[tuple[float, bytes]]] = {}
        self._halted: set[int] = set()
        self._registers: dict[int, int] = {}
        self._detector = ArrayDetector(detector_of(self.model, exact=exact), seed=seed, ideal=exact)
        self._nm = wavelengths_nm(self.model)
        self._lit = lit_mask(self.model)
        self._read = self._lit | np.isin(np.arange(self.model.pixels), self.model.dark)
        self._handlers = self._table()
        self._ticks = self._exposed_ticks = 0
        self._trigger = FREE_RUNNING
        self._waiting = self._triggers = 0
        self._last_s = self._busy_until_s = self._since_s = 0.0
        self._point_c, self._from_c, self._target_c = STORED_C, AMBIENT_C, AMBIENT_C
        self._boot(0.0)

    @property
    def scale(self) -> float:
        """What a client has to multiply readings with: full scale over the stored saturation."""
        at = self.model.saturation_at
        if at is None:
            return 1.0
        stored = int.from_bytes(self._slot(17)[at[0] : at[0] + at[1]], "little")
        return self.model.full_scale / stored if 0 < stored <= self.model.full_scale else 1.0

    # what a host calls

    def plugged(self, now_s: float) -> None:
        """Boot: nothing is queued, the integration time is that of power on."""
        self._boot(now_s)

    def reset(self, now_s: float) -> None:
        """Forget what is queued and what was asked for."""
        self._forget()

    def control(self, setup: Setup, data: bytes, now_s: float) -> bytes:
        """Refuse: all is done by bulk transfers."""
        raise Stall

    def write(self, endpoint: int, data: bytes, now_s: float) -> None:
        """Take one command."""
        if endpoint != OUT or endpoint in self._halted:
            raise Stall
        code = data[0] if data else -1
        if LENGTHS.get(code) != len(data):
            self._tell("ignored", command=data[:32].hex(" "))
            return
        self._handlers[code](data[1:], now_s)

    def read(self, endpoint: int, limit: int, now_s: float) -> bytes | None:
        """Give what is queued; a transfer that the host asked for in part goes on with the next one."""
        if endpoint in self._halted:
            raise Stall
        queue = self._queues.get(endpoint)
        if not queue or queue[0][0] > now_s:
            return None
        at_s, data = queue.popleft()
        if len(data) > limit:
            queue.appendleft((at_s, data[limit:]))
        return data[:limit]

    def clear_halt(self, endpoint: int) -> None:
        """Make the pipe work again."""
        self._halted.discard(endpoint)

    def wake_at(self) -> float | None:
        """Return when the next transfer is ready."""
        return min((queue[0][0] for queue in self._queues.values() if queue), default=None)

    def wake(self, now_s: float) -> None:
        """Nothing happens by itself."""

    def take_events(self) -> list[Event]:
        """Return lamps, spectra and faults since the last call."""
        events, self._events = self._events, []
        return events

    def operate(self, line: str) -> None:
        """`sample NAME`, `next`, `trigger`, `faults PLAN`. Raises OperatorError."""
        verb, _, rest = line.strip().partition(" ")
        match verb:
            case "sample":
                self.scene.place(rest.strip())
            case "next" if not rest:
                self.scene.used()
            case "trigger" if not rest:
                self._triggers += 1
                self._serve_triggers(self._last_s)
            case "faults":
                try:
                    self._plan = FaultPlan.parse(rest, seed=self._seed, own=SPECTRUM_FAULTS)
                except FaultPlanError as error:
                    raise OperatorError(str(error)) from error
                self._asked = 0
            case _:
                raise OperatorError(f"{line.strip()!r}: say sample NAME, next, trigger or faults PLAN")

    # commands

    def _table(self) -> dict[int, Callable[[bytes, float], None]]:
        return {
            0x01: self._initialise,
            0x02: self._set_integration,
            0x03: self._set_lamp,
            0x05: self._read_slot,
            0x06: self._write_slot,
            0x09: self._ask_spectrum,
            0x0A: self._set_trigger,
            0x6A: self._write_register,
            0x6B: self._read_register,
            0x6C: self._read_board,
            0x70: self._ignore,
            0x71: self._set_cooler,
            0x72: self._read_detector,
            0x73: self._set_point,
            0xFE: self._read_status,
        }

    def _initialise(self, data: bytes, now_s: float) -> None:
        self._trigger = FREE_RUNNING

    def _ignore(self, data: bytes, now_s: float) -> None:
        """The fan has no part in the physics."""

    def _set_integration(self, data: bytes, now_s: float) -> None:
        (self._ticks,) = struct.unpack("<I", data)

    def _set_lamp(self, data: bytes, now_s: float) -> None:
        self.lamp_on = data != b"\0\0"
        self._tell("lamp", on=self.lamp_on)

    def _read_slot(self, data: bytes, now_s: float) -> None:
        self._answer(b"\x05" + data + self._slot(data[0]), now_s)

    def _write_slot(self, data: bytes, now_s: float) -> None:
        if data[0] <= LAST_SLOT:
            self.slots[data[0]] = data[1:]
            self._tell("memory", slot=data[0])

    def _set_trigger(self, data: bytes, now_s: float) -> None:
        (self._trigger,) = struct.unpack("<H", data)
        if self._trigger in (FREE_RUNNING, SOFTWARE, SINGLE_SHOT):
            self._triggers += self._waiting
            self._serve_triggers(now_s)

    def _write_register(self, data: bytes, now_s: float) -> None:
        register, value = struct.unpack("<BH", data)
        self._registers[register] = value

    def _read_register(self, data: bytes, now_s: float) -> None:
        echo, version = self.model.fpga
        value = version if data[0] == 0x04 else self._registers.get(data[0], 0)
        self._answer(struct.pack("<BH", echo if echo != 0x04 else data[0], value), now_s)

    def _read_board(self, data: bytes, now_s: float) -> None:
        if self.model.has_board_sensor:
            self._answer(struct.pack("<Bh", 0x08, int(AMBIENT_C / 0.003906)), now_s)

    def _set_cooler(self, data: bytes, now_s: float) -> None:
        self._aim(self._point_c if data[0] else AMBIENT_C, now_s)

    def _set_point(self, data: bytes, now_s: float) -> None:
        (tenths,) = struct.unpack("<h", data)
        self._point_c = tenths / 10
        self._aim(self._point_c, now_s)

    def _read_detector(self, data: bytes, now_s: float) -> None:
        if self.model.has_cooler:
            self._answer(struct.pack("<h", round(self._detector_c(now_s) * 10)), now_s)

    def _read_status(self, data: bytes, now_s: float) -> None:
        pixels, packet = self.model.pixels, self.descriptors.packet_bytes
        acquiring = self._waiting > 0 or any(
            at_s > now_s for pipe in (SPECTRUM_IN, SPECTRUM_IN_2) for at_s, _ in self._queues.get(pipe, ())
        )
        self._answer(
            struct.pack(
                "<HIBBBBBB2xBx",
                pixels,
                self._ticks,
                self.lamp_on,
                self._trigger & 0xFF,
                acquiring,
                2 * pixels // packet,
                1,
                0,
                0x80 if self._high_speed else 0x00,
            ),
            now_s,
        )

    # spectra

    def _ask_spectrum(self, data: bytes, now_s: float) -> None:
        self._last_s = now_s
        self._waiting += 1
        if self._trigger in (FREE_RUNNING, SOFTWARE, SINGLE_SHOT):
            self._triggers += 1
        self._serve_triggers(now_s)

    def _serve_triggers(self, now_s: float) -> None:
        while self._waiting and self._triggers:
            self._waiting -= 1
            self._triggers -= 1
            self._expose(now_s)

    def _expose(self, now_s: float) -> None:
        """Run one exposure, after the end of the one under way."""
        self._asked += 1
        ticks, self._exposed_ticks = self._exposed_ticks, self._ticks
        stale = ticks != self._ticks
        integration_s = ticks * self.model.tick_us * 1e-6
        begin_s = max(now_s, self._busy_until_s)
        self._busy_until_s = begin_s + self._takes(integration_s)
        old = self._strikes("stale")
        if not (old and self.meant):
            readings = self._readings(integration_s, begin_s)
            if self._strikes("saturate"):
                readings[self._lit] = self.model.saturation
            readings.flags.writeable = False
            self.meant.append(readings)
        self._send(self.meant[-1])
        self._tell(
            "spectrum", number=self._asked, integration_ms=round(integration_s * 1e3, 6), stale=bool(stale or old)
        )
        if not stale:
            self._fresh += 1
            if self._fresh % self._frames_per_sample == 0:
                self.scene.used()

    def _readings(self, integration_s: float, now_s: float) -> NDArray[np.int32]:
        self._frame += 1
        light = self.scene.light(self._nm, laser_mw=REFERENCE_MW, laser_nm=self.model.laser_nm)
        readings = self._detector.expose(
            np.where(self._lit, light, 0.0),
            integration_s=integration_s,
            detector_c=self._detector_c(now_s),
            frame=self._frame,
        )
        return np.where(self._read, readings, self._filler).astype(np.int32)

    def _send(self, readings: NDArray[np.int32]) -> None:
        data = (readings.astype("<u2") ^ np.uint16(self.model.mask)).tobytes()
        if self.model.has_sync:
            data += b"\x96" if self._strikes("bad_sync") else b"" if self._strikes("no_sync") else SYNC
        if fault := self._strikes("short_spectrum"):
            data = data[: int(fault.parameter(0, self.model.pixels))]
        first = self.model.second_pipe_bytes if self._high_speed else 0
        if first:
            self._queue(SPECTRUM_IN_2, data[:first], self._busy_until_s)
        self._queue(SPECTRUM_IN, data[first:], self._busy_until_s)
        if self._strikes("stall_spectrum"):
            self._queues[SPECTRUM_IN].clear()
            self._halted.add(SPECTRUM_IN)

    # the rest

    def _boot(self, now_s: float) -> None:
        self._forget()
        self._ticks = self.model.default_ms * 1000 // self.model.tick_us
        self._exposed_ticks = self._ticks
        self._trigger = FREE_RUNNING
        self._last_s = now_s
        self._busy_until_s = now_s
        self._point_c = STORED_C
        self._from_c, self._target_c, self._since_s = AMBIENT_C, AMBIENT_C, now_s
        self.lamp_on = False
        if self.model.has_cooler and self._slot(17)[0] == 1:
            self._aim(self._point_c, now_s)

    def _forget(self) -> None:
        self._queues = {REPLY_IN: deque(), SPECTRUM_IN: deque(), SPECTRUM_IN_2: deque()}
        self._halted = set()
        self._waiting = self._triggers = 0

    def _slot(self, slot: int) -> bytes:
        return self.slots.get(slot, BLANK).ljust(SLOT_BYTES, b"\0")[:SLOT_BYTES]

    def _answer(self, data: bytes, now_s: float) -> None:
        self._queue(REPLY_IN, data, now_s)

    def _queue(self, endpoint: int, data: bytes, at_s: float) -> None:
        if data:
            self._queues[endpoint].append((at_s, data))

    def _aim(self, target_c: float, now_s: float) -> None:
        self._from_c, self._target_c, self._since_s = self._detector_c(now_s), target_c, now_s

    def _detector_c(self, now_s: float) -> float:
        if not self._speed:
            return self._target_c
        gone = np.exp(-(now_s - self._since_s) * self._speed / COOLING_S)
        return float(self._target_c + (self._from_c - self._target_c) * gone)

    def _takes(self, seconds: float) -> float:
        return seconds / self._speed if self._speed else 0.0

    def _strikes(self, name: str) -> Fault | None:
        fault = self._plan.strikes(name, self._asked)
        if fault is not None:
            self._tell("fault", fault=name, spectrum=self._asked)
        return fault

    def _tell(self, name: str, **what: object) -> None:
        self._events.append({"event": name, "serial_number": self.serial_number, **what})


def _known(name: str) -> SimModel:
    if name not in MODELS:
        raise OperatorError(f"no Ocean model {name!r}; there are {', '.join(MODELS)}")
    return MODELS[name]
