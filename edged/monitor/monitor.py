"""All products at all instruments: whose reading it is, and which alarms are news. Any one thread; no I/O.

One drift of an instrument moves every product that is measured with it. It is told once: when the first product shows
it, and when the last one no longer does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edged.monitor.product import Alarm, Ended, Finding, Learned, Learning, Seen, Watching
from edged.monitor.template import Grid
from edged.monitor.white import WhiteWatch
from edged.monitor.words import Cause

Array = NDArray[np.float64]

MAX_PRODUCTS: Final = 32  # at all instruments together, half a megabyte each while learned; the one unseen longest goes
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
    """A finding, and of what. is_news: no other product of that instrument shows the same alarm (any more)."""

    key: Key
    finding: Finding
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
    """Holds `products` and `whites`, the latest used last. `touched`: those that changed since they were last kept."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.products: dict[Key, Learning | Watching] = {}
        self.whites: dict[Key, WhiteWatch] = {}
        self.touched: set[Key] = set()
        self.present: dict[str, str] = {}  # station -> serial number of the instrument that measured there last

    def result(self, key: Key, grid: Grid, seen: Seen) -> Told | None:
        """Take an accepted reading of a product."""
        self.touched.add(key)
        self.present[key.station] = key.serial_number
        watch = self.products.pop(key, None) or Learning(
            grid=grid, wanted=self.rules.readings, false_alarm_every=self.rules.false_alarm_every
        )
        while len(self.products) >= MAX_PRODUCTS:
            del self.products[next(iter(self.products))]
        self.products[key], finding = watch.take(seen)
        return self._told(key, finding)

    def white(self, key: Key, *, at: int, axis: Array, light: Array) -> Told | None:
        """Take a white reference of an instrument. light: counts of one unit of exposure and gain."""
        self.touched.add(key)
        self.present[key.station] = key.serial_number
        watch = self.whites.pop(key, None)
        if watch is None:
            while len(self.whites) >= MAX_WHITES:
                del self.whites[next(iter(self.whites))]
            self.whites[key] = WhiteWatch(axis=axis, light=light, limit=self.rules.white_change)
            return None
        self.whites[key] = watch
        return self._told(key, watch.take(at=at, axis=axis, light=light))

    def renew(self, *, station: str, serial_number: str | None = None, product: str | None = None) -> None:
        """Forget what was learned there: of one product, else of all and of the white reference."""
        for key in [key for key in (*self.products, *self.whites) if key.station == station]:
            if serial_number in (None, key.serial_number) and product in (None, key.product):
                self.products.pop(key, None)
                self.whites.pop(key, None)

    def keep_only(self, bundle: str) -> None:
        """Forget the products of every other bundle: nobody reads by it any more, and its alarms would never end."""
        for key in [key for key in self.products if key.bundle != bundle]:
            del self.products[key]

    def alarms(self) -> Iterator[tuple[Key, Alarm]]:
        """Yield what stands, of the instruments that are `present`; another one may be there another day."""
        for key, watch in (*self.products.items(), *self.whites.items()):
            is_here = self.present.get(key.station, key.serial_number) == key.serial_number
            if is_here and not isinstance(watch, Learning) and watch.alarm is not None:
                yield key, watch.alarm

    def _told(self, key: Key, finding: Finding | None) -> Told | None:
        match finding:
            case None:
                return None
            case Learned():
                return Told(key=key, finding=finding)
            case Alarm(cause=cause) | Ended(alarm=Alarm(cause=cause)):
                return Told(key=key, finding=finding, is_news=not self._others_show(key, cause))

    def _others_show(self, key: Key, cause: Cause) -> bool:
        return any(
            other != key
            and (other.station, other.serial_number, alarm.cause) == (key.station, key.serial_number, cause)
            for other, alarm in self.alarms()
        )
