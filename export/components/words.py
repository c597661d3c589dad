"""How a model of components is made, in a recipe's words: what the network learns from, and what confirms it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from export.learning import Positive
from export.preprocess.words import StepWords
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

    steps: linear in what is mixed but for a change of domain in front: reflectance, -log10 or none, then derivatives
    and crops. directions: how many of the ways in which its own scans differ are counted as noise of each compound.
    shift, broadening: what another instrument does, in units of the axis: an error of the axis, standard deviation, and
    a change of resolution, full width at half maximum. noise: standard deviation in the spectrum's own unit, at least;
    counts are taken relative to the highest point. path, slope_au: what another filling or session does to absorbance:
    the spread of the path length, relative, and of a slope over half of the axis.
    """

    steps: tuple[StepWords, ...]
    directions: Annotated[int, Field(ge=0, le=MOST_DIRECTIONS)] = 16
    shift: Annotated[float, Field(ge=0, le=100)] = 0.0
    broadening: Annotated[float, Field(ge=0, le=100)] = 0.0
    noise: Annotated[float, Field(ge=0, le=1)] = 0.0
    path: Annotated[float, Field(ge=0, le=1)] = 0.0
    slope_au: Annotated[float, Field(ge=0, le=1)] = 0.0
