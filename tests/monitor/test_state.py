"""State to bytes and back: nothing is lost, and no bytes do harm."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edged.monitor.monitor import Key, Monitor, Rules
from edged.monitor.product import Alarm, Learning
from edged.monitor.state import StateDamaged, key_text, pack, unpack_into
from firmware_sim.drift import Drift
from tests.monitor.drifting import GRID, powders, seen, stream

KEY = Key(station="bench", serial_number="6100023", bundle="ab" * 32, product='1090ACAA "quoted"')
RULES = Rules(readings=60)


@pytest.fixture(scope="module")
def scans(data_dir: Path) -> dict[str, NDArray[np.float64]]:
    return powders(data_dir)


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
        assert (told is None) == (again is None)
        if told is not None and again is not None:
            assert type(told.finding) is type(again.finding)
            if isinstance(told.finding, Alarm):
                assert told.finding == again.finding

    assert list(dict(after(broken).alarms())) == [KEY]


def test_a_white_reference_and_its_alarm_survive_too() -> None:
    key, axis = Key(station="bench", serial_number="1"), np.linspace(900.0, 1700.0, 50)
    monitor = Monitor(RULES)
    monitor.white(key, at=1, axis=axis, light=np.full(50, 100.0))
    monitor.white(key, at=2, axis=axis, light=np.full(50, 80.0))

    found = after(monitor)

    assert dict(found.alarms()) == dict(monitor.alarms())
    np.testing.assert_array_equal(found.whites[key].light, monitor.whites[key].light)


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
        ("ewma", np.full(7, np.nan)),
        ("recent", np.zeros((9, 7))),
        ("history", np.zeros((500, 7))),
        ("mean", np.array(["a"] * 152)),
    ],
)
def test_arrays_that_no_chart_can_hold_are_damage(
    scans: dict[str, NDArray[np.float64]], name: str, value: NDArray[np.float64]
) -> None:
    monitor = Monitor(RULES)
    for reading in seen(stream(scans["1090ACAA"], 3), 65):
        monitor.result(KEY, GRID, reading)
    with np.load(io.BytesIO(pack(monitor.products[KEY]))) as file:
        arrays = {key: file[key] for key in file.files} | {name: value}
    changed = io.BytesIO()
    np.savez(changed, **arrays)

    with pytest.raises(StateDamaged):
        unpack_into(Monitor(RULES), key_text(KEY), changed.getvalue())
