"""A USB link onto a simulated firmware, without threads or a bus. Time passes on the clock while the driver waits."""

from __future__ import annotations

from dataclasses import dataclass, field

from drivers.clock import ManualClock
from drivers.contract import Control
from drivers.errors import LinkLost, NoAnswer, Stalled, WireError
from firmware_sim.contract import Event, Late, Setup, Stall, Unplugged, UsbFirmware
from firmware_sim.hosts.chapter9 import standard_answer


@dataclass
class UsbWire:
    """One plugging in of a firmware."""

    firmware: UsbFirmware
    clock: ManualClock
    name: str = "usb wire"
    events: list[Event] = field(default_factory=list)
    _gone: bool = False

    def __post_init__(self) -> None:
        self.firmware.plugged(self.clock.now_s())

    @property
    def in_endpoints(self) -> tuple[int, ...]:
        return tuple(address for address in self.firmware.descriptors.endpoints if address & 0x80)

    def read_from(self, endpoint: int, limit: int, within_s: float) -> bytes:
        deadline_s = self.clock.now_s() + within_s
        while True:
            self._raise_if_gone()
            self.firmware.wake(self.clock.now_s())
            try:
                data = self.firmware.read(endpoint, limit, self.clock.now_s())
            except Stall as stall:
                raise WireError(f"{self.name}: pipe {endpoint:#04x} is stalled") from stall
            except Unplugged as unplugged:
                raise self._unplug() from unplugged
            finally:
                self.events += self.firmware.take_events()
            now_s = self.clock.now_s()
            if data is not None or now_s >= deadline_s:
                return data or b""
            wake_at_s = self.firmware.wake_at()
            until_s = deadline_s if wake_at_s is None or wake_at_s <= now_s else min(wake_at_s, deadline_s)
            self.clock.advance(until_s - now_s)

    def write_to(self, endpoint: int, data: bytes, within_s: float) -> None:
        self._raise_if_gone()
        try:
            self.firmware.write(endpoint, data, self.clock.now_s())
        except Stall as stall:
            raise WireError(f"{self.name}: pipe {endpoint:#04x} is stalled") from stall
        except Unplugged as unplugged:
            raise self._unplug() from unplugged
        finally:
            self.events += self.firmware.take_events()

    def control(self, transfer: Control) -> bytes:
        self._raise_if_gone()
        inward = bool(transfer.request_type & 0x80)
        setup = Setup(
            request_type=transfer.request_type,
            request=transfer.request,
            value=transfer.value,
            index=transfer.index,
            length=transfer.length if inward else len(transfer.data),
        )
        try:
            answer = standard_answer(self.firmware.descriptors, setup)
            if answer is None:
                answer = self.firmware.control(setup, transfer.data, self.clock.now_s())
        except Stall as stall:
            raise Stalled(f"{self.name}: request {transfer.request:#04x} was refused") from stall
        except Late as late:
            self.clock.advance(min(late.seconds, transfer.within_s))
            if late.seconds > transfer.within_s:
                raise NoAnswer(f"{self.name}: request {transfer.request:#04x}: no answer") from late
            answer = late.data
        except Unplugged as unplugged:
            raise self._unplug() from unplugged
        finally:
            self.events += self.firmware.take_events()
        return answer[: transfer.length] if inward else b""

    def clear_halts(self) -> None:
        self._raise_if_gone()
        for endpoint in self.firmware.descriptors.endpoints:
            self.firmware.clear_halt(endpoint)

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        self._gone = True

    def _unplug(self) -> LinkLost:
        self._gone = True
        return LinkLost(f"{self.name}: unplugged")

    def _raise_if_gone(self) -> None:
        if self._gone:
            raise LinkLost(f"{self.name}: unplugged")
