"""One place on a simulated USB bus: a firmware is plugged in and pulled out, and asked for transfers by any thread.

The hosts of USB firmware are made of it: each opening is told by its address, and an address is never given twice.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

from firmware_sim.contract import Event, Setup, Unplugged, UsbFirmware
from firmware_sim.hosts.chapter9 import standard_answer

INWARD = 0x80
SLICE_S = 0.02  # a firmware that does not say when it has something is asked again after so long
FIRST_ADDRESS = 2  # 1 is the root hub

Clock = Callable[[], float]


class Gone(Exception):
    """The device that was opened is not plugged in any more."""


class UsbPort:
    """A firmware at a place, such as 1-2.4. Every method may be called by any thread.

    tell: called with each event, by the thread that made it happen, inside the lock.
    """

    def __init__(
        self,
        firmware: UsbFirmware,
        *,
        bus: int = 1,
        ports: tuple[int, ...] = (1,),
        next_address: Callable[[], int] | None = None,
        tell: Callable[[Event], None] | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.firmware = firmware
        self.bus = bus
        self.ports = ports
        self._next_address = next_address or itertools.count(FIRST_ADDRESS).__next__
        self._tell = tell
        self._clock = clock
        self._changed = threading.Condition()
        self._address: int | None = None
        self._back_at_s: float | None = None
        self.plug()

    @property
    def place(self) -> str:
        """Where it is, as the system writes it: 1-2.4."""
        return f"{self.bus}-{'.'.join(str(port) for port in self.ports)}"

    @property
    def address(self) -> int | None:
        """The address on the bus, None while it is not plugged in."""
        with self._changed:
            self._come_back()
            return self._address

    @property
    def back_at_s(self) -> float | None:
        """When a device that went by itself is there again, None if it is there or was pulled out for good."""
        with self._changed:
            return self._back_at_s

    def plug(self) -> None:
        """Plug it in, under the next address; nothing happens if it is."""
        with self._changed:
            self._back_at_s = None
            if self._address is None:
                self._address = self._next_address()
                self.firmware.plugged(self._clock())
                self._report()
            self._changed.notify_all()

    def unplug(self, seconds: float | None = None) -> None:
        """Pull it out; it is back after so many seconds, or with `plug` if None."""
        with self._changed:
            self._address = None
            self._back_at_s = None if seconds is None else self._clock() + seconds
            self._changed.notify_all()

    def control(self, address: int, setup: Setup, data: bytes = b"") -> bytes:
        """Serve a control transfer, standard ones included. Raises Stall, Late or Gone."""
        with self._changed:
            self._check(address)
            try:
                answer = standard_answer(self.firmware.descriptors, setup)
                if answer is None:
                    answer = self.firmware.control(setup, data, self._clock())
            except Unplugged as unplugged:
                raise self._lost(unplugged) from unplugged
            finally:
                self._report()
            return answer[: setup.length] if setup.request_type & INWARD else b""

    def write(self, address: int, endpoint: int, data: bytes) -> None:
        """Hand over one transfer outward. Raises Stall or Gone."""
        with self._changed:
            self._check(address)
            try:
                self.firmware.write(endpoint, data, self._clock())
            except Unplugged as unplugged:
                raise self._lost(unplugged) from unplugged
            finally:
                self._report()

    def poll(self, address: int, endpoint: int, limit: int) -> bytes | None:
        """Return what one transfer inward brings by now, None for nothing yet. Raises Stall or Gone."""
        with self._changed:
            self._check(address)
            now_s = self._clock()
            try:
                self.firmware.wake(now_s)
                return self.firmware.read(endpoint, limit, now_s)
            except Unplugged as unplugged:
                raise self._lost(unplugged) from unplugged
            finally:
                self._report()

    def read(self, address: int, endpoint: int, limit: int, deadline_s: float) -> bytes | None:
        """Wait for one transfer inward; None when the deadline comes first. Raises Stall or Gone."""
        with self._changed:
            while (data := self.poll(address, endpoint, limit)) is None:
                now_s = self._clock()
                if now_s >= deadline_s:
                    return None
                self._changed.wait(max(0.0, min(now_s + self._patience(now_s), deadline_s) - now_s))
            return data

    def pause(self, address: int, until_s: float) -> None:
        """Wait for a moment. Raises Gone when the device leaves before."""
        with self._changed:
            self._check(address)
            while (left_s := until_s - self._clock()) > 0:
                self._changed.wait(min(left_s, SLICE_S))
                self._check(address)

    def clear_halt(self, address: int, endpoint: int) -> None:
        """Make a stalled endpoint work again. Raises Gone."""
        with self._changed:
            self._check(address)
            self.firmware.clear_halt(endpoint)
            self._changed.notify_all()

    def reset(self, address: int) -> None:
        """Reset the device, which keeps its address. Raises Gone."""
        with self._changed:
            self._check(address)
            self.firmware.reset(self._clock())
            self._report()

    def operate(self, line: str) -> None:
        """Do what the operator says. Raises OperatorError."""
        with self._changed:
            try:
                self.firmware.operate(line)
            finally:
                self._report()

    def turn(self) -> float:
        """Let happen what time alone brings about, events included; return when to call again."""
        with self._changed:
            self._come_back()
            now_s = self._clock()
            if self._address is not None:
                self.firmware.wake(now_s)
            self._report()
            moments = [at for at in (self._back_at_s, self.firmware.wake_at()) if at is not None and at > now_s]
            return min(moments, default=float("inf"))

    def _patience(self, now_s: float) -> float:
        wake_at_s = self.firmware.wake_at()
        return SLICE_S if wake_at_s is None else min(max(wake_at_s - now_s, 0.0005), SLICE_S)

    def _check(self, address: int) -> None:
        self._come_back()
        if address != self._address:
            raise Gone

    def _come_back(self) -> None:
        if self._back_at_s is not None and self._clock() >= self._back_at_s:
            self.plug()

    def _lost(self, unplugged: Unplugged) -> Gone:
        self.unplug(unplugged.seconds)
        return Gone()

    def _report(self) -> None:
        events = self.firmware.take_events()
        if self._tell is not None:
            for event in events:
                self._tell(event)
        self._changed.notify_all()
