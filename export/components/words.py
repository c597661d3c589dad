"""How a model of components is made, in a recipe's words: what the network learns from, and what confirms it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from export.learning import Positive
from export.preprocess.words import (
    BaselineStep,
    MinMaxStep,
    SnvStep,
    StandardiseStep,
    StepWords,
)
from export.words import Words

MOST_DIRECTIONS = 32


class Schooling(Words):
    """AdamW with a one-cycle rate on mixtures that are made anew in each epoch; `ema` averages the weights.

    mixtures: of an epoch. balanced: each member of a bank has mixtures of its own, half of which hold its compound, as
    the literature trains; else all compounds learn from the same mixtures.
    """

    epochs: Annotated[int, Field(ge=1, le=500)]
    mixtures: Annotated[int, Field(ge=32, le=1_000_000)]
    batch: Annotated[int, Field(ge=8, le=4096)] = 64
    learning_rate: Positive = 3e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.98
    balanced: bool = False


class Unmixing(Words):
    """Where mixtures are taken apart by least squares, and what is known of how scans of one compound differ.

    steps: a change of domain or none, then what leaves a sum of spectra a sum, but for one factor: derivatives, crops,
    a common length. Steps that learn from spectra are refused, and those that treat each in its own way. directions:
    how many of the ways in which its own scans differ are counted as noise of each compound.
    shift, broadening: what another instrument does, in units of the axis: an error of the axis, standard deviation, and
    a change of resolution, full width at half maximum. noise: standard deviation in the spectrum's own unit, at least;
    counts are taken relative to the highest point.
    """

    steps: tuple[StepWords, ...]
    directions: Annotated[int, Field(ge=0, le=MOST_DIRECTIONS)] = 16
    shift: Annotated[float, Field(ge=0, le=100)] = 0.0
    broadening: Annotated[float, Field(ge=0, le=100)] = 0.0
    noise: Annotated[float, Field(ge=0, le=1)] = 0.0

    @model_validator(mode="after")
    def _mixtures_add_up(self) -> Unmixing:
        for step in self.steps:
            if step.fitted:
                raise ValueError(f"steps: {step.kind} learns from spectra: no mixture adds up behind it")
            if isinstance(step, SnvStep | StandardiseStep | MinMaxStep | BaselineStep):
                raise ValueError(f"steps: {step.kind} treats each spectrum in its own way: no mixture adds up")
        return self
