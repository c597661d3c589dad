"""Members that are kept: read again while nothing has changed, made anew by other code; and seen while they learn."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.resource_tracker import ensure_running
from pathlib import Path
from typing import Any

import pytest

from export import kept
from export import processes as at_work
from export.checkpoint import Checkpoint
from export.kept import made_or_kept, once


@pytest.fixture(scope="module", autouse=True)
def _tracker() -> None:
    """Python's own helper process, which outlives the first pool that wants it."""
    ensure_running()


EPOCHS = 3
SEEN = "seen-"


class Task:
    def digest(self) -> str:
        return "one task"


@dataclass(frozen=True)
class Numbered:
    number: int

    def digest(self) -> str:
        return str(self.number)


def made(_: Task, __: Checkpoint) -> str:
    return "a member"


def learned(task: Numbered, checkpoint: Checkpoint) -> int:
    """Keeps an epoch, and begins the next when somebody has seen it."""
    for epoch in range(checkpoint.epochs, EPOCHS):
        checkpoint.keep(epoch + 1, {}, {})
        until = time.monotonic() + 30.0
        while not (checkpoint.folder / f"{SEEN}{epoch + 1}").exists():
            assert time.monotonic() < until
            time.sleep(0.01)
    return task.number


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of processes, and looked at often: no test waits for torch to be loaded again."""

    @contextmanager
    def started(workers: int) -> Iterator[Executor]:
        with ThreadPoolExecutor(workers) as executor:
            yield executor

    monkeypatch.setattr(kept, "processes", started)
    monkeypatch.setattr(at_work, "GLANCE_S", 0.01)


def ask(folder: Path) -> tuple[list[Any], list[int]]:
    """What is returned, and how many were there before anything was made."""
    there: list[int] = []
    found = made_or_kept(
        [Task()], made, folder=folder, workers=1, progress=lambda what, done, total: there.append(done), what="members"
    )
    return found, there


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    assert ask(tmp_path) == (["a member"], [0, 1])
    assert ask(tmp_path) == (["a member"], [1])


def test_what_other_code_has_made_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(tmp_path)
    monkeypatch.setattr(kept, "maker", lambda: "the same package, one line changed")

    assert ask(tmp_path)[1] == [0, 1]


def test_what_is_made_here_is_made_once_and_a_stop_leaves_nothing_half_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def make() -> dict[str, int]:
        calls.append("made")
        if len(calls) == 1:
            raise KeyboardInterrupt
        return {"right": len(calls)}

    with pytest.raises(KeyboardInterrupt):
        once("one", make, folder=tmp_path / "rotation")
    found = [once(digest, make, folder=tmp_path / "rotation") for digest in ("one", "one", "two", "one")]
    monkeypatch.setattr(kept, "maker", lambda: "the same package, one line changed")
    found.append(once("one", make, folder=tmp_path / "rotation"))

    assert [one["right"] for one in found] == [2, 2, 3, 2, 4]


def test_only_what_is_named_stays(tmp_path: Path) -> None:
    folder = tmp_path / "rotation"
    for digest in ("one", "two"):
        once(digest, str, folder=folder)
    (folder / "half.part").touch()

    kept.only(["two", "three"], folder=folder)
    made = [once(digest, lambda: "anew", folder=folder) for digest in ("two", "one")]
    kept.only([], folder=tmp_path / "nowhere")

    assert made == ["", "anew"]
    assert len(list(folder.iterdir())) == 2


@pytest.fixture
def _another_maker() -> Iterator[None]:
    yield
    kept.maker.cache_clear()


def maker() -> str:
    kept.maker.cache_clear()
    return kept.maker()


@pytest.mark.usefixtures("_another_maker")
def test_the_maker_is_told_by_every_line_that_makes_and_judges_and_by_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = [maker()]
    monkeypatch.setattr(kept, "__file__", str(tmp_path / "export" / "kept.py"))
    found.append(maker())
    for place in ("export/kept.py", "export/study/more.py", "edged/infer/judge.py", "edged/spectra/x/more.py"):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1")
        found.append(maker())
    (tmp_path / "edged" / "infer" / "judge.py").write_text("x = 2")
    found.append(maker())
    (tmp_path / "edged" / "cli").mkdir()
    (tmp_path / "edged" / "cli" / "more.py").write_text("x = 1")

    assert len(set(found)) == 7
    assert maker() == found[-1]


@pytest.mark.usefixtures("_another_maker")
@pytest.mark.parametrize("name", ["torch", "numpy", "scipy", "scikit-learn", "onnx", "onnxruntime"])
def test_the_maker_is_told_by_the_versions_of_what_computes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before, version = maker(), kept.version
    monkeypatch.setattr(kept, "version", lambda one: "0.1" if one == name else version(one))

    assert maker() != before


@pytest.mark.usefixtures("threads")
def test_epochs_of_all_members_at_work_are_seen_and_forgotten_when_they_are_kept(tmp_path: Path) -> None:
    """Each member begins an epoch when the one before has been counted: what is counted is what is done by both."""
    told: list[tuple[str, int, int]] = []

    def see(what: str, done: int, total: int) -> None:
        told.append((what, done, total))
        for epoch in range(1, done // 2 + 1):
            (tmp_path / f"{SEEN}{epoch}").touch()

    found = made_or_kept(
        [Numbered(1), Numbered(2)], learned, folder=tmp_path, workers=2, progress=see, what="members", epochs=EPOCHS
    )

    assert found == [1, 2]
    assert {(what, total) for what, _, total in told} == {("epochs of 2 members", 2 * EPOCHS)}
    counted = [done for _, done, _ in told]
    assert counted == sorted(counted)
    assert {0, 2, 4, 6} <= set(counted)
    assert not list(tmp_path.glob("*.epoch-*"))


@pytest.mark.usefixtures("threads")
def test_a_member_alone_counts_the_epochs_that_an_earlier_run_has_left(tmp_path: Path) -> None:
    one = Numbered(1)
    Checkpoint(folder=tmp_path, name=one.digest(), of="").keep(2, {}, {})
    told: list[tuple[str, int, int]] = []

    def see(what: str, done: int, total: int) -> None:
        told.append((what, done, total))
        (tmp_path / f"{SEEN}3").touch()

    made_or_kept([one], learned, folder=tmp_path, workers=1, progress=see, what="members", epochs=EPOCHS)

    assert told[0] == ("epochs", 2, EPOCHS)
    assert told[-1] == ("epochs", EPOCHS, EPOCHS)


@pytest.mark.usefixtures("threads")
def test_ctrl_c_keeps_the_epoch_at_work_and_the_next_run_goes_on_there(tmp_path: Path) -> None:
    one, told = Numbered(1), list[tuple[str, int, int]]()

    def interrupt(what: str, done: int, total: int) -> None:
        told.append((what, done, total))
        if what.startswith("finishing"):
            for epoch in range(1, EPOCHS + 1):
                (tmp_path / f"{SEEN}{epoch}").touch()
        elif done == 1:
            raise KeyboardInterrupt

    how: dict[str, Any] = {"folder": tmp_path, "workers": 1, "what": "members", "epochs": EPOCHS}
    with pytest.raises(KeyboardInterrupt):
        made_or_kept([one], learned, progress=interrupt, **how)
    assert told[-1] == ("finishing epochs; Ctrl-C again drops them", 1, EPOCHS)
    assert not list(tmp_path.glob("*.pt"))

    told.clear()
    assert made_or_kept([one], learned, progress=lambda *said: told.append(said), **how) == [1]
    assert told[0] == ("epochs", 2, EPOCHS)
