"""What the journal says of drift, and what charts show that had to be learned anew: where the two differ, it is told.

The table of the charts may be lost, damaged or of another edition. What the journal has told stays told: while it is
read again nothing is said, and other charts than those that told it may show a drift a few readings earlier or later.
Plain functions, any thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edged.monitor.monitor import Key, Monitor, Told
from edged.monitor.product import Alarm, Ended, Learned, Watching
from edged.monitor.words import Cause
from edged.service.drifting import Item, readable
from edged.store.journal import Journal
from edged.store.record import DriftInfo, Record

Shown = tuple[str, str, Cause]  # station, serial number, cause: told once, however many products show it
Known = tuple[str, str, str, str | None]  # station, serial number, digest of the bundle, product


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What the journal tells its readers: alarms that `began` and have no end, products that are `known`."""

    began: Mapping[Shown, Record]
    known: frozenset[Known]


class Relearning:
    """Takes what is found in records up to `until`, silently; then says what has to be told of it."""

    def __init__(self, *, until: int) -> None:
        self.until = until
        self._learned: dict[Key, tuple[Told, Record]] = {}
        self._alarmed: dict[Key, tuple[Told, Record]] = {}

    def of(self, found: Sequence[Item]) -> list[Item]:
        """Return those up to `until`."""
        return [item for item in found if item.seq <= self.until]

    def take(self, told: Told, shown_by: Record) -> None:
        """Remember the latest finding of a kind; `untold` asks the charts whether it still holds."""
        match told.finding:
            case Learned():
                self._learned[told.key] = told, shown_by
            case Alarm():
                self._alarmed[told.key] = told, shown_by
            case Ended():
                self._alarmed.pop(told.key, None)

    def untold(self, monitor: Monitor, said: Said) -> list[tuple[Told, Record]]:
        """Return what holds now and the journal does not say: products, then of each drift who showed it first."""
        watched = {key for key, watch in monitor.products.items() if isinstance(watch, Watching)}
        news = [one for key, one in self._learned.items() if key in watched and _known(key) not in said.known]
        standing, told_of = dict(monitor.standing()), set(said.began)
        for key, (told, shown_by) in sorted(self._alarmed.items(), key=lambda one: one[1][0].finding.at):
            alarm = standing.get(key)
            if alarm is None or alarm != told.finding or not monitor.is_in_use(key):
                continue
            if _shown(key, alarm) not in told_of:
                news.append((replace(told, is_news=True), shown_by))
            told_of.add(_shown(key, alarm))
        return news

    def gone(self, monitor: Monitor, said: Said) -> list[Record]:
        """Return the beginnings of alarms that no chart shows any more."""
        standing = {_shown(key, alarm) for key, alarm in monitor.standing()}
        return [record for shown, record in said.began.items() if shown not in standing]


def said(journal: Journal, *, orders_until: int) -> Said:
    """Read what was told. Orders behind the record `orders_until` have not been followed yet. Raises StoreError."""
    began: dict[Shown, tuple[Record, str | None]] = {}  # with the product
    known: set[Known] = set()
    for record in readable(journal, kind="drift"):
        info, serial = record.drift, record.instrument.serial_number if record.instrument else None
        if info is None or record.station is None:
            continue
        if info.event == "baseline":
            known.add((record.station, serial or "", record.bundle.digest if record.bundle else "", info.product))
        elif info.event == "renewed":
            if record.seq <= orders_until:
                meant = _Meant(station=record.station, serial_number=serial, product=info.product)
                began = {of: one for of, one in began.items() if not meant.holds(of[0], of[1], one[1])}
                known = {of for of in known if not meant.holds(of[0], of[1], of[3])}
        elif info.cause is not None and info.event == "began":
            began[(record.station, serial or "", info.cause)] = record, info.product
        else:  # without an instrument: the record that showed when it began was spoilt
            meant = _Meant(station=record.station, serial_number=serial)
            began = {of: one for of, one in began.items() if of[2] != info.cause or not meant.holds(of[0], of[1])}
    return Said(began={of: record for of, (record, _) in began.items()}, known=frozenset(known))


def end_of(began: DriftInfo, *, at_seq: int, message: str) -> DriftInfo:
    """Return that an alarm is over of which nothing but its beginning is known."""
    return began.model_copy(update={"event": "ended", "at_seq": at_seq, "message": message, "hint": ""})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Meant:
    """Whom a record means. serial_number None: every instrument there; product None: all that it measures."""

    station: str
    serial_number: str | None
    product: str | None = None

    def holds(self, station: str, serial_number: str, product: str | None = None) -> bool:
        return (
            station == self.station and self.serial_number in (None, serial_number) and self.product in (None, product)
        )


def _known(key: Key) -> Known:
    return key.station, key.serial_number, key.bundle, key.product


def _shown(key: Key, alarm: Alarm) -> Shown:
    return key.station, key.serial_number, alarm.cause
