"""The two threads that are not a station's: `store` owns the journal, `infer` owns the model. Called from the loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from edged.acquire.worker import Worker, WorkerFull, WorkerStopped
from edged.bundle.archive import Bundle, read_bundle
from edged.bundle.errors import BundleError
from edged.bundle.slots import Slots
from edged.infer.analyze import Analyzer
from edged.infer.errors import InferError
from edged.store.errors import StoreBusy, StoreDenied
from edged.store.journal import JOURNAL_FILE, Journal

T = TypeVar("T")
log = logging.getLogger(__name__)

BUNDLES_FOLDER = "bundles"

STORE_QUEUE = 64  # every station's record, the publisher's questions and a status; more waits means a disk that hangs
STORE_WITHIN_S = 12.0  # the longest wait for a lock (5 s), twice, and a flush on a slow card
INFER_WITHIN_S = 20.0  # loading and proving a bundle on a slow board
STOP_WITHIN_S = 0.7


class StoreThread:
    """The journal on its own thread. Implements `edged.publish.drain.StoreCaller`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL_FILE
        self.worker = Worker("store", size=STORE_QUEUE)
        self._journal: Journal | None = None

    async def open(self) -> None:
        """Open or create the journal. Raises StoreError."""
        self._journal = await self.worker.call(lambda: Journal.open(self.path), within_s=STORE_WITHIN_S)

    async def __call__(self, work: Callable[[Journal], T], /) -> T:
        """Run `work` with the open journal. Raises what it raises; StoreBusy when too much waits already."""
        journal = self._journal
        if journal is None:
            raise StoreDenied(f"{self.path}: not open")
        try:
            return await self.worker.call(lambda: work(journal), within_s=STORE_WITHIN_S)
        except WorkerFull as error:
            raise StoreBusy(str(error), hint="is the disk slow or hanging? edged doctor") from error
        except WorkerStopped as error:
            raise StoreDenied(str(error), hint="the service is stopping") from error

    async def close(self) -> bool:
        """Close the journal and end the thread; false when it hangs."""
        journal, self._journal = self._journal, None
        if journal is not None and self.worker.is_idle:
            with contextlib.suppress(TimeoutError):  # a disk that hangs: all that was acknowledged is on it already
                async with asyncio.timeout(STOP_WITHIN_S):
                    await self.worker.call(journal.close, within_s=STOP_WITHIN_S)
        return await self.worker.stop(STOP_WITHIN_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model that judges, or why there is none."""

    analyzer: Analyzer | None
    problem: str = ""


class ModelThread:
    """The models on one thread, which also turns counts into spectra.

    analyzer, problem: of the stations that name no bundle; None and empty where no station needs it. own: of those that
    do, by station.
    """

    def __init__(self) -> None:
        self.worker = Worker("infer", size=STORE_QUEUE)
        self.analyzer: Analyzer | None = None
        self.problem = "not loaded yet"
        self.own: Mapping[str, Loaded] = {}

    @property
    def usual(self) -> Loaded:
        """What judges at stations that name no bundle."""
        return Loaded(analyzer=self.analyzer, problem=self.problem)

    def at(self, station: str) -> Loaded:
        """Return what judges at a station."""
        return self.own.get(station) or self.usual

    async def load(self, path: Path | None, storage: Path, stations: Mapping[str, str | None] | None = None) -> None:
        """Load the bundle at `path`, or the first usable of the slots, and those that stations name for themselves.

        stations: name -> its bundle, a name or a path, None for the usual one. A failure is kept as a `problem`, not
        raised. What is the same bundle is loaded once, however it is named.
        """
        named = {name: text for name, text in (stations or {}).items() if text is not None}
        made = _each_once()
        if not stations or len(named) < len(stations):
            usual = await self._loaded(partial(load_analyzer, path, storage, made), "")
            self.analyzer, self.problem = usual.analyzer, usual.problem
        else:
            self.problem = ""
        found = {
            text: await self._loaded(partial(named_analyzer, text, storage, made), f" bundle={text}")
            for text in dict.fromkeys(named.values())
        }
        self.own = {name: found[text] for name, text in named.items()}

    async def _loaded(self, load: Callable[[], Analyzer], which: str) -> Loaded:
        try:
            return Loaded(analyzer=await self.worker.call(load, within_s=INFER_WITHIN_S))
        except (BundleError, InferError) as error:
            log.error("no model to judge with:%s %s", which, error)
            return Loaded(analyzer=None, problem=str(error))

    async def __call__(self, work: Callable[[], T], /) -> T:
        """Run `work` on the thread. Raises what it raises, WorkerFull or WorkerStopped."""
        return await self.worker.call(work, within_s=INFER_WITHIN_S)

    async def close(self) -> bool:
        """End the thread; false when it hangs."""
        self.analyzer, self.own = None, {}
        return await self.worker.stop(STOP_WITHIN_S)


def named_analyzer(text: str, storage: Path, made: Callable[[Bundle], Analyzer] = Analyzer) -> Analyzer:
    """Return the bundle of that name or path; no other takes its place. Raises BundleError or InferError."""
    return made(Slots(storage / BUNDLES_FOLDER).named(text))


def load_analyzer(path: Path | None, storage: Path, made: Callable[[Bundle], Analyzer] = Analyzer) -> Analyzer:
    """Return the first bundle that loads and proves itself here. Raises the last one's BundleError or InferError."""
    if path is not None:
        return made(read_bundle(path))
    slots = Slots(storage / BUNDLES_FOLDER)
    fallbacks = slots.fallbacks()
    if (missing := slots.missing()) is not None:
        log.error("bundle=%s is active and not there any more, trying the one before it", missing)
    for entry in fallbacks[:-1]:
        try:
            return made(read_bundle(entry.path))
        except (BundleError, InferError) as error:
            log.error("bundle=%s is unusable, trying the one before it: %s", entry.name, error)
    return made(read_bundle(fallbacks[-1].path) if fallbacks else slots.current())


def _each_once() -> Callable[[Bundle], Analyzer]:
    """Return what makes the Analyzer of a bundle, and gives the same one for the same contents again."""
    made: dict[str, Analyzer] = {}

    def analyzer_of(bundle: Bundle) -> Analyzer:
        if bundle.digest not in made:
            made[bundle.digest] = Analyzer(bundle)
        return made[bundle.digest]

    return analyzer_of
