"""A simulated instrument behind a network socket, as its own process."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from firmware_sim.main import main
from tests.drivers.talking import Talking, talking

SERIAL_NUMBER = 0x100  # the message of the Ocean Binary Protocol that asks for it


@contextmanager
def running(*words: str) -> Iterator[tuple[Talking, str, int]]:
    command = (sys.executable, "-m", "firmware_sim.main", "obp", "--tcp", "0", "--speed", "0", *words)
    with talking(*command) as simulator:
        ready = simulator.event("ready")
        host, _, port = str(ready["tcp"]).rpartition(":")
        yield simulator, host, int(port)


def request(message: int) -> bytes:
    """A request of the Ocean Binary Protocol without data: header of 44 bytes, 16 of checksum, footer."""
    header = b"\xc1\xc0" + (0x1000).to_bytes(2, "little") + bytes(4) + message.to_bytes(4, "little") + bytes(28)
    return header + (20).to_bytes(4, "little") + bytes(16) + b"\xc5\xc4\xc3\xc2"


def answer(client: socket.socket) -> bytes:
    data = b""
    while len(data) < 64:
        came = client.recv(64 - len(data))
        if not came:
            return data
        data += came
    return data


def test_it_listens_on_this_machine_only_and_answers() -> None:
    with running() as (_, host, port), socket.create_connection((host, port), 5) as client:
        client.sendall(request(SERIAL_NUMBER))

        assert host == "127.0.0.1"
        assert answer(client)[:2] == b"\xc1\xc0"


def test_a_second_client_is_turned_away_and_the_first_goes_on() -> None:
    with running() as (_, host, port), socket.create_connection((host, port), 5) as first:
        first.sendall(request(SERIAL_NUMBER))
        answer(first)
        with socket.create_connection((host, port), 5) as second:
            assert second.recv(1) == b""
        first.sendall(request(SERIAL_NUMBER))

        assert len(answer(first)) == 64


def test_the_next_client_is_served_when_the_first_has_gone() -> None:
    with running() as (_, host, port):
        for _ in range(5):
            with socket.create_connection((host, port), 5) as client:
                client.sendall(request(SERIAL_NUMBER))
                assert len(answer(client)) == 64


def test_a_hang_up_drops_the_client_and_refuses_until_it_is_over() -> None:
    with running() as (simulator, host, port), socket.create_connection((host, port), 5) as client:
        client.sendall(request(SERIAL_NUMBER))
        answer(client)
        simulator.say("hangup 2")
        assert client.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, port), 5)
        again = None
        while again is None:
            try:
                again = socket.create_connection((host, port), 5)
            except ConnectionRefusedError:
                time.sleep(0.02)
        with again:
            again.sendall(request(SERIAL_NUMBER))
            assert len(answer(again)) == 64


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        result = CliRunner().invoke(main, ["obp", "--tcp", str(taken.getsockname()[1])])

    assert result.exit_code == 2
    assert "choose another port" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "say where it hangs: --pty PATH or --tcp PORT or --usb"),
        (["--tcp", "0", "--usb"], "say where it hangs"),
        (["--tcp", "65536"], "--tcp"),
        (["--tcp", "0", "--faults", "explode"], "no fault 'explode'"),
    ],
)
def test_a_mistake_is_named(words: list[str], said: str) -> None:
    result = CliRunner().invoke(main, ["obp", *words])

    assert result.exit_code == 2
    assert said in " ".join(result.output.split())
