"""Every study by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from export.study import components, fusion, grid, library, solvents, tablets
from export.study.study import Study

STUDIES: Mapping[str, Callable[[], Study[Any, Any]]] = {
    "tablets": tablets.study,
    "grid": grid.study,
    "components": components.study,
    "fusion": fusion.study,
    "solvents": solvents.study,
    "library": library.study,
}
