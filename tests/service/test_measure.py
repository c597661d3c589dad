"""From wish to record, with an instrument and a store that fail at the worst moment."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from drivers.contract import ExposureSettings
from edged.acquire.counts import counts_of
from edged.acquire.reading import Moment, Reading
from edged.acquire.references import Reference, settings_text, unpack_spectrum
from edged.bundle.archive import bundle_from_bytes, read_bundle
from edged.bundle.slots import built_in
from edged.config.vocabulary import StationConfig
from edged.infer.analyze import Analyzer
from edged.infer.errors import EngineFault
from edged.service.measure import Measuring
from edged.service.pipeline import SPECTRUM, Asked, References, Rules, judge_reading, reference_from, white_reading
from edged.service.threads import Loaded, ModelThread, StoreThread, load_analyzer
from edged.store.errors import StoreBusy
from edged.store.identity import Uuid7
from edged.store.journal import Journal
from edged.store.record import Record
from edged.store.retention import Retention
from tests.acquire.bench import raw_scan
from tests.bundle.tiny import tiny_bytes

T = TypeVar("T")
UNSYNCED = Moment(wall_s=1000.0, monotonic_s=50.0, boot_id="a", synced=False)


def reading(moment: Moment = UNSYNCED) -> Reading:
    return Reading(station="bench", scan=raw_scan(), moment=moment, arrived_s=0.0)


class Place:
    """A station as `Measuring` sees one: each trigger gives the same reading."""

    async def measure(self, *, lit: bool = True) -> Reading:
        return reading()


class StoreThatFailsAfterAppending(StoreThread):
    """The disk goes away as soon as one record is on it."""

    async def __call__(self, work: Callable[[Journal], T], /) -> T:
        if self._journal is not None and await self.worker.call(self._journal.head) is not None:
            raise StoreBusy("the disk has gone")
        return await super().__call__(work)


def measuring_at(station: Any, model: ModelThread, store: StoreThread) -> Measuring:
    """What measures at the one station `bench`."""
    return Measuring(
        device="board",
        preset="balanced",
        stations={"bench": (station, StationConfig(kind="nirscan", port="/dev/x"))},
        model=model,
        store=store,
        policy=Retention(reserve_bytes=0),
        new_id=Uuid7(),
        clock=lambda: 0.0,
        on_record=lambda _: None,
    )


def test_a_white_reference_that_is_on_disk_counts_even_if_the_disk_fails_right_after(tmp_path: Path) -> None:
    async def life() -> None:
        store, model = StoreThatFailsAfterAppending(tmp_path), ModelThread()
        await store.open()
        station: Any = Place()
        measuring = measuring_at(station, model, store)

        record = await measuring.white("bench", Asked())

        known = measuring.known_reference("bench", "6100023")
        assert known is not None
        assert (known.id, known.counts.values.tolist()) == (record.id, [20_000.0] * 16)
        await model.close()
        await store.close()

    asyncio.run(life())


@pytest.mark.parametrize("leaves", [False, True])
def test_a_reading_that_waits_for_its_verdict_is_waited_for_also_when_nobody_asks_for_it_any_more(
    tmp_path: Path, leaves: bool
) -> None:
    """The model's thread is busy, as with an explanation; meanwhile the daemon is told to stop."""
    spent, busy = asyncio.Event(), threading.Event()

    class Lit(Place):
        async def measure(self, *, lit: bool = True) -> Reading:
            spent.set()
            return reading()

    async def life() -> tuple[bool, list[str]]:
        store, model = StoreThread(tmp_path), ModelThread()
        await store.open()
        station: Any = Lit()
        measuring = measuring_at(station, model, store)
        explaining = asyncio.create_task(model(busy.wait))
        asking = asyncio.create_task(measuring.white("bench", Asked()))
        try:
            await spent.wait()
            waiting = asyncio.create_task(measuring.until_idle())
            for _ in range(10):
                await asyncio.sleep(0)
            waits = not waiting.done()
            if leaves:
                asking.cancel()
            busy.set()
            await waiting
            return waits, await store(lambda journal: [record.kind for record in journal.records()])
        finally:
            busy.set()
            await asyncio.gather(asking, explaining, return_exceptions=True)
            await model.close()
            await store.close()

    assert asyncio.run(life()) == (True, ["reference"])


def test_a_sample_without_a_model_is_refused_with_the_reason_and_the_command_that_says_more(tmp_path: Path) -> None:
    async def life() -> EngineFault:
        store, model = StoreThread(tmp_path), ModelThread()
        model.own = {"bench": Loaded(analyzer=None, problem="no bundle 'nothing' is installed")}
        station: Any = Place()
        measuring = measuring_at(station, model, store)
        try:
            with pytest.raises(EngineFault) as caught:
                await measuring.sample("bench", Asked())
        finally:
            await model.close()
            await store.close()
        return caught.value

    fault = asyncio.run(life())

    assert "no bundle 'nothing'" in fault.message
    assert fault.hint == "edged doctor"


@pytest.mark.parametrize(
    ("counts", "gain", "words"),
    [
        (1_160, 16, "94 % less light"),
        (12_000, 16, ""),
        (10_000, 8, ""),  # as much light, half as much amplified
        (60_000, 16, "3.0 times the light"),
    ],
)
def test_a_white_reference_of_another_light_than_the_one_before_says_so(counts: int, gain: int, words: str) -> None:
    rules: dict[str, Any] = {"asked": Asked(), "rules": Rules(), "device": "board", "new_id": Uuid7()}
    before = Reference(
        role="white",
        id="x",
        serial_number="6100023",
        settings=settings_text(raw_scan()),
        gain=16,
        counts=counts_of(raw_scan()).spectrum,
        moment=reading().moment,
    )
    taken = replace(reading(), scan=raw_scan(counts=counts, gain=gain))

    draft = white_reading(taken, None, before=before, min_reference_counts=1, **rules).draft

    assert draft.quality is not None
    told = [reason.message for reason in draft.quality.reasons if reason.code == "reference_changed"]
    assert len(told) == bool(words)
    assert all(words in message for message in told)


def test_an_age_that_nobody_knows_stands_in_the_record_as_unknown(tmp_path: Path, default: Analyzer) -> None:
    rules: dict[str, Any] = {
        "asked": Asked(),
        "rules": Rules(reference_max_age_s=1e9),
        "device": "board",
        "new_id": Uuid7(),
    }
    white = white_reading(reading(), None, before=None, min_reference_counts=1, **rules)
    with Journal.open(tmp_path / "journal.db") as journal:
        stored: Record = journal.append(white.draft, attachments=white.attachments)
    reference = reference_from(stored, counts_of(raw_scan()).spectrum)
    after_a_reboot = Moment(wall_s=1100.0, monotonic_s=20.0, boot_id="b", synced=True)
    scan = replace(raw_scan(), counts=np.linspace(15_000, 9_000, 16).astype(np.float64))

    draft = judge_reading(
        replace(reading(after_a_reboot), scan=scan),
        References(white=reference),
        default,
        default.question(),
        **rules,
    ).draft

    assert draft.reference is not None
    assert (draft.reference.state, draft.reference.age_s) == ("stale", None)
    assert draft.verdict is not None
    assert "unknown" in next(r.message for r in draft.verdict.reasons if r.code == "reference_stale")


@pytest.fixture(scope="module")
def default() -> Analyzer:
    bundle = built_in()
    assert bundle is not None
    return Analyzer(read_bundle(bundle))


def test_a_bundle_that_is_active_and_gone_is_missed_aloud(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "bundles"
    folder.mkdir()
    (folder / "slots.json").write_text('{"active": "powders12-9.9.9", "previous": null}')

    analyzer = load_analyzer(None, tmp_path)

    assert analyzer.bundle.manifest.name == "powders12"
    assert "powders12-9.9.9" in caplog.text


def test_a_station_without_an_activated_bundle_is_judged_by_the_built_in_without_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load_analyzer(None, tmp_path)

    assert caplog.text == ""


@pytest.mark.parametrize(("technique", "divided"), [("nir", 50 * 2), ("raman", 1)])
def test_the_signal_of_an_array_is_told_by_its_exposure_where_the_model_is_one_of_nir(
    technique: str, divided: int
) -> None:
    """20,000 counts and some above the dark, in 50 ms at a gain of 2."""
    dark = np.full((1, 16), 1_000, dtype=np.int32)
    light = 20_000 + np.arange(16, dtype=np.int32)
    scan = replace(
        raw_scan(gain=2),
        settings=ExposureSettings(integration_ms=50.0),
        raw=dark + light,
        dark=dark,
        counts=(1_000 + light).astype(np.float64),
    )
    analyzer = Analyzer(bundle_from_bytes(tiny_bytes(quantity="intensity", technique=technique)))

    finished = judge_reading(
        replace(reading(), scan=scan),
        References(),
        analyzer,
        analyzer.question(),
        asked=Asked(),
        rules=Rules(),
        device="board",
        new_id=Uuid7(),
    )

    spectrum = unpack_spectrum(finished.attachments[SPECTRUM])
    assert finished.draft.verdict is not None
    assert finished.draft.verdict.outcome == "not_in_scope"
    assert (finished.draft.reference, spectrum.quantity) == (None, "intensity")
    np.testing.assert_allclose(spectrum.values, light / divided, rtol=1e-6)
