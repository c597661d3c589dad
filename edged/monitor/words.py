"""What can drift, what is charted to see it, what to tell people. Imports no other room: records use these words.

So Cause, SignalName and DriftEvent may grow, and never lose a word. ChartName may: records have a list of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

Cause = Literal["lamp", "axis", "presentation", "product"]
SignalName = Literal["lamp", "sensor", "axis", "offset", "path", "residual", "score", "white_level", "white_tilt"]
ChartName = Literal["cusum", "white"]
DriftEvent = Literal["baseline", "began", "ended", "renewed"]

CAUSES: Final[tuple[Cause, ...]] = get_args(Cause)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One number of each reading that is charted.

    least_sd: a spread below which no change would matter to anybody; the charts never take a smaller one. rises_only:
    a fall is no fault. unit: `axis` is nm or 1/cm as the product's axis is.
    """

    name: SignalName
    cause: Cause
    text: str
    unit: str
    least_sd: float
    rises_only: bool = False


SIGNALS: Final = (
    Signal(name="lamp", cause="lamp", text="temperature of the filament", unit="%", least_sd=0.02),
    Signal(name="sensor", cause="lamp", text="light at the lamp's own sensor", unit="%", least_sd=0.1),
    Signal(name="axis", cause="axis", text="place on the axis", unit="axis", least_sd=0.02),
    Signal(name="offset", cause="presentation", text="level", unit="", least_sd=0.001),
    Signal(name="path", cause="presentation", text="path of the light in the sample", unit="%", least_sd=0.2),
    Signal(
        name="residual",
        cause="product",
        text="what the product's own scans do not explain",
        unit="decades",
        least_sd=0.01,
        rises_only=True,
    ),
    Signal(
        name="score",
        cause="product",
        text="distance to the model's gates",
        unit="decades",
        least_sd=0.01,
        rises_only=True,
    ),
)
WHITE_SIGNALS: Final = (  # of a white reference against the first one: judged by a stated limit, not by a spread
    Signal(name="white_level", cause="lamp", text="light of the white reference", unit="%", least_sd=0.0),
    Signal(name="white_tilt", cause="lamp", text="its long wavelengths against its short ones", unit="%", least_sd=0.0),
)
FITTED: Final[tuple[SignalName, ...]] = ("offset", "path", "lamp", "axis", "residual")  # seen in the spectrum itself

HINTS: Final[dict[Cause, str]] = {  # each ends with a command that works as it stands, once STATION has its name
    "lamp": "take a new white reference; if it stays, have the lamp changed, then: "
    'edged drift renew STATION --note "new lamp"',
    "axis": "run a self test of the axis; have the instrument adjusted, then: "
    'edged drift renew STATION --note "axis adjusted"',
    "presentation": "look at window, distance, filling and particle size; if it was meant: "
    'edged drift renew STATION --note "what was changed"',
    "product": "keep a sample and have it assayed; if the change was meant: "
    'edged drift renew STATION --note "what was changed"',
}
