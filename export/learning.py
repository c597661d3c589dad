"""How a model learns, in a recipe's words: the optimiser, and what is done to the spectra on the way."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from export.data.augment import Augmentation
from export.words import Words

Positive = Annotated[float, Field(gt=0)]


class Learning(Words):
    """Networks: AdamW with a one-cycle rate; `ema` averages the weights. strength: of the augmentation.

    copies: what a classical model is fitted on: that many augmented copies of each spectrum, or, with 1, the spectra as
    they are.
    """

    epochs: Annotated[int, Field(ge=1, le=2000)]
    batch: Annotated[int, Field(ge=4, le=4096)]
    learning_rate: Positive
    weight_decay: Annotated[float, Field(ge=0)]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    ema: Annotated[float, Field(ge=0, lt=1)]
    strength: Annotated[float, Field(ge=0, le=3)]
    copies: Annotated[int, Field(ge=1, le=20)] = 1
    augmentation: Augmentation
