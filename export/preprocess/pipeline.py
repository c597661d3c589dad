"""The steps of a recipe in a row: each is fitted on what the steps before it make of the training spectra.

A row takes and gives float32 and computes in float64: what lies between two steps is often a small difference on a
large value, and a z-score behind it multiplies its rounding by hundreds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.errors import RecipeError
from export.preprocess.baseline import Baseline
from export.preprocess.detrend import Detrend
from export.preprocess.scale import Crop, KubelkaMunk, MinMax, NegativeLog, Reflectance
from export.preprocess.scatter import Emsc, Msc, Snv, VectorNormalisation
from export.preprocess.smooth import MovingAverage, SavitzkyGolay
from export.preprocess.standardise import MeanCentre, Standardise
from export.preprocess.views import LevelAndShape
from export.preprocess.wavelet import Wavelet
from export.preprocess.words import (
    BaselineStep,
    CentreStep,
    CropStep,
    DetrendStep,
    EmscStep,
    KubelkaMunkStep,
    LevelAndShapeStep,
    LogStep,
    MinMaxStep,
    MscStep,
    ReflectanceStep,
    SavgolStep,
    SmoothStep,
    SnvStep,
    StandardiseStep,
    StepWords,
    VectorStep,
    WaveletStep,
)

Axis = NDArray[np.float64]
FEWEST_POINTS = 8  # what a crop must leave


@runtime_checkable
class Step(Protocol):
    """A torch module of one step."""

    def fit(self, spectra: Tensor) -> None:
        """Take constants from training spectra [n, points]."""

    def __call__(self, spectra: Tensor) -> Tensor:
        """Transform spectra [n, points]."""


class Pipeline(nn.Module):
    """Steps in a row, as one module. goes_on: another row follows, and takes float64 from this one."""

    def __init__(self, steps: Sequence[nn.Module], *, goes_on: bool = False) -> None:
        super().__init__()
        self.steps = nn.ModuleList(steps)
        self.goes_on = goes_on

    @torch.no_grad()
    def fit(self, spectra: Tensor) -> None:
        """Fit each step on the output of those before it."""
        spectra = spectra.double()
        for step in self.steps:
            assert isinstance(step, Step)
            step.fit(spectra)
            spectra = step(spectra)

    def forward(self, spectra: Tensor) -> Tensor:
        """Run all steps."""
        spectra = spectra.double()
        for step in self.steps:
            spectra = step(spectra)
        return spectra if self.goes_on else spectra.float()


def build(steps: Sequence[StepWords], axis: Axis | int, *, goes_on: bool = False) -> Pipeline:
    """Return the unfitted modules of a recipe's steps for spectra on an ascending axis; `goes_on` as in `Pipeline`.

    Only a crop reads the positions; for other steps the number of points will do. Raises RecipeError that names a step
    which does not fit the axis.
    """
    axis = _positions(axis)
    modules = []
    for number, words in enumerate(steps):
        try:
            modules.append(_module(words, axis))
            axis = _after(words, axis)
        except ValueError as error:
            problem = f"steps.{number}.{words.kind}: {error}"
            raise RecipeError(problem, problems=(problem,)) from error
    return Pipeline(modules, goes_on=goes_on)


def axis_after(steps: Sequence[StepWords], axis: Axis | int) -> Axis:
    """Return the axis of what the steps give; a crop shortens it, views repeat each point. `axis` as in `build`, which
    checks the steps.
    """
    axis = _positions(axis)
    for words in steps:
        axis = _after(words, axis)
    return axis


def steps_in_two(steps: Sequence[StepWords], axis: Axis | int) -> tuple[Pipeline, Pipeline]:
    """Return the steps, unfitted: those that need no training data, and the rest, from the first that does.

    axis: as in `pipeline.build`.
    """
    first = next((i for i, words in enumerate(steps) if words.fitted), len(steps))
    return build(steps[:first], axis, goes_on=True), build(steps[first:], axis_after(steps[:first], axis))


def _positions(axis: Axis | int) -> Axis:
    return axis if isinstance(axis, np.ndarray) else np.full(axis, np.nan)


def _after(words: StepWords, axis: Axis) -> Axis:
    match words:
        case CropStep():
            return axis[slice(*_ends(words, axis))]
        case LevelAndShapeStep():
            return np.repeat(axis, 3)
        case _:
            return axis


def _ends(words: CropStep, axis: Axis) -> tuple[int, int]:
    if np.isnan(axis).any():
        raise ValueError("a crop needs the axis, and only its number of points is known here")
    slack = 1e-6 * (axis[-1] - axis[0])  # an end that was meant to be a point of the axis is one
    begin, end = np.searchsorted(axis, [words.start - slack, words.stop + slack])
    if end - begin < FEWEST_POINTS:
        raise ValueError(
            f"{words.start:g} to {words.stop:g} holds {end - begin} points of an axis from {axis[0]:g} to "
            f"{axis[-1]:g}; at least {FEWEST_POINTS}"
        )
    return int(begin), int(end)


def _module(words: StepWords, axis: Axis) -> nn.Module:
    points = len(axis)
    match words:
        case SnvStep():
            return Snv()
        case VectorStep():
            return VectorNormalisation()
        case MinMaxStep():
            return MinMax()
        case MscStep():
            return Msc(points)
        case EmscStep():
            return Emsc(points, order=words.order, constituents=_constituents(words, points))
        case StandardiseStep(by="spectrum"):
            return Snv(correction=0)
        case StandardiseStep():
            return Standardise(points, together=words.by == "set")
        case CentreStep():
            return MeanCentre(points)
        case DetrendStep():
            return Detrend(points, order=words.order)
        case BaselineStep():
            return Baseline(points, knots=words.knots, stiffness=words.stiffness, rounds=words.rounds)
        case LogStep():
            return NegativeLog(floor=words.floor)
        case ReflectanceStep():
            return Reflectance()
        case KubelkaMunkStep():
            return KubelkaMunk()
        case LevelAndShapeStep():
            return LevelAndShape(len(axis))
        case CropStep():
            begin, end = _ends(words, axis)
            return Crop(begin=begin, end=end)
        case SavgolStep():
            return SavitzkyGolay(points, window=words.window, order=words.order, derivative=words.derivative)
        case SmoothStep():
            return MovingAverage(points, window=words.window)
        case WaveletStep():
            return Wavelet(points, wavelet=words.wavelet, levels=words.levels, rule=words.rule)


def _constituents(words: EmscStep, points: int) -> NDArray[Any]:
    for number, spectrum in enumerate(words.constituents):
        if len(spectrum) != points:
            raise ValueError(f"constituents.{number}: {len(spectrum)} values on an axis of {points} points")
    return np.array(words.constituents, dtype=np.float64).reshape(len(words.constituents), points)
