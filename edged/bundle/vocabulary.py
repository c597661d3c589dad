"""Parts that several tables of the manifest are made of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edged.infer.verdict import Model

Label = Annotated[str, Field(min_length=1, max_length=64)]
Title = Annotated[str, Field(min_length=1, max_length=200)]


class Axis(Model):
    """An even axis: `points` positions from `start` to `stop`, both included."""

    unit: Literal["nm", "cm-1"]
    start: float
    stop: float
    points: Annotated[int, Field(ge=8, le=65_536)]
