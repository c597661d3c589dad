"""White references of one instrument against its first one: how much light, and of what colour. numpy only.

They come a few times a day, too seldom for charts, and a tile never lies twice alike; so they are judged by a limit
that the configuration states.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edged.monitor.product import Alarm, Ended

Array = NDArray[np.float64]
Optics = Mapping[str, bool | float | int | str | None]

CALM_SHARE = 0.5  # of the limit: a later white reference within it ends the alarm


class WhiteWatch:
    """Holds the first white reference. light [m]: counts of one unit of exposure and gain, at `axis` [m].

    optics: the settings that decide how much light falls on a point. With others there is nothing to compare.
    """

    def __init__(self, *, axis: Array, light: Array, optics: Optics, limit: float) -> None:
        self.axis = axis
        self.light = light
        self.optics = dict(optics)
        self.limit = limit
        self.alarm: Alarm | None = None

    def take(self, *, at: int, axis: Array, light: Array) -> Alarm | Ended | None:
        """Compare one more; return what it shows. One on another axis is compared where both are."""
        level, tilt = self._changes(axis, light)
        name, value = ("white_level", level) if abs(level) >= abs(tilt) else ("white_tilt", tilt)
        if self.alarm is None and abs(value) > 100.0 * self.limit:
            self.alarm = Alarm(
                cause="lamp",
                signal="white_level" if name == "white_level" else "white_tilt",
                chart="white",
                value=abs(value),
                limit=100.0 * self.limit,
                since=at,
                at=at,
                readings=1,
                changes={"white_level": level, "white_tilt": tilt},
            )
            return self.alarm
        if self.alarm is not None and abs(value) <= 100.0 * self.limit * CALM_SHARE:
            ended, self.alarm = self.alarm, None
            return Ended(at=at, alarm=ended)
        return None

    def _changes(self, axis: Array, light: Array) -> tuple[float, float]:
        """Return the change of the median light, and how much more the last point changed than the first, in %."""
        inside = (self.axis >= axis[0]) & (self.axis <= axis[-1])
        if np.count_nonzero(inside) < 2:
            return 0.0, 0.0  # another range altogether: nothing to compare
        here = self.axis[inside]
        ratio = np.log(np.maximum(np.interp(here, axis, light), 1e-12) / np.maximum(self.light[inside], 1e-12))
        slope = np.polynomial.polynomial.polyfit((here - here.mean()) / np.ptp(here), ratio, 1)[1]
        return 100.0 * float(np.expm1(np.median(ratio))), 100.0 * float(np.expm1(slope))
