"""Faults of transfers, each struck at a known reply."""

from __future__ import annotations

import errno
import time

import pytest
import usb.core

from firmware_sim.contract import Event, OperatorError
from firmware_sim.faults import FaultPlan
from firmware_sim.hosts.pyusb_backend import SimulatedUsb
from firmware_sim.usb_faults import FaultyUsb
from tests.firmware_sim.usb_bench import IN, OUT, Bench


class Client:
    """A program at the instrument, and what the bus has told."""

    def __init__(self, plan: str, *, seed: int = 1) -> None:
        self.events: list[Event] = []
        self.bench = Bench()
        self.faulty = FaultyUsb(self.bench, FaultPlan.parse(plan, seed=seed))
        self.bus = SimulatedUsb(self.faulty, tell=self.events.append)
        self.device = usb.core.find(backend=self.bus)

    def ask(self, words: bytes = b"0123456789", timeout: int = 100) -> bytes:
        self.device.write(OUT, words)
        return self.read(timeout)

    def read(self, timeout: int = 100) -> bytes:
        return bytes(self.device.read(IN, 64, timeout=timeout))

    def serial(self, timeout: int = 100) -> bytes:
        return bytes(self.device.ctrl_transfer(0xC0, 1, 0, 0, 64, timeout=timeout))

    def faults(self) -> list[tuple[object, object]]:
        return [(event["fault"], event.get("reply")) for event in self.events if event["event"] == "fault"]


def test_without_a_plan_nothing_happens() -> None:
    client = Client("")

    assert [client.ask() for _ in range(3)] == [b"0123456789"] * 3
    assert client.serial() == b"BENCH01"
    assert client.faults() == []


def test_a_dropped_transfer_never_arrives() -> None:
    client = Client("drop@2")

    assert client.ask() == b"0123456789"
    with pytest.raises(usb.core.USBTimeoutError):
        client.ask()
    assert client.ask() == b"0123456789"
    assert client.faults() == [("drop", 2)]


def test_a_dropped_answer_to_a_request_is_a_timeout_of_the_request() -> None:
    client = Client("drop@1")
    started = time.monotonic()

    with pytest.raises(usb.core.USBTimeoutError):
        client.serial(timeout=50)
    assert 0.05 <= time.monotonic() - started < 1
    assert client.serial() == b"BENCH01"


def test_a_corrupt_transfer_differs_in_one_byte_and_the_seed_says_which() -> None:
    first, same, other = (Client("corrupt@1", seed=seed).ask() for seed in (1, 1, 2))

    assert first == same != other
    assert sum(a != b for a, b in zip(first, b"0123456789", strict=True)) == 1


def test_a_transfer_is_cut_where_the_plan_says() -> None:
    assert Client("truncate@1:4").ask() == b"0123"
    assert Client("truncate@1:4").serial() == b"BENC"
    assert len(Client("truncate@1").ask()) < 10


def test_a_late_transfer_keeps_its_order() -> None:
    client = Client("delay@1:0.1")
    started = time.monotonic()
    client.device.write(OUT, b"first")
    client.device.write(OUT, b"second")

    assert [client.read(2000), client.read(2000)] == [b"first", b"second"]
    assert 0.1 <= time.monotonic() - started < 1


def test_a_late_answer_to_a_request_is_waited_for() -> None:
    client = Client("delay@1:0.1")
    started = time.monotonic()

    assert client.serial(timeout=2000) == b"BENCH01"
    assert time.monotonic() - started >= 0.1


def test_a_slow_device_takes_longer_for_more() -> None:
    client = Client("slow=1:10")
    started = time.monotonic()

    assert client.ask(b"0123456789", timeout=2000) == b"0123456789"
    assert 10 * 10 / 1024 <= time.monotonic() - started < 1


def test_a_duplicate_arrives_twice() -> None:
    client = Client("duplicate@1")

    assert (client.ask(), client.read()) == (b"0123456789", b"0123456789")


def test_a_stalled_pipe_loses_the_transfer_and_halts_until_it_is_cleared() -> None:
    client = Client("stall@1")

    for attempt in (lambda: client.ask(), lambda: client.read()):
        with pytest.raises(usb.core.USBError) as caught:
            attempt()
        assert caught.value.errno == errno.EPIPE
    client.device.clear_halt(IN)

    assert client.ask() == b"0123456789"
    assert client.faults() == [("stall", 1)]


def test_a_stalled_request_is_refused_once() -> None:
    client = Client("stall@1")

    with pytest.raises(usb.core.USBError) as caught:
        client.serial()

    assert caught.value.errno == errno.EPIPE
    assert client.serial() == b"BENCH01"


@pytest.mark.parametrize("plan", ["hangup@2:0:1", "hangup=15:1"])
def test_a_hang_up_pulls_the_cable_and_plugs_it_in_again(plan: str) -> None:
    client = Client(plan)
    client.ask()

    with pytest.raises(usb.core.USBError) as caught:
        client.ask()
    assert caught.value.errno == errno.ENODEV
    assert usb.core.find(backend=client.bus) is None
    deadline = time.monotonic() + 20
    while (again := usb.core.find(backend=client.bus)) is None and time.monotonic() < deadline:
        time.sleep(0.02)

    assert again is not None
    again.write(OUT, b"back")
    assert bytes(again.read(IN, 64)) == b"back"
    assert client.bench.boots == 2


def test_rubbish_lies_in_the_pipe_after_each_plugging_in() -> None:
    client = Client("garbage=7")

    assert len(client.ask()) == 7
    assert client.read() == b"0123456789"
    client.bus.ports[0].unplug()
    client.bus.ports[0].plug()
    again = usb.core.find(backend=client.bus)
    assert len(bytes(again.read(IN, 64))) == 7


def test_a_chance_strikes_the_same_replies_for_the_same_seed() -> None:
    def struck(seed: int) -> list[tuple[object, object]]:
        client = Client("corrupt=0.3", seed=seed)
        for _ in range(40):
            client.ask()
        return client.faults()

    assert struck(1) == struck(1) != struck(2)
    assert 4 < len(struck(1)) < 24


def test_the_operator_gives_another_plan_and_counts_begin_again() -> None:
    client = Client("")
    client.ask()

    with pytest.raises(OperatorError, match="say note"):  # the bench itself knows no faults
        client.bus.ports[0].operate("faults truncate@1:2")
    with pytest.raises(OperatorError, match="no fault 'explode'"):
        client.bus.ports[0].operate("faults explode")

    assert client.ask() == b"01"
    assert client.ask() == b"0123456789"


def test_a_reset_forgets_what_was_held_up() -> None:
    client = Client("delay@1:1")
    client.device.write(OUT, b"late")
    with pytest.raises(usb.core.USBTimeoutError):
        client.read(10)
    client.device.reset()
    device = usb.core.find(backend=client.bus)

    with pytest.raises(usb.core.USBTimeoutError):
        device.read(IN, 64, timeout=1_300)
