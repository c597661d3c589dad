"""A run as a user starts it: killed outright at any moment, stopped with Ctrl-C, and given to a cluster."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from edged.cli.archive import EXIT_BROKEN, EXIT_STOPPED
from tests.bulk.archives import Case, bundle_at, start, wide_table

ROWS = 16_000  # sixteen jobs: a second's work
WITHIN_S = 60.0


@pytest.fixture
def case(tmp_path: Path) -> Case:
    table = wide_table(tmp_path / "archive.csv", ROWS)
    return Case(inputs=[table], out=tmp_path / "whole.jsonl", bundle=bundle_at(tmp_path))


def wait_for(process: subprocess.Popen[str], part: Path, size_bytes: int) -> None:
    """Wait until so much is written, or the process has ended."""
    deadline_s = time.monotonic() + WITHIN_S
    while process.poll() is None and (not part.exists() or part.stat().st_size < size_bytes):
        assert time.monotonic() < deadline_s
        time.sleep(0.002)


def worker_of(process: subprocess.Popen[str]) -> psutil.Process:
    """Wait for the one worker, as soon as it is there: then all the work is still before it."""
    deadline_s = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline_s:
        for child in psutil.Process(process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if "spawn_main" in " ".join(child.cmdline()):
                    return child
        time.sleep(0.002)
    pytest.fail("no worker was started")


@pytest.mark.deep
def test_a_run_that_is_killed_at_random_moments_ends_with_the_same_bytes(case: Case, tmp_path: Path) -> None:
    case.go()
    whole = case.out.read_bytes()
    out = tmp_path / "killed.jsonl"
    part = out.with_name("killed.jsonl.part")
    seed = np.random.SeedSequence().entropy  # other moments in each run: none may do
    rng = np.random.default_rng(seed)
    words = (*case.inputs, "--bundle", case.bundle, "--out", out, "--workers", 2)
    kills = 0
    for share in (rng.uniform(0.0, 0.3), rng.uniform(0.3, 0.6), rng.uniform(0.6, 0.95)):
        process = start(*words)
        wait_for(process, part, int(share * len(whole)))
        time.sleep(float(rng.uniform(0.0, 0.03)))
        workers = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        _, left = psutil.wait_procs(workers, timeout=10)
        assert not left, f"a killed run leaves workers behind (moments of seed {seed})"

    last = start(*words, "--json")
    said, complaints = last.communicate(timeout=WITHIN_S)

    assert last.returncode == 1, complaints  # some rows are broken on purpose
    assert kills > 0, f"moments of seed {seed}"
    assert out.read_bytes() == whole, f"moments of seed {seed}"
    assert json.loads(said)["spectra"] == ROWS, f"moments of seed {seed}"
    assert not part.exists(), f"moments of seed {seed}"


@pytest.mark.deep
def test_ctrl_c_keeps_what_is_at_work_and_the_same_command_goes_on(case: Case, tmp_path: Path) -> None:
    out = tmp_path / "stopped.jsonl"
    words = (*case.inputs, "--bundle", case.bundle, "--out", out, "--workers", 1)
    first = start(*words)
    wait_for(first, out.with_name("stopped.jsonl.part"), 1)

    os.killpg(first.pid, signal.SIGINT)  # as a terminal does: to the workers as well
    said, complaints = first.communicate(timeout=WITHIN_S)
    second = start(*words)
    second.communicate(timeout=WITHIN_S)

    assert (first.returncode, complaints) == (EXIT_STOPPED, "")
    assert said.startswith("stopped after ")
    assert "; the same command goes on" in said
    assert second.returncode == 1
    case.go()
    assert out.read_bytes() == case.out.read_bytes()


def test_a_worker_that_dies_is_told_without_a_traceback(case: Case, tmp_path: Path) -> None:
    out = tmp_path / "died.jsonl"
    process = start(*case.inputs, "--bundle", case.bundle, "--out", out, "--workers", 1)
    worker_of(process).kill()
    _, complaints = process.communicate(timeout=WITHIN_S)

    assert process.returncode == EXIT_BROKEN
    assert complaints == (
        "a worker died at its work (was there memory enough? the same command goes on when that is seen to)\n"
    )


@pytest.mark.deep
def test_dask_workers_give_the_same_bytes(case: Case, tmp_path: Path) -> None:
    out = tmp_path / "cluster.jsonl"
    program = tmp_path / "cluster.py"
    program.write_text(f"""
from distributed import LocalCluster
from edged.cli.main import main
if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster:
        words = [{str(case.inputs[0])!r}, "--bundle", {str(case.bundle)!r}, "--out", {str(out)!r}]
        main(["analyze", *words, "--dask", cluster.scheduler_address, "--json"])
""")

    done = subprocess.run(
        [sys.executable, str(program)],
        env=os.environ
        | {"PYTHONPATH": str(Path(__file__).resolve().parents[2]), "DASK_TEMPORARY_DIRECTORY": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )

    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["complete"]
    case.go()
    assert out.read_bytes() == case.out.read_bytes()


@pytest.mark.deep
def test_a_scheduler_that_is_not_there_is_named_and_relative_files_are_not_for_a_cluster(
    case: Case, tmp_path: Path
) -> None:
    words = ("--bundle", case.bundle, "--out", tmp_path / "o.jsonl", "--dask", "tcp://127.0.0.1:9")
    relative = start(case.inputs[0].name, *words, cwd=tmp_path)
    absent = start(case.inputs[0], *words)

    assert "with --dask give the whole path" in relative.communicate(timeout=WITHIN_S)[1]
    assert "no scheduler answers at tcp://127.0.0.1:9" in absent.communicate(timeout=WITHIN_S)[1]
    assert (relative.returncode, absent.returncode) == (2, EXIT_BROKEN)
