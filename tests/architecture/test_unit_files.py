"""The systemd unit says nothing that systemd would not understand, and leaves little to attack."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

EXPOSURE_TENTHS = 20  # `systemd-analyze security`: 2.0 of 10
TARGETS = Path("/usr/lib/systemd/system")

analyze = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(analyze is None, reason="systemd-analyze is not installed (apt-get install systemd)")


@pytest.fixture
def root(tmp_path: Path, repository: Path) -> Path:
    """A tree with the unit installed, its program, and the targets that every system has."""
    units = tmp_path / "etc" / "systemd" / "system"
    units.mkdir(parents=True)
    shutil.copy(repository / "systemd" / "edged.service", units)
    shutil.copytree(
        TARGETS, tmp_path / "usr/lib/systemd/system", ignore=shutil.ignore_patterns("*.service", "*.d"), symlinks=True
    )
    program = tmp_path / "opt" / "edged" / "bin" / "edged"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return tmp_path


@needs_systemd
def test_systemd_accepts_the_unit_without_a_word(root: Path) -> None:
    verify = subprocess.run(
        [str(analyze), "verify", "--man=no", f"--root={root}", "edged.service"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (verify.stdout + verify.stderr, verify.returncode) == ("", 0)


@needs_systemd
def test_a_mistake_in_the_unit_would_be_noticed(root: Path) -> None:
    unit = root / "etc" / "systemd" / "system" / "edged.service"
    unit.write_text(unit.read_text().replace("WatchdogSec=", "WatchDogSec="))

    verify = subprocess.run(
        [str(analyze), "verify", "--man=no", f"--root={root}", "edged.service"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "WatchDogSec" in verify.stderr


@needs_systemd
def test_the_unit_exposes_at_most_two_of_ten(repository: Path) -> None:
    unit = repository / "systemd" / "edged.service"

    security = subprocess.run(
        [str(analyze), "security", "--offline=yes", "--no-pager", f"--threshold={EXPOSURE_TENTHS}", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert security.returncode == 0, security.stdout + security.stderr
    assert re.search(r"Overall exposure level for edged\.service: \d", security.stdout)


def test_the_unit_may_use_usb_which_takes_its_nodes_and_a_netlink_socket(repository: Path) -> None:
    lines = (repository / "systemd" / "edged.service").read_text().splitlines()
    (families,) = (line.split("=")[1].split() for line in lines if line.startswith("RestrictAddressFamilies="))

    assert "AF_NETLINK" in families  # libusb does not start where it cannot hear uevents
    assert {"DeviceAllow=char-usb_device rw", "DeviceAllow=char-hidraw rw"} <= set(lines)


@needs_systemd
def test_the_unit_may_ask_whether_the_clock_is_synced_and_may_not_set_it(repository: Path) -> None:
    lines = (repository / "systemd" / "edged.service").read_text().splitlines()
    filters = [line.removeprefix("SystemCallFilter=") for line in lines if line.startswith("SystemCallFilter=")]

    allowed: set[str] = set()
    for words in filters:
        named = {call for word in words.lstrip("~").split() for call in calls_in(word)}
        allowed = allowed - named if words.startswith("~") else allowed | named

    assert "clock_adjtime" in allowed  # what adjtimex of the C library asks the kernel with
    assert allowed & calls_in("@clock") == {"clock_adjtime"}
    assert "CapabilityBoundingSet=" in lines  # without CAP_SYS_TIME the same call changes nothing
    assert "ProtectClock=yes" not in lines  # forbids the whole of @clock


def calls_in(word: str) -> set[str]:
    """Return the system calls that a word of a filter stands for, as systemd itself takes it apart."""
    if not word.startswith("@"):
        return {word}
    shown = subprocess.run([str(analyze), "syscall-filter", word], capture_output=True, text=True, check=True).stdout
    words = {line.strip() for line in shown.splitlines()[1:] if line.strip() and not line.strip().startswith("#")}
    return {call for inner in words for call in calls_in(inner)}


def test_the_unit_starts_a_command_that_exists_with_options_that_exist(repository: Path) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    unit.optionxform = str  # type: ignore[method-assign,assignment]
    unit.read(repository / "systemd" / "edged.service")

    program, command, *options = unit["Service"]["ExecStart"].split()

    assert program == "/opt/edged/bin/edged"
    assert (command, options) == ("run", ["--config", "/etc/edged/edged.toml"])
