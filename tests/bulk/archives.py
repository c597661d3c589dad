"""Archives small enough to be judged in a test, and runs over them in this process or in a killed one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edged.bulk.crew import Crew
from edged.bulk.inputs import listings
from edged.bulk.run import Run, plan_of, run
from edged.bulk.state import Mark
from edged.bulk.work import Order
from edged.bundle.archive import read_bundle
from edged.infer.analyze import Analyzer
from tests.bundle.tiny import AXIS_NM, tiny_bytes

HEAD = "nm," + ",".join(f"{nm:g}" for nm in AXIS_NM)
PROGRAM = """
import sys
import edged.bulk.run
from edged.cli.main import main
edged.bulk.run.MARK_EVERY_S = float(sys.argv[1])
main(sys.argv[2:])
"""


def wide_table(path: Path, rows: int, *, seed: int = 1) -> Path:
    """A table with one spectrum a row: sure, torn, strange and broken ones, in no order."""
    rng = np.random.default_rng(seed)
    kinds = np.array([[4, 0, 0], [2, 2, 0], [40, 0, 0], [0, 4, 0]], dtype=float)
    chosen = kinds[rng.integers(0, len(kinds), rows)] + rng.normal(0, 0.1, (rows, 3)).round(4)
    with path.open("w") as file:
        file.write(HEAD + "\n")
        for number, three in enumerate(chosen, start=1):
            cells = [f"s{number}", *map(str, three), *["nan" if number % 97 == 0 else "0"] * 5]
            file.write(",".join(cells[: 6 if number % 89 == 0 else None]) + "\n")
    return path


def bundle_at(folder: Path, **changes: object) -> Path:
    """The tiny bundle as a file."""
    path = folder / "tiny.edgebundle"
    path.write_bytes(tiny_bytes(**changes))
    return path


@dataclass(kw_only=True)
class Case:
    """A run with its files; `go` does it in this process, on one thread."""

    inputs: Sequence[Path]
    out: Path
    bundle: Path
    match: str | None = None
    preset: Any = None
    marks: list[Mark] = field(default_factory=list)

    def wanted(self) -> Run:
        """What is to be done."""
        bundle = read_bundle(self.bundle)
        order = Order(
            bundle=str(self.bundle.resolve()),
            bundle_digest=bundle.digest,
            question=Analyzer(bundle).question(preset=self.preset),
            unit=None,
            quantity=None,
            assumed=bundle.manifest.quantity,
            form="csv" if self.out.suffix == ".csv" else "jsonl",
        )
        listed = listings([str(path) for path in self.inputs], self.match)
        identity = {"name": bundle.manifest.name, "version": bundle.manifest.version, "digest": bundle.digest}
        return Run(
            order=order,
            listed=listed,
            match=self.match,
            out=self.out,
            plan=plan_of(order, listed, self.match, identity),
        )

    def go(self, stopping: Callable[[], bool] = lambda: False, executor: Executor | None = None) -> Mark:
        """Do it, or what is left of it."""
        wanted = self.wanted()
        with ThreadPoolExecutor(1) as pool:
            crew = Crew(executor=executor or pool, size=lambda: 1)
            return run(wanted, crew, report=self.marks.append, stopping=stopping)


def start(*words: object, mark_every_s: float = 0.02, cwd: Path | None = None) -> subprocess.Popen[str]:
    """Start `edged analyze` as a user would; its marks come more often than theirs."""
    repository = Path(__file__).resolve().parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(mark_every_s), "analyze", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(repository)},
        start_new_session=True,
    )


def objects(path: Path) -> list[dict[str, Any]]:
    """The lines of a file of results."""
    return [json.loads(text) for text in path.read_text().splitlines()]
