"""Teach a network what a library's compounds look like in mixtures. A library in, a detector out; one thread, one seed.

The detector gives one logit a compound, each for itself: sigmoid of it is how likely the compound is in a mixture of
the kind that was taught.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from export.checkpoint import Checkpoint, Stateful
from export.components.words import Schooling
from export.data.augment import as_absorbance, augment, from_absorbance, resample
from export.data.mixtures.library import Library
from export.data.mixtures.paired import synthesise_pairs
from export.data.mixtures.synthesise import synthesise
from export.data.mixtures.words import Synthesis
from export.errors import DataUnusable
from export.fit import CLIP, FIT_COPIES, WARM_UP
from export.models.deepcid import DeepCidWords
from export.models.network import NetworkKind
from export.models.pair import PairNetwork
from export.models.resuca import ResucaWords
from export.preprocess.pipeline import Pipeline, build
from export.preprocess.side_by_side import side_by_side
from export.preprocess.words import StepWords

ROWS = 512  # of one pass when a detector is asked


@dataclass(frozen=True, slots=True, kw_only=True)
class RealMixtures:
    """Measured mixtures to learn from besides: values [n, points] on `axis`, and what they hold [n, compounds]."""

    axis: NDArray[np.float64]
    values: NDArray[np.float64]
    present: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Another technique that sees the same mixtures: the same compounds, on a grid and by steps of its own."""

    library: Library
    grid: NDArray[np.float64]
    steps: tuple[StepWords, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What a detector learns from: mixtures of `library`, made as `synthesis` says, seen on `grid`.

    real: are seen once an epoch, changed by the recipe's optics where it has such.
    asked: the compounds that the network is to name, in this order; none: all of the library.
    strangers: spectra that stand in mixtures, as often as the composition says, for what the library does not hold.
    draws: instead of mixtures made for it alone, each member of a balanced bank takes this many of an epoch's, half
    with its compound; of the others, look-alikes as often as the composition says. Making mixtures for each of hundreds
    of members would cost more than teaching them.
    beside: the network reads both techniques' spectra of a mixture in one row, those of `beside` last (early fusion).

    Raises DataUnusable for a balanced schooling of what is no bank, and of real mixtures, which nobody can balance; for
    draws that are not balanced; for a compound that the library lacks; and for real mixtures or strangers where another
    technique is beside.
    """

    library: Library
    synthesis: Synthesis
    grid: NDArray[np.float64]
    steps: tuple[StepWords, ...]
    network: NetworkKind
    schooling: Schooling
    seed: tuple[int, ...]
    real: RealMixtures | None = None
    asked: tuple[str, ...] = ()
    draws: int = 0
    strangers: Library | None = None
    beside: Beside | None = None

    def __post_init__(self) -> None:
        if self.beside is not None and (self.real is not None or self.strangers is not None):
            raise DataUnusable("real mixtures or strangers of one technique of two", hint="made mixtures alone")
        if odd := sorted(set(self.asked) - set(self.library.names)):
            raise DataUnusable(f"the library has no {odd[0]}", hint="asked: compounds of the library")
        if not self.schooling.balanced:
            if self.draws:
                raise DataUnusable(f"{self.draws} draws without balance", hint="balanced = true, or no draws")
            return
        if self.real is not None or not isinstance(self.network, ResucaWords | DeepCidWords):
            what = "with real mixtures" if self.real is not None else f"of {self.network!r}"
            raise DataUnusable(f"a balanced schooling {what}", hint="balanced = false, or the members of a bank alone")

    @property
    def compounds(self) -> tuple[str, ...]:
        """What the network names."""
        return self.asked or self.library.names

    @property
    def columns(self) -> NDArray[np.int64]:
        """The places of `compounds` in the library."""
        return np.array([self.library.names.index(name) for name in self.compounds], dtype=np.int64)

    def digest(self) -> str:
        """Return the SHA-256 of all that the detector depends on, the code apart, in hex."""
        words = [part.model_dump_json() for part in (self.synthesis, self.network, self.schooling, *self.steps)]
        words += [repr([self.library.names]), repr(self.seed)]
        words += [repr((self.asked, self.draws))] if self.asked or self.draws else []
        found = hashlib.sha256("\n".join(words).encode())
        one = self.library
        arrays: list[NDArray[Any]] = [self.grid, one.axis, one.values, one.compound, one.groups]
        if self.strangers is not None:
            other = self.strangers
            arrays += [other.axis, other.values, other.compound]
        if self.real is not None:
            arrays += [self.real.axis, self.real.values, self.real.present]
        if self.beside is not None:
            found.update("\n".join(step.model_dump_json() for step in self.beside.steps).encode())
            other = self.beside.library
            arrays += [self.beside.grid, other.axis, other.values, other.compound]
        for array in arrays:
            found.update(repr((array.shape, array.dtype.str)).encode() + np.ascontiguousarray(array).tobytes())
        return found.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """What is seen once. spectra: prepared, [n, points], or [n, members, points]; present: [n, members], 0 or 1.

    drawn: [draws, members], which of the n each member sees in its turn; None: all see all, in one order.
    """

    spectra: Tensor
    present: Tensor
    drawn: Tensor | None = None

    def __len__(self) -> int:
        return len(self.present if self.drawn is None else self.drawn)

    def of(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is seen at these turns, and what it holds."""
        if self.drawn is None:
            return self.spectra[rows], self.present[rows]
        taken = self.drawn[rows]
        return self.spectra[taken], self.present.gather(0, taken)


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


def learn(lesson: Lesson, checkpoint: Checkpoint | None = None) -> Detector:
    """Teach one detector. Deterministic for one seed, also where it goes on from a checkpoint, which keeps each epoch.

    Raises DataUnusable where the mixtures cannot be made, and Stopped behind an epoch where that was asked for.
    """
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    with threadpool_limits(1):
        return _learn(lesson, checkpoint)


def _learn(lesson: Lesson, checkpoint: Checkpoint | None) -> Detector:
    rng = np.random.default_rng(lesson.seed)
    torch.manual_seed(int(rng.integers(2**62)))
    school, compounds = lesson.schooling, len(lesson.compounds)
    steps = _steps(lesson)
    first, _ = _mixtures(lesson, rng, None)
    steps.fit(first)
    network = lesson.network.build(points=steps(first[:2]).shape[1], classes=compounds)
    if isinstance(network, PairNetwork):
        network = network.with_references(steps(_references(lesson)))
    bank = school.balanced
    optimiser = torch.optim.AdamW(network.parameters(), lr=school.learning_rate, weight_decay=school.weight_decay)
    rows_seen = lesson.draws or school.mixtures + (0 if lesson.real is None else len(lesson.real.values))
    batches = -(-rows_seen // school.batch)
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, school.learning_rate, total_steps=school.epochs * batches, pct_start=WARM_UP
    )
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(school.ema))
    parts: dict[str, Stateful] = {"network": network, "optimiser": optimiser, "rate": rate, "averaged": averaged}
    losses: list[float] = []
    if checkpoint is not None and (found := checkpoint.take_up(parts)) is not None:
        losses, rng.bit_generator.state = found["losses"], found["rng"]
    network.train()
    while len(losses) < school.epochs:
        shown = _epoch(lesson, rng, steps)
        total = 0.0
        for rows in torch.randperm(len(shown)).split(school.batch):
            if len(rows) > 1:  # the statistics of one spectrum are none
                spectra, present = shown.of(rows)
                loss = nn.functional.binary_cross_entropy_with_logits(network(spectra), present)
                optimiser.zero_grad()
                (loss * compounds if bank else loss).backward()  # each member has a loss of its own
                _clip(network, members=compounds if bank else 1)
                optimiser.step()
                averaged.update_parameters(network)
                total += loss.item() * len(rows)
            rate.step()
        losses.append(total / len(shown))
        if checkpoint is not None:
            checkpoint.keep(len(losses), parts, {"losses": losses, "rng": rng.bit_generator.state})
    with torch.no_grad():  # averaged weights want their own batch statistics
        first_half, other_half = (_epoch(lesson, rng, steps) for _ in range(min(FIT_COPIES, 2)))
        update_bn(_in_turn(_joined(first_half, other_half), school.batch), averaged)
    module: nn.Module = averaged.module
    return Detector(steps, module, tuple(losses)).eval()


def _steps(lesson: Lesson) -> Pipeline:
    own = build(lesson.steps, lesson.grid)
    if lesson.beside is None:
        return own
    other = build(lesson.beside.steps, lesson.beside.grid)
    return side_by_side([own, other], [len(lesson.grid), len(lesson.beside.grid)])


def _mixtures(lesson: Lesson, rng: np.random.Generator, target: str | None) -> tuple[Tensor, Tensor]:
    if lesson.beside is not None:
        libraries, grids = (lesson.library, lesson.beside.library), (lesson.grid, lesson.beside.grid)
        pair = synthesise_pairs(libraries, lesson.synthesis, lesson.schooling.mixtures, rng, grids=grids, target=target)
        rows = np.concatenate([made.values for made in pair], axis=1)
        return torch.from_numpy(rows), torch.from_numpy(pair[0].present.astype(np.float32))
    made = synthesise(
        lesson.library,
        lesson.synthesis,
        lesson.schooling.mixtures,
        rng,
        grid=lesson.grid,
        target=target,
        outsiders=lesson.strangers,
    )
    return torch.from_numpy(made.values), torch.from_numpy(made.present.astype(np.float32))


def _epoch(lesson: Lesson, rng: np.random.Generator, steps: Pipeline) -> Epoch:
    if lesson.schooling.balanced and not lesson.draws:
        spectra, present = _balanced(lesson, rng, steps)
        return Epoch(spectra=spectra, present=present)
    spectra, present = _prepared(lesson, rng, steps)
    drawn = torch.from_numpy(_drawn(lesson, present.numpy() > 0, rng)) if lesson.draws else None
    return Epoch(spectra=spectra, present=present[:, lesson.columns], drawn=drawn)


def _joined(one: Epoch, other: Epoch) -> Epoch:
    """One after the other."""
    return Epoch(
        spectra=torch.cat([one.spectra, other.spectra]),
        present=torch.cat([one.present, other.present]),
        drawn=None
        if one.drawn is None or other.drawn is None
        else torch.cat([one.drawn, other.drawn + len(one.spectra)]),
    )


def _in_turn(shown: Epoch, batch: int) -> Iterator[Tensor]:
    """The spectra of an epoch, batch by batch."""
    for rows in torch.arange(len(shown)).split(batch):
        if len(rows) > 1:
            yield shown.of(rows)[0]


def _drawn(lesson: Lesson, present: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """For each member rows of the mixtures [draws, members], half with its compound; present: of the whole library.

    Raises DataUnusable.
    """
    words = lesson.synthesis.composition
    nearest = lesson.library.nearest(words.nearest)
    columns = []
    for column, name in zip(lesson.columns.tolist(), lesson.compounds, strict=True):
        holds = present[:, column]
        alike = ~holds & present[:, nearest[column]].any(axis=1)
        parts = _numbers(lesson.draws, words.neighbours if alike.any() else 0.0)
        lots = [np.flatnonzero(holds), np.flatnonzero(~holds), np.flatnonzero(alike)]
        if not len(lots[0]) or not len(lots[1]):
            raise DataUnusable(
                f"{len(lots[0])} of {len(present)} mixtures hold {name}",
                hint="a member learns from some with it and some without: more mixtures an epoch, or fewer components",
            )
        taken = [rng.choice(lot, n, replace=len(lot) < n) for lot, n in zip(lots, parts, strict=True) if n]
        columns.append(rng.permutation(np.concatenate(taken)))
    return np.stack(columns, axis=1)


def _numbers(draws: int, alike: float) -> tuple[int, int, int]:
    """How many draws hold the compound, do not, and hold what looks like it instead."""
    with_it = draws // 2
    look_alikes = round(alike * (draws - with_it))
    return with_it, draws - with_it - look_alikes, look_alikes


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
    for column, name in zip(lesson.columns.tolist(), lesson.compounds, strict=True):
        made, holds = _mixtures(lesson, rng, name)
        order = torch.randperm(len(made))
        with torch.no_grad():
            spectra.append(steps(made[order]))
        present.append(holds[order, column])
    return torch.stack(spectra, dim=1), torch.stack(present, dim=1)


def _references(lesson: Lesson) -> Tensor:
    """The mean spectrum of each compound that is asked for, on the grid, [compounds, points]."""
    library = lesson.library
    means = [np.interp(lesson.grid, library.axis, row) for row in library.means()[lesson.columns]]
    return torch.from_numpy(np.stack(means).astype(np.float32))


def _clip(network: nn.Module, *, members: int) -> None:
    """Clip gradients, each member's by itself: what one does must not show in another."""
    grads = [p.grad.reshape(members, -1) for p in network.parameters() if p.grad is not None]
    norms = torch.stack([grad.square().sum(dim=1) for grad in grads]).sum(dim=0).sqrt()
    share = (CLIP / (norms + 1e-6)).clamp(max=1.0)[:, None]
    for grad in grads:
        grad.mul_(share)
