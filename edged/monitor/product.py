"""One product at one instrument: first learned, then watched. Readings in, findings out; no I/O, any one thread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edged.monitor.baseline import Baseline, baseline, come_in_lots
from edged.monitor.charts import Charts, Crossing
from edged.monitor.naming import named
from edged.monitor.template import Grid, Template, learn_by_folds
from edged.monitor.words import FITTED, SIGNALS, Cause, ChartName, SignalName

Array = NDArray[np.float64]

MAX_READINGS: Final = 500  # learning takes their square or more of time, on the thread that judges
HISTORY: Final = 64  # means remembered; a change that is dated farther back is told from there on
ROWS: Final = 16  # mean spectra remembered, to tell what drifted
CALM_MEANS: Final = 5  # so many quiet means end an alarm
LEAST_SD: Final = np.array([signal.least_sd for signal in SIGNALS])
RISES_ONLY: Final = np.array([signal.rises_only for signal in SIGNALS])
_IS_FITTED: Final = np.array([signal.name in FITTED for signal in SIGNALS])
_FITTED_AT: Final = np.array([FITTED.index(s.name) if s.name in FITTED else 0 for s in SIGNALS])


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One accepted reading. row [m]: on the grid. sensor: ln of the lamp's own sensor, %; score: log10 of the largest
    share of a gate's limit; None where there is none. at: the record's seq.
    """

    at: int
    row: Array
    sensor: float | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """What drifted, and since when.

    signal, chart, value, limit: what crossed, in standard deviations of a mean of `batch` readings. since: seq of the
    first reading after the change; at: of the one that showed it. changes: by signal, in its unit, mean since then.
    """

    cause: Cause
    signal: SignalName
    chart: ChartName
    value: float
    limit: float
    since: int
    at: int
    readings: int
    changes: Mapping[SignalName, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """The product is known: watching begins after reading `at`."""

    at: int
    baseline: Baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The alarm is over since reading `at`. forgotten: nobody saw it end, but what was learned had to go then."""

    at: int
    alarm: Alarm
    forgotten: bool = False


Finding = Learned | Alarm | Ended


class Learning:
    """The first readings, as they come. wanted: how many it takes.

    varies: what is in the product may change from lot to lot and be no fault. Where its readings come in lots it then
    takes MAX_READINGS, and as long as these do, too, others in place of the older half: by what is seen of a few lots
    every further one would be an alarm.
    """

    def __init__(self, *, grid: Grid, wanted: int, false_alarm_every: float, varies: bool = False) -> None:
        self.grid = grid
        self.varies = varies
        self.wanted = wanted
        self.in_lots = False  # whether earlier readings came so
        self.false_alarm_every = false_alarm_every
        self.rows: list[NDArray[np.float32]] = []
        self.others: list[tuple[float, float]] = []  # sensor and score, NaN where there is none

    def take(self, seen: Seen) -> tuple[Learning | Watching, Learned | None]:
        """Take one more; return what to go on with."""
        self.rows.append(seen.row.astype(np.float32))
        self.others.append(_others(seen))
        if len(self.rows) < self.wanted:
            return self, None
        template, fitted, by_chance = learn_by_folds(np.array(self.rows, dtype=np.float64), self.grid)
        signals = _joined(fitted, np.array(self.others))
        if self.varies and come_in_lots(np.nan_to_num(signals), once_seen=self.in_lots):
            if len(self.rows) >= MAX_READINGS:
                del self.rows[: MAX_READINGS // 2], self.others[: MAX_READINGS // 2]
            self.wanted, self.in_lots = MAX_READINGS, True
            return self, None
        shown = baseline(np.nan_to_num(signals), LEAST_SD)
        known = ~np.isnan(signals).any(axis=0) & (np.any(fitted, axis=0)[_FITTED_AT] | ~_IS_FITTED)
        shown = replace(shown, spread=np.where(known, shown.spread, np.inf))  # what cannot be seen never moves
        watching = Watching(
            template=template, baseline=shown, by_chance=by_chance, false_alarm_every=self.false_alarm_every
        )
        return watching, Learned(at=seen.at, baseline=shown)


class Watching:
    """A known product. `alarm` is what stands, or None."""

    def __init__(self, *, template: Template, baseline: Baseline, by_chance: float, false_alarm_every: float) -> None:
        self.template = template
        self.baseline = baseline
        self.by_chance = by_chance  # what the mean of ten readings is off by, see `learn_by_folds`
        self.false_alarm_every = false_alarm_every
        charts = max(int(np.isfinite(baseline.spread).sum()), 1)
        self.charts = Charts(
            values_between=false_alarm_every * charts / baseline.batch,
            learned_from=baseline.means,
            rises_only=RISES_ONLY,
            doubt=baseline.doubt,
        )
        self.pending = np.zeros((0, len(SIGNALS)))  # signals of the readings of a mean that is not complete yet
        self.pending_from = 0  # seq of the first of them
        self.pending_row = np.zeros_like(template.learnt.mean)  # sum of the same readings
        self.rows = np.zeros((0, len(self.pending_row)), dtype=np.float32)  # means of readings, the latest last
        self.history = np.zeros((0, len(SIGNALS)))  # standardised means, the latest last
        self.history_from = np.zeros(0, dtype=np.int64)  # seq of the first reading of each
        self.calm = 0
        self.readings = 0
        self.alarm: Alarm | None = None

    def take(self, seen: Seen) -> tuple[Watching, Alarm | Ended | None]:
        """Take one reading; return what it shows."""
        self.readings += 1
        signals = _joined(self.template.measure(seen.row), np.array([_others(seen)]))
        self.pending_from = self.pending_from if len(self.pending) else seen.at
        self.pending = np.vstack([self.pending, np.where(np.isnan(signals), self.baseline.centre, signals)])
        self.pending_row = self.pending_row + seen.row
        if len(self.pending) < self.baseline.batch:
            return self, None
        row = (self.pending_row / len(self.pending)).astype(np.float32)
        self.rows = np.vstack([self.rows, row])[-ROWS:]
        self.pending_row = np.zeros_like(self.pending_row)
        mean = self.baseline.standardised(self.pending.mean(axis=0))
        self.pending = self.pending[:0]
        self.history = np.vstack([self.history, mean])[-HISTORY:]
        self.history_from = np.append(self.history_from, self.pending_from)[-HISTORY:]
        crossing = self.charts.take(mean)
        return self, self._alarmed(crossing, seen.at) if self.alarm is None else self._over(crossing, seen.at)

    def _alarmed(self, crossing: Crossing | None, at: int) -> Alarm | None:
        if crossing is None:
            return None
        crossed = SIGNALS[crossing.signal].name
        since = max(1, min(crossing.means, len(self.history)))
        change = self.history[-since:].mean(axis=0)
        in_units = change * np.where(np.isfinite(self.baseline.spread), self.baseline.spread, 0.0)
        self.alarm = Alarm(
            cause=named(
                self.template,
                self.rows[-since:].mean(axis=0).astype(np.float64),
                readings=min(since, ROWS) * self.baseline.batch,
                by_chance=self.by_chance,
                crossed=crossed,
            ),
            signal=crossed,
            chart="cusum",
            value=crossing.value,
            limit=crossing.limit,
            since=int(self.history_from[-since]),
            at=at,
            readings=since * self.baseline.batch,
            changes={
                signal.name: float(value)
                for signal, value, spread in zip(SIGNALS, in_units, self.baseline.spread, strict=True)
                if np.isfinite(spread)
            },
        )
        self.calm = 0
        self.charts.cusum[:] = 0.0
        return self.alarm

    def _over(self, crossing: Crossing | None, at: int) -> Ended | None:
        if crossing is not None:
            self.charts.cusum[:] = 0.0  # it has been told; it must not run away
        self.calm = self.calm + 1 if crossing is None and self.charts.is_calm else 0
        if self.calm < CALM_MEANS:
            return None
        ended, self.alarm = self.alarm, None
        assert ended is not None
        self.charts.restart()
        return Ended(at=at, alarm=ended)


def _others(seen: Seen) -> tuple[float, float]:
    return (np.nan if seen.sensor is None else seen.sensor, np.nan if seen.score is None else seen.score)


def _joined(fitted: Array, others: Array) -> Array:
    """Return the signals [n, k] in the order of SIGNALS from FITTED [n, 5] and (sensor, score) [n, 2]."""
    signals = fitted[:, _FITTED_AT].copy()
    signals[:, ~_IS_FITTED] = others
    return signals
