"""A small USB instrument for tests of what instruments hang on."""

from __future__ import annotations

from dataclasses import dataclass, field

from firmware_sim.contract import Event, OperatorError, Setup, Stall, Unplugged, UsbDescriptors

OUT, IN = 0x01, 0x82


@dataclass
class Bench:
    """Says back what it is told on endpoint 1.

    In front of the words may stand what to do with them: `after SECONDS:`, `stall:`, `unplug SECONDS:`, `twice:`.
    Vendor request 1 inward gives its serial number, 2 outward sets its note, 3 inward returns the note; others stall.
    """

    serial_number: str = "BENCH01"
    vendor_id: int = 0x1209
    product_id: int = 0x5EC7
    note: bytes = b""
    boots: int = 0
    resets: int = 0
    halted: set[int] = field(default_factory=set)
    answers: list[tuple[float, bytes]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.descriptors = UsbDescriptors(
            vendor_id=self.vendor_id,
            product_id=self.product_id,
            release=0x0123,
            strings=("edged", "bench", self.serial_number),
            endpoints=(OUT, IN),
        )

    def plugged(self, now_s: float) -> None:
        self.boots += 1
        self.note = b""
        self.halted.clear()
        self.answers.clear()

    def reset(self, now_s: float) -> None:
        self.resets += 1
        self.answers.clear()

    def control(self, setup: Setup, data: bytes, now_s: float) -> bytes:
        match (setup.request_type, setup.request):
            case (0xC0, 1):
                return self.serial_number.encode()
            case (0x40, 2):
                self.note = data
                return b""
            case (0xC0, 3):
                return self.note
        raise Stall

    def write(self, endpoint: int, data: bytes, now_s: float) -> None:
        if endpoint != OUT or OUT in self.halted:
            raise Stall
        order, colon, words = data.partition(b":")
        match order.split() if colon else []:
            case [b"after", seconds]:
                self.answers.append((now_s + float(seconds), words))
            case [b"stall"]:
                self.halted.add(IN)
            case [b"unplug", seconds]:
                raise Unplugged(float(seconds))
            case [b"twice"]:
                self.answers += [(now_s, words), (now_s, words)]
            case _:
                self.answers.append((now_s, data))
        self.events.append({"event": "told", "serial_number": self.serial_number, "bytes": len(data)})

    def read(self, endpoint: int, limit: int, now_s: float) -> bytes | None:
        if endpoint != IN or IN in self.halted:
            raise Stall
        if not self.answers or self.answers[0][0] > now_s:
            return None
        at_s, answer = self.answers.pop(0)
        if len(answer) > limit:
            self.answers.insert(0, (at_s, answer[limit:]))
        return answer[:limit]

    def clear_halt(self, endpoint: int) -> None:
        self.halted.discard(endpoint)

    def wake_at(self) -> float | None:
        return self.answers[0][0] if self.answers else None

    def wake(self, now_s: float) -> None:
        pass

    def take_events(self) -> list[Event]:
        events, self.events = self.events, []
        return events

    def operate(self, line: str) -> None:
        if line != "note":
            raise OperatorError(f"{line}: say note")
        self.note = b"operated"
