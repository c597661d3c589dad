"""`edged-sim obp`: what it refuses, and what it says of a laser."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from drivers import registry
from drivers.contract import ExposureSettings
from drivers.links.serial import SerialLink
from drivers.session import Session
from firmware_sim.commands.obp import obp


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--pty", "x", "--model", "nirquest"], "sts-nir"),
        (["--pty", "x", "--quirk", "ecko"], "echo"),
        (["--pty", "x", "--baud", "300"], "9600"),
        (["--pty", "x", "--sample", "salt"], "no sample 'salt'"),
        (["--tcp", "0", "--model", "ventana", "--sample", "100AC"], "polystyrene"),
        (["--pty", "x", "--serial-number", "much too long a number"], "1 to 16"),
        (["--pty", "x", "--faults", "drop=2"], "probability"),
        ([], "--pty PATH"),
    ],
)
def test_a_mistake_is_a_usage_error_that_says_what_would_do(options: list[str], words: str):
    result = CliRunner().invoke(obp, options)

    assert result.exit_code == 2
    assert words in result.output


def test_the_operator_changes_the_sample_and_each_spectrum_is_told(tmp_path: Path, repository: Path):
    device, settings, port = registry.load("obp"), ExposureSettings(integration_ms=5.0), tmp_path / "sts"
    command = [sys.executable, "-m", "firmware_sim.main", "obp", "--pty", str(port), "--baud", "115200", "--json"]
    with subprocess.Popen(command, cwd=repository, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "ready"
        with Session(SerialLink.open(str(port))) as session:
            unit = session.perform(device.open())
            session.perform(device.configure(unit, settings))
            white = session.perform(device.scan(unit, settings))
            process.stdin.write("sample dark\nsample salt\n")
            process.stdin.flush()
            events: list[dict[str, str]] = []
            while not events or events[-1]["event"] != "error":  # it has heard both
                events.append(json.loads(process.stdout.readline()))
            dark = session.perform(device.scan(unit, settings))
        process.stdin.write("quit\n")
        process.stdin.flush()
        assert process.wait(10) == 0

    assert [event["event"] for event in events] == ["scan", "scan", "scan", "error"]
    assert "salt" in events[-1]["message"]
    assert white.counts.mean() - 1_500 > 10 * abs(dark.counts.mean() - 1_500)
