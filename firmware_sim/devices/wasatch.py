"""Wasatch spectrometers, protocol FID, over USB: what the firmware does with a vendor request.

Spectra queue on pipe 82 (FX2 with 2048 pixels: the second half on 86) when their exposure ends; nobody who asks twice
gets one less. ARM boards want 8 bytes after each request outward, FX2 boards only after some; a request without them is
stalled. The first spectrum of an ARM board after power on is dim, and after a change of integration time or gain the
next one is still of before. Requests that would spoil the unit (FE, A2, FF/02) are stalled and told as "forbidden".

The unit has power of its own: plugging the cable in boots it the first time only, and its laser knows nothing of it.

Faults of a plan, counted from 1 by spectra asked for: stale, saturate, dim, flat, lost (never comes), late (MORE
seconds late, 5), short_frame (cut, to MORE bytes), stall_frame (pipe 82 halts), interlock_opens and watchdog_expires
(half-way through the exposure); by requests to switch the laser on: enable_refused; off: off_ignored (stays on),
readback_stuck (says so only); by requests inward: short_read (MORE bytes come, 0), slow_boot (deaf for MORE seconds
after power on, 0.4; counted by plugging in).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firmware_sim.contract import Event, OperatorError, Setup, Stall, UsbDescriptors
from firmware_sim.devices._wasatch_laser import SimLaser
from firmware_sim.devices._wasatch_memory import FULL_MW, MODELS, PAGE_BYTES, PAGES, SimModel, field, image_of, in_state
from firmware_sim.devices._wasatch_requests import (
    INWARD,
    OUTWARD,
    READS,
    SECOND_TIER,
    UNKNOWN,
    WRITES,
    WRITES2,
    has_register,
    has_stage,
    is_forbidden,
    register_of,
)
from firmware_sim.devices._wasatch_sensor import FULL_SCALE, SimSensor
from firmware_sim.faults import Fault, FaultPlan, FaultPlanError
from firmware_sim.scene import Scene

VENDOR_ID = 0x24AA
SPECTRUM_IN, SPECTRUM_IN_2 = 0x82, 0x86
SPLIT_PIXELS = 2048
KEPT_FRAMES = 64
AMBIENT_C = 31
WARNING_DELAY_S = 3
THERMISTOR_ADC = 1_203
DIM_SHARE = 0.3
LATE_S, SLOW_BOOT_S = 5.0, 0.4
IDLE, STABILISING = 0, 5
OWN_FAULTS = {
    "dim": 0, "flat": 0, "lost": 0, "late": 1, "short_frame": 1, "stall_frame": 0, "interlock_opens": 0,
    "watchdog_expires": 0, "enable_refused": 0, "off_ignored": 0, "readback_stuck": 0, "short_read": 1, "slow_boot": 1,
}  # name -> numbers it takes  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """One that is under way or over and not yet read out. number: counted from 1 by requests.

    of_before: it has the integration time and gain of before a change.
    """

    number: int
    begin_s: float
    end_s: float
    integration_s: float
    gain: float
    of_before: bool


class WasatchSpectrometer:
    """One unit. `speed` divides every duration, 0 lets nothing take time.

    meant: the readings of the last 64 spectra as a client should find them. exact: a detector without noise, dark
    current and offset. memory: an image of 512 bytes in place of the model's, or else memory_state. frames_per_sample:
    after so many spectra that are not of before a change the scene goes on to its next sample.
    """

    def __init__(
        self,
        scene: Scene,
        *,
        model: str = "wp785xs",
        serial_number: str = "WP-01234",
        seed: int = 0,
        speed: float = 1.0,
        faults: FaultPlan | None = None,
        exact: bool = False,
        memory: bytes | None = None,
        memory_state: str = "good",
        frames_per_sample: int = 1,
    ) -> None:
        self.model = _known(model)
        if not (serial_number.isascii() and 0 < len(serial_number) <= 16):
            raise OperatorError(f"serial number {serial_number!r}: 1 to 16 ASCII characters")
        self.serial_number = serial_number
        self.scene = scene
        self.memory = in_state(image_of(self.model, serial_number), memory_state) if memory is None else memory
        second = (SPECTRUM_IN_2,) if not self.model.is_arm else ()
        self.descriptors = UsbDescriptors(
            vendor_id=VENDOR_ID,
            product_id=self.model.product_id,
            release=0x0001,
            strings=("Wasatch Photonics", self.model.title, serial_number),
            endpoints=(SPECTRUM_IN, *second),
        )
        self.meant: deque[NDArray[np.int32]] = deque(maxlen=KEPT_FRAMES)
        self.laser = SimLaser(
            full_mw=FULL_MW,
            warning_delay_s=WARNING_DELAY_S if self.model.is_arm else 0,
            warm_up_s=self.memory[2 * PAGE_BYTES + 18] if self.memory[PAGE_BYTES - 1] >= 10 else 0,
            watchdog_s=int(field(self.memory, 3, 52, "H")[0]) if self.model.is_arm else 0,
            takes=self._takes,
            tell=self._tell,
        )
        self._frames_per_sample = frames_per_sample
        self._seed = seed
        self._speed = speed
        self._plan = faults or FaultPlan(seed=seed)
        self._counts: Counter[str] = Counter()
        self._events: list[Event] = []
        self._shown: NDArray[np.int32] | None = None
        self._sensor = SimSensor(self.model, self.memory, seed=seed, exact=exact, speed=speed, takes=self._takes)
        self._now_s = self._busy_until_s = self._deaf_until_s = 0.0
        self._exposed = (0.1, 1.0)  # integration time in s and gain of the exposure before
        self._booted = False
        self._boot(0.0)

    # what a host calls

    def plugged(self, now_s: float) -> None:
        """The cable is plugged in; the first time the unit boots. Queued transfers are gone."""
        self._settle(now_s)
        if not self._booted:
            self._boot(now_s)
            self._booted = True
        self._forget()
        self._counts["plugged"] += 1
        if fault := self._strikes("slow_boot", "plugged"):
            self._deaf_until_s = now_s + self._takes(fault.parameter(0, SLOW_BOOT_S))

    def reset(self, now_s: float) -> None:
        """Forget what is queued and under way."""
        self._settle(now_s)
        self._forget()

    def control(self, setup: Setup, data: bytes, now_s: float) -> bytes:
        """Serve a vendor request."""
        self._settle(now_s)
        if now_s < self._deaf_until_s or setup.request_type not in (OUTWARD, INWARD):
            raise Stall
        if is_forbidden(setup):
            self._tell("forbidden", request=f"0x{setup.request:02x}", value=setup.value)
            raise Stall
        if setup.request_type == OUTWARD:
            self._serve(setup, data)
            return b""
        return self._answer(setup)

    def write(self, endpoint: int, data: bytes, now_s: float) -> None:
        """Refuse: there is no pipe outward."""
        raise Stall

    def read(self, endpoint: int, limit: int, now_s: float) -> bytes | None:
        """Give what is queued; a transfer that the host asked for in part goes on with the next one."""
        self._settle(now_s)
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
        """Return when an exposure ends, a transfer is ready, or the laser does something by itself."""
        moments = [exposure.end_s for exposure in self._exposures]
        moments += [queue[0][0] for queue in self._queues.values() if queue]
        laser_s = self.laser.next_s()
        return min([*moments, *(() if laser_s is None else (laser_s,))], default=None)

    def wake(self, now_s: float) -> None:
        """End exposures, and let the laser go on."""
        self._settle(now_s)

    def take_events(self) -> list[Event]:
        """Return light, spectra and faults since the last call."""
        events, self._events = self._events, []
        return events

    def operate(self, line: str) -> None:
        """`interlock open|closed`, `watchdog`, `sample NAME`, `next`, `faults PLAN`. Raises OperatorError."""
        verb, _, rest = line.strip().partition(" ")
        match verb, rest.strip():
            case "interlock", "open":
                self.laser.open_interlock()
                self._tell("interlock", open=True)
            case "interlock", "closed":
                self.laser.close_interlock()
                self._tell("interlock", open=False)
            case "watchdog", "":
                self.laser.expire()
            case "sample", name if name:
                self.scene.place(name)
            case "next", "":
                self.scene.used()
            case "faults", plan:
                try:
                    self._plan = FaultPlan.parse(plan, seed=self._seed, own=OWN_FAULTS)
                except FaultPlanError as error:
                    raise OperatorError(str(error)) from error
                self._counts.clear()
            case _:
                raise OperatorError(
                    f"{line.strip()!r}: say interlock open|closed, watchdog, sample NAME, next or faults PLAN"
                )

    # requests

    def _serve(self, setup: Setup, data: bytes) -> None:
        register = register_of(setup)
        if register is None or not has_register(self.model.product_id, register):
            raise Stall
        if not has_stage(self.model.product_id, setup, data):
            self._tell("data_stage", request=f"0x{setup.request:02x}", length=len(data))
            raise Stall
        argument = setup.value | setup.index << 16 | (data[0] if data else 0) << 32
        value = setup.index if setup.request == SECOND_TIER else argument
        self._registers[register] = value
        hook = self._hooks.get(register)
        if hook is not None:
            hook(value)

    def _answer(self, setup: Setup) -> bytes:
        self._counts["reads"] += 1
        answer = self._read2(setup) if setup.request == SECOND_TIER else self._read(setup.request)
        if answer is None:
            if not self.model.is_arm:
                raise Stall
            answer = UNKNOWN
        answer = answer[: setup.length]
        if fault := self._strikes("short_read", "reads"):
            answer = answer[: int(fault.parameter(0, 0))]
        return answer

    def _read(self, request: int) -> bytes | None:
        if request in READS:
            register, size = READS[request]
            return (
                self._registers[register].to_bytes(size, "little")
                if has_register(self.model.product_id, register)
                else None
            )
        match request:
            case 0xC0:
                return bytes(reversed(self.model.firmware))
            case 0xB4:
                return self.model.fpga.encode("ascii").ljust(7, b"\0")[:7]
            case 0xD4:
                return bytes((STABILISING if self.model.is_arm and not self._counts["frames"] else IDLE,))
            case 0xD5:
                return (THERMISTOR_ADC if self._registers["adc"] == 0 else 0).to_bytes(2, "little")
            case 0xD7:
                return self._sensor.adc(self._now_s).to_bytes(2, "big")
            case 0xDF:
                return (self._registers["integration"] * 1_000).to_bytes(4, "little")
            case 0xE2:
                return bytes((self.laser.enabled or self._stuck,))
            case 0xEF if self._tells_interlock:
                return bytes((0x08 if self.laser.interlock_closed else 0x00,))
            case 0x8B if self.model.is_arm:
                return bytes((int(self.laser.warning_delay_s),))
        return None

    def _read2(self, setup: Setup) -> bytes | None:
        match setup.value:
            case 0x01:
                page = self.memory[setup.index * PAGE_BYTES : (setup.index + 1) * PAGE_BYTES]
                return page if setup.index < PAGES else UNKNOWN
            case 0x04:
                return bytes(3)
            case 0x08:
                return bytes((self.memory[38] == 1,))
            case 0x0D if self._tells_interlock:
                return bytes((self.laser.firing,))
        if not self.model.is_arm:
            return None
        match setup.value:
            case 0x13:
                return bytes((0x00, 0x5A, 0x01))
            case 0x17:
                return self.laser.watchdog_s.to_bytes(2, "big")
            case 0x2A:
                return bytes((AMBIENT_C,))
            case 0x2C:
                return b"SIM000000001"
            case 0x78:
                return bytes(5)
        return None

    @property
    def _tells_interlock(self) -> bool:
        return self.model.is_arm or bool(int(field(self.memory, 0, 39, "H")[0]) & 0x0040)

    def _hook_table(self) -> dict[str, Callable[[int], None]]:
        return {
            "acquire": self._acquire,
            "cooler": self._cool,
            "set_point": self._cool,
            "laser": self._switch_laser,
            "modulation": lambda value: self.laser.change_power(modulated=bool(value)),
            "period": lambda value: self.laser.change_power(period_us=value),
            "width": lambda value: self.laser.change_power(width_us=value),
            "watchdog": self._set_watchdog,
            "warning_delay": self._set_warning_delay,
        }

    def _switch_laser(self, value: int) -> None:
        self._tell("laser", on=bool(value))
        if value:
            self._counts["on"] += 1
            if self.memory[38] == 1 and self.laser.interlock_closed and not self._strikes("enable_refused", "on"):
                self.laser.enable(True)
            return
        self._counts["off"] += 1
        if not self._strikes("off_ignored", "off"):
            self.laser.enable(False)
        self._stuck = bool(self._strikes("readback_stuck", "off"))

    def _set_watchdog(self, value: int) -> None:
        self.laser.watchdog_s = value

    def _set_warning_delay(self, value: int) -> None:
        self.laser.warning_delay_s = value & 0xFF

    # spectra

    def _acquire(self, value: int) -> None:
        self._counts["asked"] += 1
        if self._strikes("lost", "asked"):
            return
        now = (self._registers["integration"] / 1_000, self._sensor.factor(self._registers["gain"]))
        integration_s, gain = self._exposed if self.model.is_arm else now
        self._exposed = now
        begin_s = max(self._now_s, self._busy_until_s)
        self._busy_until_s = begin_s + self._takes(integration_s)
        self._exposures.append(
            Exposure(
                number=self._counts["asked"],
                begin_s=begin_s,
                end_s=self._busy_until_s,
                integration_s=integration_s,
                gain=gain,
                of_before=(integration_s, gain) != now,
            )
        )
        self._settle(self._now_s)

    def _settle(self, now_s: float) -> None:
        """Let everything happen that has its time by now, in its order."""
        now_s = max(now_s, self._now_s)
        while self._exposures and self._exposures[0].end_s <= now_s:
            exposure = self._exposures.popleft()
            self.laser.advance((exposure.begin_s + exposure.end_s) / 2)
            if self._struck("interlock_opens", exposure):
                self.laser.open_interlock()
            if self._struck("watchdog_expires", exposure):
                self.laser.expire()
            self.laser.advance(exposure.end_s)
            self._now_s = max(self._now_s, exposure.end_s)
            self._read_out(exposure)
        self.laser.advance(now_s)
        self._now_s = now_s

    def _read_out(self, exposure: Exposure) -> None:
        self._counts["frames"] += 1
        if not (self._struck("stale", exposure) and self._shown is not None):
            self._shown = self._readings(exposure)
        self.meant.append(self._shown)
        data = self._shown.astype("<u2").tobytes()
        late = self._struck("late", exposure)
        at_s = exposure.end_s + (self._takes(late.parameter(0, LATE_S)) if late else 0.0)
        if fault := self._struck("short_frame", exposure):
            data = data[: int(fault.parameter(0, self.model.pixels))]
        split = SPLIT_PIXELS if self.model.pixels == SPLIT_PIXELS and not self.model.is_arm else len(data)
        self._queue(SPECTRUM_IN, data[:split], at_s)
        self._queue(SPECTRUM_IN_2, data[split:], at_s)
        if self._struck("stall_frame", exposure):
            self._queues[SPECTRUM_IN].clear()
            self._halted.add(SPECTRUM_IN)
        self._tell("spectrum", number=exposure.number, integration_ms=exposure.integration_s * 1e3)

    def _readings(self, exposure: Exposure) -> NDArray[np.int32]:
        laser_mw = self.laser.mean_mw(exposure.begin_s, exposure.end_s)
        light = self.scene.light(self._sensor.nm, laser_mw=laser_mw, laser_nm=self._sensor.laser_nm)
        if self._struck("dim", exposure) or (self.model.is_arm and self._counts["frames"] == 1):
            light = light * DIM_SHARE
        readings = self._sensor.expose(
            light,
            integration_s=exposure.integration_s,
            gain=exposure.gain,
            frame=exposure.number,
            now_s=exposure.end_s,
        )
        if self._struck("saturate", exposure):
            readings[:] = FULL_SCALE
        if self._struck("flat", exposure):
            readings[:] = readings[0]
        if not exposure.of_before:
            self._counts["fresh"] += 1
            if self._counts["fresh"] % self._frames_per_sample == 0:
                self.scene.used()
        readings.flags.writeable = False
        return readings

    # the rest

    def _boot(self, now_s: float) -> None:
        self._now_s = self._busy_until_s = self._deaf_until_s = now_s
        self._hooks = self._hook_table()
        self._registers: dict[str, int] = dict.fromkeys((*WRITES.values(), *WRITES2.values()), 0)
        self._registers |= {"integration": 100, "gain": 0x01E6, "period": 1_000}
        self._exposed = (0.1, self._sensor.factor(self._registers["gain"]))
        self._stuck = False
        self._forget()

    def _forget(self) -> None:
        self._exposures: deque[Exposure] = deque()
        self._busy_until_s = self._now_s
        self._queues: dict[int, deque[tuple[float, bytes]]] = {SPECTRUM_IN: deque(), SPECTRUM_IN_2: deque()}
        self._halted: set[int] = set()

    def _queue(self, endpoint: int, data: bytes, at_s: float) -> None:
        if data:
            self._queues[endpoint].append((at_s, data))

    def _cool(self, value: int) -> None:
        self._sensor.cool(self._registers["set_point"] if self._registers["cooler"] else None, self._now_s)

    def _takes(self, seconds: float) -> float:
        return seconds / self._speed if self._speed else 0.0

    def _strikes(self, name: str, counter: str) -> Fault | None:
        fault = self._plan.strikes(name, self._counts[counter])
        if fault is not None:
            self._tell("fault", fault=name, count=self._counts[counter])
        return fault

    def _struck(self, name: str, exposure: Exposure) -> Fault | None:
        fault = self._plan.strikes(name, exposure.number)
        if fault is not None:
            self._tell("fault", fault=name, count=exposure.number)
        return fault

    def _tell(self, name: str, **what: object) -> None:
        self._events.append({"event": name, "serial_number": self.serial_number, **what})


def _known(name: str) -> SimModel:
    if name not in MODELS:
        raise OperatorError(f"no Wasatch model {name!r}; there are {', '.join(MODELS)}")
    return MODELS[name]
