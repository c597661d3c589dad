"""Teach one compound of a bank and touch no other: a member from the start, or a head on the frozen trunk.

Enters: a library that holds the compound, and the words of the bank's recipe. Leaves: the network of that compound
alone. While an epoch is learnt, a thread makes the mixtures of the next. After each epoch the state is kept: what was
stopped goes on where it was, and comes to the same numbers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from export.checkpoint import Checkpoint, Stateful
from export.components.recipe import ComponentsRecipe
from export.data.mixtures.library import Library
from export.data.mixtures.synthesise import synthesise
from export.fit import CLIP, WARM_UP
from export.kept import maker
from export.models.network import Network
from export.models.resnet1d import ResNet1dWords
from export.models.resuca import ResucaWords
from export.preprocess.pipeline import build
from export.progress import Report

FORMAT: Final = 1
STATISTICS: Final = 2  # further epochs of mixtures that the averaged weights take their batch statistics from
ROWS: Final = 256  # spectra that go through a trunk at once


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lesson:
    """What one compound of `library` learns from. trunk: the bank's network, where compounds share one."""

    library: Library
    compound: str
    recipe: ComponentsRecipe
    trunk: Network | None
    seed: int

    @property
    def words(self) -> ResucaWords | ResNet1dWords:
        """The sizes of the network."""
        words = self.recipe.network
        assert isinstance(words, ResucaWords | ResNet1dWords)
        return words

    def digest(self) -> str:
        """Return the SHA-256 of all that the result depends on, the code apart, in hex."""
        said = (self.compound, self.recipe.digest(), self.library.names, self.seed, torch.__version__, FORMAT)
        found = hashlib.sha256(repr(said).encode())
        one = self.library
        arrays: list[NDArray[Any]] = [one.axis, one.values, one.compound, one.groups]
        if self.trunk is not None:
            arrays += [value.numpy() for value in self.trunk.state_dict().values()]
        for array in arrays:
            found.update(repr((array.shape, array.dtype.str)).encode() + np.ascontiguousarray(array).tobytes())
        return found.hexdigest()

    def mixtures(self, *purpose: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Make the mixtures of one epoch, [n, points], half of which hold the compound, and which do [n]."""
        recipe = self.recipe
        made = synthesise(
            self.library,
            recipe.synthesis,
            recipe.schooling.mixtures,
            np.random.default_rng([self.seed, *purpose]),
            grid=recipe.grid,
            target=self.compound,
        )
        return made.values, made.present[:, self.library.names.index(self.compound)].astype(np.float32)


def teach(lesson: Lesson, folder: Path, progress: Report) -> Network:
    """Return the compound's network, ready to run. Deterministic for one seed. folder: where epochs are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    with one_thread():
        return _network(lesson, _teach(lesson, checkpoint_of(lesson, folder), progress))


def checkpoint_of(lesson: Lesson, folder: Path) -> Checkpoint:
    """Return where the epochs of a lesson are kept."""
    digest = lesson.digest()
    return Checkpoint(folder=folder, name=digest, of=f"{digest} {maker()}")


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep numerical libraries to one thread: sums are the same in every run, and a fit's small systems are faster.

    The other core makes mixtures.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)


def forget(lesson: Lesson, folder: Path) -> None:
    """Remove what was kept of a lesson whose result is safe."""
    checkpoint_of(lesson, folder).forget()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _teach(lesson: Lesson, checkpoint: Checkpoint, progress: Report) -> nn.Module:
    school = lesson.recipe.schooling
    torch.manual_seed(lesson.seed)
    student = _student(lesson)
    optimiser = torch.optim.AdamW(student.parameters(), lr=school.learning_rate, weight_decay=school.weight_decay)
    steps = school.epochs * -(-school.mixtures // school.batch)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, school.learning_rate, total_steps=steps, pct_start=WARM_UP)
    averaged = AveragedModel(student, multi_avg_fn=get_ema_multi_avg_fn(school.ema))
    parts: dict[str, Stateful] = {"student": student, "optimiser": optimiser, "rate": rate, "averaged": averaged}
    done = checkpoint.epochs if checkpoint.take_up(parts) is not None else 0
    student.train()
    with ThreadPoolExecutor(1, thread_name_prefix="mixtures") as maker:
        last = school.epochs + (STATISTICS if lesson.trunk is None else 0)
        counted: list[Tensor] = []
        waiting = maker.submit(lesson.mixtures, done)
        for epoch in range(done, last):
            progress("epochs", min(epoch, school.epochs), school.epochs)
            rows, present = waiting.result()
            if epoch + 1 < last:
                waiting = maker.submit(lesson.mixtures, epoch + 1)
            read = _read(lesson, rows)
            if epoch < school.epochs:
                torch.manual_seed(lesson.seed + 1 + epoch)
                _epoch(student, averaged, optimiser, rate, read, torch.from_numpy(present), school.batch)
                checkpoint.keep(epoch + 1, parts, {})
            else:
                counted += [part for part in read.split(school.batch) if len(part) > 1]
    if lesson.trunk is None:  # each call begins anew: one, with all of them
        update_bn(counted, averaged)
    progress("epochs", school.epochs, school.epochs)
    module: nn.Module = averaged.module
    return module


def _epoch(
    student: nn.Module,
    averaged: AveragedModel,
    optimiser: torch.optim.Optimizer,
    rate: torch.optim.lr_scheduler.OneCycleLR,
    read: Tensor,
    present: Tensor,
    batch: int,
) -> None:
    for rows in torch.randperm(len(read)).split(batch):
        if len(rows) > 1:  # the statistics of one spectrum are none
            logits = student(read[rows])[:, 0]
            optimiser.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(logits, present[rows]).backward()
            nn.utils.clip_grad_norm_(student.parameters(), CLIP)
            optimiser.step()
            averaged.update_parameters(student)
        rate.step()


def _student(lesson: Lesson) -> nn.Module:
    """What learns: a whole network of one compound, or one row of the last layer."""
    if lesson.trunk is None:
        points = build(lesson.recipe.steps, lesson.recipe.grid)(torch.zeros(1, lesson.recipe.axis.points)).shape[1]
        return lesson.words.build(points=points, classes=1)
    return nn.Linear(lesson.trunk.out.in_features, 1)


@torch.no_grad()
def _read(lesson: Lesson, rows: NDArray[np.float32]) -> Tensor:
    """What the student reads of mixtures: prepared spectra, or what the trunk makes of them."""
    prepared: Tensor = build(lesson.recipe.steps, lesson.recipe.grid)(torch.from_numpy(rows))
    if lesson.trunk is None:
        return prepared
    return torch.cat([lesson.trunk.embed(part) for part in prepared.split(ROWS)])


def _network(lesson: Lesson, student: nn.Module) -> Network:
    if lesson.trunk is None:
        assert isinstance(student, Network)
        return student.eval()
    network = lesson.words.build(points=lesson.recipe.axis.points, classes=1)
    state = lesson.trunk.state_dict() | {f"out.{name}": value for name, value in student.state_dict().items()}
    network.load_state_dict(state)
    return network.eval()
