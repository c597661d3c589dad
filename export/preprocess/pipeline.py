"""The steps of a recipe in a row: each is fitted on what the steps before it make of the training spectra.

A step's words in the recipe are its pydantic class here; the torch modules know nothing of recipes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Protocol, runtime_checkable

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from export.preprocess.scatter import Msc, Snv, VectorNormalisation
from export.preprocess.smooth import MovingAverage, SavitzkyGolay
from export.preprocess.standardise import Standardise
from export.preprocess.wavelet import Wavelet


class _Words(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SnvStep(_Words):
    """Standard normal variate of each spectrum."""

    kind: Literal["snv"]


class VectorStep(_Words):
    """Euclidean length one for each spectrum."""

    kind: Literal["vector-normalise"]


class MscStep(_Words):
    """Multiplicative scatter correction against the training mean."""

    kind: Literal["msc"]


class StandardiseStep(_Words):
    """Z-score of each wavelength over the training spectra."""

    kind: Literal["standardise"]


class SavgolStep(_Words):
    """Savitzky-Golay smoothing (derivative 0) or derivative."""

    kind: Literal["savgol"]
    window: Annotated[int, Field(ge=3, le=201)]
    order: Annotated[int, Field(ge=0, le=8)]
    derivative: Annotated[int, Field(ge=0, le=4)] = 0

    @model_validator(mode="after")
    def _makes_sense(self) -> SavgolStep:
        if self.window % 2 == 0:
            raise ValueError(f"window: {self.window} is even; a window has a middle point")
        if not self.derivative <= self.order < self.window:
            raise ValueError("order: at least the derivative and under the window")
        return self


class SmoothStep(_Words):
    """Moving average."""

    kind: Literal["smooth"]
    window: Annotated[int, Field(ge=3, le=201)]

    @model_validator(mode="after")
    def _makes_sense(self) -> SmoothStep:
        if self.window % 2 == 0:
            raise ValueError(f"window: {self.window} is even; a window has a middle point")
        return self


class WaveletStep(_Words):
    """Wavelet denoising (`universal` soft threshold) or smoothing (`drop` the details)."""

    kind: Literal["wavelet"]
    wavelet: Literal["sym8", "db8"]
    levels: Annotated[int, Field(ge=1, le=8)]
    rule: Literal["universal", "drop"] = "universal"


StepWords = Annotated[
    SnvStep | VectorStep | MscStep | StandardiseStep | SavgolStep | SmoothStep | WaveletStep,
    Field(discriminator="kind"),
]


@runtime_checkable
class Step(Protocol):
    """A torch module of one step."""

    def fit(self, spectra: Tensor) -> None:
        """Take constants from training spectra [n, points]."""

    def __call__(self, spectra: Tensor) -> Tensor:
        """Transform spectra [n, points]."""


class Pipeline(nn.Module):
    """Steps in a row, as one module."""

    def __init__(self, steps: Sequence[nn.Module]) -> None:
        super().__init__()
        self.steps = nn.ModuleList(steps)

    @torch.no_grad()
    def fit(self, spectra: Tensor) -> None:
        """Fit each step on the output of those before it."""
        for step in self.steps:
            assert isinstance(step, Step)
            step.fit(spectra)
            spectra = step(spectra)

    def forward(self, spectra: Tensor) -> Tensor:
        """Run all steps."""
        for step in self.steps:
            spectra = step(spectra)
        return spectra


def build(steps: Sequence[StepWords], points: int) -> Pipeline:
    """Return the unfitted modules of a recipe's steps for spectra of `points` points."""
    return Pipeline([_module(words, points) for words in steps])


def _module(words: StepWords, points: int) -> nn.Module:
    match words:
        case SnvStep():
            return Snv()
        case VectorStep():
            return VectorNormalisation()
        case MscStep():
            return Msc(points)
        case StandardiseStep():
            return Standardise(points)
        case SavgolStep():
            return SavitzkyGolay(window=words.window, order=words.order, derivative=words.derivative)
        case SmoothStep():
            return MovingAverage(window=words.window)
        case WaveletStep():
            return Wavelet(points, wavelet=words.wavelet, levels=words.levels, rule=words.rule)
