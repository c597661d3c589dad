"""That the benches which take minutes still write their pages. How fast anything is, no test asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.deep, pytest.mark.timeout(1800)]


def _page(repository: Path, bench: str, out: Path, *words: str) -> str:
    command = [sys.executable, "-m", f"tests.bench.{bench}", "--out", str(out), *words]
    environ = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(out.with_name("torch"))}  # a folder that pytest tidies
    subprocess.run(command, cwd=repository, check=True, env=environ)
    return out.read_text(encoding="utf-8")


def test_banks_are_taught_and_compared(repository: Path, tmp_path: Path, data_dir: Path) -> None:
    text = _page(repository, "bank_int8", tmp_path / "page.md", "--quick", "--data", str(data_dir))

    assert "| powders, ResUCA lite, real scans | int8, own limits |" in text
    assert "| SYNTHETIC library, R-T | 4 |" in text


def test_an_archive_is_killed_and_gives_the_same_bytes(repository: Path, tmp_path: Path) -> None:
    words = ("--spectra", "20000", "--only", "powders12", "--folder", str(tmp_path))

    text = _page(repository, "bulk_archive", tmp_path / "page.md", *words)

    assert "| killed and resumed: the same bytes | yes |" in text
    assert "| one by one: the same answers | 500 of 500 |" in text
