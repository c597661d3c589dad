"""The service as a board runs it: installed by the words of docs/install.md, under a real systemd, in a container.

An instrument is simulated by its own process on a pseudo terminal, the broker is Mosquitto, both inside.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deep.container import Machine, booted, debian_tree, eventually, what_is_missing, wheels
from tests.deep.documents import commands
from tests.deep.freeze import frozen

pytestmark = [pytest.mark.deep, pytest.mark.timeout(900)]

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "install.md"
PORT = "/run/edged-sim/nirscan"
READY_WITHIN_S = 60.0
BUILD = "hatchling>=1.25"

# The board of the test: packages come from a folder instead of from the network, and root needs no sudo.
OFFLINE = ("env", "PIP_NO_INDEX=1", "PIP_FIND_LINKS=/wheels")
SUDO = """#!/bin/sh
if [ "$1" = -u ]; then user=$2; shift 2; exec runuser -u "$user" -- "$@"; fi
exec "$@"
"""

CONFIGURATION = f"""
site = "lab"
device = "board"

[mqtt]
host = "localhost"

[station.bench]
kind = "nirscan"
port = "{PORT}"
"""


@pytest.fixture(scope="module")
def board(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A running Debian in which docs/install.md was followed up to, and without, the start of the service."""
    if reason := what_is_missing():
        pytest.skip(reason)
    tree = debian_tree()
    packages = wheels(tree, BUILD, *runtime_requirements(repository))
    checkout = tmp_path_factory.mktemp("checkout")
    copy_checkout(repository, checkout)
    with booted(tree, read_only={checkout: "/checkout", packages: "/wheels"}) as machine:
        machine.write("/usr/local/bin/sudo", SUDO)
        machine.run("chmod", "755", "/usr/local/bin/sudo")
        machine.run("cp", "-r", "/checkout", "/srv/edged")
        machine.run(
            "/usr/lib/systemd/systemd-udevd", "--daemon"
        )  # its unit is off in containers: no devices come there
        for heading in ("2. Program", "3. Configuration"):
            script = re.sub(r"^edged (check|doctor)$", "", commands(DOCUMENT, heading), flags=re.MULTILINE)
            machine.run(*OFFLINE, "sh", "-eux", "-c", f"cd /srv/edged; {script}", within_s=300)
        machine.write("/etc/edged/edged.toml", CONFIGURATION)
        yield machine


@pytest.fixture(scope="module")
def instrument(board: Machine) -> str:
    """A simulated NIRscan that the service's account may open, in a process of its own; returns its port."""
    board.run(
        *(
            "systemd-run",
            "--quiet",
            "--unit=edged-sim",
            "--property=User=edged",
            "--property=RuntimeDirectory=edged-sim",
        ),
        *("/opt/edged/bin/edged-sim", "nirscan", "--pty", PORT, "--sample", "100AC", "--seed", "7"),
    )
    eventually(lambda: board.try_run("test", "-e", PORT).returncode == 0, 30, "the simulator's port")
    return PORT


@pytest.fixture
def service(board: Machine, instrument: str) -> Iterator[Machine]:
    """The board with the service started as the document starts it; stopped and forgotten after the test."""
    board.run("sh", "-eux", "-c", "sudo systemctl enable --now edged", within_s=READY_WITHIN_S + 10)
    yield board
    board.try_run("systemctl", "stop", "edged")
    board.try_run("systemctl", "reset-failed", "edged")


def runtime_requirements(repository: Path) -> list[str]:
    project: dict[str, Any] = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return sorted(project["dependencies"])


def copy_checkout(repository: Path, target: Path) -> None:
    """Copy what a clone would hold, changes that are not committed included."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=repository,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in filter(None, listed.split("\0")):
        if (repository / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes((repository / name).read_bytes())


def measured(board: Machine) -> dict[str, Any]:
    """One measurement by the command that an operator types; returns the record."""
    record: dict[str, Any] = json.loads(board.run("edged", "measure", "bench", "--json"))
    return record


def is_ready(board: Machine) -> bool:
    state = board.properties("edged", "ActiveState", "SubState")
    return state == {"ActiveState": "active", "SubState": "running"}


def test_systemd_and_udev_accept_the_installed_files_without_a_word(board: Machine) -> None:
    verify = board.try_run("systemd-analyze", "verify", "/etc/systemd/system/edged.service")
    rules = board.try_run("udevadm", "test", "/sys/class/net/lo")

    assert (verify.stdout + verify.stderr, verify.returncode) == ("", 0)
    assert "70-edged.rules" in rules.stderr
    assert not [line for line in rules.stderr.splitlines() if re.search(r"70-edged\.rules:\d+", line)]


def test_the_installed_program_answers_without_the_checkout(board: Machine) -> None:
    version = board.run("edged", "--version")

    assert re.fullmatch(r"edged, version \d+\.\d+\.\d+\n", version)
    assert "powders12" in board.run("edged", "bundle", "list")


def test_the_service_gets_ready_without_broker_and_without_instrument(board: Machine) -> None:
    board.run("systemctl", "stop", "mosquitto")
    try:
        board.run("systemctl", "start", "edged", within_s=READY_WITHIN_S + 10)

        assert is_ready(board)
    finally:
        board.run("systemctl", "stop", "edged")
        board.run("systemctl", "start", "mosquitto")


def test_it_measures_over_the_serial_port_and_the_broker_gets_the_record(service: Machine) -> None:
    topic = "edged/v1/lab/board/result/bench"
    subscriber = subprocess.Popen(
        service.enter("mosquitto_sub", "-t", topic, "-q", "1", "-C", "2", "-W", "60"), stdout=subprocess.PIPE, text=True
    )
    with subscriber:
        service.run("sh", "-eux", "-c", commands(DOCUMENT, "5. Measure"))
        record = measured(service)
        published = [json.loads(line) for line in subscriber.communicate(timeout=70)[0].splitlines()]

    assert [message["id"] for message in published][1:] == [record["id"]]
    assert (record["verdict"]["outcome"], record["verdict"]["label"]) == ("identified", "100AC")
    kept = json.loads(service.run("sudo", "-u", "edged", "edged", "journal", "show", record["id"], "--json"))
    assert kept["hash"] == record["hash"]


def test_the_sandbox_is_in_force(service: Machine) -> None:
    pid = service.properties("edged", "MainPID")["MainPID"]
    status = service.run("cat", f"/proc/{pid}/status")

    assert re.search(r"^NoNewPrivs:\t1$", status, re.MULTILINE)
    assert re.search(r"^Seccomp:\t2$", status, re.MULTILINE)
    assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE)
    for place in ("/etc", "/opt/edged", "/usr"):
        inside = service.try_run("nsenter", "-t", pid, "-m", "touch", f"{place}/written")
        assert "Read-only file system" in inside.stderr


def test_a_thread_that_hangs_makes_the_watchdog_restart_the_service(service: Machine) -> None:
    before = service.properties("edged", "MainPID", "NRestarts")

    with frozen(service.thread(before["MainPID"], "store")):
        eventually(lambda: service.properties("edged", "NRestarts")["NRestarts"] == "1", 90, "the watchdog's restart")
    eventually(lambda: is_ready(service), READY_WITHIN_S, "the service is ready again")

    after = service.properties("edged", "MainPID")
    assert before["NRestarts"] == "0"
    assert after["MainPID"] != before["MainPID"]
    assert "Watchdog timeout" in service.journal("edged")
    assert "Current thread" in service.journal("edged"), "no stacks in the journal"
    eventually(lambda: is_measuring(service), 30, "a measurement after the restart")


def is_measuring(board: Machine) -> bool:
    return board.try_run("edged", "measure", "bench").returncode == 0


def test_it_stops_cleanly_and_says_goodbye(service: Machine) -> None:
    started = time.monotonic()
    service.run("systemctl", "stop", "edged")
    took_s = time.monotonic() - started

    ended = service.properties("edged", "Result", "ExecMainStatus", "ExecMainCode")
    status = service.run("mosquitto_sub", "-t", "edged/v1/lab/board/status", "-C", "1", "-W", "10")
    assert ended == {"Result": "success", "ExecMainStatus": "0", "ExecMainCode": "1"}
    assert took_s < 5.0
    assert "offline" in status


def test_a_wrong_configuration_is_not_tried_again(board: Machine) -> None:
    board.write("/etc/edged/edged.toml.d/90-wrong.toml", "nonsense = 1\n")
    try:
        start = board.try_run("systemctl", "start", "edged", within_s=READY_WITHIN_S)

        assert start.returncode != 0
        assert board.properties("edged", "ExecMainStatus", "NRestarts", "ActiveState") == {
            "ExecMainStatus": "78",
            "NRestarts": "0",
            "ActiveState": "failed",
        }
    finally:
        board.run("rm", "/etc/edged/edged.toml.d/90-wrong.toml")
        board.run("systemctl", "reset-failed", "edged")
