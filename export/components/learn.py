"""Teach a network what a library's compounds look like in mixtures. A library in, a detector out; one thread, one seed.

The detector gives one logit a compound, each for itself: sigmoid of it is how likely the compound is in a mixture of
the kind that was taught.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from export.components.words import Schooling
from export.data.augment import as_absorbance, augment, from_absorbance, resample
from export.data.mixtures.library import Library
from export.data.mixtures.synthesise import synthesise
from export.data.mixtures.words import Synthesis
from export.errors import DataUnusable
from export.fit import CLIP, FIT_COPIES, WARM_UP
from export.models.deepcid import DeepCidWords
from export.models.network import NetworkKind
from export.models.pair import PairNetwork
from export.models.resuca import ResucaWords
from export.preprocess.pipeline import Pipeline, build
from export.preprocess.words import StepWords
from export.progress import Report

ROWS = 512  # of one pass when a detector is asked


@dataclass(frozen=True, slots=True, kw_only=True)
class RealMixtures:
    """Measured mixtures to learn from besides: values [n, points] on `axis`, and what they hold [n, compounds]."""

    axis: NDArray[np.float64]
    values: NDArray[np.float64]
    present: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What a detector learns from: mixtures of `library`, made as `synthesis` says, seen on `grid`.

    real: are seen once an epoch, changed by the recipe's optics where it has such. Raises DataUnusable for a balanced
    schooling of what is no bank, and of real mixtures, which nobody can balance.
    """

    library: Library
    synthesis: Synthesis
    grid: NDArray[np.float64]
    steps: tuple[StepWords, ...]
    network: NetworkKind
    schooling: Schooling
    seed: tuple[int, ...]
    real: RealMixtures | None = None

    def __post_init__(self) -> None:
        if not self.schooling.balanced:
            return
        if self.real is not None or not isinstance(self.network, ResucaWords | DeepCidWords):
            what = "with real mixtures" if self.real is not None else f"of {self.network!r}"
            raise DataUnusable(f"a balanced schooling {what}", hint="balanced = false, or the members of a bank alone")

    def digest(self) -> str:
        """Return the SHA-256 of all that the detector depends on, the code apart, in hex."""
        words = [part.model_dump_json() for part in (self.synthesis, self.network, self.schooling, *self.steps)]
        found = hashlib.sha256("\n".join([*words, repr([self.library.names]), repr(self.seed)]).encode())
        one = self.library
        arrays: list[NDArray[Any]] = [self.grid, one.axis, one.values, one.compound, one.groups]
        if self.real is not None:
            arrays += [self.real.axis, self.real.values, self.real.present]
        for array in arrays:
            found.update(repr((array.shape, array.dtype.str)).encode() + np.ascontiguousarray(array).tobytes())
        return found.hexdigest()


class Detector(nn.Module):
    """Spectra [n, points] on the lesson's grid to logits [n, compounds]. losses: mean of each epoch."""

    def __init__(self, steps: Pipeline, network: nn.Module, losses: tuple[float, ...] = ()) -> None:
        super().__init__()
        self.steps = steps
        self.network = network
        self.losses = losses

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.network(self.steps(spectra))
        return logits

    @torch.no_grad()
    def say(self, spectra: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the logits of many spectra."""
        rows = torch.from_numpy(np.ascontiguousarray(spectra, dtype=np.float32))
        return np.asarray(torch.cat([self(part) for part in rows.split(ROWS)]).numpy(), dtype=np.float32)


def learn(lesson: Lesson, progress: Report | None = None) -> Detector:
    """Teach one detector. Deterministic for one seed. Raises DataUnusable where the mixtures cannot be made."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    with threadpool_limits(1):
        return _learn(lesson, progress or (lambda what, done, total: None))


def _learn(lesson: Lesson, progress: Report) -> Detector:
    rng = np.random.default_rng(lesson.seed)
    torch.manual_seed(int(rng.integers(2**62)))
    school, compounds = lesson.schooling, len(lesson.library.names)
    steps = build(lesson.steps, lesson.grid)
    first, _ = _mixtures(lesson, rng, None)
    steps.fit(first)
    network = lesson.network.build(points=steps(first[:2]).shape[1], classes=compounds)
    if isinstance(network, PairNetwork):
        network = network.with_references(steps(_references(lesson)))
    bank = school.balanced
    optimiser = torch.optim.AdamW(network.parameters(), lr=school.learning_rate, weight_decay=school.weight_decay)
    rows_seen = school.mixtures + (0 if lesson.real is None else len(lesson.real.values))
    batches = -(-rows_seen // school.batch)
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, school.learning_rate, total_steps=school.epochs * batches, pct_start=WARM_UP
    )
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(school.ema))
    losses: list[float] = []
    network.train()
    for epoch in range(school.epochs):
        progress("epochs", epoch, school.epochs)
        spectra, present = _balanced(lesson, rng, steps) if bank else _prepared(lesson, rng, steps)
        total = 0.0
        for rows in torch.randperm(len(spectra)).split(school.batch):
            if len(rows) > 1:  # the statistics of one spectrum are none
                loss = nn.functional.binary_cross_entropy_with_logits(network(spectra[rows]), present[rows])
                optimiser.zero_grad()
                (loss * compounds if bank else loss).backward()  # each member has a loss of its own
                _clip(network, members=compounds if bank else 1)
                optimiser.step()
                averaged.update_parameters(network)
                total += loss.item() * len(rows)
            rate.step()
        losses.append(total / len(spectra))
    with torch.no_grad():  # averaged weights want their own batch statistics
        parts = [(_balanced if bank else _prepared)(lesson, rng, steps)[0] for _ in range(min(FIT_COPIES, 2))]
        update_bn([part for part in torch.cat(parts).split(school.batch) if len(part) > 1], averaged)
    progress("epochs", school.epochs, school.epochs)
    module: nn.Module = averaged.module
    return Detector(steps, module, tuple(losses)).eval()


def _mixtures(lesson: Lesson, rng: np.random.Generator, target: str | None) -> tuple[Tensor, Tensor]:
    made = synthesise(
        lesson.library,
        lesson.synthesis,
        lesson.schooling.mixtures,
        rng,
        grid=lesson.grid,
        target=target,
    )
    return torch.from_numpy(made.values), torch.from_numpy(made.present.astype(np.float32))


def _prepared(lesson: Lesson, rng: np.random.Generator, steps: Pipeline) -> tuple[Tensor, Tensor]:
    """Mixtures that all compounds learn from: [n, points] and [n, compounds]."""
    spectra, present = _mixtures(lesson, rng, None)
    if lesson.real is not None:
        spectra = torch.cat([spectra, torch.from_numpy(_changed(lesson, lesson.real, rng))])
        present = torch.cat([present, torch.from_numpy(lesson.real.present.astype(np.float32))])
    with torch.no_grad():
        return steps(spectra), present


def _changed(lesson: Lesson, real: RealMixtures, rng: np.random.Generator) -> NDArray[np.float32]:
    """Real mixtures as another session might show them, on the grid."""
    values = real.values
    if lesson.synthesis.nir is None or lesson.library.quantity == "intensity":
        return resample(values, real.axis, lesson.grid).astype(np.float32)
    absorbance = as_absorbance(values, lesson.library.quantity)
    optics = lesson.synthesis.nir.optics
    drawn = augment(absorbance, real.axis, lesson.grid, optics, rng, axis_unit=lesson.library.axis_unit)
    return from_absorbance(drawn, lesson.library.quantity).astype(np.float32)


def _balanced(lesson: Lesson, rng: np.random.Generator, steps: Pipeline) -> tuple[Tensor, Tensor]:
    """For each member mixtures of its own: [n, compounds, points] and [n, compounds]; half hold its compound."""
    spectra, present = [], []
    for column, name in enumerate(lesson.library.names):
        made, holds = _mixtures(lesson, rng, name)
        order = torch.randperm(len(made))
        with torch.no_grad():
            spectra.append(steps(made[order]))
        present.append(holds[order, column])
    return torch.stack(spectra, dim=1), torch.stack(present, dim=1)


def _references(lesson: Lesson) -> Tensor:
    """The mean spectrum of each compound on the grid, [compounds, points]."""
    library = lesson.library
    means = [np.interp(lesson.grid, library.axis, row) for row in library.means()]
    return torch.from_numpy(np.stack(means).astype(np.float32))


def _clip(network: nn.Module, *, members: int) -> None:
    """Clip gradients, each member's by itself: what one does must not show in another."""
    grads = [p.grad.reshape(members, -1) for p in network.parameters() if p.grad is not None]
    norms = torch.stack([grad.square().sum(dim=1) for grad in grads]).sum(dim=0).sqrt()
    share = (CLIP / (norms + 1e-6)).clamp(max=1.0)[:, None]
    for grad in grads:
        grad.mul_(share)
