"""Train the members of an ensemble, each without one block; and fit the gate's space. Spectra in, an Identifier out.

What each member says of the block it has not seen is kept: it calibrates the bundle without costing training spectra
(cross-conformal). Members train in processes of their own with one thread each, so the result does not depend on how
many run at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.checkpoint import Checkpoint
from export.data.augment import as_absorbance, augment, from_absorbance, resample
from export.data.spectra import Spectra
from export.data.split import Split
from export.data.split_file import SPLIT_FILE
from export.errors import StageMissing
from export.fit import FitTask, Member, as_tensor, fit_member
from export.gates.bank import Bank
from export.job import Job
from export.kept import kept, made_or_kept
from export.models.identifier import Identifier, identifier_of
from export.progress import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """What is known of each development spectrum by those who have not seen it. Rows as in `Split.development`.

    logits: [n, classes], or amounts [n, 1]: mean of the members that left it out. distances: [n, gates]
    of the spectrum itself. own: [n], to its own class where claims are tested, else zero. changed_...:
    the same of its augmented copies, [n * copies, ...], copy after copy. harder_logits: of copies that are changed as
    strongly as sets of classes are calibrated for; none where amounts are told.
    """

    logits: NDArray[np.float32]
    distances: NDArray[np.float64]
    own: NDArray[np.float64]
    changed_logits: NDArray[np.float32]
    changed_distances: NDArray[np.float64]
    changed_own: NDArray[np.float64]
    harder_logits: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """An identifier, what calibrates it, and how it learned: losses [member, epoch]."""

    identifier: Identifier
    held_out: HeldOut
    losses: tuple[tuple[float, ...], ...]


def train(job: Job, progress: Report) -> dict[str, Any]:
    """Stage: train the recipe's ensemble and leave split, model, history and held-out answers in the work folder."""
    spectra = job.spectra()
    job.split_table().write(job.path(SPLIT_FILE))
    trained = train_ensemble(job, spectra, job.split(spectra), progress)
    torch.save(trained.identifier, job.path("model.pt"))
    held = trained.held_out
    np.savez(
        job.path("heldout.npz"),
        logits=held.logits,
        distances=held.distances,
        own=held.own,
        changed_own=held.changed_own,
        changed_logits=held.changed_logits,
        changed_distances=held.changed_distances,
        harder_logits=held.harder_logits,
    )
    job.write_json("history.json", {"losses": trained.losses})
    rows = job.split(spectra).development
    if job.tells_amounts and spectra.amounts is not None:
        errors = held.logits[:, 0] - spectra.amounts[rows]
        return {"members": len(trained.losses), "held_out_rmse": float(np.sqrt(np.mean(errors**2)))}
    accuracy = float((held.logits.argmax(axis=1) == spectra.targets[rows]).mean())
    return {"members": len(trained.losses), "held_out_accuracy": accuracy}


def load_identifier(job: Job) -> Identifier:
    """Return the trained identifier of the work folder, ready to run. Raises StageMissing."""
    identifier: Identifier = kept(job.need("model.pt"))
    return identifier.eval()


def load_held_out(job: Job) -> HeldOut:
    """Return the held-out answers of the work folder. Raises StageMissing."""
    path = job.need("heldout.npz")
    with np.load(path) as file:
        if lacking := sorted(set(HeldOut.__dataclass_fields__) - set(file.files)):
            raise StageMissing(
                f"{path}: made by another version: no {', '.join(lacking)}",
                hint=f"delete {path.parent} and train again",
            )
        return HeldOut(**{name: file[name] for name in HeldOut.__dataclass_fields__})


def train_ensemble(
    job: Job, spectra: Spectra, split: Split, progress: Report, *, variant: int = 0, what: str = "members"
) -> Trained:
    """Train one member (or several) for each fold. `variant` draws other seeds. Deterministic for one seed."""
    recipe, classes = job.recipe, len(spectra.classes)
    per_fold = recipe.training.members_per_fold
    tasks = [
        FitTask(
            axis=spectra.axis,
            axis_unit=spectra.axis_unit,
            quantity=spectra.quantity,
            grid=job.grid,
            values=spectra.values[fold.train],
            targets=spectra.targets[fold.train],
            amounts=spectra.amounts[fold.train] if job.tells_amounts and spectra.amounts is not None else None,
            groups=split.part[fold.train],
            classes=classes,
            steps=recipe.steps,
            network=recipe.network,
            learning=recipe.training,
            seed=(job.seed, recipe.training.seed, variant, fold.part, number),
        )
        for fold in split.folds
        for number in range(per_fold)
    ]
    members = made_or_kept(
        tasks, _fitted, folder=job.path("members"), workers=job.workers, progress=progress, what=what
    )
    identifier = identifier_of(recipe, members, classes=classes).eval()
    gate = _GateFit(job=job, spectra=spectra)
    gate.fit(identifier.gates, split.development, fold=0)
    held = _held_out(job, spectra, split, identifier, gate)
    return Trained(identifier=identifier, held_out=held, losses=tuple(member.losses for member in members))


def _fitted(task: FitTask, _: Checkpoint) -> Member:
    """Takes minutes at most: no epoch is kept."""
    return fit_member(task)


@dataclass(frozen=True, slots=True, kw_only=True)
class _GateFit:
    """Fits gates on augmented copies of chosen spectra."""

    job: Job
    spectra: Spectra

    def copies(self, rows: NDArray[np.int64], *purpose: int, strength: float | None = None) -> NDArray[np.float64]:
        """Augmented copies of the rows on the grid, copy after copy. strength: None takes the training's own."""
        words, rng, spectra = self.job.recipe.training, self.job.rng(*purpose), self.spectra
        values = as_absorbance(spectra.values[rows], spectra.quantity)
        drawn = [
            augment(
                values,
                spectra.axis,
                self.job.grid,
                words.augmentation,
                rng,
                strength=words.strength if strength is None else strength,
                axis_unit=spectra.axis_unit,
            )
            for _ in range(self.job.recipe.gate.copies)
        ]
        return from_absorbance(np.concatenate(drawn), spectra.quantity)

    def fit(self, bank: Bank, rows: NDArray[np.int64], *, fold: int) -> None:
        """Fit on the rows' copies."""
        targets = np.tile(self.spectra.targets[rows], self.job.recipe.gate.copies)
        bank.fit(lambda strength: self.copies(rows, 1, fold, strength=strength), targets)


@torch.no_grad()
def _held_out(job: Job, spectra: Spectra, split: Split, identifier: Identifier, gate: _GateFit) -> HeldOut:
    """Ask of each development spectrum those members, and a gate space, that have not seen its block."""
    recipe, classes, copies = job.recipe, len(spectra.classes), job.recipe.gate.copies
    place = {int(row): number for number, row in enumerate(split.development)}
    n, width, gates = len(place), 1 if job.tells_amounts else classes, len(identifier.gates.names)
    logits, distances, own = np.empty((n, width), np.float32), np.empty((n, gates)), np.zeros(n)
    changed_logits = np.empty((copies, n, width), np.float32)
    changed_distances, changed_own = np.empty((copies, n, gates)), np.zeros((copies, n))
    harder_logits = np.empty((0 if job.tells_amounts else copies, n, width), np.float32)
    per_fold = recipe.training.members_per_fold
    for number, fold in enumerate(split.folds):
        at = np.array([place[int(row)] for row in fold.held])
        members = range(number * per_fold, (number + 1) * per_fold)
        bank = Bank(recipe.gate, recipe.steps, grid=job.grid, classes=classes)
        gate.fit(bank, fold.train, fold=fold.part + 1)
        plain = as_tensor(resample(spectra.values[fold.held], spectra.axis, job.grid))
        changed = as_tensor(gate.copies(fold.held, 2, fold.part))
        logits[at] = _mean_logits(identifier, members, identifier.common(plain))
        said = _mean_logits(identifier, members, identifier.common(changed))
        changed_logits[:, at] = said.reshape(copies, len(at), width)
        if not job.tells_amounts:
            harder = as_tensor(gate.copies(fold.held, 3, fold.part, strength=recipe.sets.strength))
            said = _mean_logits(identifier, members, identifier.common(harder))
            harder_logits[:, at] = said.reshape(copies, len(at), width)
        near, far = bank(plain).numpy(), bank(changed).numpy()
        distances[at] = bank.distances(near)
        changed_distances[:, at] = bank.distances(far).reshape(copies, len(at), gates)
        if recipe.claims is not None:
            columns = bank.columns[recipe.claims.space][0] + spectra.targets[fold.held]
            own[at] = near[np.arange(len(at)), columns]
            changed_own[:, at] = far[np.arange(len(far)), np.tile(columns, copies)].reshape(copies, len(at))
    return HeldOut(
        logits=logits,
        distances=distances,
        own=own,
        changed_logits=changed_logits.reshape(-1, width),
        changed_distances=changed_distances.reshape(-1, gates),
        changed_own=changed_own.reshape(-1),
        harder_logits=harder_logits.reshape(-1, width),
    )


def _mean_logits(identifier: Identifier, members: range, prepared: Tensor) -> NDArray[np.float32]:
    said = [identifier.members[m](identifier.own[m](prepared)) for m in members]
    return np.asarray(torch.stack(said).mean(dim=0).numpy(), dtype=np.float32)
