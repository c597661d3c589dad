"""What every command of `edged` sets before anything heavy is loaded."""

from __future__ import annotations

import os
import subprocess
import sys

ASKED = """
import edged.cli.main, numpy, threadpoolctl
print([pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["internal_api"] == "openblas"])
"""


def _threads(**words: str) -> str:
    own = {name: text for name, text in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", ASKED], env={**own, **words}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_small_matrices_are_solved_by_one_thread_where_nobody_says_otherwise() -> None:
    assert _threads() == "[1]"


def test_who_sets_the_threads_of_blas_has_them() -> None:
    assert _threads(OPENBLAS_NUM_THREADS="2") == f"[{min(2, os.cpu_count() or 1)}]"
