"""Whatever a recipe may name as its model: a network, or a classical model that runs in the same graph.

Two classical models tell amounts; a network tells what it is trained for.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from export.baselines.catalogue import BaselineWords, DoseWords
from export.models.catalogue import NetworkWords

ModelWords = Annotated[NetworkWords | BaselineWords | DoseWords, Field(discriminator="kind")]
