"""One product from its first reading to an alarm that has the right name, and out of it again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edged.monitor.product import MAX_READINGS, Alarm, Ended, Finding, Learned, Learning, Seen, Watching
from firmware_sim.drift import Drift
from tests.monitor.drifting import GRID, powders, seen, stream

Array = NDArray[np.float64]
LEARNED_FROM = 200


@pytest.fixture(scope="module")
def scans(data_dir: Path) -> dict[str, Array]:
    return powders(data_dir)


def learning() -> Learning:
    return Learning(grid=GRID, wanted=LEARNED_FROM, false_alarm_every=10_000.0)


def fed(watch: Learning | Watching, readings: Iterable[Seen]) -> tuple[Learning | Watching, list[Finding]]:
    findings = []
    for reading in readings:
        watch, found = watch.take(reading)
        if found is not None:
            findings.append(found)
    return watch, findings


def learned(rows: Iterator[Array]) -> Watching:
    watch, findings = fed(learning(), seen(rows, LEARNED_FROM))
    assert isinstance(watch, Watching)
    assert [type(found) for found in findings] == [Learned]
    return watch


@pytest.mark.parametrize(
    ("making", "cause"),
    [
        ("lamp=-0.01", "lamp"),
        ("lamp=0.01", "lamp"),
        ("axis=0.5", "axis"),
        ("axis=-0.5", "axis"),
        ("offset=0.1", "presentation"),
        ("path=1.1", "presentation"),
        ("product=100LA:0.2", "product"),
    ],
)
def test_a_drift_is_seen_named_and_dated(scans: dict[str, Array], making: str, cause: str) -> None:
    """Of each of the powders, within a hundred readings; ten of eleven have the right name, and the date is right."""
    drift = Drift.parse(making)
    alarms: list[Alarm] = []
    late = []
    for label in (label for label in scans if label != "100LA"):
        watch = learned(stream(scans[label], 3))
        findings = fed(watch, seen(stream(scans[label], 5, drift, scans["100LA"]), 100, LEARNED_FROM + 1))[1]
        assert len(findings) <= 1  # one an onset, however long it lasts
        alarms += [found for found in findings if isinstance(found, Alarm)]
        late += [
            (found.since - LEARNED_FROM - 1) / watch.baseline.batch for found in findings if isinstance(found, Alarm)
        ]

    assert len(alarms) >= 9
    assert sum(alarm.cause == cause for alarm in alarms) >= len(alarms) - 1
    assert all(alarm.value > alarm.limit for alarm in alarms)
    assert abs(np.median(late)) <= 1.0  # in means


def test_numbers_of_an_alarm_are_those_of_the_drift(scans: dict[str, Array]) -> None:
    """A filament 1 % cooler; 0.5 nm longer waves at each place move every band 0.5 nm down the axis."""
    changes = {}
    for name, making in (("lamp", "lamp=-0.01"), ("axis", "axis=0.5"), ("path", "path=1.1")):
        watch = learned(stream(scans["1090ACAA"], 3))
        _, (alarm,) = fed(watch, seen(stream(scans["1090ACAA"], 5, Drift.parse(making)), 100, LEARNED_FROM + 1))
        assert isinstance(alarm, Alarm)
        changes[name] = alarm.changes[name]  # type: ignore[index]

    assert changes["lamp"] == pytest.approx(-1.0, abs=0.3)
    assert changes["axis"] == pytest.approx(-0.5, abs=0.15)
    assert changes["path"] == pytest.approx(10.0, abs=4.0)


def test_an_alarm_ends_when_all_is_as_it_was_and_the_next_change_is_told_anew(scans: dict[str, Array]) -> None:
    rows, drift = scans["1090ACAA"], Drift.parse("lamp=-0.02")
    watch: Learning | Watching = learned(stream(rows, 3))

    watch, first = fed(watch, seen(stream(rows, 5, drift), 200, 201))
    watch, over = fed(watch, seen(stream(rows, 6), 300, 401))
    watch, second = fed(watch, seen(stream(rows, 7, drift), 100, 701))

    assert [type(found) for found in (*first, *over, *second)] == [Alarm, Ended, Alarm]


def test_what_an_instrument_does_not_tell_never_alarms(scans: dict[str, Array]) -> None:
    """Without a sensor of its own and without gates there are fewer charts; later values change nothing."""
    rows = stream(scans["1090ACAA"], 3)
    watch = learned(rows)
    readings = [Seen(at=r.at, row=r.row, sensor=700.0, score=9.0) for r in seen(rows, 100, 201)]

    _, findings = fed(watch, readings)

    assert findings == []


def test_a_lamp_that_its_own_sensor_sees_is_the_lamp(scans: dict[str, Array]) -> None:
    chance = np.random.default_rng(1)
    rows = stream(scans["1090ACAA"], 3)
    watch: Learning | Watching = learning()
    watch, _ = fed(
        watch, (Seen(at=r.at, row=r.row, sensor=730.0 + 0.2 * chance.standard_normal()) for r in seen(rows, 200))
    )

    _, findings = fed(watch, (Seen(at=r.at, row=r.row, sensor=725.0) for r in seen(rows, 60, 201)))

    (alarm,) = findings
    assert isinstance(alarm, Alarm)
    assert (alarm.cause, alarm.signal) == ("lamp", "sensor")
    assert alarm.changes["sensor"] == pytest.approx(-5.0, abs=0.2)


def lots(rows: Array, seed: int, length: int) -> Iterator[Array]:
    """Yield whole fillings, so many readings in a row at one level."""
    fillings, chance = stream(rows, seed), np.random.default_rng(seed)
    while True:
        level = 0.1 * chance.standard_normal()
        for _ in range(length):
            yield next(fillings) + level


def test_a_product_that_varies_is_not_watched_as_long_as_its_readings_come_in_lots(scans: dict[str, Array]) -> None:
    """Lots of a hundred readings; one that does not vary has no such excuse, and is known after 200."""
    rows = list(islice(lots(scans["1090ACAA"], 7, 100), 1_000))
    readings = [Seen(at=at, row=row) for at, row in enumerate(rows)]
    varying = Learning(grid=GRID, wanted=LEARNED_FROM, false_alarm_every=10_000.0, varies=True)

    watch, findings = fed(varying, readings)
    fixed, known = fed(learning(), readings[:LEARNED_FROM])

    assert (watch, findings) == (varying, [])
    assert (varying.wanted, varying.in_lots) == (MAX_READINGS, True)
    assert MAX_READINGS // 2 <= len(varying.rows) < MAX_READINGS
    assert varying.rows[-1] == pytest.approx(rows[-1].astype(np.float32))
    assert isinstance(fixed, Watching)
    assert len(known) == 1


def test_lots_that_end_are_forgotten_and_the_product_is_watched(scans: dict[str, Array]) -> None:
    varying = Learning(grid=GRID, wanted=LEARNED_FROM, false_alarm_every=10_000.0, varies=True)
    held_up, _ = fed(varying, seen(lots(scans["1090ACAA"], 7, 100), LEARNED_FROM))

    watch, findings = fed(held_up, seen(stream(scans["1090ACAA"], 9), 1_050, LEARNED_FROM + 1))

    assert isinstance(watch, Watching)
    assert [type(found) for found in findings] == [Learned]
    assert watch.baseline.readings == MAX_READINGS
