"""docs/add-a-device.md is walked word for word in a copy of the repository, and csvserial is held to its table."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

DOCUMENT = "docs/add-a-device.md"
COPIED = ("drivers", "firmware_sim", "tests/contract", "tests/drivers", "tests/architecture", "tests/captures")
EXAMPLES = {  # where csvserial is what something else is shown with
    DOCUMENT,
    "docs/csv-over-serial.md",
    "tests/acquire/test_instrument.py",
    "tests/architecture/test_add_a_device.py",
    "tests/drivers/test_main.py",
}


COUNTS = re.compile(r"counts (\d+) to (\d+)")
TOOK = re.compile(r", \d+\.\d+ s$", re.MULTILINE)


@pytest.fixture
def walk(repository: Path) -> str:
    text = (repository / DOCUMENT).read_text(encoding="utf-8")
    return text.split("\n## The walk\n")[1].split("\n## ")[0]


@pytest.fixture
def copy(tmp_path: Path, repository: Path) -> Path:
    """The part of the repository that is needed, to be changed."""
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in COPIED:
        shutil.copytree(repository / folder, tmp_path / folder, ignore=ignored)
    for file in ("pyproject.toml", "tests/conftest.py"):
        shutil.copy(repository / file, tmp_path / file)
    return tmp_path


def blocks(walk: str) -> list[tuple[str, str]]:
    return re.findall(r"^```(\w+)\n(.*?)^```$", walk, re.MULTILINE | re.DOTALL)


def counts(text: str) -> list[int]:
    return [int(number) for found in COUNTS.findall(text) for number in found]


def insert(copy: Path, block: str) -> None:
    """Put the lines of a block below the line that its first one, a comment, names."""
    where, lines = block.split("\n", 1)
    found = re.fullmatch(r"# (\S+), below: (.+)", where)
    assert found is not None, where
    path = copy / found[1]
    text = path.read_text(encoding="utf-8")
    assert text.count(f"\n{found[2]}") == 1, f"{found[2]!r} is not in {found[1]} once"
    at = text.index("\n", text.index(f"\n{found[2]}") + 1) + 1
    path.write_text(text[:at] + lines + text[at:], encoding="utf-8")


@contextmanager
def running(command: str, copy: Path) -> Iterator[None]:
    """A command that goes on until it is stopped."""
    with subprocess.Popen(
        ["bash", "-c", f"exec {command}"], cwd=copy, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert "ready" in process.stdout.readline()
            yield
        finally:
            process.terminate()


def test_the_walk_makes_a_device_that_passes_every_bad_day(copy: Path, walk: str) -> None:
    def local(block: str) -> str:
        return block.replace("/tmp/", f"{copy}/").replace(".venv/bin/python", sys.executable)

    (copy / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(copy / "tmp")}

    def run(command: str) -> str:
        done = subprocess.run(
            ["bash", "-ec", command],
            cwd=copy,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env=environment,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    (_, copying), (_, command), (_, simulator), (_, driver), (_, output), (_, imported), (_, row), (_, tests) = blocks(
        walk
    )
    run(copying)
    insert(copy, command)
    with running(local(simulator).strip(), copy):
        said = run(local(driver))
    assert COUNTS.sub("", TOOK.sub("", said)) == COUNTS.sub("", output)
    assert counts(said) == pytest.approx(counts(output), rel=0.01)  # one count more or less, on another CPU
    assert (copy / "acme.txt").read_text().startswith("> 4c 20 30 0a\n")  # L 0: the lamp goes off first
    insert(copy, imported)
    insert(copy, row)
    passed = re.search(r"(\d+) passed", run(local(tests)))
    assert passed is not None
    assert int(passed[1]) > 10  # kinds of bad day, each on several seeds


def table(repository: Path) -> list[str]:
    """The names of files in the document's table."""
    text = (
        (repository / DOCUMENT)
        .read_text(encoding="utf-8")
        .split("\n## What you will have touched\n")[1]
        .split("\n## ")[0]
    )
    return [
        name
        for line in text.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`([^`]+)`", line.split(" | ")[0])
    ]


def test_a_device_is_mentioned_in_no_file_that_the_table_leaves_out(repository: Path) -> None:
    listed = subprocess.run(
        ["git", "grep", "-l", "--untracked", "-i", "csvserial"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    allowed = [name.replace("KIND", "csvserial") for name in table(repository)]

    elsewhere = [
        name
        for name in listed
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in allowed) and name not in EXAMPLES
    ]

    assert not elsewhere, f"not in the table of {DOCUMENT}: {', '.join(elsewhere)}"
