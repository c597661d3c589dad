"""All products at all instruments: whose reading it is, and which alarms are news. Any one thread; no I/O.

One drift of an instrument moves every product that is measured with it. It is told once: when the first product shows
it, and when the last one no longer does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edged.monitor.product import Alarm, Ended, Finding, Learned, Learning, Seen, Watching
from edged.monitor.template import Grid
from edged.monitor.white import Optics, WhiteWatch
from edged.monitor.words import Cause

Array = NDArray[np.float64]

MAX_PRODUCTS: Final = 32  # at all instruments together, half a megabyte each while learned; more: see `_expendable`
MAX_WHITES: Final = 32  # instruments


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What one set of charts is of. bundle: digest of the model that names the product, as labels are its own.

    product None: the instrument as a whole, by its white references.
    """

    station: str
    serial_number: str
    bundle: str = ""
    product: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A finding, and of what. is_news: no other product of that instrument shows the same alarm (any more).

    axis_unit: of the product's axis; empty for a white reference.
    """

    key: Key
    finding: Finding
    axis_unit: str
    is_news: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """readings: from which a product is learned. false_alarm_every: so many readings of a product, on average.

    white_change: share by which the light of a white reference, or its colour, may change.
    """

    readings: int = 200
    false_alarm_every: float = 10_000.0
    white_change: float = 0.1


class Monitor:
    """Holds `products` and `whites`, the latest used last. `touched`: those that changed since they were last kept.

    bundle: digest of the one in use, None when nobody knows; own_bundles: of the stations that have one of their own,
    as far as it is known. What was learned of another one waits for it, unseen, until it has to go.
    evicted: how many had to go.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.products: dict[Key, Learning | Watching] = {}
        self.whites: dict[Key, WhiteWatch] = {}
        self.touched: set[Key] = set()
        self.present: dict[str, str] = {}  # station -> serial number of the instrument that measured there last
        self.bundle: str | None = None
        self.own_bundles: dict[str, str | None] = {}
        self.evicted = 0

    def result(self, key: Key, grid: Grid, seen: Seen, *, varies: bool = False) -> list[Told]:
        """Take an accepted reading of a product; return what it shows, and what ends because of it.

        varies: see Learning.
        """
        self.touched.add(key)
        self.present[key.station] = key.serial_number
        watch = self.products.pop(key, None) or Learning(
            grid=grid, wanted=self.rules.readings, false_alarm_every=self.rules.false_alarm_every, varies=varies
        )
        self.products[key] = watch
        gone = self._made_room(self.products, MAX_PRODUCTS, at=seen.at)
        self.products[key], finding = watch.take(seen)
        return gone + self._told(key, finding)

    def white(self, key: Key, *, at: int, axis: Array, light: Array, optics: Optics) -> list[Told]:
        """Take a white reference of an instrument; return what it shows, and what ends because of it.

        light: counts of one unit of exposure and gain. optics: see WhiteWatch; with others it is a first one again.
        """
        self.touched.add(key)
        self.present[key.station] = key.serial_number
        watch = self.whites.pop(key, None)
        if watch is not None and watch.optics == optics:
            self.whites[key] = watch
            return self._told(key, watch.take(at=at, axis=axis, light=light))
        gone = self._forgotten(key, watch, at=at) if watch is not None else []
        self.whites[key] = WhiteWatch(axis=axis, light=light, optics=optics, limit=self.rules.white_change)
        return gone + self._made_room(self.whites, MAX_WHITES, at=at)

    def renew(self, *, station: str, serial_number: str | None = None, product: str | None = None) -> None:
        """Forget what was learned there: of one product, else of all and of the white reference."""
        for key in [key for key in (*self.products, *self.whites) if key.station == station]:
            if serial_number in (None, key.serial_number) and product in (None, key.product):
                self.products.pop(key, None)
                self.whites.pop(key, None)

    def is_in_use(self, key: Key) -> bool:
        """Whether readings of the bundle in use there can change it.

        Where nobody knows that bundle it is any one; of a station's own, any one but the usual.
        """
        if key.bundle == "":
            return True
        if key.station not in self.own_bundles:
            return self.bundle in (None, key.bundle)
        own = self.own_bundles[key.station]
        return key.bundle != self.bundle if own is None else key.bundle == own

    def alarms(self) -> Iterator[tuple[Key, Alarm]]:
        """Yield what stands, of the bundle in use and of the instruments that are `present`.

        Another one may be there another day.
        """
        for key, alarm in self.standing():
            if self.is_in_use(key) and self.present.get(key.station, key.serial_number) == key.serial_number:
                yield key, alarm

    def axis_unit(self, key: Key) -> str:
        """Return the unit of a product's axis; empty for what has none."""
        watch = self.products.get(key)
        return "" if watch is None else (watch.grid if isinstance(watch, Learning) else watch.template.grid).unit

    def standing(self) -> Iterator[tuple[Key, Alarm]]:
        """Yield what stands, of every bundle and instrument."""
        for key, watch in (*self.products.items(), *self.whites.items()):
            if not isinstance(watch, Learning) and watch.alarm is not None:
                yield key, watch.alarm

    def _made_room(self, watches: dict[Key, Any], most: int, *, at: int) -> list[Told]:
        told = []
        while len(watches) > most:
            key = _expendable(watches)
            told += self._forgotten(key, watches[key], at=at)
            del watches[key]
            self.evicted += 1
        return told

    def _forgotten(self, key: Key, watch: Learning | Watching | WhiteWatch, *, at: int) -> list[Told]:
        """Return the end of what stands there. A product's must still be held: its axis is looked up."""
        alarm = None if isinstance(watch, Learning) else watch.alarm
        return [] if alarm is None else self._told(key, Ended(at=at, alarm=alarm, forgotten=True))

    def _told(self, key: Key, finding: Finding | None) -> list[Told]:
        match finding:
            case None:
                return []
            case Learned():
                return [Told(key=key, finding=finding, axis_unit=self.axis_unit(key))]
            case Alarm(cause=cause) | Ended(alarm=Alarm(cause=cause)):
                is_news = not self._others_show(key, cause)
                return [Told(key=key, finding=finding, axis_unit=self.axis_unit(key), is_news=is_news)]

    def _others_show(self, key: Key, cause: Cause) -> bool:
        return any(
            other != key
            and (other.bundle == key.bundle or self.is_in_use(other))
            and (other.station, other.serial_number, alarm.cause) == (key.station, key.serial_number, cause)
            for other, alarm in self.standing()
        )


def _expendable(watches: dict[Key, Any]) -> Key:
    """Return the one unseen longest; before it, of the half unseen longest, one that is still being learned.

    Of some solvents there are more sets than anybody measures twice. They must not push out what is known.
    """
    half = list(islice(watches, max(len(watches) // 2, 1)))
    return next((key for key in half if isinstance(watches[key], Learning)), half[0])
