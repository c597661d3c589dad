"""Drift in the daemon: follows the journal, record by record, and says what it finds. Lives on the event loop.

What is computed runs on the inference thread, what reads and writes on the store's. No measurement waits for it: it
reads what is on disk already, and after a power cut goes on from where its kept state ends. Without a state that can be
used it learns silently up to the record that was the last at its start, and then tells what stands and was not told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from drivers.contract import Identity
from edged.acquire.reading import Moment
from edged.acquire.worker import WorkerFull, WorkerStopped
from edged.bundle.archive import Bundle
from edged.monitor.monitor import MAX_PRODUCTS, Key, Monitor, Rules, Told
from edged.monitor.product import Alarm, Ended, Learned, Learning
from edged.monitor.state import OtherEdition, StateDamaged, key_text, pack, unpack_into
from edged.monitor.tell import alarm_text, ended_text, gone_text, hint_for, unit_of
from edged.monitor.words import CAUSES, DriftEvent
from edged.service.clock import taken_at
from edged.service.control import Refusal
from edged.service.drifting import InUse, Item, items, readable, record_at, take
from edged.service.health import Health
from edged.service.pipeline import Asked
from edged.service.standing import Relearning, end_of, said
from edged.service.threads import Loaded, ModelThread, StoreThread
from edged.store.charts import Kept, load_charts, save_charts
from edged.store.errors import StoreDamaged, StoreError, StoreRejected
from edged.store.journal import Journal
from edged.store.record import Draft, DriftInfo, InstrumentInfo, Record

log = logging.getLogger(__name__)

SLICE = 20  # records taken at once: a measurement that wants the thread waits 20 ms at most, or until one has learned
SAVE_EVERY = 25  # records after which the state is kept; so many are read again after a power cut
MAX_CATCH_UP = 20_000  # records read when nothing was kept: as many as two years of a busy instrument
LOOKED_BACK = 500  # records, for the instrument that was at a station last
RETRY_S = 2.0


class DriftWatch:
    """Run `run` as one task. `documents` is what status shows, by station."""

    def __init__(
        self,
        *,
        rules: Rules,
        device: str,
        stations: Sequence[str],
        model: ModelThread,
        store: StoreThread,
        health: Health,
        now: Callable[[], Moment],
        new_id: Callable[[], str],
        on_record: Callable[[Record], None],
    ) -> None:
        self._rules = rules
        self._device = device
        self._stations = list(stations)
        self._model = model
        self._store = store
        self._health = health
        self._now = now
        self._new_id = new_id
        self._on_record = on_record
        self._fresh = asyncio.Event()
        self._monitor = Monitor(rules)
        self._seq = 0  # of the last record taken
        self._kept_seq = 0
        self._to_store: list[tuple[Told, Record]] = []
        self._told_before: set[tuple[object, ...]] = set()  # before a power cut took the latest of the state
        self._relearning: Relearning | None = None  # while all of the state has to be learned again
        self._words: dict[Key, str] = {}  # of the alarms that stand
        self.documents: Mapping[str, list[dict[str, Any]]] = {}

    def notify(self) -> None:
        """A record was stored."""
        self._fresh.set()

    async def run(self) -> NoReturn:
        """Follow the journal. A store or a thread that fails is asked again later.

        Raises StoreDamaged where a page of the file is broken, and StoreRejected: neither passes by waiting.
        """
        await self._patiently(self._begin)
        while True:
            self._fresh.clear()
            while await self._patiently(self._advance):
                pass
            await self._fresh.wait()

    async def renew(self, station: str, identity: Identity | None, product: str | None, asked: Asked) -> Record:
        """Write down that what was learned of the instrument there is to be learned anew; None: of all that were there.

        It is as soon as the record is read again. Raises Refusal for a product that is not known, StoreError.
        """
        known = [document["product"] for document in self.documents.get(station, [])]
        if product is not None and product not in known:
            there = f"there are: {', '.join(known)}" if known else "nothing has been learned there"
            raise Refusal("unknown_product", f"{station} knows no product {product[:64]!r}", hint=there)
        whose = f"product {product}" if product is not None else "every product and the white reference"
        info = DriftInfo(event="renewed", product=product, message=f"{whose} of {station} is learned anew")
        instrument = None
        if identity is not None:
            instrument = InstrumentInfo(kind=identity.kind, model=identity.model, serial_number=identity.serial_number)
        draft = self._draft(info, station=station, instrument=instrument)
        draft = draft.model_copy(update={"operator": asked.operator, "note": asked.note})
        record = await self._store(lambda journal: journal.append(draft))
        self._on_record(record)
        return record

    async def _patiently(self, work: Callable[[], Any]) -> Any:
        while True:
            try:
                return await work()
            except (StoreDamaged, StoreRejected):
                raise
            except (StoreError, WorkerFull) as error:
                log.debug("drift waits: %s", error)
                await asyncio.sleep(RETRY_S)
            except WorkerStopped:
                await asyncio.sleep(RETRY_S)  # the daemon is stopping and will cancel us

    async def _begin(self) -> None:
        kept = await self._store(load_charts)
        head = await self._store(lambda journal: journal.head())
        monitor = await self._model(lambda: _restored(kept, self._rules))
        fresh = monitor is None
        self._monitor = monitor or Monitor(self._rules)
        reachable = max((head.seq if head else 0) - MAX_CATCH_UP, 0)
        self._seq = self._kept_seq = reachable if fresh or kept.seq is None else max(kept.seq, reachable)
        self._to_store, self._words = [], {}
        self._relearning = Relearning(until=head.seq if head else 0) if fresh else None
        self._told_before = await self._store(lambda journal: _told_after(journal, self._seq)) if not fresh else set()
        self._monitor.present = await self._store(_present)
        self._in_use().tell(self._monitor)
        await self._show()

    async def _advance(self) -> bool:
        """Take the next records; false when there is none. What could not be stored last time comes first.

        Without any model nobody can tell which results count: they wait in the journal until there is one. Those of a
        station whose own is unusable do not count.
        """
        await self._store_findings()
        in_use = self._in_use()
        if not in_use.is_any:
            return False
        found = await self._store(lambda journal: items(journal, after_seq=self._seq, limit=SLICE))
        if self._relearning is not None:
            await self._relearn(self._relearning, self._relearning.of(found), in_use)
            return True
        if not found:
            return False
        taken, self._to_store = await self._model(lambda: self._taken(found, in_use))
        self._seq = taken[-1].seq
        is_order = any(item.record is not None and item.record.kind == "drift" for item in taken)
        is_news = is_order or bool(self._to_store)
        await self._store_findings()
        if is_news or self._seq - self._kept_seq >= SAVE_EVERY:
            await self._save()
        await self._show()
        return True

    async def _relearn(self, relearning: Relearning, found: Sequence[Item], in_use: InUse) -> None:
        """Take the next records and tell nothing; after the last of them make the journal say what stands.

        Nothing is kept before that: a power cut on the way begins it again. So may whatever fails at the end: what was
        stored already is then part of what the journal says.
        """
        if found:
            taken, told = await self._model(lambda: self._taken(found, in_use))
            self._seq = taken[-1].seq
            for one, shown_by in told:
                relearning.take(one, shown_by)
            return
        before = await self._store(lambda journal: said(journal, orders_until=relearning.until))
        for began in relearning.gone(self._monitor, before):
            await self._end(began, at_seq=relearning.until)
        for one, shown_by in relearning.untold(self._monitor, before):
            await self._keep(one, shown_by)
        await self._save()
        self._relearning = None
        await self._show()

    async def _store_findings(self) -> None:
        while self._to_store:
            await self._keep(*self._to_store[0])
            del self._to_store[0]

    def _in_use(self) -> InUse:
        return InUse(
            usual=_bundle_of(self._model.usual), own={name: _bundle_of(own) for name, own in self._model.own.items()}
        )

    def _taken(self, found: Sequence[Item], in_use: InUse) -> tuple[Sequence[Item], list[tuple[Told, Record]]]:
        """On the inference thread. Return what was taken and what it showed.

        After a product was learned the rest is left for later: that takes longer than all the others together.
        """
        monitor, told = self._monitor, []
        all_fit = monitor.evicted == 0
        in_use.tell(monitor)
        for count, item in enumerate(found, start=1):
            for finding in take(monitor, item, in_use):
                assert item.record is not None
                told.append((finding, item.record))
            if told and isinstance(told[-1][0].finding, Learned):
                found = found[:count]
                break
        if all_fit and monitor.evicted:
            log.warning(
                "drift watches %d products at most; the one unseen longest is given up, and learned anew", MAX_PRODUCTS
            )
        return found, told

    async def _keep(self, told: Told, shown_by: Record) -> None:
        """Store one finding that is news, as a record that is sent like every other."""
        finding, key = told.finding, told.key
        event: DriftEvent = "baseline" if isinstance(finding, Learned) else "began"
        event = event if isinstance(finding, Learned | Alarm) else "ended"
        known = (event, key.station, key.serial_number, key.product, finding.at)
        if not told.is_news or known in self._told_before:
            return
        info = await self._info(event, told)
        whose: Record | None = shown_by
        if isinstance(finding, Ended) and finding.forgotten:  # the record that showed it may be of another instrument
            whose = await self._record_at(finding.alarm.since)
        draft = self._draft(info, station=key.station, instrument=whose.instrument if whose else None)
        await self._write(draft.model_copy(update={"bundle": whose.bundle if whose else None}), info)

    async def _end(self, began: Record, *, at_seq: int) -> None:
        """Store that an alarm of the journal does not stand any more."""
        assert began.drift is not None
        assert began.station is not None
        info = end_of(began.drift, at_seq=at_seq, message=gone_text(began.drift.message))
        draft = self._draft(info, station=began.station, instrument=began.instrument)
        await self._write(draft.model_copy(update={"bundle": began.bundle}), info)

    async def _write(self, draft: Draft, info: DriftInfo) -> None:
        record = await self._store(lambda journal: journal.append(draft))
        level = logging.WARNING if info.event == "began" else logging.INFO
        log.log(level, "station=%s %s", draft.station, info.message)
        self._on_record(record)

    async def _info(self, event: DriftEvent, told: Told) -> DriftInfo:
        finding, key = told.finding, told.key
        if isinstance(finding, Learned):
            learned = finding.baseline
            return DriftInfo(
                event=event,
                product=key.product,
                at_seq=finding.at,
                readings=learned.readings,
                batch=learned.batch,
                message=f"{key.product} is known from {learned.readings} readings and watched from now on",
            )
        alarm = finding if isinstance(finding, Alarm) else finding.alarm
        text = await self._alarm_text(key, alarm, told.axis_unit)
        return DriftInfo(
            event=event,
            product=key.product,
            cause=alarm.cause,
            signal=alarm.signal,
            chart=alarm.chart,
            value=alarm.value,
            limit=alarm.limit,
            since_seq=alarm.since,
            since=await self._when(alarm.since),
            at_seq=finding.at,
            readings=alarm.readings,
            changes=dict(alarm.changes),
            units={name: unit_of(name, told.axis_unit) for name in alarm.changes},
            message=ended_text(finding, text) if isinstance(finding, Ended) else text,
            hint=hint_for(alarm, key.station) if event == "began" else "",
        )

    async def _alarm_text(self, key: Key, alarm: Alarm, axis_unit: str) -> str:
        since = await self._when(alarm.since)
        return alarm_text(alarm, product=key.product, since=since or f"record {alarm.since}", axis_unit=axis_unit)

    async def _when(self, seq: int) -> str | None:
        found = await self._record_at(seq)
        return found.taken_at.wall if found else None

    async def _record_at(self, seq: int) -> Record | None:
        return await self._store(lambda journal: record_at(journal, seq))

    def _draft(self, info: DriftInfo, *, station: str, instrument: InstrumentInfo | None) -> Draft:
        return Draft(
            kind="drift",
            id=self._new_id(),
            device=self._device,
            station=station,
            instrument=instrument,
            taken_at=taken_at(self._now()),
            drift=info,
        )

    async def _save(self) -> None:
        """Keep what changed since the last time, and nothing that is no longer there."""
        monitor, seq = self._monitor, self._seq
        bodies = await self._model(lambda: _packed(monitor))
        stay = [key_text(key) for key in (*monitor.products, *monitor.whites)]
        await self._store(lambda journal: save_charts(journal, seq=seq, bodies=bodies, stay=stay))
        self._kept_seq = seq
        monitor.touched.clear()

    async def _show(self) -> None:
        """Renew what health and status say."""
        alarms, units = dict(self._monitor.alarms()), self._monitor.axis_unit
        self._words = {
            key: self._words.get(key) or await self._alarm_text(key, alarm, units(key)) for key, alarm in alarms.items()
        }
        for station in self._stations:
            for cause in CAUSES:
                texts = [self._words[k] for k, alarm in alarms.items() if (k.station, alarm.cause) == (station, cause)]
                more = f"; {len(texts) - 1} more products show it" if len(texts) > 1 else ""
                detail = "".join(texts[:1]) + more
                self._health.set(f"drift_{cause}", stands=bool(texts), subject=station, detail=detail)
        self.documents = {
            station: [
                _document(key, watch, self._words.get(key))
                for key, watch in self._monitor.products.items()
                if key.station == station and self._monitor.is_in_use(key)
            ]
            for station in self._stations
        }


def _bundle_of(loaded: Loaded) -> Bundle | None:
    return None if loaded.analyzer is None else loaded.analyzer.bundle


def _document(key: Key, watch: Any, alarm: str | None) -> dict[str, Any]:
    learning = isinstance(watch, Learning)
    return {
        "product": key.product,
        "serial_number": key.serial_number,
        "state": "learning" if learning else "alarm" if alarm else "steady",
        "readings": len(watch.rows) if learning else watch.readings,
        "wanted": watch.wanted if learning else None,
        "batch": None if learning else watch.baseline.batch,
        "alarm": alarm,
    }


def _packed(monitor: Monitor) -> dict[str, bytes]:
    """On the inference thread."""
    watches = (*monitor.products.items(), *monitor.whites.items())
    return {key_text(key): pack(watch) for key, watch in watches if key in monitor.touched}


def _restored(kept: Kept, rules: Rules) -> Monitor | None:
    """On the inference thread. None when nothing was kept or it cannot be used: the journal is read again."""
    if kept.seq is None:
        return None
    monitor = Monitor(rules)
    for text, body in kept.bodies.items():
        try:
            unpack_into(monitor, text, body)
        except OtherEdition as error:
            log.info("the state of drift is of another edition, learning again from the journal: %s", error)
            return None
        except StateDamaged as error:
            log.error("the state of drift is damaged, learning again from the journal: %s", error)
            return None
    return monitor


def _present(journal: Journal) -> dict[str, str]:
    """On the store's thread: the instrument that measured last at each station, as far back as one looks for it."""
    found: dict[str, str] = {}
    for record in readable(journal, newest_first=True, limit=LOOKED_BACK):
        if record.kind in ("result", "reference") and record.station is not None and record.instrument is not None:
            found.setdefault(record.station, record.instrument.serial_number)
    return found


def _told_after(journal: Journal, seq: int) -> set[tuple[object, ...]]:
    """On the store's thread: the findings that were stored, but whose state was not."""
    found: set[tuple[object, ...]] = set()
    for record in readable(journal, after_seq=seq, kind="drift"):
        info, serial = record.drift, record.instrument.serial_number if record.instrument else ""
        if info is not None:
            found.add((info.event, record.station, serial, info.product, info.at_seq))
    return found
