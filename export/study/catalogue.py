"""Every study by name, of cells or in one piece."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from export.page import Page
from export.progress import Report
from export.study import calibration, components, fusion, grid
from export.study.fusion_components.study import study as fusion_components
from export.study.library.study import study as library
from export.study.solvents.study import study as solvents
from export.study.stress.study import study as stress
from export.study.study import Study
from export.study.tablets.study import study as tablets
from export.study.unknowns import page as unknowns

STUDIES: Mapping[str, Callable[[], Study[Any, Any]]] = {
    "tablets": tablets,
    "grid": grid.study,
    "components": components.study,
    "fusion": fusion.study,
    "fusion-components": fusion_components,
    "solvents": solvents,
    "library": library,
    "stress": stress,
}
WHOLE: Mapping[str, Callable[[Path, Report], Page]] = {
    "unknowns": unknowns.page_of,
    "calibration": calibration.page_of,
}
"""Minutes of work that keep no outcomes: a data folder and a report of progress to a page."""
