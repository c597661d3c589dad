"""The simulator as its own process, spoken to with nothing but the operating system's calls and pyserial."""

from __future__ import annotations

import json
import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import serial

from tests.firmware_sim.raw_client import Client, adc, request, scan_index

DEADLINE_S = 20.0


class Simulator:
    """One running process and what it has said."""

    def __init__(self, process: subprocess.Popen[bytes], link: Path) -> None:
        self.process = process
        self.link = link
        self._said = b""

    def event(self, name: str) -> dict[str, object]:
        """Wait for the next event of this name; others on the way are dropped."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            while b"\n" in self._said:
                line, self._said = self._said.split(b"\n", 1)
                if (event := json.loads(line))["event"] == name:
                    return event
            if select.select([self.process.stdout], [], [], 0.5)[0]:
                self._said += os.read(self.process.stdout.fileno(), 65536)
        raise AssertionError(f"no event {name}")

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()


@contextmanager
def running(folder: Path, *words: str, stdin: int = subprocess.PIPE) -> Iterator[Simulator]:
    link = folder / "nirscan"
    command = [sys.executable, "-m", "firmware_sim.main", "nirscan", "--pty", str(link), "--speed", "0", *words]
    process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        simulator = Simulator(process, link)
        simulator.event("ready")
        yield simulator
    finally:
        process.kill()
        process.communicate()


@contextmanager
def port(link: Path) -> Iterator[Client]:
    with serial.Serial(str(link), 115200, timeout=5, exclusive=True) as handle:

        def exchange(asked: bytes) -> bytes:
            handle.write(asked)
            head = handle.read(12)
            return head + handle.read(struct.unpack_from("<H", head, 10)[0] + 4)

        yield Client(exchange)


def test_scans_come_over_a_serial_port_and_are_told_with_their_truth(tmp_path: Path) -> None:
    with (
        running(tmp_path, "--sample", "100AC,100AA", "--serial-number", "T7") as simulator,
        port(simulator.link) as talk,
    ):
        assert talk.read(0x0233) == b"T7".ljust(8, b"\0")
        blobs = [talk.scan() for _ in range(3)]

        told = [simulator.event("scan") for _ in blobs]

    assert [event["sample"] for event in told] == ["white", "100AC", "100AA"]
    assert [event["scan_index"] for event in told] == [scan_index(blob) for blob in blobs]
    assert {event["serial_number"] for event in told} == {"T7"}


def test_two_processes_with_one_seed_give_the_same_readings(tmp_path: Path) -> None:
    runs = []
    for _ in range(2):
        with running(tmp_path, "--seed", "11") as simulator, port(simulator.link) as talk:
            runs.append([adc(talk.scan()).tolist() for _ in range(3)])

    assert runs[0] == runs[1]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, "quit", "end of the operator's pipe"])
def test_every_way_to_stop_removes_the_link_and_exits_well(tmp_path: Path, how: object) -> None:
    with running(tmp_path) as simulator:
        assert simulator.link.is_symlink()
        match how:
            case "quit":
                simulator.say("quit")
            case signal.Signals():
                simulator.process.send_signal(how)
            case _:
                assert simulator.process.stdin is not None
                simulator.process.stdin.close()
                simulator.process.stdin = None

        assert simulator.process.wait(DEADLINE_S) == 0
        assert not simulator.link.is_symlink()


def test_the_end_of_a_null_input_is_not_a_stop(tmp_path: Path) -> None:
    with running(tmp_path, stdin=subprocess.DEVNULL) as simulator, port(simulator.link) as talk:
        assert talk.read(0x0403) == b"\1\0\0\0"


def test_the_operator_puts_the_tile_or_a_sample_there_and_hears_of_mistakes(tmp_path: Path) -> None:
    with running(tmp_path, "--white", "0", "--sample", "100AC") as simulator, port(simulator.link) as talk:
        for line, label in (("white", "white"), ("", "100AC"), ("sample 100LA", "100LA")):
            simulator.say(f"{line}\nnonsense")
            said = simulator.event("error")
            assert "say white, sample NAME" in str(said["message"])
            talk.scan()
            assert simulator.event("scan")["sample"] == label

        simulator.say("sample sugar")
        assert "there are 1090ACAA" in str(simulator.event("error")["message"])
        simulator.say("faults drop@x")
        assert "NAME[=VALUE]" in str(simulator.event("error")["message"])


@pytest.mark.parametrize("words", ["faults hangup@1:9:0.1", "hangup 0.1"])
def test_after_a_hang_up_the_link_is_back_and_serves(tmp_path: Path, words: str) -> None:
    with running(tmp_path) as simulator:
        with serial.Serial(str(simulator.link), timeout=0.2) as handle:
            handle.write(request(0x0403))
            assert len(handle.read(22)) == 22
            simulator.say(words)
            simulator.say("nonsense")
            simulator.event("error")
            if words.startswith("faults"):
                handle.write(request(0x0403))
                assert len(handle.read(9)) == 9
            with pytest.raises((serial.SerialException, OSError)):
                _talk_until_lost(handle)

        assert _served_again(simulator.link)


def _talk_until_lost(handle: serial.Serial) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        handle.write(b"\0")
        handle.read(1)


def _served_again(link: Path) -> bool:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        try:
            with port(link) as talk:
                return talk.read(0x0403) == b"\1\0\0\0"
        except (serial.SerialException, struct.error, OSError):
            continue
    return False


def test_clients_come_and_go(tmp_path: Path) -> None:
    with running(tmp_path) as simulator:
        for _ in range(5):
            with port(simulator.link) as talk:
                assert talk.read(0x0403) == b"\1\0\0\0"


def test_a_link_left_by_a_killed_simulator_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "nirscan").symlink_to("/dev/pts/99999")

    with running(tmp_path) as simulator, port(simulator.link) as talk:
        assert talk.read(0x0403)


def test_a_scan_without_waiting_costs_little_processor_time(tmp_path: Path) -> None:
    with running(tmp_path) as simulator, port(simulator.link) as talk:
        talk.scan()
        before = _cpu_s(simulator.process.pid)
        for _ in range(50):
            talk.scan()
        each = (_cpu_s(simulator.process.pid) - before) / 50

    assert each < 0.015


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
