"""What people get wrong, given to the real commands: each mistake has its message, and none a traceback."""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flow.plant import Handheld, Plant, edged, station

SEED = 20261121
NM = [900 + 4 * i for i in range(201)]
VALUES = [f"{0.5 + 0.2 * math.sin(i / 20):.4f}" for i in range(201)]
HEAD = "nm," + ",".join(map(str, NM))
GOOD = "good," + ",".join(VALUES)
HOLD = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
print("held", flush=True)
sys.stdin.read()
"""
NOBODY, NOBODYS_NAME = 65534, "nobody"
MERE_MORTAL = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")  # root, but bound by permissions


def bad_value(text: str) -> str:
    return ",".join(["bad", *VALUES[:6], text, *VALUES[7:]])


def rubbish(size_bytes: int) -> bytes:
    block = random.Random(SEED).randbytes(1 << 20)
    return (block * (size_bytes // len(block) + 1))[:size_bytes]


def analyzed(path: Path) -> subprocess.CompletedProcess[str]:
    """`edged analyze` with the model that ships."""
    done = edged("analyze", path, "--storage", path.parent, "--json")
    assert done.stderr == ""
    return done


def test_an_unknown_key_and_three_more_mistakes_are_told_at_once_with_their_lines_and_exit_status_78(
    tmp_path: Path,
) -> None:
    path = tmp_path / "edged.toml"
    path.write_text(
        'site = "lab"\ndevice = "board"\n[mqtt]\nhots = "broker"\nport = 99999\n[storage]\n'
        'retention_days = "ninety"\n[station.bench]\nkind = "nirscn"\nport = "/dev/ttyUSB0"\n'
    )

    done = edged("run", "--config", path)

    assert (done.returncode, done.stdout) == (78, "")
    unknown, number, text, kind, count = done.stderr.splitlines()
    assert unknown.startswith(f"{path}:4: mqtt.hots: unknown key; allowed: enabled, host, port, ")
    assert unknown.endswith("did you mean host?")
    assert number == f"{path}:5: mqtt.port: does not fit; found 99999; allowed: less than or equal to 65535"
    assert text == f'{path}:7: storage.retention_days: does not fit; found "ninety"; allowed: integer'
    assert kind.startswith(f'{path}:9: station.bench.kind: no such device family; found "nirscn"; allowed: ')
    assert kind.endswith("did you mean nirscan?")
    assert count == "4 problems in the configuration"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([HEAD, GOOD, bad_value("NaN")], "line 3, column 8: 'NaN' is not a finite number"),
        ([HEAD, GOOD, bad_value("n/a")], "line 3, column 8: 'n/a' is not a number"),
        (["nm," + ",".join(map(str, NM[::-1])), GOOD], "line 1: the axis descends from 1700 to 900"),
        ([HEAD], "holds an axis of 201 points and no spectrum"),
        ([], "is empty"),
    ],
    ids=["a NaN", "a text cell", "a descending axis", "no rows", "nothing"],
)
def test_a_file_with_a_mistake_is_told_where_it_is(rows: list[str], message: str, tmp_path: Path) -> None:
    path = tmp_path / "powders.csv"
    path.write_text("".join(row + "\n" for row in rows))

    done = analyzed(path)

    *good, bad = (json.loads(line) for line in done.stdout.splitlines())
    assert done.returncode == 1
    assert bad["error"]["message"] == f"{path}: {message}"
    assert bad["error"]["hint"]
    assert [answer["title"] for answer in good] == ["good"] * (len(rows) == 3)


def test_a_spectrum_without_any_shape_is_not_in_scope(tmp_path: Path) -> None:
    path = tmp_path / "powders.csv"
    path.write_text(f"{HEAD}\n{GOOD}\nflat,{','.join(['0.5'] * len(NM))}\n")

    done = analyzed(path)

    assert done.returncode == 0
    assert json.loads(done.stdout.splitlines()[1])["verdict"]["outcome"] == "not_in_scope"


def test_a_spectrum_of_another_quantity_than_the_models_is_told_by_file_and_row(tmp_path: Path) -> None:
    path = tmp_path / "powders.csv"
    path.write_text(f"{HEAD}\n{GOOD}\n{GOOD}\n")

    done = edged("analyze", path, "--storage", tmp_path, "--quantity", "reflectance")

    first, second = done.stderr.splitlines()
    assert done.returncode == 1
    assert first.startswith(f"{path}: row 1: the values are reflectance, the model wants absorbance")
    assert second.startswith(f"{path}: row 2: the values are reflectance, the model wants absorbance")


def test_an_axis_outside_the_models_is_a_rejection_that_gives_both_ranges(tmp_path: Path) -> None:
    path = tmp_path / "powders.csv"
    path.write_text("nm," + ",".join(str(nm + 900) for nm in NM) + "\n" + GOOD + "\n")

    done = analyzed(path)

    verdict = json.loads(done.stdout)["verdict"]
    assert (done.returncode, verdict["outcome"], verdict["label"]) == (0, "rejected", None)
    (reason,) = verdict["reasons"]
    assert reason["code"] == "axis_not_covered"
    assert re.fullmatch(r"the spectrum covers 1800 to 2600 nm, the model needs \d+ to \d+ nm", reason["message"])


def test_100_mb_of_rubbish_are_refused_by_name_and_size_and_less_of_it_by_what_it_is(tmp_path: Path) -> None:
    large, small = tmp_path / "large.csv", tmp_path / "small.csv"
    large.write_bytes(rubbish(100_000_000))
    small.write_bytes(rubbish(60_000_000))

    refused = [analyzed(path) for path in (large, small)]
    large.unlink()
    small.unlink()

    messages = [json.loads(done.stdout)["error"]["message"] for done in refused]
    assert [done.returncode for done in refused] == [1, 1]
    assert messages[0] == f"{large}: 100 MB; at most 67 MB are read from one file"
    assert messages[1].startswith(f"{small}: ")
    assert "binary data" in messages[1]


@pytest.mark.parametrize("place", [0.0, 0.3, 0.9, 1.0])
def test_a_bundle_with_one_flipped_bit_anywhere_is_damaged_and_installs_nothing(
    place: float, tmp_path: Path, repository: Path
) -> None:
    flipped = flipped_bundle(repository, tmp_path, place)

    done = edged("bundle", "install", flipped, "--activate", "--storage", tmp_path)

    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(
        rf"{re.escape(str(flipped))}: damaged: .*\(copy or download the file again\)\n",
        done.stderr,
    )
    assert list(tmp_path.glob("bundles/*.edgebundle")) == []


def test_the_daemon_goes_on_with_a_damaged_bundle_judges_nothing_and_says_why(tmp_path: Path, repository: Path) -> None:
    flipped = flipped_bundle(repository, tmp_path, 0.5)

    with (
        Handheld(tmp_path / "nirscan") as handheld,
        Plant(tmp_path, stations=station(handheld.port), bundle=flipped) as plant,
    ):
        plant.until_state("ready")
        measured = edged("measure", "bench", "--config", plant.config)
        shown = edged("status", "--config", plant.config)
        records = plant.records()

    assert (measured.returncode, records) == (1, [])
    for text in (measured.stderr, shown.stdout):
        assert f"{flipped}: damaged: its bytes have SHA-256" in text
        assert "copy or download the file again" in text
    assert "Traceback" not in plant.log + measured.stderr + shown.stderr


def flipped_bundle(repository: Path, folder: Path, place: float) -> Path:
    """The bundle that ships with one bit changed, at `place` between its first byte (0) and its last (1)."""
    (shipped,) = (repository / "edged" / "bundle" / "default").glob("powders12-*.edgebundle")
    data = bytearray(shipped.read_bytes())
    data[round(place * (len(data) - 1))] ^= 1
    path = folder / "flipped.edgebundle"
    path.write_bytes(data)
    return path


def test_a_port_that_is_missing_held_or_forbidden_is_told_with_its_cure_and_the_daemon_stays_up(
    tmp_path: Path,
) -> None:
    with (
        Handheld(tmp_path / "held") as held,
        Handheld(tmp_path / "forbidden") as forbidden,
        holder(held.port) as holding_pid,
    ):
        owner, through = forbid(forbidden.port.resolve())
        gone = tmp_path / "gone"
        places = station(gone, "gone") + station(held.port, "held") + station(forbidden.port, "forbidden")
        with Plant(tmp_path, stations=places, through=through) as plant:
            plant.until_state("absent", "gone")
            plant.until_state("parked", "held")
            plant.until_state("parked", "forbidden")
            said = {name: edged("measure", name, "--config", plant.config) for name in ("gone", "held", "forbidden")}
            shown = edged("status", "--config", plant.config)
            records = plant.records()
            is_running = plant.is_running

    assert [done.returncode for done in said.values()] == [1, 1, 1]
    assert f"gone is absent: {gone}: no such port\n" in said["gone"].stderr
    assert "is the instrument plugged in and switched on?" in said["gone"].stderr
    assert f"held is parked: {held.port}: in use by " in said["held"].stderr
    assert f"(pid {holding_pid})" in said["held"].stderr
    assert "stop the other program" in said["held"].stderr
    assert (
        f"forbidden is parked: {forbidden.port}: permission denied, it belongs to {owner}" in said["forbidden"].stderr
    )
    assert "add the service user to group dialout, or install the udev rule" in said["forbidden"].stderr
    for words in ("no such port", "in use by ", "permission denied"):
        assert words in shown.stdout
    assert (is_running, records) == (True, [])
    assert "Traceback" not in plant.log + "".join(done.stderr for done in said.values())


@contextlib.contextmanager
def holder(port: Path) -> Iterator[int]:
    """Another program that has the port for itself; gives its process id."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stdout.readline() == "held\n"
        yield program.pid
        program.stdin.close()


def forbid(terminal: Path) -> tuple[str, tuple[str, ...]]:
    """Make a terminal somebody else's, or at least nobody's; return whose it is, and through what to start a mortal."""
    if os.geteuid():
        terminal.chmod(0o000)
        return f"user {terminal.owner()}, group {terminal.group()}, mode 0000", ()
    os.chown(terminal, NOBODY, -1)
    terminal.chmod(0o600)
    return f"user {NOBODYS_NAME}, group {terminal.group()}, mode 0600", MERE_MORTAL
