"""One measurement from wish to record: station, model, store, publisher, in this order. Lives on the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from edged.acquire.errors import AcquireError, MeasurementLost, NotReady, TooMany, Unfit
from edged.acquire.gate import SelfTests, Standing, standing
from edged.acquire.reading import Moment, Reading
from edged.acquire.references import Reference, Role, unpack_spectrum
from edged.acquire.station import Station
from edged.acquire.worker import WorkerFull, WorkerStopped
from edged.config.vocabulary import StationConfig
from edged.infer.analyze import Analyzer
from edged.infer.errors import EngineFault, InferError, NotOffered
from edged.infer.judge import Question
from edged.infer.verdict import Preset
from edged.infer.why import require_explained
from edged.service.kept import find_references
from edged.service.pipeline import (
    SPECTRUM,
    Asked,
    Finished,
    Kept,
    References,
    Rules,
    dark_reading,
    judge_reading,
    keep,
    reference_from,
    white_reading,
)
from edged.service.selftests import (
    find_response,
    selftest_from,
    selftest_reading,
    standard_named,
    wants_two,
)
from edged.service.settings import rules
from edged.service.threads import ModelThread, StoreThread
from edged.spectra.spectrum import SpectrumError
from edged.spectra.standards.known import Standard
from edged.store.errors import StoreError, StoreFull
from edged.store.record import Record
from edged.store.retention import Retention, require_room

log = logging.getLogger(__name__)


class UnknownStation(LookupError):
    """No station of that name is configured. `hint` names those that are."""

    def __init__(self, name: str, known: list[str]) -> None:
        self.message = f"no station {name[:64]!r}"
        self.hint = f"there are: {', '.join(known)}" if known else "none is configured"
        super().__init__(f"{self.message} ({self.hint})")


EXPECTED = (AcquireError, InferError, StoreError, SpectrumError, UnknownStation, WorkerFull, WorkerStopped)
"""What a measurement may rightly end with instead of a record."""

_CODES: tuple[tuple[type[Exception], str], ...] = (
    (UnknownStation, "unknown_station"),
    (NotReady, "not_ready"),
    (TooMany, "busy"),
    (MeasurementLost, "measurement_lost"),
    (Unfit, "unfit_reference"),
    (NotOffered, "not_offered"),
    (EngineFault, "model_fault"),
    (InferError, "spectrum_unfit"),
    (SpectrumError, "spectrum_unfit"),
    (StoreFull, "disk_full"),
    (StoreError, "store_failed"),
    (WorkerFull, "busy"),
    (WorkerStopped, "stopping"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """An expected error as programs and humans want it."""

    code: str
    message: str
    hint: str


def refused(error: Exception) -> Refused:
    """Put one of EXPECTED into words."""
    code = next(code for kind, code in _CODES if isinstance(error, kind))
    return Refused(code=code, message=getattr(error, "message", str(error)), hint=getattr(error, "hint", ""))


@dataclass(slots=True)
class _Place:
    """A station with what is kept for it. `references` are those of the instrument `references_of`."""

    station: Station
    config: StationConfig
    rules: Rules
    references: References = field(default_factory=References)
    references_of: str | None = None


class Measuring:
    """Measures at any station. `on_record` hears of each record once it is on disk."""

    def __init__(
        self,
        *,
        device: str,
        preset: Preset,
        stations: Mapping[str, tuple[Station, StationConfig]],
        model: ModelThread,
        store: StoreThread,
        policy: Retention,
        new_id: Callable[[], str],
        clock: Callable[[], float],
        on_record: Callable[[Record], None],
    ) -> None:
        self._device = device
        self._preset = preset
        self._places = {name: _Place(station, config, rules(config)) for name, (station, config) in stations.items()}
        self._model = model
        self._store = store
        self._policy = policy
        self._new_id = new_id
        self._clock = clock
        self._on_record = on_record
        self._idle = asyncio.Event()
        self._idle.set()
        self._under_way = 0
        self.latest: dict[str, Record] = {}  # by station: what status shows
        self.to_disk_ms: dict[str, float] = {}  # by station: last byte of the latest scan to record on disk

    async def sample(self, name: str, asked: Asked) -> Record:
        """Measure a sample and return its record, which is on disk. Raises one of EXPECTED; then there is none."""
        place = self._place(name)
        analyzer = self._analyzer(name)
        question = self._question(analyzer, place, asked)
        explain = _explained(place.config, asked, question)
        reading = await self._reading(place)

        async def judged() -> Record:
            references = await self.references(name, reading.scan.identity.serial_number)
            finished = await self._model(
                lambda: judge_reading(
                    reading,
                    references,
                    analyzer,
                    question,
                    asked=asked,
                    rules=place.rules,
                    device=self._device,
                    new_id=self._new_id,
                    explain=explain,
                )
            )
            return await self._keep(reading, finished)

        return await self._to_its_end(judged())

    async def white(self, name: str, asked: Asked) -> Record:
        """Take the white reference and return its record. Raises one of EXPECTED; then the one before stays."""
        place = self._place(name)
        reading = await self._reading(place)

        async def taken() -> Record:
            references = await self.references(name, reading.scan.identity.serial_number)
            finished = await self._model(
                lambda: white_reading(
                    reading,
                    references.dark,
                    before=references.white,
                    asked=asked,
                    rules=place.rules,
                    min_reference_counts=place.config.quality.min_reference_counts,
                    device=self._device,
                    new_id=self._new_id,
                )
            )
            return await self._adopt(place, reading, finished, "white")

        return await self._to_its_end(taken())

    async def dark(self, name: str, asked: Asked) -> Record:
        """Take the dark reference of a detector array and return its record. Raises as `white`."""
        place = self._place(name)
        reading = await self._reading(place)

        async def taken() -> Record:
            await self.references(name, reading.scan.identity.serial_number)  # what else is kept of it stays
            finished = await self._model(
                lambda: dark_reading(reading, asked=asked, device=self._device, new_id=self._new_id)
            )
            return await self._adopt(place, reading, finished, "dark")

        return await self._to_its_end(taken())

    async def selftest(self, name: str, material: str | None, asked: Asked, *, baseline: bool = False) -> Record:
        """Measure a standard and return its record of kind `selftest`. Raises as `white`.

        baseline: of a glass, do not compare it, but later ones with it.
        """
        place = self._place(name)
        standard = standard_named(material or place.config.selftest.material, place.rules.standards)
        if baseline and standard.subject != "intensity":
            raise Unfit(f"{standard.title} is compared with published values", hint="leave --baseline out")
        lit = standard.subject not in ("lamp", "dark")
        readings = [await self._reading(place, lit=lit)]
        if wants_two(readings[0].scan, standard):
            readings.append(await self._reading(place, lit=lit))
        return await self._to_its_end(self._tested(name, readings, standard, asked, baseline=baseline))

    async def _tested(
        self, name: str, readings: list[Reading], standard: Standard, asked: Asked, *, baseline: bool
    ) -> Record:
        place = self._place(name)
        serial_number = readings[0].scan.identity.serial_number
        references = await self.references(name, serial_number)
        stored = None
        if standard.subject == "intensity" and not baseline:
            stored = await self._store(
                lambda journal: find_response(journal, station=name, serial_number=serial_number, standard=standard)
            )
        finished = await self._model(
            lambda: selftest_reading(
                readings,
                references,
                standard,
                stored=stored,
                asked=asked,
                rules=place.rules,
                device=self._device,
                new_id=self._new_id,
            )
        )
        record = await self._keep(readings[-1], finished)
        if "selftest" in place.references.damaged:
            place.references_of = None  # the journal says what is still hidden by it
        elif place.references_of == serial_number:  # else another instrument came meanwhile: the journal knows this one
            state = selftest_from(record)
            tests = {**place.references.selftests, state.subject: state}
            place.references = replace(place.references, selftests=tests)
        return record

    async def standing(self, name: str, serial_number: str, now: Moment) -> Standing:
        """Return how that instrument there stands by its self tests. Raises StoreError."""
        kept = await self.references(name, serial_number)
        return standing(self._place(name).rules.gate, kept.selftests, now)

    async def selftest_due_s(self, name: str, serial_number: str, now: Moment) -> float:
        """Return in how many seconds the self test that runs by itself is due there. Raises StoreError, Unfit."""
        place = self._place(name)
        config = place.config.selftest
        assert config.interval_h is not None
        subject = standard_named(config.material, place.rules.standards).subject
        state = (await self.references(name, serial_number)).selftests.get(subject)
        age_s = None if state is None else state.moment.age_s(now)
        return 0.0 if age_s is None else config.interval_h * 3600.0 - age_s

    async def _adopt(self, place: _Place, reading: Reading, finished: Finished, role: Role) -> Record:
        record = await self._keep(reading, finished)
        taken = reference_from(record, unpack_spectrum(finished.attachments[SPECTRUM]))
        if place.references_of != taken.serial_number:
            return record  # another unit is there by now; whoever asks for this one's finds it in the journal
        damaged: dict[Kept, str] = {what: why for what, why in place.references.damaged.items() if what != role}
        place.references = (
            replace(place.references, white=taken, damaged=damaged)
            if role == "white"
            else replace(place.references, dark=taken, damaged=damaged)
        )
        return record

    async def references(self, name: str, serial_number: str) -> References:
        """Return the references of that instrument there, at first from the journal. Raises StoreError.

        One that is damaged is passed over, so that it cannot refuse the new one that is its cure.
        """
        place = self._place(name)
        if place.references_of != serial_number:
            place.references = await self._store(
                lambda journal: find_references(journal, station=name, serial_number=serial_number)
            )
            place.references_of = serial_number
        return place.references

    def known_reference(self, name: str, serial_number: str) -> Reference | None:
        """Return the white reference if it has been looked up already; asks nobody."""
        place = self._place(name)
        return place.references.white if place.references_of == serial_number else None

    def known_selftests(self, name: str, serial_number: str) -> SelfTests:
        """Return the self tests if they have been looked up already; asks nobody."""
        place = self._place(name)
        return place.references.selftests if place.references_of == serial_number else {}

    async def until_idle(self) -> None:
        """Wait until no reading waits for its verdict or for the disk."""
        await self._idle.wait()

    async def _reading(self, place: _Place, *, lit: bool = True) -> Reading:
        await self._store(lambda journal: require_room(journal, self._policy))
        return await place.station.measure(lit=lit)

    async def _to_its_end(self, work: Coroutine[Any, Any, Record]) -> Record:
        """Judge and store what light has been spent on, even if the one who asked has gone; `until_idle` waits."""
        self._under_way += 1
        self._idle.clear()
        return await asyncio.shield(asyncio.ensure_future(self._counted(work)))

    async def _counted(self, work: Coroutine[Any, Any, Record]) -> Record:
        try:
            return await work
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def _keep(self, reading: Reading, finished: Finished) -> Record:
        record = await self._store(lambda journal: keep(journal, finished, self._policy))
        self.to_disk_ms[reading.station] = (self._clock() - reading.arrived_s) * 1e3
        self.latest[reading.station] = record
        self._on_record(record)
        return record

    def _place(self, name: str) -> _Place:
        if name not in self._places:
            raise UnknownStation(name, list(self._places))
        return self._places[name]

    def _analyzer(self, name: str) -> Analyzer:
        loaded = self._model.at(name)
        if loaded.analyzer is None:
            raise EngineFault(f"no model to judge with: {loaded.problem}", hint="edged doctor")
        return loaded.analyzer

    def _question(self, analyzer: Analyzer, place: _Place, asked: Asked) -> Question:
        procedure = asked.procedure or place.config.procedure
        if asked.procedure is None and asked.claimed is not None:
            procedure = "verify"  # who names a claim wants it verified
        claimed = asked.claimed
        if claimed is None and procedure == "verify":
            claimed = place.config.claimed
        return analyzer.question(
            procedure=procedure, preset=asked.preset or place.config.preset or self._preset, claimed=claimed
        )


def _explained(config: StationConfig, asked: Asked, question: Question) -> bool:
    """Whether the verdict is explained: the command's word goes before the station's.

    Raises NotOffered where a command asks for what cannot be had.
    """
    if asked.explain:
        require_explained(question.procedure)
    wanted = config.explain if asked.explain is None else asked.explain
    return wanted and question.procedure != "quantify"
