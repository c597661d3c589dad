"""Records into the monitor: which of them count, and what of them. The daemon and `edged drift replay` go this way.

Plain functions, any thread.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edged.acquire.references import OPTICAL, unpack_spectrum
from edged.bundle.archive import Bundle
from edged.bundle.manifest import Manifest
from edged.infer.verdict import Verdict
from edged.monitor.monitor import Key, Monitor, Told
from edged.monitor.product import Seen
from edged.monitor.template import MAX_POINTS, Grid
from edged.service.pipeline import SPECTRUM
from edged.spectra.spectrum import Spectrum, SpectrumError
from edged.store.errors import StoreDamaged
from edged.store.journal import Journal, record_from
from edged.store.record import Record

Array = NDArray[np.float64]

ACCEPTED: Final = frozenset({"identified", "pass", "quantified", "resolved"})
MAX_PRODUCT: Final = 256  # characters as JSON, of which a key has place beside station, instrument and bundle
_LEAST_LIGHT: Final = 1e-6  # of the brightest: keeps a logarithm finite where a point saw none


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A record of the journal, with its spectrum as stored where the monitor wants it and it is still there.

    record None: it cannot be read, nor can what lies beside it. `edged journal verify` tells of it.
    """

    seq: int
    record: Record | None = None
    spectrum: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InUse:
    """The bundles that judge: `own` at stations that have one of their own, `usual` elsewhere. None: it is unusable."""

    usual: Bundle | None
    own: Mapping[str, Bundle | None] = field(default_factory=dict)

    def at(self, station: str) -> Bundle | None:
        """Return the one that judges at a station."""
        return self.own.get(station, self.usual)

    @property
    def is_any(self) -> bool:
        """Whether there is one at all."""
        return any(bundle is not None for bundle in (self.usual, *self.own.values()))

    def tell(self, monitor: Monitor) -> None:
        """Let the monitor know whose readings can change what. One that is unusable is still the one it was."""
        known = monitor.own_bundles
        monitor.bundle = self.usual.digest if self.usual is not None else monitor.bundle
        monitor.own_bundles = {
            name: bundle.digest if bundle is not None else known.get(name) for name, bundle in self.own.items()
        }


def items(journal: Journal, *, after_seq: int, limit: int) -> list[Item]:
    """Return the next records. One that was spoilt hides none behind it. Raises StoreError."""
    return [_item(journal, seq, body) for seq, body in journal.numbered(after_seq=after_seq, limit=limit)]


def readable(
    journal: Journal,
    *,
    after_seq: int = 0,
    limit: int | None = None,
    newest_first: bool = False,
    kind: str | None = None,
) -> Iterator[Record]:
    """Yield records as `Journal.records` does, but for those that were spoilt. Raises StoreError."""
    for _, body in journal.numbered(after_seq=after_seq, limit=limit, newest_first=newest_first, kind=kind):
        try:
            yield record_from(body)
        except StoreDamaged:
            continue


def record_at(journal: Journal, seq: int) -> Record | None:
    """Return the record of that number, None when it cannot be read. Raises StoreError."""
    return next(readable(journal, after_seq=seq - 1, limit=1), None)


def take(monitor: Monitor, item: Item, in_use: InUse) -> list[Told]:
    """Show one record to the monitor. One that another bundle judged, or that lost its spectrum, does not count."""
    record = item.record
    if record is None:
        return []
    if record.kind == "drift":
        _renew(monitor, record)
        return []
    if item.spectrum is None or record.station is None or record.instrument is None:
        return []
    try:
        spectrum = unpack_spectrum(item.spectrum)
    except SpectrumError:
        return []  # `edged journal verify` tells of it
    if record.kind == "reference":
        return _white(monitor, item.seq, record, spectrum)
    bundle = in_use.at(record.station)
    if bundle is None or record.bundle is None or record.bundle.digest != bundle.digest or record.verdict is None:
        return []
    grid = grid_of(bundle.manifest)
    if spectrum.axis_unit != grid.unit:
        return []
    key = Key(
        station=record.station,
        serial_number=record.instrument.serial_number,
        bundle=bundle.digest,
        product=product_of(record.verdict),
    )
    row = as_absorbance(np.interp(grid.axis, spectrum.axis, spectrum.values.astype(np.float64)), bundle.manifest)
    seen = Seen(at=item.seq, row=row, sensor=_sensor(record), score=score(record.verdict))
    return monitor.result(key, grid, seen, varies=varies(record.verdict))


def grid_of(manifest: Manifest) -> Grid:
    """Return where a bundle's readings are compared: its own axis, of no more than MAX_POINTS."""
    axis = manifest.axis
    return Grid(
        axis=np.linspace(axis.start, axis.stop, min(axis.points, MAX_POINTS), dtype=np.float64),
        unit=axis.unit,
        has_lamp=manifest.technique == "nir",
    )


def as_absorbance(values: Array, manifest: Manifest) -> Array:
    """Return values of a lamp's light as -log10, in which lamp and path add up; those of a laser as they are."""
    if manifest.quantity == "absorbance" or manifest.technique != "nir":
        return values
    return np.asarray(-np.log10(np.maximum(values, _LEAST_LIGHT * float(np.abs(values).max()) + 1e-300)))


def product_of(verdict: Verdict) -> str:
    """Return the label that was accepted; of amounts, all their labels; of components the set of them.

    How much there is of each changes from sample to sample, and with it their order: a set is sorted. One that would be
    too long is told by its first label and a digest of all.
    """
    if not verdict.components:
        return verdict.label or "+".join(amount.label for amount in verdict.amounts)
    labels = sorted(component.label for component in verdict.components)
    product = " + ".join(labels)
    if len(labels) == 1 or len(json.dumps(product)) <= MAX_PRODUCT:
        return product
    return f"{labels[0]} + {len(labels) - 1} more ({hashlib.sha256(product.encode()).hexdigest()[:8]})"


def varies(verdict: Verdict) -> bool:
    """Whether what was accepted says nothing of how much of each there is: amounts, and more than one component."""
    return bool(verdict.amounts) or len(verdict.components) > 1


def score(verdict: Verdict) -> float | None:
    """Return log10 of what came closest to its limit, a gate or the rest that components leave unexplained.

    None without any that has a distance of its own.
    """
    shares = [gate.distance / gate.limit for gate in verdict.gates if gate.limit > 0 and gate.distance > 0]
    rest = verdict.unexplained
    if rest is not None and rest.limit > 0 and rest.value > 0:
        shares.append(rest.value / rest.limit)
    return math.log10(max(shares)) if shares else None


def _item(journal: Journal, seq: int, body: bytes) -> Item:
    try:
        record = record_from(body)
        spectrum = journal.attachment(record.id, SPECTRUM) if _is_wanted(record) else None
    except StoreDamaged:
        return Item(seq=seq)
    return Item(seq=seq, record=record, spectrum=spectrum)


def _is_wanted(record: Record) -> bool:
    if record.kind == "reference":
        return True
    verdict, fit = record.verdict, record.quality is not None and record.quality.fit
    return record.kind == "result" and fit and verdict is not None and verdict.outcome in ACCEPTED


def _sensor(record: Record) -> float | None:
    counts = record.reading.environment.get("lamp_photodiode") if record.reading is not None else None
    return 100.0 * math.log(counts) if counts is not None and counts > 0 else None


def _white(monitor: Monitor, seq: int, record: Record, counts: Spectrum) -> list[Told]:
    assert record.station is not None
    assert record.instrument is not None
    settings = record.reading.settings if record.reading is not None else {}
    exposure = _factor(settings.get("gain")) * _factor(settings.get("integration_ms"))
    axis = np.linspace(counts.axis[0], counts.axis[-1], min(len(counts.axis), MAX_POINTS), dtype=np.float64)
    light = np.interp(axis, counts.axis, counts.values.astype(np.float64)) / exposure
    key = Key(station=record.station, serial_number=record.instrument.serial_number)
    optics = {name: settings.get(name) for name in OPTICAL}
    return monitor.white(key, at=seq, axis=axis, light=light, optics=optics)


def _factor(setting: bool | float | int | str | None) -> float:
    return float(setting) if isinstance(setting, int | float) and setting > 0 else 1.0


def _renew(monitor: Monitor, record: Record) -> None:
    info = record.drift
    if info is not None and info.event == "renewed" and record.station is not None:
        serial_number = record.instrument.serial_number if record.instrument is not None else None
        monitor.renew(station=record.station, serial_number=serial_number, product=info.product)
