"""A journal that is written as measuring does, and a follower of drift that lives until it has read it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edged.acquire.reading import Moment
from edged.acquire.references import pack_spectrum
from edged.bundle.archive import Bundle
from edged.infer.analyze import Analyzer
from edged.infer.verdict import Outcome, Verdict
from edged.monitor.monitor import Key, Rules
from edged.monitor.state import key_text
from edged.service.drift import DriftWatch
from edged.service.health import Health
from edged.service.pipeline import SPECTRUM
from edged.service.threads import ModelThread, StoreThread
from edged.spectra.quality import Quality
from edged.spectra.spectrum import Spectrum
from edged.store.identity import Uuid7
from edged.store.journal import Journal
from edged.store.record import BundleInfo, Draft, InstrumentInfo, ReadingInfo, Record, TakenAt
from firmware_sim.drift import Drift
from tests.monitor.drifting import GRID, stream

RULES = Rules(readings=60)
UNIT = InstrumentInfo(kind="nirscan", model="NIR-M-R2", serial_number="6100023")
NO_GUARDS = "DROP TRIGGER IF EXISTS records_never_change; DROP TRIGGER IF EXISTS attachments_only_lose_data"
NOW = Moment(wall_s=1.7e9, monotonic_s=50.0, boot_id="a", synced=True)


class Ledger:
    """Writes results into a journal as measuring does."""

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        self.path = folder / "journal.db"
        self._bundle = BundleInfo(name="x", version="1.0.0", digest=bundle.digest)
        self._new_id = Uuid7()

    def results(self, rows: list[NDArray[np.float64]], outcome: Outcome = "identified", **changes: Any) -> None:
        with Journal.open(self.path) as journal:
            for row in rows:
                spectrum = Spectrum(
                    axis=GRID.axis.copy(), values=row.astype(np.float32), axis_unit="nm", quantity="absorbance"
                )
                journal.append(self._draft(outcome, **changes), attachments={SPECTRUM: pack_spectrum(spectrum)})

    def white(self, light: float, **settings: bool | float | int | str | None) -> None:
        spectrum = Spectrum(
            axis=GRID.axis.copy(),
            values=np.full(len(GRID.axis), light, dtype=np.float32),
            axis_unit="nm",
            quantity="counts",
        )
        reading = ReadingInfo(
            scan_index=1, settings=settings, environment={}, scan_sha256="", spectrum_sha256=""
        )  # of a family that names only these
        made = self._draft("identified", kind="reference", verdict=None, bundle=None, reading=reading)
        with Journal.open(self.path) as journal:
            journal.append(made, attachments={SPECTRUM: pack_spectrum(spectrum)})

    def tamper(self, statement: str) -> None:
        """As somebody does who has the file."""
        with sqlite3.connect(self.path) as other:
            other.executescript(f"{NO_GUARDS}; {statement}")
        other.close()

    def kept_keys(self) -> list[str]:
        with sqlite3.connect(self.path) as other:
            found = [str(key) for (key,) in other.execute("SELECT key FROM drift ORDER BY key")]
        other.close()
        return found

    def kept_body(self) -> bytes:
        """Return the state of the one product that is there."""
        with sqlite3.connect(self.path) as other:
            ((body,),) = other.execute("SELECT body FROM drift WHERE key <> 'seq'")
        other.close()
        return bytes(body)

    def keep(self, products: list[str], body: bytes, *, serial_number: str) -> None:
        """Keep this state as that of products of another instrument that were seen later than all others."""
        with sqlite3.connect(self.path) as other:
            for product in products:
                key = Key(station="bench", serial_number=serial_number, bundle=self._bundle.digest, product=product)
                other.execute("INSERT INTO drift VALUES (?, ?)", (key_text(key), body))
        other.close()

    def _draft(self, outcome: Outcome, **changes: Any) -> Draft:
        made = Draft(
            id=self._new_id(),
            device="board",
            station="bench",
            instrument=UNIT,
            taken_at=TakenAt(wall="2026-11-21T04:07:22.169Z", monotonic_s=1.0, boot_id="a", clock="synced"),
            bundle=self._bundle,
            quality=Quality(fit=True),
            verdict=Verdict(procedure="identify", preset="balanced", outcome=outcome, label="P", probability=1.0),
            reading=ReadingInfo(scan_index=1, settings={}, environment={}, scan_sha256="", spectrum_sha256=""),
        )
        return made.model_copy(update=changes)

    def drifts(self) -> list[Record]:
        with Journal.open(self.path, read_only=True) as journal:
            return list(journal.records(kind="drift"))

    def events(self) -> list[tuple[str, str | None]]:
        return [(r.drift.event, r.drift.cause) for r in self.drifts() if r.drift is not None]


def followed(
    ledger: Ledger,
    analyzer: Analyzer | None,
    *,
    until: Callable[[DriftWatch], bool],
    meanwhile: Callable[[DriftWatch], Any] | None = None,
    rules: Rules = RULES,
) -> tuple[DriftWatch, Health]:
    """Let a follower live until it has taken what there is."""

    async def life() -> tuple[DriftWatch, Health]:
        store, model, health = StoreThread(ledger.path.parent), ModelThread(), Health(lambda: 1.0)
        model.analyzer = analyzer
        await store.open()
        watch = DriftWatch(
            rules=rules,
            device="board",
            stations=["bench"],
            model=model,
            store=store,
            health=health,
            now=lambda: NOW,
            new_id=Uuid7(),
            on_record=lambda _: watch.notify(),
        )
        running = asyncio.create_task(watch.run())
        try:
            async with asyncio.timeout(60.0):
                if meanwhile is not None:
                    await meanwhile(watch)
                while not until(watch):
                    await asyncio.sleep(0.005)
        finally:
            running.cancel()
            await asyncio.wait({running})
            model.analyzer = None
            await model.close()
            await store.close()
        return watch, health

    return asyncio.run(life())


def taken(readings: int) -> Callable[[DriftWatch], bool]:
    return lambda watch: any(d["readings"] == readings for d in watch.documents.get("bench", []))


def some(rows: NDArray[np.float64], count: int, seed: int, drift: str = "none") -> list[NDArray[np.float64]]:
    source = stream(rows, seed, Drift.parse(drift))
    return [next(source) for _ in range(count)]
