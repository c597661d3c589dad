"""Instruments offered to virtual machines: usbredir, packet by packet. A true machine: tests/deep/test_guest.py."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.drivers.talking import Talking, talking
from tests.firmware_sim import redir_client
from tests.firmware_sim.redir_client import (
    ALL,
    BULK,
    CANCEL,
    CONNECT,
    CONTROL,
    DISCONNECT,
    ENDPOINTS,
    INTERFACES,
    INTERRUPT,
    RESET,
    Machine,
)

OUT, IN = 0x01, 0x82
OK, CANCELLED, INVALID, STALLED = 0, 1, 2, 4
SET_CONFIGURATION, CONFIGURATION, GET_ALTERNATE, ALTERNATE = 6, 8, 10, 11
LISTEN, LISTEN_NO_MORE, LISTENING = 15, 16, 17


@contextmanager
def bench(folder: Path, *options: str) -> Iterator[Talking]:
    path = str(folder / "usb")
    with talking(sys.executable, "-m", "tests.firmware_sim.serve_redir", path, *options) as simulator:
        assert simulator.event("ready")["chardev"] == f"socket,path={path},reconnect=1"
        simulator.path = path  # type: ignore[attr-defined]
        yield simulator


@contextmanager
def plugged(simulator: Talking, capabilities: int = ALL) -> Iterator[Machine]:
    with redir_client.machine(simulator.path, capabilities) as machine:  # type: ignore[attr-defined]
        machine.until(CONNECT)
        yield machine
    while simulator.hear()["event"] != "unplugged":
        pass


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talking]:
    with bench(tmp_path_factory.mktemp("redir")) as running:
        yield running


@pytest.fixture
def machine(simulator: Talking) -> Iterator[Machine]:
    with plugged(simulator) as connected:
        yield connected


def test_the_device_is_described_before_it_is_there(simulator: Talking) -> None:
    with redir_client.machine(simulator.path) as machine:  # type: ignore[attr-defined]
        interfaces, endpoints, connect = machine.hear(), machine.hear(), machine.hear()
    simulator.event("unplugged")

    assert [interfaces.kind, endpoints.kind, connect.kind] == [INTERFACES, ENDPOINTS, CONNECT]
    assert connect.body.hex(" ") == "02 00 00 00 09 12 c7 5e 23 01"  # high speed, 1209:5ec7, release 1.23
    assert interfaces.body[:4] == b"\1\0\0\0"
    assert (interfaces.body[36], len(interfaces.body)) == (0xFF, 132)
    types, sizes = endpoints.body[:32], struct.unpack_from("<32H", endpoints.body, 96)
    assert {at: kind for at, kind in enumerate(types) if kind != 255} == {0: 0, 1: 2, 16: 0, 18: 2}
    assert {at: size for at, size in enumerate(sizes) if size} == {0: 64, 1: 512, 16: 64, 18: 512}


def test_the_kernels_questions_are_answered_from_the_descriptors(machine: Machine) -> None:
    status, length, device = machine.answered(0x80, 6, 0x0100, 0, 64)

    assert (status, length) == (OK, 18)
    assert device.hex(" ") == "12 01 00 02 00 00 00 40 09 12 c7 5e 23 01 01 02 03 01"
    assert machine.answered(0x80, 6, 0x0303, 0x409, 255)[2][2:].decode("utf-16-le") == "BENCH01"
    assert machine.answered(0x80, 6, 0x0304, 0x409, 255)[:2] == (STALLED, 0)


def test_a_configuration_is_set_with_the_tables_told_again(machine: Machine) -> None:
    machine.say(SET_CONFIGURATION, b"\1", 7)
    kinds = [machine.hear().kind, machine.hear().kind]
    told = machine.hear()
    machine.say(GET_ALTERNATE, b"\0", 8)
    alternate = machine.hear()

    assert kinds == [INTERFACES, ENDPOINTS]
    assert (told.kind, told.number, told.body) == (CONFIGURATION, 7, b"\0\1")
    assert (alternate.kind, alternate.number, alternate.body) == (ALTERNATE, 8, b"\0\0\0")


def test_control_transfers_go_both_ways_and_unknown_ones_stall(machine: Machine) -> None:
    assert machine.answered(0xC0, 1, data=64) == (OK, 7, b"BENCH01")
    assert machine.answered(0xC0, 1, data=3) == (OK, 3, b"BEN")
    assert machine.answered(0x40, 2, data=b"remembered") == (OK, 10, b"")
    assert machine.answered(0xC0, 3, data=64) == (OK, 10, b"remembered")
    assert machine.answered(0xC0, 0x77, data=4) == (STALLED, 0, b"")


@pytest.mark.parametrize("capabilities", [ALL, 0b0010010, 0])
def test_what_goes_out_comes_back_with_long_numbers_and_with_short_ones(simulator: Talking, capabilities: int) -> None:
    with plugged(simulator, capabilities) as machine:
        machine.bulk(IN, 64, 1)
        machine.bulk(OUT, b"hello there", 2)

        assert machine.moved() == (2, OUT, OK, 11, b"")
        assert machine.moved() == (1, IN, OK, 11, b"hello there")


def test_a_long_transfer_says_its_length_in_two_halves(machine: Machine) -> None:
    sent = random.Random(3).randbytes(70_000).replace(b":", b";")
    machine.bulk(OUT, sent, 1)
    machine.bulk(IN, 200_000, 2)

    assert machine.moved() == (1, OUT, OK, 70_000, b"")
    assert machine.moved() == (2, IN, OK, 70_000, sent)


def test_a_machine_that_stands_still_for_a_while_misses_nothing(machine: Machine) -> None:
    sent = [bytes((number,)) * 65_536 for number in range(0x80, 0x80 + 19)]  # more than the host keeps for it
    for number, _ in enumerate(sent):
        machine.bulk(IN, 65_536, number)
    for number, data in enumerate(sent):
        machine.bulk(OUT, data, 100 + number)
    came = [machine.moved() for _ in range(2 * len(sent))]

    assert [data for _, endpoint, _, _, data in came if endpoint == IN] == sent
    assert [number for number, endpoint, *_ in came if endpoint == OUT] == [100 + number for number in range(len(sent))]


def test_a_late_answer_comes_when_it_is_due_and_transfers_keep_their_order(machine: Machine) -> None:
    began_s = time.monotonic()
    machine.bulk(IN, 64, 1)
    machine.bulk(IN, 64, 2)
    machine.bulk(OUT, b"after 0.2:first", 3)
    machine.bulk(OUT, b"second", 4)
    came = [machine.moved() for _ in range(4)]

    assert 0.2 <= time.monotonic() - began_s < 1.0
    assert [(number, data) for number, endpoint, _, _, data in came if endpoint == IN] == [
        (1, b"first"),
        (2, b"second"),
    ]


def test_a_cancelled_transfer_says_so_and_takes_nothing_with_it(machine: Machine) -> None:
    machine.bulk(IN, 64, 1)
    machine.say(CANCEL, b"", 1)
    cancelled = machine.moved()
    machine.say(CANCEL, b"", 1)  # crossed with its end on the wire: nothing
    machine.bulk(OUT, b"still there", 2)
    machine.bulk(IN, 64, 3)

    assert cancelled == (1, IN, CANCELLED, 0, b"")
    assert [machine.moved()[0], machine.moved()] == [2, (3, IN, OK, 11, b"still there")]


def test_a_reset_ends_what_is_under_way_and_the_device_goes_on(machine: Machine) -> None:
    machine.bulk(IN, 64, 1)
    machine.say(RESET)

    assert machine.moved() == (1, IN, CANCELLED, 0, b"")
    assert machine.answered(0xC0, 1, data=64)[2] == b"BENCH01"


def test_a_halted_pipe_stalls_until_it_is_cleared(machine: Machine) -> None:
    machine.bulk(OUT, b"stall:", 1)
    machine.bulk(IN, 64, 2)
    machine.bulk(IN, 64, 3)
    ended = [machine.moved()[:3] for _ in range(3)]
    cleared = machine.answered(0x02, 1, 0, IN)
    machine.bulk(OUT, b"again", 4)
    machine.bulk(IN, 64, 5)

    assert ended == [(1, OUT, OK), (2, IN, STALLED), (3, IN, STALLED)]
    assert cleared[0] == OK
    assert [machine.moved()[0], machine.moved()] == [4, (5, IN, OK, 5, b"again")]


def test_the_operator_pulls_the_cable_and_plugs_it_in_under_another_address(simulator: Talking) -> None:
    with redir_client.machine(simulator.path) as machine:  # type: ignore[attr-defined]
        machine.until(CONNECT)
        first = simulator.event("plugged")["address"]
        machine.bulk(IN, 64, 1)
        simulator.say("unplug")
        gone = machine.hear()
        machine.bulk(IN, 64, 2)
        quiet = machine.is_quiet(0.3)
        simulator.say("plug")
        kinds = [machine.hear().kind for _ in range(3)]
        again = simulator.event("plugged")["address"]
    simulator.event("unplugged")

    assert (gone.kind, quiet, kinds) == (DISCONNECT, True, [INTERFACES, ENDPOINTS, CONNECT])
    assert again > first


def test_an_instrument_that_leaves_by_itself_comes_back(machine: Machine) -> None:
    machine.bulk(IN, 64, 1)
    machine.bulk(OUT, b"unplug 0.2:", 2)
    gone = machine.hear()
    began_s = time.monotonic()
    machine.until(CONNECT)

    assert gone.kind == DISCONNECT
    assert 0.1 < time.monotonic() - began_s < 1.0
    machine.answered(0xC0, 1, data=64)


def test_a_machine_that_ends_and_starts_again_finds_a_device_that_booted(simulator: Talking) -> None:
    with plugged(simulator) as machine:
        machine.answered(0x40, 2, data=b"remembered")
        assert machine.answered(0xC0, 3, data=64)[2] == b"remembered"
    with plugged(simulator) as machine:
        assert machine.answered(0xC0, 3, data=64)[2] == b""


def test_a_second_machine_waits_until_the_first_has_gone(simulator: Talking) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        with plugged(simulator) as machine:
            other.connect(simulator.path)  # type: ignore[attr-defined]
            assert machine.answered(0xC0, 1, data=64)[2] == b"BENCH01"
            other.settimeout(0.1)
            with pytest.raises(TimeoutError):
                other.recv(1)

        assert Machine(other).until(CONNECT)
    simulator.event("unplugged")


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        (BULK, b"\x82\0", "a packet of kind 101 with 2 bytes"),
        (BULK, b"\x82" + bytes(7), "without the upper half"),
        (CONTROL, b"", "a packet of kind 100 with 0 bytes"),
        (INTERRUPT, b"\1", "a packet of kind 103 with 1 bytes"),
        (0, b"short", "a hello of 5 bytes"),
    ],
)
def test_what_is_no_packet_ends_the_connection_with_a_word_and_the_next_one_is_served(
    simulator: Talking, kind: int, body: bytes, said: str
) -> None:
    with redir_client.machine(simulator.path) as machine:  # type: ignore[attr-defined]
        machine.until(CONNECT)
        machine.say(kind, body)
        assert machine.is_dropped()
    assert said in simulator.event("error")["message"]
    simulator.event("unplugged")
    with plugged(simulator) as machine:
        assert machine.answered(0xC0, 1, data=64)[2] == b"BENCH01"


def test_more_than_anybody_needs_is_refused(simulator: Talking) -> None:
    with redir_client.machine(simulator.path) as machine:  # type: ignore[attr-defined]
        machine.until(CONNECT)
        machine.connection.sendall(struct.pack("<IIQ", BULK, 1 << 31, 0))
        assert machine.is_dropped()
    assert "2147483648 bytes" in simulator.event("error")["message"]
    with redir_client.machine(simulator.path) as machine:  # type: ignore[attr-defined]
        machine.until(CONNECT)
        with contextlib.suppress(ConnectionError):  # it may hang up before it has heard the last one
            for number in range(300):
                machine.bulk(IN, 64, number)
        assert machine.is_dropped()
    assert "256 transfers" in simulator.event("error")["message"]
    simulator.event("unplugged")


def test_any_bytes_leave_it_serving(simulator: Talking) -> None:
    chance = random.Random(7)
    for _ in range(60):
        with redir_client.machine(simulator.path) as machine, contextlib.suppress(ConnectionError):  # type: ignore[attr-defined]
            for _ in range(chance.randrange(1, 8)):
                kind = chance.choice([*range(28), 100, 101, 102, 103, 104, 1 << 30])
                body = chance.randbytes(chance.choice([0, 1, 2, 3, 4, 8, 10, 12, 64, 200]))
                machine.say(kind, body, chance.randrange(1 << 32))

    with redir_client.machine(simulator.path) as machine:  # type: ignore[attr-defined]
        machine.until(CONNECT)
        assert machine.answered(0xC0, 1, data=64)[2] == b"BENCH01"
    simulator.say("what")
    while "say note" not in simulator.event("error")["message"]:
        pass


def test_waiting_costs_no_processor(simulator: Talking, machine: Machine) -> None:
    process = psutil.Process(simulator.process.pid)
    machine.bulk(IN, 64, 1)
    before = process.cpu_times()
    machine.bulk(OUT, b"after 1.5:late", 2)
    while machine.moved()[0] != 1:
        pass
    after = process.cpu_times()

    assert after.user + after.system - before.user - before.system <= 0.05


def test_reports_of_a_hid_instrument_come_unasked_while_somebody_listens(tmp_path: Path) -> None:
    with bench(tmp_path, "--hid") as simulator, plugged_hid(simulator) as (machine, endpoints, speed):
        machine.say(LISTEN, bytes((IN,)), 1)
        listening = machine.hear()
        for number in range(3):
            machine.say(INTERRUPT, struct.pack("<BBH", OUT, 0, 6) + b"report", 50 + number)
        heard = [machine.hear() for _ in range(6)]
        machine.say(LISTEN_NO_MORE, bytes((IN,)), 2)
        stopped = machine.hear()
        machine.say(INTERRUPT, struct.pack("<BBH", OUT, 0, 6) + b"unread", 60)
        machine.hear()
        quiet = machine.is_quiet(0.2)
        machine.say(LISTEN, bytes((0x85,)), 3)
        nobody = machine.hear()
        machine.say(LISTEN, bytes((IN,)), 4)
        resumed = [machine.hear(), machine.hear()]

    assert speed == 1
    assert (endpoints[1], endpoints[18]) == (3, 3)
    assert (listening.kind, listening.body) == (LISTENING, bytes((OK, IN)))
    taken = [(packet.number, packet.body) for packet in heard if packet.body[0] == OUT]
    came = [packet.body for packet in heard if packet.body[0] == IN]
    assert taken == [(number, b"\1\0\6\0") for number in (50, 51, 52)]
    assert came == [b"\x82\0\6\0report"] * 3
    assert (stopped.kind, stopped.body, quiet) == (LISTENING, bytes((OK, IN)), True)
    assert nobody.body == bytes((INVALID, 0x85))
    assert resumed[1].body == b"\x82\0\6\0unread"


def test_a_hid_pipe_that_halts_says_that_it_brings_no_more(tmp_path: Path) -> None:
    with bench(tmp_path, "--hid") as simulator, plugged_hid(simulator) as (machine, _, _):
        machine.say(LISTEN, bytes((IN,)), 1)
        machine.hear()
        machine.say(INTERRUPT, struct.pack("<BBH", OUT, 0, 6) + b"stall:", 2)
        taken, halted = machine.hear(), machine.hear()

    assert taken.kind == INTERRUPT
    assert (halted.kind, halted.body) == (LISTENING, bytes((STALLED, IN)))


@contextmanager
def plugged_hid(simulator: Talking) -> Iterator[tuple[Machine, bytes, int]]:
    with redir_client.machine(simulator.path) as machine:  # type: ignore[attr-defined]
        endpoints = machine.until(ENDPOINTS).body
        yield machine, endpoints, machine.until(CONNECT).body[0]


def test_an_answer_that_is_late_or_never_comes_can_be_cancelled(tmp_path: Path) -> None:
    with bench(tmp_path, "delay@1:0.2,drop@2") as simulator, plugged(simulator) as machine:
        began_s = time.monotonic()
        late = machine.answered(0xC0, 1, data=64)
        took_s = time.monotonic() - began_s
        number = machine.control(0xC0, 1, data=64)
        machine.say(CANCEL, b"", number)
        lost = machine.until(CONTROL)

    assert late == (OK, 7, b"BENCH01")
    assert 0.2 <= took_s < 1.0
    assert (lost.number, lost.body[3]) == (number, CANCELLED)


def test_a_place_that_is_taken_is_named_and_one_that_was_left_is_used(tmp_path: Path) -> None:
    with bench(tmp_path) as simulator:
        command = (sys.executable, "-m", "tests.firmware_sim.serve_redir")
        assert "is there already" in refused(*command, simulator.path)  # type: ignore[attr-defined]
        assert "give a path in a folder that is there" in refused(*command, str(tmp_path / "no" / "usb"))
        assert "70000 is no port" in refused(*command, "70000")
        simulator.process.kill()
        assert simulator.process.wait(10) == -9
    assert (tmp_path / "usb").exists()

    with bench(tmp_path) as simulator, plugged(simulator) as machine:
        assert machine.answered(0xC0, 1, data=64)[2] == b"BENCH01"
    assert not (tmp_path / "usb").exists()


def refused(*command: str) -> str:
    process = psutil.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    return str(said)


def test_the_command_offers_it_at_a_port(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "firmware_sim.main", "ooi", "--usbredir", "0", "--sample", "ramp")
    with talking(*command) as simulator:
        host, _, port = str(simulator.event("ready")["usbredir"]).partition(":")
        with socket.create_connection((host, int(port))) as connection:
            connect = Machine(connection).until(CONNECT)
        simulator.say("quit")

    assert connect.body.hex(" ") == "02 00 00 00 57 24 26 10 02 00"  # 2457:1026
