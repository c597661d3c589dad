"""The base of everything that a recipe may say: a frozen value in which an unknown key is an error."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Words(BaseModel):
    """Base of the recipe's vocabulary. Numbers are finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
