"""Members that are kept: read again while nothing has changed, made anew by other code."""

from __future__ import annotations

from multiprocessing.resource_tracker import ensure_running
from pathlib import Path
from typing import Any

import pytest

from export import kept
from export.kept import made_or_kept


@pytest.fixture(scope="module", autouse=True)
def _tracker() -> None:
    """Python's own helper process, which outlives the first pool that wants it."""
    ensure_running()


class Task:
    def digest(self) -> str:
        return "one task"


def made(_: Task) -> str:
    return "a member"


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
    monkeypatch.setattr(kept, "_maker", lambda: "the same package, one line changed")

    assert ask(tmp_path)[1] == [0, 1]


def test_the_maker_is_told_by_every_line_of_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kept._maker.cache_clear()
    before = kept._maker()
    package = tmp_path / "export"
    package.mkdir()
    (package / "kept.py").write_text("")
    monkeypatch.setattr(kept, "__file__", str(package / "kept.py"))
    kept._maker.cache_clear()
    bare = kept._maker()
    (package / "more.py").write_text("x = 1")
    kept._maker.cache_clear()

    assert len({before, bare, kept._maker()}) == 3
    monkeypatch.undo()
    kept._maker.cache_clear()
    assert kept._maker() == before
