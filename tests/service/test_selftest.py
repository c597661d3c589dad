"""Self tests kept in the journal: the response of a glass, NIR wavelengths, what a restart finds, when one is due."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from drivers.contract import Environment, Identity, RawScan, ScanSettings
from edged.acquire.errors import Unfit
from edged.acquire.reading import Moment, Reading
from edged.config.load import load
from edged.config.problems import ConfigurationError
from edged.config.vocabulary import StationConfig
from edged.service.health import Health
from edged.service.measure import Measuring
from edged.service.pipeline import Asked
from edged.service.selftests import RESPONSE, SCAN_2
from edged.service.threads import ModelThread, StoreThread
from edged.store.identity import Uuid7
from edged.store.journal import PAGE, Journal
from edged.store.record import CheckInfo, Record
from edged.store.retention import Retention, apply
from firmware_sim.scene import Raman
from tests.acquire.scenes import Glass, NeonLamp, scan_of

T = TypeVar("T")
NOW = Moment(wall_s=1_795_230_000.0, monotonic_s=100.0, boot_id="a", synced=True)
CERTIFICATE = '[wavelength.glass-7]\ncertificate = "no. 7"\nbands_nm = [1150.0, 1350.0, 1500.0]\nfraction = 0.7\n'


class Place:
    """A station as `Measuring` sees one: triggers are answered by these scans, in order; the last one stays."""

    def __init__(self, *scans: RawScan) -> None:
        self.scans = list(scans)
        self.lit: list[bool] = []

    async def measure(self, *, lit: bool = True) -> Reading:
        self.lit.append(lit)
        scan = self.scans.pop(0) if len(self.scans) > 1 else self.scans[0]
        return Reading(station="bench", scan=scan, moment=NOW, arrived_s=0.0)


def living(
    folder: Path, place: Place, work: Callable[[Measuring, StoreThread], Awaitable[T]], **selftest: Any
) -> tuple[T, list[Record]]:
    """What `work` does with a daemon's inner life, and all records there are then."""

    async def life() -> tuple[T, list[Record]]:
        store, model = StoreThread(folder), ModelThread()
        await store.open()
        station: Any = place
        measuring = Measuring(
            device="board",
            preset="balanced",
            stations={"bench": (station, StationConfig(kind="obp", port="usb", selftest=selftest))},  # type: ignore[arg-type]
            model=model,
            store=store,
            policy=Retention(reserve_bytes=0),
            new_id=Uuid7(),
            clock=lambda: 0.0,
            on_record=lambda _: None,
        )
        try:
            done = await work(measuring, store)
            return done, await store(lambda journal: list(journal.records()))
        finally:
            await model.close()
            await store.close()

    return asyncio.run(life())


def selftests(*materials: str, baseline: bool = False) -> Callable[[Measuring, StoreThread], Awaitable[list[Record]]]:
    async def work(measuring: Measuring, store: StoreThread) -> list[Record]:
        return [await measuring.selftest("bench", name, Asked(), baseline=baseline) for name in materials]

    return work


def row(record: Record, name: str) -> CheckInfo:
    assert record.selftest is not None
    return next(check for check in record.selftest.checks if check.name == name)


def verdicts(records: list[Record]) -> list[str]:
    return [record.selftest.verdict for record in records if record.selftest is not None]


@pytest.fixture(scope="module")
def glasses() -> tuple[RawScan, RawScan]:
    """One instrument before a glass, and later, with less light from the red."""
    worn = Glass()
    worn.dimming = 0.3
    return scan_of(Glass()), scan_of(worn)


def test_a_glass_is_compared_with_the_first_one_of_the_instrument_across_restarts_and_retention(
    tmp_path: Path, glasses: tuple[RawScan, RawScan]
) -> None:
    fresh, worn = glasses
    (first,), _ = living(tmp_path, Place(fresh), selftests("srm-2241"))

    async def year_later(_: Measuring, store: StoreThread) -> None:
        later = datetime.fromtimestamp(NOW.wall_s, UTC) + timedelta(days=400)
        await store(lambda journal: journal.outbox.mark_sent([record.seq for record in journal.records()]))
        dropped = await store(lambda journal: apply(journal, Retention(reserve_bytes=0), now=later))
        assert dropped.attachments >= 1  # the scan, but not the response that the next ones are compared with

    living(tmp_path, Place(fresh), year_later)
    (same, off), _ = living(tmp_path, Place(fresh, worn), selftests("srm-2241", "srm-2241"))
    (new,), _ = living(tmp_path, Place(worn), selftests("srm-2241", baseline=True))
    (after_repair,), _ = living(tmp_path, Place(worn), selftests("srm-2241"))

    assert verdicts([first, same, off, new, after_repair]) == ["warn", "pass", "fail", "warn", "pass"]
    assert [r.selftest.compared_with for r in (first, same, off, new, after_repair) if r.selftest] == [
        None,
        first.id,
        first.id,
        None,
        new.id,
    ]
    assert [RESPONSE in r.attachments for r in (first, same, off, new)] == [True, False, False, True]
    assert row(off, "intensity").limit == 0.10


def test_another_instrument_is_not_compared_with_this_one(tmp_path: Path, glasses: tuple[RawScan, RawScan]) -> None:
    other = replace(glasses[1], identity=replace(glasses[1].identity, serial_number="ANOTHER"))

    (_, found), _ = living(tmp_path, Place(glasses[0], other), selftests("srm-2241", "srm-2241"))

    assert found.selftest is not None
    assert (found.selftest.verdict, found.selftest.compared_with) == ("warn", None)


def test_the_laser_stays_off_for_darkness_and_a_lamp(tmp_path: Path) -> None:
    place = Place(scan_of(Raman(), lit=False), scan_of(NeonLamp(), lit=False), scan_of(Raman()))

    records, _ = living(tmp_path, place, selftests("dark", "neon", "polystyrene"))

    assert place.lit == [False, False, True]
    assert verdicts(records) == ["warn", "pass", "pass"]


def test_only_a_glass_has_a_baseline(tmp_path: Path) -> None:
    with pytest.raises(Unfit, match="published"):
        living(tmp_path, Place(scan_of(Raman())), selftests("polystyrene", baseline=True))


def nir_scan(*, absorbance: np.ndarray[Any, Any] | float = 0.0, seed: int = 0) -> RawScan:
    axis = np.linspace(900.0, 1_700.0, 400)
    noise = np.random.default_rng(seed).normal(0.0, 10.0, len(axis))
    counts = 20_000.0 * 10.0 ** -np.broadcast_to(absorbance, axis.shape) + noise
    return RawScan(
        identity=Identity(kind="nirscan", model="NIR-M-R2", serial_number="6100023"),
        settings=ScanSettings(),
        scan_index=1,
        axis=axis,
        axis_unit="nm",
        counts=counts,
        raw=np.rint(counts).astype(np.int32),
        dark_level=612.0,
        saturated=np.zeros(len(axis), dtype=bool),
        gain=16,
        environment=Environment(),
        blob=b"blob",
    )


def bands(*, off_nm: float) -> np.ndarray[Any, Any]:
    axis = np.linspace(900.0, 1_700.0, 400)
    at = np.array([[1_150.0], [1_350.0], [1_500.0]]) + off_nm
    return np.asarray(0.4 * np.exp(-(((axis - at) / 9.0) ** 2)).sum(axis=0))


@pytest.mark.parametrize(("off_nm", "verdict"), [(0.0, "pass"), (1.4, "warn"), (-3.0, "fail")])
def test_a_nir_axis_is_held_to_the_certificate_of_the_user(tmp_path: Path, off_nm: float, verdict: str) -> None:
    (tmp_path / "certificates.toml").write_text(CERTIFICATE)
    scans = [nir_scan(), *(nir_scan(absorbance=bands(off_nm=off_nm), seed=seed) for seed in (1, 2))]

    async def work(measuring: Measuring, _: StoreThread) -> Record:
        await measuring.white("bench", Asked())
        return await measuring.selftest("bench", "glass-7", Asked())

    record, _ = living(tmp_path, Place(*scans), work, certificates=str(tmp_path / "certificates.toml"))

    assert verdicts([record]) == [verdict]
    assert row(record, "wavelength").value == pytest.approx(abs(off_nm), abs=0.1)
    assert record.selftest is not None
    assert [peak.found - peak.table for peak in record.selftest.peaks] == pytest.approx([off_nm] * 3, abs=0.1)
    noise = row(record, "noise")  # 10 counts of 20,000 to 8,000: 0.0002 to 0.0005 in absorbance
    assert noise.unit == "absorbance"
    assert noise.value == pytest.approx(0.00025, rel=0.3)
    assert row(record, "dark_level").value == 612.0
    assert SCAN_2 in record.attachments


def test_nir_bands_without_a_white_reference_are_refused(tmp_path: Path) -> None:
    (tmp_path / "certificates.toml").write_text(CERTIFICATE)

    with pytest.raises(Unfit, match="white") as refused:
        living(tmp_path, Place(nir_scan()), selftests("glass-7"), certificates=str(tmp_path / "certificates.toml"))

    assert "--reference" in refused.value.hint


def test_a_dark_reference_taken_right_after_a_restart_leaves_the_self_test_in_force(tmp_path: Path) -> None:
    lit = scan_of(Raman())
    living(tmp_path, Place(lit), selftests("polystyrene"))

    async def work(measuring: Measuring, _: StoreThread) -> bool:
        await measuring.dark("bench", Asked())
        return not (await measuring.standing("bench", lit.identity.serial_number, NOW)).due

    holds, _ = living(tmp_path, Place(lit), work, gate="required", material="polystyrene")

    assert holds


def test_a_self_test_is_due_by_the_age_of_the_last_one_whoever_asked_for_it(tmp_path: Path) -> None:
    lit = scan_of(Raman())
    serial = lit.identity.serial_number

    def due_s(now: Moment, serial_number: str = serial) -> float:
        async def work(measuring: Measuring, _: StoreThread) -> float:
            return await measuring.selftest_due_s("bench", serial_number, now)

        return living(tmp_path, Place(lit), work, material="polystyrene", interval_h=1.0)[0]

    assert due_s(NOW) == 0.0
    living(tmp_path, Place(lit), selftests("polystyrene"))
    assert due_s(replace(NOW, monotonic_s=NOW.monotonic_s + 600.0)) == pytest.approx(3_000.0, abs=1.0)
    assert due_s(replace(NOW, monotonic_s=NOW.monotonic_s + 4_000.0)) < 0.0
    assert due_s(replace(NOW, boot_id="b", synced=False)) == 0.0  # nobody knows its age
    assert due_s(NOW, "ANOTHER") == 0.0


@pytest.mark.parametrize("hidden_by", ["station_absent", "station_parked"])
@pytest.mark.parametrize("code", ["selftest_due", "selftest_failed"])
def test_health_says_nothing_of_self_tests_while_the_instrument_is_away(hidden_by: str, code: str) -> None:
    health = Health(lambda: 100.0)
    health.set(code, stands=True, subject="bench")
    shown = [one.code for one in health.warnings()]
    health.set(hidden_by, stands=True, subject="bench")

    assert shown == [code]
    assert code not in [one.code for one in health.warnings()]
    assert health_text(code).endswith("edged selftest bench")


def health_text(code: str) -> str:
    health = Health(lambda: 0.0)
    health.set(code, stands=True, subject="bench")
    return health.warnings()[0].text


@pytest.mark.parametrize(
    ("lines", "key", "words"),
    [
        ('material = "polystyren"', "material", "did you mean polystyrene"),
        ('certificates = "/nowhere.toml"', "certificates", "no such file"),
        ('gate = "required"', "selftest", "material or subjects"),
        ('subjects = ["smell"]', "subjects", "axis"),
        ("interval_h = 1", "selftest", "material"),
        ("limits.axis_warn_cm1 = 5", "limits", "axis_fail_cm1"),
    ],
)
def test_a_self_test_that_cannot_be_is_refused_before_the_daemon_starts(
    tmp_path: Path, lines: str, key: str, words: str
) -> None:
    file = tmp_path / "edged.toml"
    file.write_text(
        'site = "lab"\ndevice = "board"\n[station.bench]\nkind = "wasatch"\nport = "usb"\n'
        f"[station.bench.selftest]\n{lines}\n"
    )

    with pytest.raises(ConfigurationError) as refused:
        load(file, environ={})

    (problem,) = refused.value.problems
    assert key in problem.key
    assert words in f"{problem.message} {problem.allowed} {problem.suggestion}"


def test_each_subject_is_found_behind_many_self_tests_of_another(tmp_path: Path) -> None:
    lit = scan_of(Raman())

    async def work(measuring: Measuring, store: StoreThread) -> None:
        await measuring.selftest("bench", "dark", Asked())
        axis = await measuring.selftest("bench", "polystyrene", Asked())
        for _ in range(PAGE + 10):
            again = axis.model_copy(update={"id": Uuid7()()})
            await store(functools.partial(Journal.append, draft=again, publish=False))

    async def look(measuring: Measuring, _: StoreThread) -> set[str]:
        return set((await measuring.references("bench", lit.identity.serial_number)).selftests)

    living(tmp_path, Place(lit), work)

    assert living(tmp_path, Place(lit), look)[0] == {"dark", "axis"}
