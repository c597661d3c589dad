"""`python -m drivers`: a device without daemon, against its simulator as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.__main__ import main
from drivers.devices.csvserial import DEVICE
from drivers.links.replay import ReplayLink
from drivers.session import Session


@pytest.fixture
def port(tmp_path: Path, repository: Path) -> Iterator[str]:
    path = tmp_path / "board"
    command = [sys.executable, "-m", "firmware_sim.main", "csvserial", "--pty", str(path), "--speed", "0"]
    command += ["--quirk", "plain", "--json"]
    with subprocess.Popen(command, cwd=repository, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["event"] == "ready"
            yield str(path)
        finally:
            process.terminate()


def test_it_says_who_answered_and_what_came(port: str, capsys: pytest.CaptureFixture[str]):
    assert main(["csvserial", port, "--scans", "2", "--integration-ms", "50"]) == 0

    who, note, first, second = capsys.readouterr().out.splitlines()
    assert who == "csvserial: maker's InGaAs board, serial number SIM0001"
    assert note.startswith("note: its lines have no checksum")
    assert first.startswith("scan 1: 256 values, 896.3 to 1699.3 nm, counts ")
    assert second.startswith("scan 2: ")


def test_what_it_records_plays_back(port: str, tmp_path: Path):
    recording = tmp_path / "talk.txt"

    assert main(["csvserial", port, "--record", str(recording)]) == 0

    with ReplayLink.from_file(recording) as link:
        session = Session(link, clock=link.clock)
        unit = session.perform(DEVICE.open())
        session.perform(DEVICE.configure(unit, DEVICE.default_settings))
        session.perform(DEVICE.scan(unit, DEVICE.default_settings))
        session.perform(DEVICE.close())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["csvserail", "/dev/null"], "did you mean csvserial?"),
        (["csvserial", "/nowhere/port"], "no such port"),
        (["csvserial", "usb"], "not reached by usb"),
        (["csvserial", "port"], "is no port"),
        (["csvserial", "/nowhere/port", "--record", "/nowhere/talk.txt"], "No such file"),
    ],
)
def test_an_error_is_told_with_its_hint(words: list[str], said: str, capsys: pytest.CaptureFixture[str]):
    assert main(words) == 1
    assert said in capsys.readouterr().err


def test_settings_that_the_board_cannot_do_are_told(port: str, capsys: pytest.CaptureFixture[str]):
    assert main(["csvserial", port, "--integration-ms", "5000"]) == 1
    assert "this board does 1 to 2000" in capsys.readouterr().err
