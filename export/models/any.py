"""Whatever a recipe may name as its model: a network, or a classical model that runs in the same graph."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from export.baselines.catalogue import BaselineWords
from export.models.catalogue import NetworkWords

ModelWords = Annotated[NetworkWords | BaselineWords, Field(discriminator="kind")]
