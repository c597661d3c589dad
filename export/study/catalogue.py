"""Every study by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from export.study import grid, tablets
from export.study.study import Study

STUDIES: Mapping[str, Callable[[], Study]] = {"tablets": tablets.study, "grid": grid.study}
