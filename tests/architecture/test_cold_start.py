"""What starting loads, seen from a fresh interpreter; no stopwatch, so it never flickers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "torch",
    "scipy",
    "pywt",
    "onnx",
    "onnxscript",
    "sklearn",
    "matplotlib",
    "firmware_sim",
    "export",
    "rich",
    "amqtt",
}


def loaded_after(statement: str, repository: Path) -> set[str]:
    """The top-level modules in a fresh interpreter after a statement, and the rooms and files of edged."""
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=repository, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stderr
    modules = run.stdout.split()
    return {name.split(".")[0] for name in modules} | {name for name in modules if name.startswith("edged.")}


def test_the_service_starts_without_the_training_stack_the_simulators_or_rich(repository: Path) -> None:
    assert not loaded_after("import edged.service.app", repository) & HEAVY


def test_the_command_line_shows_its_help_without_numpy_or_any_command(repository: Path) -> None:
    loaded = loaded_after("import edged.cli.main", repository)

    assert not loaded & (HEAVY | {"numpy", "onnxruntime", "pydantic", "paho", "serial", "drivers"})


@pytest.mark.parametrize("command", ["check", "status", "journal", "run"])
def test_a_command_for_the_board_loads_neither_training_stack_nor_simulators(command: str, repository: Path) -> None:
    assert not loaded_after(f"import edged.cli.{command}", repository) & HEAVY


def test_a_simulator_starts_without_the_daemon_or_the_device_files_it_answers(repository: Path) -> None:

    loaded = loaded_after("import firmware_sim.main", repository)

    assert not loaded & {"edged", "torch", "onnxruntime"}
