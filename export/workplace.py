"""What every build has: the folder in which each stage leaves what the next one needs, and draws that never meet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from export.errors import StageMissing


class Named(Protocol):
    """A recipe, as far as a folder cares."""

    name: str


class Workplace:
    """Base of jobs. stages: each stage and the module with a function of its name. stage_of: file in the work folder ->
    the stage that writes it. threads: of every numerical library while a stage runs; None leaves it to them."""

    threads: ClassVar[int | None] = None
    stages: ClassVar[Mapping[str, str]]
    stage_of: ClassVar[Mapping[str, str]]
    recipe: Named
    work: Path
    seed: int

    def rng(self, *purpose: int) -> np.random.Generator:
        """A generator of its own for each purpose, so that no stage shifts another's draws."""
        return np.random.default_rng([self.seed, *purpose])

    def path(self, name: str) -> Path:
        """Where a stage writes `name`; the work folder is made if need be."""
        self.work.mkdir(parents=True, exist_ok=True)
        return self.work / name

    def need(self, name: str) -> Path:
        """Where an earlier stage left `name`. Raises StageMissing when it has not run."""
        path = self.work / name
        if not path.is_file():
            stage = self.stage_of[name]
            raise StageMissing(f"{path} is missing", hint=f"run: edged-export {stage} {self.recipe.name}")
        return path

    def write_json(self, name: str, value: Any) -> None:
        """Write a stage's numbers, readable and stable."""
        self.path(name).write_text(json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")

    def read_json(self, name: str) -> Any:
        """Read what an earlier stage wrote. Raises StageMissing."""
        return json.loads(self.need(name).read_text())
