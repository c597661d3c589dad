"""The serial port on real terminals: pseudo-terminals, whose other end is ours."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from drivers.contract import Conversation, Receive, Send
from drivers.errors import Interrupted, LinkDenied, LinkLost, LinkMissing
from drivers.framing import Lines
from drivers.links.serial import SerialLink
from drivers.session import Session

NOBODY = 65534
HOLD = "import fcntl, os, sys; f = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"  # noqa: E501


@dataclass
class Terminal:
    """The instrument's end of a pseudo-terminal."""

    far: int
    path: str

    def hang_up(self) -> None:
        if self.far >= 0:
            os.close(self.far)
            self.far = -1


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    far, near = pty.openpty()
    tty.setraw(near)
    terminal = Terminal(far, os.ttyname(near))
    os.close(near)
    yield terminal
    terminal.hang_up()


def read_exactly(link: SerialLink, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = link.read(size - len(data), 5.0)
        assert piece
        data += piece
    return data


def test_every_byte_passes_unchanged_in_both_directions(terminal: Terminal):
    link = SerialLink.open(terminal.path)
    every = bytes(range(256))

    os.write(terminal.far, every)
    assert read_exactly(link, 256) == every
    link.write(every, 1.0)
    assert os.read(terminal.far, 1000) == every
    link.close()


def test_silence_returns_nothing_after_the_time_allowed(terminal: Terminal):
    link = SerialLink.open(terminal.path)
    started_s = time.monotonic()
    assert link.read(10, 0.05) == b""
    assert 0.04 < time.monotonic() - started_s < 1.0
    link.close()


def test_an_interrupt_wakes_a_read_at_once(terminal: Terminal):
    link = SerialLink.open(terminal.path)
    woken = threading.Event()

    def read() -> None:
        link.read(1, 60.0)
        woken.set()

    reader = threading.Thread(target=read)
    reader.start()
    started_s = time.monotonic()
    link.interrupt()
    assert woken.wait(5.0)
    assert time.monotonic() - started_s < 0.3
    reader.join()
    link.close()


def test_an_interrupt_stops_a_conversation_on_a_port_at_once(terminal: Terminal):
    session = Session(SerialLink.open(terminal.path))
    stopped = threading.Event()

    def wait_for_ever() -> Conversation[None]:
        yield Send(data=b"?")
        yield Receive(framer=Lines(), within_s=60.0)

    def talk() -> None:
        with pytest.raises(Interrupted):
            session.perform(wait_for_ever())
        stopped.set()

    station = threading.Thread(target=talk)
    station.start()
    assert os.read(terminal.far, 1) == b"?"
    started_s = time.monotonic()
    session.interrupt()
    assert stopped.wait(5.0)
    assert time.monotonic() - started_s < 0.3
    station.join()
    session.close()


def test_a_hang_up_is_a_lost_link_after_what_was_under_way(terminal: Terminal):
    link = SerialLink.open(terminal.path)
    os.write(terminal.far, b"half")
    assert read_exactly(link, 4) == b"half"
    terminal.hang_up()
    with pytest.raises(LinkLost, match="plugged in"):
        link.read(10, 5.0)
    with pytest.raises(LinkLost):
        link.write(b"x", 1.0)
    link.close()


def test_a_reader_that_stopped_reading_is_a_lost_link(terminal: Terminal):
    link = SerialLink.open(terminal.path)
    with pytest.raises(LinkLost, match=r"not taken within 0\.05 s"):
        link.write(bytes(1_000_000), 0.05)
    link.close()


def test_a_closed_link_stays_closed_quietly(terminal: Terminal):
    link = SerialLink.open(terminal.path)
    link.close()
    link.close()
    link.interrupt()
    with pytest.raises(LinkLost):
        link.read(1, 0.0)
    with pytest.raises(LinkLost):
        link.write(b"x", 0.0)


def test_a_port_can_be_opened_again_after_closing(terminal: Terminal):
    for _ in range(3):
        link = SerialLink.open(terminal.path)
        os.write(terminal.far, b"x")
        assert link.read(1, 5.0) == b"x"
        link.close()


def test_a_port_that_does_not_exist_is_missing():
    with pytest.raises(LinkMissing, match=r"/dev/no-such-port: no such port"):
        SerialLink.open("/dev/no-such-port")


def test_a_terminal_whose_other_end_has_gone_is_missing(terminal: Terminal):
    terminal.hang_up()
    with pytest.raises(LinkMissing):
        SerialLink.open(terminal.path)


def test_a_file_is_no_serial_port(tmp_path: Path):
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(LinkDenied, match="not a serial port"):
        SerialLink.open(str(path))
    with pytest.raises(LinkDenied, match="not a serial port"):
        SerialLink.open(str(tmp_path))


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """For root, permissions are no obstacle: be somebody else for a while."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_forbidden_port_names_its_owner_and_the_cure(terminal: Terminal, request: pytest.FixtureRequest):
    Path(terminal.path).chmod(0o000)
    request.getfixturevalue("unprivileged")

    with pytest.raises(LinkDenied) as caught:
        SerialLink.open(terminal.path)

    owner, group = Path(terminal.path).owner(), Path(terminal.path).group()
    assert caught.value.message == (
        f"{terminal.path}: permission denied, it belongs to user {owner}, group {group}, mode 0000"
    )
    assert caught.value.hint == "add the service user to group dialout, or install the udev rule"


def test_a_busy_port_names_the_program_that_holds_it(terminal: Terminal):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, terminal.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LinkDenied) as caught:
            SerialLink.open(terminal.path)
        holder.stdin.close()

    assert f"(pid {holder.pid})" in caught.value.message
    assert "python" in caught.value.message
    SerialLink.open(terminal.path).close()


def test_our_own_second_open_is_refused(terminal: Terminal):
    link = SerialLink.open(terminal.path)
    with pytest.raises(LinkDenied, match="in use by another program"):
        SerialLink.open(terminal.path)
    link.close()
