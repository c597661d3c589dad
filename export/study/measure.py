"""Measure one cell: train on its training rows, name its test rows. A plain function of a cell and the data folder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, matthews_corrcoef
from torch import Tensor, nn

from export.compare import run_rows, session
from export.data.augment import as_absorbance, from_absorbance, resample
from export.data.augment import session as changed_session
from export.data.catalogue import load_set
from export.data.spectra import Spectra
from export.data.split import grouped_parts, random_parts
from export.errors import DataUnusable
from export.fit import FitTask, Member, as_tensor, fit_member
from export.preprocess.pipeline import steps_in_two
from export.quantise.candidates import quantised
from export.study.cell import BlockPart, Candidate, Cell, GroupPart, Outcome, RandomShare, Score
from export.to_onnx import module_graph

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

INNER_PARTS = 4  # parts of the training rows that choose among candidates
BATCH = 256
LOGITS = "logits"


class Committee(nn.Module):
    """Spectra [n, points] in, the mean of what the members of a candidate say out: logits [n, classes]."""

    def __init__(self, candidate: Candidate, members: Sequence[Member], grid: NDArray[np.float64]) -> None:
        super().__init__()
        self.common, _ = steps_in_two(candidate.steps, grid)
        self.own = nn.ModuleList(member.own for member in members)
        self.members = nn.ModuleList(member.model for member in members)

    def forward(self, spectrum: Tensor) -> Tensor:
        """Return the mean logits."""
        prepared = self.common(spectrum)
        said = [member(own(prepared)) for own, member in zip(self.own, self.members, strict=True)]
        return torch.stack(said).mean(dim=0)

    def named(self, values: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the class column of the largest mean logit of each spectrum."""
        with torch.no_grad():
            said = torch.cat([self(rows) for rows in as_tensor(values).split(BATCH)])
        return np.asarray(said.argmax(dim=1).numpy(), dtype=np.int64)


def measure(cell: Cell, data: Path) -> Outcome:
    """Return what the cell gives. Deterministic; one thread. Raises DataUnusable."""
    started = time.process_time()
    spectra = load_set(cell.set, data)
    train, test = rows_of(cell, spectra)
    chosen = _chosen(cell, spectra, train)
    members = [_fit(cell, chosen, spectra, train, number) for number in range(cell.members)]
    targets = spectra.targets[test]
    grid = _grid(cell, spectra)
    network = Committee(chosen, members, grid)
    graph = None if cell.scheme is None else quantised(module_graph(network, len(grid), outputs=(LOGITS,)), cell.scheme)
    name = network.named if graph is None else partial(_named_by, session(graph))
    rows = resample(spectra.values[test], spectra.axis, grid)
    predicted = name(rows)
    said = [name(values) for values in _stressed(cell, spectra, test)]
    return Outcome(
        cell=cell,
        chosen=chosen.name,
        score=score(targets, predicted),
        stress=score(np.tile(targets, len(said)), np.concatenate(said)) if said else None,
        tested=tuple(test.tolist()),
        predicted=tuple(predicted.tolist()),
        parameters=sum(parameters(member) for member in members),
        settings=members[0].settings,
        seconds=round(time.process_time() - started, 2),
        alike=None if graph is None else float((predicted == network.named(rows)).mean()),
        size_bytes=None if graph is None else graph.ByteSize(),
    )


def rows_of(cell: Cell, spectra: Spectra) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows that learn and those that test. Raises DataUnusable where a side is empty."""
    match cell.split:
        case RandomShare(train=share, seed=seed):
            part = random_parts(spectra.targets, parts=1000, seed=seed)
            counts = np.bincount(spectra.targets)[spectra.targets]
            tests = part >= np.rint(share * counts)
        case GroupPart(parts=parts, test=test, seed=seed):
            tests = grouped_parts(spectra.targets, spectra.groups, parts=parts, seed=seed) == test
        case BlockPart(scans=scans, test=test):
            tests = spectra.scan // scans == test
    if tests.all() or not tests.any():
        raise DataUnusable(f"{cell.set}: {cell.split} leaves a side empty", hint="name a part that the set has")
    return np.flatnonzero(~tests), np.flatnonzero(tests)


def score(truth: NDArray[np.int64], predicted: NDArray[np.int64]) -> Score:
    """Return the four figures, by scikit-learn."""
    return Score(
        accuracy=round(float(accuracy_score(truth, predicted)), 6),
        macro_f1=round(float(f1_score(truth, predicted, average="macro", zero_division=0.0)), 6),
        mcc=round(float(matthews_corrcoef(truth, predicted)), 6),
        kappa=round(float(cohen_kappa_score(truth, predicted)), 6),
    )


def parameters(member: Member) -> int:
    """Return how many numbers a fitted model holds."""
    weights = [*member.model.parameters(), *member.model.buffers()]
    return sum(w.numel() for w in weights if w.is_floating_point())


def _grid(cell: Cell, spectra: Spectra) -> NDArray[np.float64]:
    axis = cell.axis
    return spectra.axis if axis is None else np.linspace(axis.start, axis.stop, axis.points)


def _chosen(cell: Cell, spectra: Spectra, train: NDArray[np.int64]) -> Candidate:
    """The candidate that names most spectra of groups left out of the training rows; the first of equals."""
    if len(cell.candidates) == 1:
        return cell.candidates[0]
    part = grouped_parts(spectra.targets[train], spectra.groups[train], parts=INNER_PARTS, seed=cell.seed)
    grid = _grid(cell, spectra)
    right = []
    for candidate in cell.candidates:
        count = 0
        for left in range(INNER_PARTS):
            member = _fit(cell, candidate, spectra, train[part != left], 100 + left)
            held = train[part == left]
            values = resample(spectra.values[held], spectra.axis, grid)
            count += int((Committee(candidate, [member], grid).named(values) == spectra.targets[held]).sum())
        right.append(count)
    return cell.candidates[int(np.argmax(right))]


def _fit(cell: Cell, candidate: Candidate, spectra: Spectra, rows: NDArray[np.int64], number: int) -> Member:
    return fit_member(
        FitTask(
            axis=spectra.axis,
            axis_unit=spectra.axis_unit,
            quantity=spectra.quantity,
            grid=_grid(cell, spectra),
            values=spectra.values[rows],
            targets=spectra.targets[rows],
            groups=spectra.groups[rows],
            classes=len(spectra.classes),
            steps=candidate.steps,
            network=candidate.network,
            learning=candidate.learning,
            seed=(cell.seed, number),
        )
    )


def _named_by(graph: InferenceSession, values: NDArray[np.float64]) -> NDArray[np.int64]:
    return run_rows(graph, values.astype(np.float32), LOGITS).argmax(axis=1)


def _stressed(cell: Cell, spectra: Spectra, test: NDArray[np.int64]) -> list[NDArray[np.float64]]:
    if cell.stress is None:
        return []
    rng = np.random.default_rng([7, cell.seed])
    values = as_absorbance(spectra.values[test], spectra.quantity)
    grid, words = _grid(cell, spectra), cell.stress
    changed = [changed_session(values, spectra.axis, grid, words.session, rng) for _ in range(words.sessions)]
    return [from_absorbance(rows, spectra.quantity) for rows in changed]
