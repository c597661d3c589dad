"""State to bytes and back: nothing is lost, and no bytes do harm."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edged.config.vocabulary import Drift as DriftSection
from edged.monitor.monitor import Key, Monitor, Rules
from edged.monitor.product import MAX_READINGS, Alarm, Ended, Learning
from edged.monitor.state import OtherEdition, StateDamaged, key_text, pack, unpack_into
from firmware_sim.drift import Drift
from tests.monitor.drifting import GRID, powders, seen, stream

KEY = Key(station="bench", serial_number="6100023", bundle="ab" * 32, product='1090ACAA "quoted"')
RULES = Rules(readings=60)


@pytest.fixture(scope="module")
def scans(data_dir: Path) -> dict[str, NDArray[np.float64]]:
    return powders(data_dir)


@pytest.fixture(scope="module")
def watched(scans: dict[str, NDArray[np.float64]]) -> bytes:
    """The state of a product that was learned from 60 readings, five readings later."""
    monitor = Monitor(RULES)
    for reading in seen(stream(scans["1090ACAA"], 3), 65):
        monitor.result(KEY, GRID, reading)
    return pack(monitor.products[KEY])


def after(monitor: Monitor) -> Monitor:
    """What a restart finds."""
    found = Monitor(monitor.rules)
    for key, watch in (*monitor.products.items(), *monitor.whites.items()):
        unpack_into(found, key_text(key), pack(watch))
    return found


def test_a_restart_after_every_reading_changes_no_finding(scans: dict[str, NDArray[np.float64]]) -> None:
    rows = scans["1090ACAA"]
    readings = [*seen(stream(rows, 3), 75), *seen(stream(rows, 5, Drift.parse("lamp=-0.02")), 45, 76)]
    steady, broken = Monitor(RULES), Monitor(RULES)

    for reading in readings:
        told = steady.result(KEY, GRID, reading)
        broken = after(broken)
        again = broken.result(KEY, GRID, reading)
        assert [type(one.finding) for one in told] == [type(one.finding) for one in again]
        for one, other in zip(told, again, strict=True):
            if isinstance(one.finding, Alarm):
                assert one.finding == other.finding

    assert list(dict(after(broken).alarms())) == [KEY]


def test_what_is_held_up_because_it_comes_in_lots_still_is_after_a_restart() -> None:
    monitor, row = Monitor(RULES), np.zeros(len(GRID.axis), dtype=np.float32)
    for varies, key in ((True, KEY), (False, replace(KEY, product="fixed"))):
        watch = Learning(grid=GRID, wanted=RULES.readings, false_alarm_every=1e4, varies=varies)
        watch.rows, watch.others = [row] * (RULES.readings + 1), [(0.0, 0.0)] * (RULES.readings + 1)
        monitor.products[key] = watch

    held_up, fixed = after(monitor).products.values()

    assert isinstance(held_up, Learning)
    assert (held_up.varies, held_up.in_lots, held_up.wanted) == (True, True, MAX_READINGS)
    assert isinstance(fixed, Learning)
    assert (fixed.varies, fixed.in_lots, fixed.wanted) == (False, False, RULES.readings)


def test_a_white_reference_and_its_alarm_survive_too() -> None:
    key, axis = Key(station="bench", serial_number="1"), np.linspace(900.0, 1700.0, 50)
    monitor = Monitor(RULES)
    optics = {"start_nm": 900.0, "end_nm": 1700.0, "points": 50, "width_px": None}
    monitor.white(key, at=1, axis=axis, light=np.full(50, 100.0), optics=optics)
    monitor.white(key, at=2, axis=axis, light=np.full(50, 80.0), optics=optics)

    found = after(monitor)

    assert dict(found.alarms()) == dict(monitor.alarms())
    np.testing.assert_array_equal(found.whites[key].light, monitor.whites[key].light)
    (over,) = found.white(key, at=3, axis=axis, light=np.full(50, 100.0), optics=optics)
    assert isinstance(over.finding, Ended)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_state_or_damaged(data: bytes) -> None:
    with pytest.raises(StateDamaged):
        unpack_into(Monitor(RULES), key_text(KEY), data)


@settings(max_examples=60)
@given(st.data())
def test_a_byte_changed_anywhere_does_no_harm(data: st.DataObject) -> None:
    watch = Learning(grid=GRID, wanted=60, false_alarm_every=1e4)
    watch.rows, watch.others = [np.zeros(len(GRID.axis), dtype=np.float32)] * 3, [(0.0, 0.0)] * 3
    body = bytearray(pack(watch))
    body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    monitor = Monitor(RULES)

    try:
        unpack_into(monitor, key_text(KEY), bytes(body))
    except StateDamaged:
        return
    for reading in seen(iter([np.zeros(len(GRID.axis))] * 2), 2):
        monitor.result(KEY, GRID, reading)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("axis", np.linspace(1700.0, 900.0, 152)),
        ("axis", np.array([1.0])),
        ("scale", np.zeros(152)),
        ("spreads", -np.ones(7)),
        ("level", np.full(7, np.nan)),
        ("cusum", np.zeros((3, 7))),
        ("since", -np.ones((2, 7), dtype=np.int64)),
        ("since", np.full((2, 7), 6, dtype=np.int64)),
        ("since", np.full((2, 7), 2**63 - 1, dtype=np.int64)),
        ("since", np.ones((2, 7))),
        ("history_from", np.full(2, 2**62, dtype=np.int64)),
        ("history_from", np.full(2, -1, dtype=np.int64)),
        ("history_from", np.full(2, 1e300)),
        ("history", np.zeros((500, 7))),
        ("mean", np.array(["a"] * 152)),
    ],
)
def test_arrays_that_no_chart_can_hold_are_damage(watched: bytes, name: str, value: NDArray[np.float64]) -> None:
    with np.load(io.BytesIO(watched)) as file:
        arrays = {key: file[key] for key in file.files} | {name: value}
    changed = io.BytesIO()
    np.savez(changed, **arrays)

    with pytest.raises(StateDamaged):
        unpack_into(Monitor(RULES), key_text(KEY), changed.getvalue())


def with_plain(body: bytes, changes: dict[str, Any]) -> bytes:
    """The same state, but for what is not an array."""
    with np.load(io.BytesIO(body)) as file:
        arrays = {name: file[name] for name in file.files}
    plain = json.loads(bytes(arrays["plain"])) | changes
    arrays["plain"] = np.frombuffer(json.dumps(plain).encode(), dtype=np.uint8)
    changed = io.BytesIO()
    np.savez(changed, **arrays)
    return changed.getvalue()


@pytest.mark.parametrize(
    "changes",
    [
        {"learned_from": 0},
        {"learned_from": 19},
        {"learned_from": MAX_READINGS + 1},
        {"learned_from": 10**30},
        {"readings": -1},
        {"readings": 2**62},
        {"readings": 5.0},
        {"pending_from": 2**62},
        {"calm": "1"},
    ],
)
def test_counts_that_no_product_can_have_are_damage(watched: bytes, changes: dict[str, Any]) -> None:
    """Among them one learned from fewer means, or more readings, than any can be."""
    unpack_into(Monitor(RULES), key_text(KEY), with_plain(watched, {}))

    with pytest.raises(StateDamaged):
        unpack_into(Monitor(RULES), key_text(KEY), with_plain(watched, changes))


@pytest.mark.parametrize("edition", [1, 2, 4])
def test_a_state_of_another_edition_is_told_from_damage(edition: int) -> None:
    monitor = white_with_alarm()
    key = Key(station="bench", serial_number="1")

    with pytest.raises(OtherEdition, match=f"edition {edition}, this version writes edition 3"):
        unpack_into(Monitor(RULES), key_text(key), with_plain(pack(monitor.whites[key]), {"edition": edition}))


@pytest.mark.parametrize("edition", ["3", None, 3.0, -1, 10**30])
def test_what_is_no_number_of_an_edition_is_damage(edition: object) -> None:
    monitor = white_with_alarm()
    key = Key(station="bench", serial_number="1")

    with pytest.raises(StateDamaged) as caught:
        unpack_into(Monitor(RULES), key_text(key), with_plain(pack(monitor.whites[key]), {"edition": edition}))

    assert not isinstance(caught.value, OtherEdition)


def white_with_alarm() -> Monitor:
    monitor, axis = Monitor(RULES), np.linspace(900.0, 1700.0, 50)
    for at, light in ((1, 100.0), (2, 80.0)):
        monitor.white(Key(station="bench", serial_number="1"), at=at, axis=axis, light=np.full(50, light), optics={})
    return monitor


def with_alarm(monitor: Monitor, key: Key, changes: dict[str, Any]) -> bytes:
    """The state of a white reference whose alarm says something else."""
    body = pack(monitor.whites[key])
    with np.load(io.BytesIO(body)) as file:
        alarm = json.loads(bytes(file["plain"]))["alarm"]
    return with_plain(body, {"alarm": alarm | changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"cause": "weather"},
        {"cause": ["lamp"]},
        {"signal": "white_tint"},
        {"signal": "axis"},
        {"signal": "axis", "changes": {"axis": 1.0}},
        {"chart": "cards"},
        {"chart": "cusum"},
        {"chart": "zones"},
        {"changes": {}},
        {"changes": {"white_level": -20.0, "colour": 1.0}},
        {"changes": {"white_level": float("nan")}},
        {"changes": {"white_level": "-20"}},
        {"changes": [["white_level", -20.0]]},
        {"value": float("inf")},
        {"value": None},
        {"limit": "10"},
        {"limit": True},
        {"since": 1.5},
        {"since": -1},
        {"at": 2**70},
        {"readings": "1"},
        {"mood": "good"},
    ],
)
def test_an_alarm_that_no_chart_gives_is_damage(changes: dict[str, Any]) -> None:
    key, monitor = Key(station="bench", serial_number="1"), white_with_alarm()
    unpack_into(Monitor(RULES), key_text(key), with_alarm(monitor, key, {}))

    with pytest.raises(StateDamaged):
        unpack_into(Monitor(RULES), key_text(key), with_alarm(monitor, key, changes))


def test_a_name_that_no_record_could_hold_is_damage() -> None:
    monitor = white_with_alarm()
    body = pack(monitor.whites[Key(station="bench", serial_number="1")])

    with pytest.raises(StateDamaged):
        unpack_into(Monitor(RULES), json.dumps(["\ud800", "1", "", None]), body)


def test_as_many_readings_as_may_be_configured_can_be_kept() -> None:
    (limit,) = (rule.le for rule in DriftSection.model_fields["readings"].metadata if hasattr(rule, "le"))

    assert limit == MAX_READINGS == 500
