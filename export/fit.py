"""Fit one model: preprocessing constants and weights, from given spectra and nothing else.

Networks learn by gradient from copies that are drawn anew in each epoch; classical models are tuned by scikit-learn on
a few copies, drawn once. One thread, one seed, one result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from export.data.augment import as_absorbance, augment, from_absorbance, refill, resample
from export.data.spectra import AxisUnit, Quantity
from export.learning import Learning
from export.models.any import ModelWords
from export.models.network import Network, NetworkKind
from export.preprocess.pipeline import Pipeline, StepWords, steps_in_two

FIT_COPIES = 4  # augmented copies that fitted preprocessing takes its constants from
WARM_UP = 0.15  # share of the steps in which the one-cycle rate rises
CLIP = 1.0
OUTLYING = 0.5  # standard deviations of the amounts, beyond which an error counts in proportion


@dataclass(frozen=True, slots=True, kw_only=True)
class FitTask:
    """What one model is fitted on: spectra [n, points] on their own axis, which are resampled onto `grid`.

    amounts: [n], where the model is to tell an amount; targets are then what copies are blended within.
    """

    axis: NDArray[np.float64]
    axis_unit: AxisUnit
    quantity: Quantity
    grid: NDArray[np.float64]
    values: NDArray[np.float64]
    targets: NDArray[np.int64]
    amounts: NDArray[np.float64] | None = None
    groups: NDArray[np.int64]
    classes: int
    steps: tuple[StepWords, ...]
    network: ModelWords
    learning: Learning
    seed: tuple[int, ...]

    @property
    def told(self) -> NDArray[np.int64] | NDArray[np.float64]:
        """What the model is to tell of each spectrum: its class, or its amount."""
        return self.targets if self.amounts is None else self.amounts

    def digest(self) -> str:
        """Return the SHA-256 of all that the fitted model depends on, the code apart, in hex."""
        words = [self.network.model_dump_json(), self.learning.model_dump_json(exclude={"seed", "members_per_fold"})]
        words += [step.model_dump_json() for step in self.steps]
        found = hashlib.sha256(
            "\n".join(
                [*words, repr((self.axis_unit, self.quantity, self.classes, self.amounts is None, self.seed))]
            ).encode()
        )
        for array in (self.axis, self.grid, self.values, self.targets, self.groups, self.told):
            found.update(repr((array.shape, array.dtype.str)).encode() + np.ascontiguousarray(array).tobytes())
        return found.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A fitted model: `own` are the preprocessing steps from the first fitted one on. losses: mean of each epoch.

    settings: what tuning chose, for classical models.
    """

    own: Pipeline
    model: nn.Module
    losses: tuple[float, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)


def fit_member(task: FitTask) -> Member:
    """Fit one model. Runs on one thread, in a process of its own where several are fitted at a time."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    with threadpool_limits(1):  # what scikit-learn and numpy would spread over cores
        return _fit_member(task)


def _fit_member(task: FitTask) -> Member:
    rng = np.random.default_rng(task.seed)
    torch.manual_seed(int(rng.integers(2**62)))
    common, own = steps_in_two(task.steps, task.grid)
    draws = Draws(task=task, rng=rng)

    def changed() -> Tensor:
        with torch.no_grad():
            prepared: Tensor = common(draws.copy())
        return prepared

    own.fit(torch.cat([changed() for _ in range(FIT_COPIES)]))
    if isinstance(task.network, NetworkKind):
        points = own(changed()[:1]).shape[1]
        network = task.network.build(points=points, classes=task.classes if task.amounts is None else 1)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        task.network.pretrain(network, own(changed()), generator=generator)
        scale = None if task.amounts is None else Amounts(task.amounts)
        told = torch.from_numpy(task.targets) if scale is None else scale.standardised
        averaged, losses = _descend(network, lambda: own(changed()), told, task.learning)
        model = averaged if scale is None else nn.Sequential(averaged, scale)
        return Member(own=own, model=model.eval(), losses=tuple(losses))
    copies = max(1, task.learning.copies)
    with torch.no_grad():
        prepared = torch.cat([own(changed() if copies > 1 else common(draws.plain())) for _ in range(copies)])
    fitted = task.network.tune(
        prepared.double().numpy(), np.tile(task.told, copies), np.tile(task.groups, copies), seed=task.seed[-1]
    )
    return Member(own=own, model=fitted.head.eval(), settings=fitted.settings)


class Amounts(nn.Module):
    """From a network's own unit, mean 0 and deviation 1 over the training spectra, to amounts [n, 1]."""

    mean: Tensor
    spread: Tensor

    def __init__(self, amounts: NDArray[np.float64]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(float(amounts.mean()), dtype=torch.float32))
        self.register_buffer("spread", torch.tensor(float(amounts.std()), dtype=torch.float32))
        self.standardised = as_tensor((amounts - amounts.mean()) / amounts.std())

    def forward(self, told: Tensor) -> Tensor:
        """Return amounts."""
        return told * self.spread + self.mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """Draws changed copies of a task's spectra on its grid. Counts are changed as the absorbance they stand for."""

    task: FitTask
    rng: np.random.Generator

    def copy(self) -> Tensor:
        """Return a changed copy of every spectrum, as other fillings and another day might look."""
        task, words = self.task, self.task.learning
        refilled = refill(as_absorbance(task.values, task.quantity), task.targets, words.augmentation, self.rng)
        drawn = augment(
            refilled,
            task.axis,
            task.grid,
            words.augmentation,
            self.rng,
            strength=words.strength,
            axis_unit=task.axis_unit,
        )
        return as_tensor(from_absorbance(drawn, task.quantity))

    def plain(self) -> Tensor:
        """Return the spectra as they are, on the grid."""
        return as_tensor(resample(self.task.values, self.task.axis, self.task.grid))


def as_tensor(values: NDArray[np.float64]) -> Tensor:
    """Return float32."""
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _descend(
    network: Network, draw: Callable[[], Tensor], targets: Tensor, words: Learning
) -> tuple[nn.Module, list[float]]:
    """AdamW with a one-cycle rate on a new draw each epoch; returns the averaged network, ready to run."""
    batches = -(-len(targets) // words.batch)
    optimiser = torch.optim.AdamW(network.parameters(), lr=words.learning_rate, weight_decay=words.weight_decay)
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, words.learning_rate, total_steps=words.epochs * batches, pct_start=WARM_UP
    )
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(words.ema))
    losses = []
    network.train()
    for _ in range(words.epochs):
        with torch.no_grad():
            spectra = draw()
        order, total = torch.randperm(len(targets)), 0.0
        for rows in order.split(words.batch):
            if len(rows) < 2:  # the statistics of one spectrum are none
                continue
            told = network(spectra[rows])
            if targets.is_floating_point():
                loss = nn.functional.smooth_l1_loss(told[:, 0], targets[rows], beta=OUTLYING)
            else:
                loss = nn.functional.cross_entropy(told, targets[rows], label_smoothing=words.label_smoothing)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), CLIP)
            optimiser.step()
            rate.step()
            total += loss.item() * len(rows)
            averaged.update_parameters(network)
        losses.append(total / len(targets))
    with torch.no_grad():  # averaged weights want their own batch statistics, not the running ones of others
        parts = torch.cat([draw() for _ in range(FIT_COPIES)]).split(words.batch)
        update_bn([part for part in parts if len(part) > 1], averaged)
    module: nn.Module = averaged.module
    return module.eval(), losses
