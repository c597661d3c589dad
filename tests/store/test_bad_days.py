"""The plug is pulled, the disk is full, the disk is read-only: what was acknowledged is there, and nothing is torn."""

from __future__ import annotations

import contextlib
import os
import random
import select
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edged.store.errors import StoreDenied, StoreFull
from edged.store.journal import Journal
from tests.store.drafts import assert_chain, draft

REPOSITORY = Path(__file__).resolve().parents[2]
KILLS = 30
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small disk")


@pytest.mark.timeout(110)
def test_whatever_was_acknowledged_survives_kill_dash_nine(tmp_path: Path) -> None:
    path, rng = tmp_path / "j.db", random.Random(20261121)
    acknowledged: list[str] = []

    for _ in range(KILLS):
        acknowledged += run_and_kill(path, rng.uniform(0.0, 0.05))

    with Journal.open(path) as journal:
        records = assert_chain(journal.bodies())
        found, pending = journal.verify(), journal.outbox.pending(10**6)
    assert len(acknowledged) >= KILLS
    stored = {f"{r['seq']} {r['id']}" for r in records}
    assert set(acknowledged) <= stored
    assert len(stored) - len(acknowledged) <= KILLS  # at most one a kill was stored and not yet told
    assert found.intact
    assert [o.seq for o in pending] == [r["seq"] for r in records]


def run_and_kill(path: Path, after_s: float) -> list[str]:
    """Start an appender, let it live for a while from its first record on, kill it; return what it had told."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.store.appender", str(path)], cwd=REPOSITORY, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    with child.stdout:
        ready, _, _ = select.select([child.stdout], [], [], 30)
        assert ready, "the appender told nothing"
        deadline = time.monotonic() + after_s
        while time.monotonic() < deadline:
            select.select([], [], [], max(0.0, deadline - time.monotonic()))
        child.kill()
        told = child.stdout.read().decode()
    child.wait(10)
    return told[: told.rfind("\n") + 1].splitlines()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)], check=False, capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a small disk: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(journal: Journal) -> None:
    while True:
        journal.append(draft(), attachments={"scan": b"x" * 20_000})


@needs_root
def test_a_full_disk_refuses_whole_records_and_recovers(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(300 * 1024))
    with Journal.open(small_disk / "j.db") as journal:
        with pytest.raises(StoreFull) as caught:
            fill(journal)
        stored = journal.count()

        assert caught.value.hint
        assert journal.outbox.depth() == stored > 1
        assert journal.verify().intact

        ballast.unlink()
        journal.append(draft())
        assert len(assert_chain(journal.bodies())) == stored + 1


@needs_root
def test_a_disk_that_turns_read_only_is_an_error_with_a_hint(small_disk: Path) -> None:
    with Journal.open(small_disk / "j.db") as journal:
        journal.append(draft())
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

    with pytest.raises(StoreDenied) as caught:
        Journal.open(small_disk / "j.db").append(draft())
    with Journal.open(small_disk / "j.db", read_only=True) as reader:
        assert reader.count() == 1

    assert caught.value.hint
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)


def test_the_write_ahead_log_shrinks_again_when_a_long_reader_has_gone(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    log = tmp_path / "journal.db-wal"
    with Journal.open(path) as journal:
        journal.append(draft())
        with contextlib.closing(sqlite3.connect(path)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM records").fetchone()
            for _ in range(6):
                journal.append(draft(), attachments={"scan": bytes(4 * 2**20)})
        grown = log.stat().st_size

        for _ in range(3):
            journal.append(draft(), attachments={"scan": bytes(4 * 2**20)})

        assert grown > 20 * 2**20
        assert log.stat().st_size < 10 * 2**20
