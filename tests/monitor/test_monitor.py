"""All products together: one drift is told once, and memory has an end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edged.monitor.monitor import MAX_PRODUCTS, MAX_WHITES, Key, Monitor, Rules, Told
from edged.monitor.product import Alarm, Ended, Learning, Seen, Watching
from firmware_sim.drift import Drift
from tests.monitor.drifting import GRID, powders, seen, stream

AXIS = np.linspace(900.0, 1700.0, 60)
OPTICS = {"start_nm": 900.0, "end_nm": 1700.0, "points": 60, "width_px": 7}
INSTRUMENT = Key(station="bench", serial_number="1")


def key(product: str, station: str = "bench") -> Key:
    return Key(station=station, serial_number="1", bundle="b", product=product)


def learned(rows: NDArray[np.float64]) -> Learning | Watching:
    watch: Learning | Watching = Learning(grid=GRID, wanted=60, false_alarm_every=1e4)
    for one in seen(stream(rows, 4), 60):
        watch, _ = watch.take(one)
    return watch


@pytest.fixture(scope="module")
def scans(data_dir: Path) -> dict[str, NDArray[np.float64]]:
    return powders(data_dir)


def test_one_lamp_that_three_products_show_is_news_once_and_over_when_the_last_is_well(
    scans: dict[str, NDArray[np.float64]],
) -> None:
    monitor, labels = Monitor(Rules(readings=100)), ("1090ACAA", "5050ACAA", "100AC")

    def fed(count: int, drift: Drift, seed: int) -> list[Told]:
        rows = {label: stream(scans[label], seed + n, drift) for n, label in enumerate(labels)}
        return [
            told
            for _ in range(count)
            for label in labels
            for one in seen(rows[label], 1)
            for told in monitor.result(key(label), GRID, one)
        ]

    fed(100, Drift(), 3)
    began = fed(60, Drift.parse("lamp=-0.03"), 10)
    ended = fed(300, Drift(), 20)

    alarms = [one for one in began if isinstance(one.finding, Alarm)]
    assert {one.key.product for one in alarms} == set(labels)
    assert [one.is_news for one in alarms] == [True, False, False]
    over = [one for one in ended if isinstance(one.finding, Ended)]
    assert [one.is_news for one in over][:3] == [False, False, True]


def test_the_product_unseen_longest_goes_when_there_are_too_many() -> None:
    monitor, row = Monitor(Rules()), np.zeros(len(GRID.axis))
    for number in range(MAX_PRODUCTS):
        monitor.result(key(f"p{number}"), GRID, Seen(at=number, row=row))
    monitor.result(key("p0"), GRID, Seen(at=100, row=row))

    monitor.result(key("new"), GRID, Seen(at=101, row=row))

    assert len(monitor.products) == MAX_PRODUCTS
    assert key("p1") not in monitor.products
    first = monitor.products[key("p0")]
    assert isinstance(first, Learning)
    assert len(first.rows) == 2


def test_to_learn_anew_forgets_what_it_is_told_to_and_no_more() -> None:
    monitor, row = Monitor(Rules()), np.zeros(len(GRID.axis))
    for product, station in (("a", "bench"), ("b", "bench"), ("a", "other")):
        monitor.result(key(product, station), GRID, Seen(at=1, row=row))
    monitor.white(INSTRUMENT, at=1, axis=AXIS, light=np.ones(60), optics=OPTICS)

    monitor.renew(station="bench", product="a")
    assert set(monitor.products) == {key("b"), key("a", "other")}
    assert INSTRUMENT in monitor.whites

    monitor.renew(station="bench", serial_number="another unit")
    assert key("b") in monitor.products

    monitor.renew(station="bench", serial_number="1")
    assert set(monitor.products) == {key("a", "other")}
    assert not monitor.whites


def test_white_references_alarm_beyond_the_stated_limit_and_end_well_within_it() -> None:
    """10 % of the light, or of its colour from one end to the other; over at 5 %."""
    monitor = Monitor(Rules(white_change=0.1))
    light = np.linspace(50.0, 150.0, 60)

    def told(factor: NDArray[np.float64] | float, at: int) -> Told | None:
        found = monitor.white(INSTRUMENT, at=at, axis=AXIS, light=light * factor, optics=OPTICS)
        assert len(found) <= 1
        return found[0] if found else None

    assert [told(factor, at) for at, factor in enumerate((1.0, 0.92, 1.09))] == [None] * 3
    dim = told(0.85, 4)
    assert dim is not None
    assert isinstance(dim.finding, Alarm)
    assert (dim.finding.cause, dim.finding.signal, dim.finding.since) == ("lamp", "white_level", 4)
    assert dim.finding.changes["white_level"] == pytest.approx(-15.0)
    assert told(0.93, 5) is None
    over = told(0.96, 6)
    assert over is not None
    assert isinstance(over.finding, Ended)
    red = told(np.exp(np.linspace(-0.1, 0.1, 60)), 7)
    assert red is not None
    assert isinstance(red.finding, Alarm)
    assert red.finding.signal == "white_tilt"
    assert red.finding.changes["white_tilt"] == pytest.approx(100 * np.expm1(0.2), rel=1e-6)


def test_a_white_reference_of_another_range_is_compared_where_both_are_or_not_at_all() -> None:
    monitor = Monitor(Rules())
    monitor.white(INSTRUMENT, at=1, axis=AXIS, light=np.ones(60), optics=OPTICS)

    assert monitor.white(INSTRUMENT, at=2, axis=AXIS + 400.0, light=np.ones(60), optics=OPTICS) == []
    assert monitor.white(INSTRUMENT, at=3, axis=AXIS + 4_000.0, light=np.ones(60), optics=OPTICS) == []


def test_a_white_reference_by_other_optical_settings_is_a_first_one_and_ends_what_stood() -> None:
    """Twice as wide a slit lets twice the light through: nothing of the lamp can be told from that."""
    monitor, wide = Monitor(Rules()), OPTICS | {"width_px": 14}

    def told(factor: float, at: int, optics: dict[str, float | int]) -> list[Told]:
        return monitor.white(INSTRUMENT, at=at, axis=AXIS, light=np.full(60, factor), optics=optics)

    told(100.0, 1, OPTICS)
    assert told(200.0, 2, wide) == []
    (dim,) = told(150.0, 3, wide)
    assert isinstance(dim.finding, Alarm)
    assert dim.finding.changes["white_level"] == pytest.approx(-25.0)
    (gone,) = told(100.0, 4, OPTICS)
    assert gone.finding == Ended(at=4, alarm=dim.finding, forgotten=True)
    assert not dict(monitor.alarms())


def test_what_has_to_go_while_it_alarms_is_told_to_have_ended(scans: dict[str, NDArray[np.float64]]) -> None:
    """The journal has its beginning; without an end it would stand there for ever."""
    monitor = Monitor(Rules(readings=60))
    row, rows = np.zeros(len(GRID.axis)), scans["1090ACAA"]
    for one in [*seen(stream(rows, 3), 60), *seen(stream(rows, 5, Drift.parse("lamp=-0.03")), 60, 61)]:
        monitor.result(key("dim"), GRID, one)
    ((_, alarm),) = monitor.alarms()
    known = learned(rows)
    monitor.products |= {key(f"p{number}"): known for number in range(MAX_PRODUCTS - 1)}

    (told,) = monitor.result(key("one too many"), GRID, Seen(at=201, row=row))

    assert (told.key, told.is_news, told.axis_unit) == (key("dim"), True, "nm")
    assert told.finding == Ended(at=201, alarm=alarm, forgotten=True)
    assert (len(monitor.products), monitor.evicted) == (MAX_PRODUCTS, 1)


def test_products_that_are_measured_once_do_not_push_out_what_is_known(
    scans: dict[str, NDArray[np.float64]],
) -> None:
    """As sets of compounds are, of which there may be thousands; what is known and unseen longest stays."""
    monitor, row = Monitor(Rules()), np.zeros(len(GRID.axis))
    known = {key(f"known {number}"): learned(scans["1090ACAA"]) for number in range(MAX_PRODUCTS // 2 - 1)}
    monitor.products |= known

    for number in range(3 * MAX_PRODUCTS):
        monitor.result(key(f"set {number}"), GRID, Seen(at=number, row=row))

    assert len(monitor.products) == MAX_PRODUCTS
    assert known.keys() <= monitor.products.keys()
    assert key(f"set {3 * MAX_PRODUCTS - 1}") in monitor.products


def test_where_most_are_known_a_new_product_is_learned_all_the_same(scans: dict[str, NDArray[np.float64]]) -> None:
    monitor = Monitor(Rules(readings=60))
    monitor.products |= {key(f"known {number}"): learned(scans["1090ACAA"]) for number in range(MAX_PRODUCTS)}

    for one in seen(stream(scans["100AC"], 3), 60):
        monitor.result(key("new"), GRID, one)

    assert isinstance(monitor.products[key("new")], Watching)
    assert key("known 0") not in monitor.products


def test_an_instrument_that_has_to_go_while_its_white_alarms_is_told_to_have_ended() -> None:
    monitor = Monitor(Rules())
    for at, factor in enumerate((1.0, 0.5)):
        monitor.white(INSTRUMENT, at=at, axis=AXIS, light=np.full(60, factor), optics=OPTICS)
    found = [
        told
        for number in range(MAX_WHITES)
        for told in monitor.white(
            Key(station="bench", serial_number=f"unit {number}"), at=9, axis=AXIS, light=np.ones(60), optics=OPTICS
        )
    ]

    assert [(told.key, type(told.finding)) for told in found] == [(INSTRUMENT, Ended)]
    assert len(monitor.whites) == MAX_WHITES


def test_an_alarm_by_a_bundle_that_is_not_in_use_waits_unseen_until_it_is_again(
    scans: dict[str, NDArray[np.float64]],
) -> None:
    monitor, rows = Monitor(Rules(readings=60)), scans["1090ACAA"]
    monitor.bundle = "b"
    for one in [*seen(stream(rows, 3), 60), *seen(stream(rows, 5, Drift.parse("lamp=-0.03")), 60, 61)]:
        monitor.result(key("dim"), GRID, one)

    monitor.bundle = "the one before"
    assert not dict(monitor.alarms())
    monitor.bundle = "b"

    assert list(dict(monitor.alarms())) == [key("dim")]


def test_where_a_station_has_a_bundle_of_its_own_that_is_the_one_in_use() -> None:
    monitor = Monitor(Rules())
    monitor.bundle, monitor.own_bundles = "usual", {"raman": "own"}

    def in_use(station: str, bundle: str) -> bool:
        return monitor.is_in_use(Key(station=station, serial_number="1", bundle=bundle, product="x"))

    assert [in_use("bench", "usual"), in_use("bench", "own")] == [True, False]
    assert [in_use("raman", "usual"), in_use("raman", "own")] == [False, True]
    assert in_use("raman", "")  # of no bundle: a white reference


def test_where_a_bundle_of_its_own_is_unknown_what_others_than_the_usual_one_taught_stands() -> None:
    monitor = Monitor(Rules())
    monitor.bundle, monitor.own_bundles = "usual", {"raman": None}

    def in_use(bundle: str) -> bool:
        return monitor.is_in_use(Key(station="raman", serial_number="1", bundle=bundle, product="x"))

    assert [in_use("usual"), in_use("own"), in_use("")] == [False, True, True]
