"""What the operator types: help, and a clear error with exit status 2 for each mistake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from firmware_sim.main import main


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words), prog_name="edged-sim")


@pytest.mark.parametrize("words", [[], ["nirscan"]])
def test_help_shows_an_example(words: list[str]) -> None:
    result = run(*words, "--help")

    assert result.exit_code == 0
    assert " ".join(["edged-sim", *words]) in result.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sample", "sugar"], "no sample 'sugar'; there are 1090ACAA, "),
        (["--sample", "100AC,"], "no sample ''"),
        (["--replay", "absent.csv"], "absent.csv: No such file"),
        (["--replay", "."], "directory"),
        (["--sample", "100AC", "--replay", "x.csv"], "exclude each other"),
        (["--faults", "explode"], "no fault 'explode'"),
        (["--seed", "-1"], "--seed"),
        (["--speed", "-1"], "--speed"),
        (["--white", "-1"], "--white"),
        (["--serial-number", "much too long"], "1 to 7 printable"),
        (["--serial-number", ""], "1 to 7 printable"),
        (["--colour"], "--colour"),
    ],
)
def test_a_mistake_is_named_and_ends_with_status_2(tmp_path: Path, words: list[str], said: str) -> None:
    result = run("nirscan", "--pty", str(tmp_path / "port"), *words)

    assert result.exit_code == 2
    assert said in " ".join(result.output.split())
    assert not (tmp_path / "port").exists()


def test_the_terminal_must_be_given_a_name() -> None:
    result = run("nirscan")

    assert (result.exit_code, "--pty" in result.output) == (2, True)


def test_an_unknown_device_is_named() -> None:
    result = run("thermometer")

    assert (result.exit_code, "thermometer" in result.output) == (2, True)


def test_a_file_that_is_not_ours_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")

    result = run("nirscan", "--pty", str(tmp_path / "notes"))

    assert result.exit_code == 2
    assert "no simulator's link" in " ".join(result.output.split())
    assert (tmp_path / "notes").read_text() == "mine"


def test_a_link_to_something_else_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    (tmp_path / "port").symlink_to(tmp_path / "notes")

    result = run("nirscan", "--pty", str(tmp_path / "port"))

    assert result.exit_code == 2
    assert (tmp_path / "port").resolve() == tmp_path / "notes"


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    result = run("nirscan", "--pty", str(tmp_path / "no" / "port"))

    assert (result.exit_code, "there is no folder" in result.output) == (2, True)


def test_help_loads_neither_numpy_nor_a_device(repository: Path) -> None:
    program = "import sys, firmware_sim.main; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=repository, capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()

    assert not {"numpy", "firmware_sim.devices", "firmware_sim.commands"} & set(loaded)
