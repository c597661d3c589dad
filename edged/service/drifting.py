"""Records into the monitor: which of them count, and what of them. The daemon and `edged drift replay` go this way.

Plain functions, any thread.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edged.acquire.references import unpack_spectrum
from edged.bundle.archive import Bundle
from edged.bundle.manifest import Manifest
from edged.infer.verdict import Verdict
from edged.monitor.monitor import Key, Monitor, Told
from edged.monitor.product import Seen
from edged.monitor.template import MAX_POINTS, Grid
from edged.service.pipeline import SPECTRUM
from edged.spectra.spectrum import Spectrum, SpectrumError
from edged.store.journal import Journal
from edged.store.record import Record

Array = NDArray[np.float64]

ACCEPTED: Final = frozenset({"identified", "pass", "quantified"})
_LEAST_LIGHT: Final = 1e-6  # of the brightest: keeps a logarithm finite where a point saw none


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A record of the journal, with its spectrum as stored where the monitor wants it and it is still there."""

    record: Record
    spectrum: bytes | None


def items(journal: Journal, *, after_seq: int, limit: int) -> list[Item]:
    """Return the next records. Raises StoreError."""
    return [
        Item(record=record, spectrum=journal.attachment(record.id, SPECTRUM) if _is_wanted(record) else None)
        for record in journal.records(after_seq=after_seq, limit=limit)
    ]


def take(monitor: Monitor, item: Item, bundle: Bundle) -> Told | None:
    """Show one record to the monitor. One that another bundle judged, or that lost its spectrum, does not count."""
    record = item.record
    if record.kind == "drift":
        _renew(monitor, record)
        return None
    if item.spectrum is None or record.station is None or record.instrument is None:
        return None
    try:
        spectrum = unpack_spectrum(item.spectrum)
    except SpectrumError:
        return None  # `edged journal verify` tells of it
    if record.kind == "reference":
        return _white(monitor, record, spectrum)
    if record.bundle is None or record.bundle.digest != bundle.digest or record.verdict is None:
        return None
    grid = grid_of(bundle.manifest)
    if spectrum.axis_unit != grid.unit:
        return None
    key = Key(
        station=record.station,
        serial_number=record.instrument.serial_number,
        bundle=bundle.digest,
        product=product_of(record.verdict),
    )
    row = as_absorbance(np.interp(grid.axis, spectrum.axis, spectrum.values.astype(np.float64)), bundle.manifest)
    return monitor.result(key, grid, Seen(at=record.seq, row=row, sensor=_sensor(record), score=score(record.verdict)))


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
    """Return the label that was accepted; of amounts, all their labels."""
    return verdict.label or "+".join(amount.label for amount in verdict.amounts)


def score(verdict: Verdict) -> float | None:
    """Return log10 of the gate that came closest to its limit; None without a gate that has a distance of its own."""
    shares = [gate.distance / gate.limit for gate in verdict.gates if gate.limit > 0 and gate.distance > 0]
    return math.log10(max(shares)) if shares else None


def _is_wanted(record: Record) -> bool:
    if record.kind == "reference":
        return True
    verdict, fit = record.verdict, record.quality is not None and record.quality.fit
    return record.kind == "result" and fit and verdict is not None and verdict.outcome in ACCEPTED


def _sensor(record: Record) -> float | None:
    counts = record.reading.environment.get("lamp_photodiode") if record.reading is not None else None
    return 100.0 * math.log(counts) if counts is not None and counts > 0 else None


def _white(monitor: Monitor, record: Record, counts: Spectrum) -> Told | None:
    assert record.station is not None
    assert record.instrument is not None
    settings = record.reading.settings if record.reading is not None else {}
    exposure = float(settings.get("gain") or 1) * float(settings.get("integration_ms") or 1)
    axis = np.linspace(counts.axis[0], counts.axis[-1], min(len(counts.axis), MAX_POINTS), dtype=np.float64)
    light = np.interp(axis, counts.axis, counts.values.astype(np.float64)) / exposure
    key = Key(station=record.station, serial_number=record.instrument.serial_number)
    return monitor.white(key, at=record.seq, axis=axis, light=light)


def _renew(monitor: Monitor, record: Record) -> None:
    info = record.drift
    if info is not None and info.event == "renewed" and record.station is not None:
        serial_number = record.instrument.serial_number if record.instrument is not None else None
        monitor.renew(station=record.station, serial_number=serial_number, product=info.product)
