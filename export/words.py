"""The base of everything that a recipe may say: a frozen value in which an unknown key is an error."""

from __future__ import annotations

import hashlib

from pydantic import BaseModel, ConfigDict


class Words(BaseModel):
    """Base of the recipe's vocabulary. Numbers are finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def digest(self) -> str:
        """Return the SHA-256 of what is said, in hex: equal for equal meaning."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()
