"""Faults of transfers around any USB instrument: what a bad cable, hub or controller does to what comes inward.

One bulk, interrupt or vendor control transfer inward is one reply of the plan; they are counted from 1 over all pipes.

    drop       never arrives; a control request stays unanswered
    corrupt    one byte changed                     truncate   cut at a random byte, or after MORE bytes
    delay      MORE seconds late (1)                slow       late by MORE seconds a KiB (0.1)
    duplicate  a bulk transfer arrives twice        stall      lost, and the pipe halts until it is cleared
    hangup     unplugged instead, and back after MORE seconds (the second number; 1)
               `hangup=BYTES[:SECONDS]`: once, as soon as so many bytes have arrived
    garbage    `garbage=BYTES`: a transfer of random bytes lies in the first pipe after each plugging in

Other names of the plan are the instrument's own business.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

from firmware_sim.contract import Event, Late, OperatorError, Setup, Stall, Unplugged, UsbFirmware
from firmware_sim.faults import Fault, FaultPlan, FaultPlanError

INWARD = 0x80
KIB = 1024


class FaultyUsb:
    """A `UsbFirmware` around another one. own: the family's own faults, for a plan that the operator gives."""

    def __init__(self, firmware: UsbFirmware, plan: FaultPlan, *, own: Mapping[str, int] | None = None) -> None:
        self.firmware = firmware
        self.serial_number = firmware.serial_number
        self.descriptors = firmware.descriptors
        self._own = own
        self._halted: set[int] = set()
        self._held: dict[int, deque[tuple[float, bytes]]] = {
            address: deque() for address in self.descriptors.endpoints if address & INWARD
        }
        self._events: list[Event] = []
        self._follow(plan)

    def _follow(self, plan: FaultPlan) -> None:
        self._plan = plan
        self._replies = 0
        self._bytes = 0
        self._hangup_after = plan.hangup_after

    def plugged(self, now_s: float) -> None:
        """Power comes, with rubbish in the first pipe if that is planned."""
        self._forget()
        self._halted.clear()
        self.firmware.plugged(now_s)
        if self._plan.garbage_bytes and self._held:
            rubbish = self._plan.chance("garbage", 1).bytes(self._plan.garbage_bytes)
            next(iter(self._held.values())).append((now_s, rubbish))
            self._note("garbage", bytes=len(rubbish))

    def reset(self, now_s: float) -> None:
        """What was held up is gone."""
        self._forget()
        self._halted.clear()
        self.firmware.reset(now_s)

    def control(self, setup: Setup, data: bytes, now_s: float) -> bytes:
        """Serve a request; what comes inward may suffer. Raises Late for one that is held up."""
        answer = self.firmware.control(setup, data, now_s)
        if not setup.request_type & INWARD:
            return answer
        self._replies += 1
        answer = self._unplug_or(answer[: setup.length])
        if self._strikes("stall"):
            raise Stall
        if self._strikes("drop"):
            raise Late(math.inf)
        answer, late_s = self._damaged(answer)
        if late_s:
            raise Late(late_s, answer)
        return answer

    def write(self, endpoint: int, data: bytes, now_s: float) -> None:
        """Outward nothing happens to a transfer."""
        self.firmware.write(endpoint, data, now_s)

    def read(self, endpoint: int, limit: int, now_s: float) -> bytes | None:
        """Return what arrives by now of what the instrument sends and of what was held up."""
        if endpoint in self._halted:
            raise Stall
        held = self._held.get(endpoint, deque())
        if not held and (data := self.firmware.read(endpoint, limit, now_s)) is not None:
            self._send(endpoint, data, now_s)
        if not held or held[0][0] > now_s:
            return None
        at_s, data = held.popleft()
        if len(data) > limit:
            held.appendleft((at_s, data[limit:]))
        return data[:limit]

    def clear_halt(self, endpoint: int) -> None:
        """Make a stalled endpoint work again, whoever stalled it."""
        self._halted.discard(endpoint)
        self.firmware.clear_halt(endpoint)

    def wake_at(self) -> float | None:
        """Return when something is there to read."""
        moments = [held[0][0] for held in self._held.values() if held]
        if (own := self.firmware.wake_at()) is not None:
            moments.append(own)
        return min(moments, default=None)

    def wake(self, now_s: float) -> None:
        """Let happen what time alone brings about."""
        self.firmware.wake(now_s)

    def take_events(self) -> list[Event]:
        """Return what happened since the last call, faults after what they struck."""
        events, self._events = self.firmware.take_events() + self._events, []
        return events

    def operate(self, line: str) -> None:
        """Follow `faults PLAN`, and let the instrument do its part of it and of all else. Raises OperatorError."""
        verb, _, rest = line.strip().partition(" ")
        if verb == "faults":
            try:
                plan = FaultPlan.parse(rest, seed=self._plan.seed, own=self._own)
            except FaultPlanError as error:
                raise OperatorError(str(error)) from error
            self._follow(plan)
        self.firmware.operate(line)

    def _send(self, endpoint: int, data: bytes, now_s: float) -> None:
        self._replies += 1
        data = self._unplug_or(data)
        if self._strikes("stall"):
            self._halted.add(endpoint)
            raise Stall
        if self._strikes("drop"):
            return
        data, late_s = self._damaged(data)
        copies = 2 if self._strikes("duplicate") else 1
        self._held[endpoint].extend([(now_s + late_s, data)] * copies)

    def _unplug_or(self, data: bytes) -> bytes:
        """Return the data, unless the cable is pulled now. Raises Unplugged."""
        self._bytes += len(data)
        if self._hangup_after is not None and self._bytes >= self._hangup_after[0]:
            seconds, self._hangup_after = self._hangup_after[1], None
            self._note("hangup", reply=self._replies)
            raise Unplugged(seconds)
        if fault := self._strikes("hangup"):
            raise Unplugged(fault.parameter(1, 1.0))
        return data

    def _damaged(self, data: bytes) -> tuple[bytes, float]:
        """Return what is left of a reply, and how many seconds it is late."""
        if data and (fault := self._strikes("truncate")):
            chance = self._plan.chance("truncate", self._replies)
            data = data[: int(fault.parameter(0, float(chance.integers(len(data)))))]
        if data and self._strikes("corrupt"):
            chance = self._plan.chance("corrupt", self._replies)
            at, change = int(chance.integers(len(data))), int(chance.integers(1, 256))
            data = data[:at] + bytes((data[at] ^ change,)) + data[at + 1 :]
        late_s = 0.0
        if fault := self._strikes("delay"):
            late_s += fault.parameter(0, 1.0)
        if fault := self._strikes("slow"):
            late_s += fault.parameter(0, 0.1) * len(data) / KIB
        return data, late_s

    def _strikes(self, name: str) -> Fault | None:
        fault = self._plan.strikes(name, self._replies)
        if fault is not None:
            self._note(name, reply=self._replies)
        return fault

    def _note(self, name: str, **where: int) -> None:
        self._events.append({"event": "fault", "serial_number": self.serial_number, "fault": name, **where})

    def _forget(self) -> None:
        for held in self._held.values():
            held.clear()
