"""`edged doctor`: what is not right is found, weighed, and told with its cure."""

from __future__ import annotations

import asyncio
import ctypes
import grp
import os
import platform
import pty
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from edged.cli import examine as examining
from edged.cli.examine import Finding, examine
from edged.cli.main import main
from edged.config.load import load
from edged.service import clock
from edged.service.control import ControlServer, Refusal, Request
from tests.bundle.tiny import tiny_bytes

USUAL = {
    "site": '"lab"',
    "device": '"board"',
    "mqtt.enabled": "false",
    "storage.path": '"{folder}"',
    "control.path": '"{folder}/control"',
    "bundle.path": '"{folder}/tiny.edgebundle"',
}
BENCH = {"station.bench.kind": '"nirscan"'}
NO_ACCESS: Callable[..., bool] = lambda path, mode: False  # noqa: E731  root may do everything


def written(folder: Path, changes: dict[str, str]) -> Path:
    """A configuration with a bundle and without stations or broker, but for these changes."""
    (folder / "tiny.edgebundle").write_bytes(tiny_bytes())
    (folder / "file").write_text("this is a text file")
    path = folder / "edged.toml"
    path.write_text(
        "".join(f"{key} = {value}\n" for key, value in (USUAL | changes).items()).replace("{folder}", str(folder))
    )
    return path


def findings(folder: Path, about: str, changes: dict[str, str] | None = None) -> list[Finding]:
    """What the examination says of one thing."""
    configuration = load(written(folder, changes or {}), environ={}).configuration
    return [finding for finding in examine(configuration, {}) if finding.about == about]


@contextmanager
def listener() -> Iterator[int]:
    """The port of somebody who accepts connections, as a broker does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    ("about", "changes", "level", "words", "cure"),
    [
        ("disk", {}, "ok", "GiB free", ""),
        ("disk", {"storage.path": '"{folder}/none"'}, "fail", "no such folder", "mkdir -p"),
        ("ports", {}, "warn", "no station is configured", "edged devices"),
        ("port of bench", BENCH | {"station.bench.port": '"{folder}/none"'}, "warn", "not there", "plug it in"),
        (
            "port of bench",
            BENCH | {"station.bench.port": '"{folder}/file"'},
            "fail",
            "not a serial port",
            "edged devices",
        ),
        ("port of bench", BENCH | {"station.bench.port": '"hid:9-9"'}, "warn", "hid:9-9: not there", "plug it in"),
        (
            "port of bench",
            {"station.bench.kind": '"obp"', "station.bench.port": '"tcp:10.0.0.9:80"'},
            "ok",
            "connects",
            "",
        ),
        ("broker", {}, "ok", "none is wanted", ""),
        ("bundle", {}, "ok", "tiny 1.2.3, 3 classes", ""),
        ("bundle", {"bundle.path": '"{folder}/file"'}, "fail", "not a bundle", "download the file again"),
        (
            "question of bench",
            BENCH
            | {
                "station.bench.port": '"/dev/x"',
                "station.bench.procedure": '"verify"',
                "station.bench.claimed": '"Gold"',
            },
            "fail",
            "Gold",
            "station.bench",
        ),
        ("daemon", {}, "warn", "no such socket", "edged run"),
    ],
)
def test_what_a_configuration_names_is_looked_at(
    tmp_path: Path, about: str, changes: dict[str, str], level: str, words: str, cure: str
) -> None:
    (finding,) = findings(tmp_path, about, changes)

    assert (finding.level, words in finding.text, cure in finding.cure) == (level, True, True)
    assert bool(finding.cure) == (level != "ok")


@pytest.mark.parametrize(
    ("free_mb", "level", "words"), [(63, "fail", "are refused"), (255, "warn", "only"), (256, "ok", "free")]
)
def test_a_disk_is_weighed_by_the_reserve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_mb: int, level: str, words: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free_mb * 2**20))

    (finding,) = findings(tmp_path, "disk", {"storage.reserve_mb": "64"})

    assert (finding.level, words in finding.text, bool(finding.cure)) == (level, True, level != "ok")


def test_a_folder_where_this_user_may_not_write_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", NO_ACCESS)

    finding = findings(tmp_path, "disk")[0]

    assert (finding.level, "may not write" in finding.text) == ("fail", True)
    assert f"chown edged:edged {tmp_path}" in finding.cure


def test_a_serial_port_is_usable_or_says_whose_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far, near = pty.openpty()
    bench = BENCH | {"station.bench.port": f'"{os.ttyname(near)}"'}
    try:
        (usable,) = findings(tmp_path, "port of bench", bench)
        monkeypatch.setattr(os, "access", NO_ACCESS)
        (denied,) = findings(tmp_path, "port of bench", bench)
    finally:
        os.close(far)
        os.close(near)

    assert (usable.level, "usable" in usable.text, usable.cure) == ("ok", True, "")
    assert (denied.level, "permission denied" in denied.text) == ("fail", True)
    assert "dialout" in denied.cure


def test_a_broker_is_asked_and_its_password_must_be_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listener() as port:
        mqtt = {"mqtt.enabled": "true", "mqtt.host": '"127.0.0.1"', "mqtt.port": str(port), "mqtt.username": '"board"'}
        secret = mqtt | {"mqtt.password_file": '"{folder}/file"'}
        (well,) = findings(tmp_path, "broker", secret)
        monkeypatch.setattr(os, "access", NO_ACCESS)
        (unread,) = findings(tmp_path, "broker", secret)
    (away,) = findings(tmp_path, "broker", mqtt)

    assert (well.level, "accepts connections" in well.text, well.cure) == ("ok", True, "")
    assert (unread.level, "may not read the password" in unread.text) == ("fail", True)
    assert f"chmod 400 {tmp_path / 'file'}" in unread.cure
    assert (away.level, "kept and sent later" in away.text) == ("warn", True)
    assert "firewall" in away.cure


def test_a_processor_without_a_runtime_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "armv7l")

    (finding,) = findings(tmp_path, "processor")

    assert (finding.level, "no onnxruntime" in finding.text, "64-bit" in finding.cure) == ("fail", True, True)


def test_who_may_open_serial_ports_is_a_matter_of_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> None:
        raise KeyError(name)

    told: list[tuple[str, str]] = []
    for groups, known in (
        ([20], lambda _: SimpleNamespace(gr_gid=20)),
        ([], lambda _: SimpleNamespace(gr_gid=20)),
        ([], unknown),
    ):
        monkeypatch.setattr(os, "geteuid", lambda: 1_000)
        monkeypatch.setattr(os, "getegid", lambda: 1_000)
        monkeypatch.setattr(os, "getgroups", lambda groups=groups: groups)
        monkeypatch.setattr(grp, "getgrnam", known)
        told += [(finding.level, finding.cure.split(",")[0]) for finding in findings(tmp_path, "groups")]

    assert told == [("ok", ""), ("warn", "usermod -aG dialout USER"), ("warn", "ls -l /dev/tty*")]


def test_the_udev_rules_are_looked_for_where_udev_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examining, "UDEV_FOLDERS", (str(tmp_path / "none"), str(tmp_path)))

    (without,) = findings(tmp_path, "udev")
    (tmp_path / "70-edged.rules").touch()
    (with_rules,) = findings(tmp_path, "udev")

    assert (without.level, "udevadm control --reload" in without.cure) == ("warn", True)
    assert (with_rules.level, str(tmp_path) in with_rules.text, with_rules.cure) == ("ok", True, "")


@pytest.mark.parametrize(("state", "level"), [(0, "ok"), (5, "warn")])
def test_a_clock_that_the_kernel_calls_unsynchronised_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: int, level: str
) -> None:
    kernel = SimpleNamespace(adjtimex=lambda _: state)
    monkeypatch.setattr(clock, "TIMESYNC_MARK", tmp_path / "none")
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: kernel)

    (finding,) = findings(tmp_path, "clock")

    assert (finding.level, "timedatectl" in finding.cure) == (level, level == "warn")


@pytest.mark.parametrize(
    ("answer", "level", "cure"),
    [
        ({"state": "well", "pid": 7}, "ok", ""),
        ({"state": "unwell", "pid": 7}, "fail", "edged status"),
        (Refusal("stopping", "the daemon is stopping", hint=""), "fail", "journalctl -u edged"),
    ],
)
def test_a_daemon_that_is_unwell_or_refuses_fails(
    tmp_path: Path, answer: dict[str, Any] | Refusal, level: str, cure: str
) -> None:
    async def handle(_: Request) -> dict[str, Any]:
        if isinstance(answer, Refusal):
            raise answer
        return answer

    async def life() -> list[Finding]:
        server = ControlServer(tmp_path / "control", handle)
        await server.start()
        try:
            return await asyncio.to_thread(findings, tmp_path, "daemon")
        finally:
            await server.stop()

    (finding,) = asyncio.run(life())

    assert (finding.level, finding.cure) == (level, cure)


def test_one_thing_that_fails_is_an_exit_status_of_1_and_its_cure_is_printed(tmp_path: Path) -> None:
    path = written(tmp_path, {"bundle.path": '"{folder}/file"'})

    failing = CliRunner().invoke(main, ["doctor", "--config", str(path)])
    (tmp_path / "file").write_bytes(tiny_bytes())
    warning = CliRunner().invoke(main, ["doctor", "--config", str(path)])

    assert (failing.exit_code, warning.exit_code) == (1, 0)
    assert "fail  bundle: " in failing.output
    assert "ok    bundle: tiny" in warning.output
    assert "warn  daemon: " in warning.output
    assert "      is the daemon running?" in warning.output
