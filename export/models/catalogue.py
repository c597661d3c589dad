"""All networks that a recipe may name, by their `kind`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from export.models.gru import GruWords
from export.models.lstm import LstmWords

NetworkWords = Annotated[GruWords | LstmWords, Field(discriminator="kind")]
