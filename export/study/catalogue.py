"""Every study by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from export.study import components, fusion, grid, tablets
from export.study.library.study import study as library
from export.study.solvents.study import study as solvents
from export.study.study import Study

STUDIES: Mapping[str, Callable[[], Study[Any, Any]]] = {
    "tablets": tablets.study,
    "grid": grid.study,
    "components": components.study,
    "fusion": fusion.study,
    "solvents": solvents,
    "library": library,
}
