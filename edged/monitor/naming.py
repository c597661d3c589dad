"""What drifted: the cause whose pattern explains the change of the product's mean spectrum. numpy only."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from edged.monitor.template import RUN, Template
from edged.monitor.words import FITTED, Cause, SignalName

UNEXPLAINED: Final = 0.35  # of what the best pattern explains: with more left over, none of them is it
CHANCE: Final = 2.0  # times what is off by chance: what is left over counts only beyond

_PATTERNS: Final = {
    "lamp": (FITTED.index("lamp"),),
    "axis": (FITTED.index("axis"),),
    "presentation": (FITTED.index("offset"), FITTED.index("path")),
}


def named(
    template: Template, row: NDArray[np.float64], *, readings: int, by_chance: float, crossed: SignalName
) -> Cause:
    """Return what drifted. row [m]: mean of `readings` since the change; by_chance: what RUN readings are off by.

    crossed: the signal that alarmed. The lamp's own sensor sees nothing but the lamp. Of the spectrum's signals it does
    not count which alarmed first: another product moves them all.
    """
    if crossed == "sensor":
        return "lamp"
    known = {cause: template.explained(row, columns) for cause, columns in _PATTERNS.items()}
    best = max(known, key=lambda cause: known[cause])
    left_over = template.change(row) - known[best] - CHANCE * by_chance * RUN / readings
    return "product" if left_over > UNEXPLAINED * known[best] else best  # type: ignore[return-value]
