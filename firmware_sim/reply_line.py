"""The way out of an instrument on a serial line: replies one behind the other at its baud rate, with planned faults."""

from __future__ import annotations

from collections.abc import Callable

from firmware_sim.contract import Deliver, HangUp, Output
from firmware_sim.faults import Fault, FaultPlan

BITS_A_BYTE = 10  # 8N1
PIECE_BYTES = 64  # what the host sees at once of a reply that takes time
CHOICE = 0xFFFF  # stream of what to spoil, apart from whether to

Note = Callable[..., None]  # (name of the fault, where: a word and a count)


class ReplyLine:
    """Times and spoils replies. They are counted from 1 from the moment `plan` is set.

    baud: may be changed; replies that were sent before keep their time. renumbered: returns a reply as if it answered
    another request.
    """

    def __init__(
        self, plan: FaultPlan, *, baud: int, speed: float, note: Note, renumbered: Callable[[bytes], bytes]
    ) -> None:
        self.baud = baud
        self._speed = speed
        self._note = note
        self._renumbered = renumbered
        self._free_at_s = 0.0
        self._fresh = True
        self.plan = plan

    @property
    def plan(self) -> FaultPlan:
        """The faults in force."""
        return self._plan

    @plan.setter
    def plan(self, plan: FaultPlan) -> None:
        self._plan = plan
        self._replies = 0
        self._bytes = 0
        self._hung_up = False

    def opened(self) -> None:
        """Somebody new is at the other end: nothing is under way, garbage is due again."""
        self._fresh = True
        self._free_at_s = 0.0

    def wire_s(self, size_bytes: int) -> float:
        """Return how long so many bytes take."""
        return size_bytes * BITS_A_BYTE / self.baud / self._speed if self._speed else 0.0

    def is_busy(self) -> bool:
        """Say whether the plan wants the next reply to be "busy"."""
        return self._strikes("busy", self._replies + 1) is not None

    def send(self, data: bytes, ready_s: float) -> list[Output]:
        """Return the pieces of one reply that is ready at `ready_s`."""
        self._replies += 1
        data, ready_s, cut = self._spoiled(data, ready_s)
        if self._fresh and data and self._plan.garbage_bytes:
            garbage = self._plan.chance("garbage", self._replies).bytes(self._plan.garbage_bytes)
            self._note("garbage", reply=self._replies)
            data, cut = garbage + data, (cut[0] + len(garbage), cut[1]) if cut else None
        self._fresh = False
        after = self._plan.hangup_after
        if after and not self._hung_up and self._bytes + len(data) > after[0]:
            self._hung_up = True
            self._note("hangup", reply=self._replies)
            cut = (after[0] - self._bytes, after[1])
        if cut:
            data = data[: cut[0]]
        self._bytes += len(data)
        outputs = self._paced(data, max(ready_s, self._free_at_s))
        if cut:
            outputs.append(HangUp(at_s=max(ready_s, self._free_at_s), seconds=cut[1]))
        return outputs

    def _paced(self, data: bytes, start_s: float) -> list[Output]:
        size = PIECE_BYTES if self._speed else max(len(data), 1)
        outputs: list[Output] = []
        for at in range(0, len(data), size):
            piece = data[at : at + size]
            start_s += self.wire_s(len(piece))
            outputs.append(Deliver(at_s=start_s, data=piece))
        self._free_at_s = start_s
        return outputs

    def _spoiled(self, data: bytes, ready_s: float) -> tuple[bytes, float, tuple[int, float] | None]:
        """Return (bytes, when, cut): cut is None or (bytes until the line is lost, seconds until it is back)."""
        count = self._replies
        if self._strikes("sequence", count):
            data = self._renumbered(data)
        if self._strikes("corrupt", count):
            chance = self._plan.chance("corrupt", count, CHOICE)
            at = int(chance.integers(len(data)))
            data = data[:at] + bytes((data[at] ^ int(chance.integers(1, 256)),)) + data[at + 1 :]
        if fault := self._strikes("truncate", count):
            chance = self._plan.chance("truncate", count, CHOICE)
            data = data[: int(fault.parameter(0, float(chance.integers(len(data)))))]
        if self._strikes("duplicate", count):
            data = data + data
        if fault := self._strikes("delay", count):
            ready_s += fault.parameter(0, 1.0)
        if self._strikes("drop", count):
            data = b""
        if fault := self._strikes("hangup", count):
            return data, ready_s, (int(fault.parameter(0, 0)), fault.parameter(1, 1.0))
        return data, ready_s, None

    def _strikes(self, name: str, count: int) -> Fault | None:
        fault = self._plan.strikes(name, count)
        if fault:
            self._note(name, reply=count)
        return fault
