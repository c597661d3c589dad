"""That targets stand beside what was reached, and say which are missed."""

from __future__ import annotations

from dataclasses import replace

from tests.bench.bank_fresh import Fresh
from tests.bench.bank_page import page
from tests.bench.bank_shapes import Shape
from tests.bench.bank_way import Measured
from tests.bench.bank_ways import FLOAT_SESSIONS, OURS, SESSIONS


def _measured(name: str, times: float) -> Measured:
    fresh = Fresh(load_s=0.1 * times, memory_mb=10.0 * times)
    return Measured(name=name, ms=2.0 * times, error=0.1, fresh=fresh, files_mb=4.0 * times, packed_mb=3.0)


def _shape(name: str, rate: float) -> Shape:
    return Shape(name=name, parameters=10, macs=1000, us=5.0, rate=rate, peak=200.0)


def test_targets_are_met_or_missed_next_to_both_kinds_of_sessions() -> None:
    found = {"resuca": [_measured(OURS, 1.0), _measured(SESSIONS, 3.6), _measured(FLOAT_SESSIONS, 16.0)]}

    lines = page(found, [_shape("narrow", 40.0), _shape("wide", 90.0)], compounds=368, points=1024).splitlines()

    assert "| latency | 3 | 3.60, met | 16.00, met |" in lines
    assert "| load | 15 | 3.60, **missed** | 16.00, met |" in lines
    assert "| memory | 4 | 3.60, **missed** | 16.00, met |" in lines
    assert "| files, as they lie | 3.5 | 3.60, met | 16.00, met |" in lines
    assert "| files, in a bundle | 3.5 | 1.00, **missed** | 1.00, **missed** |" in lines
    (roof,) = [line for line in lines if line.startswith("Of the fastest int8 kernel")]
    assert "at least 50 %: **missed**" in roof
    assert "(wide) reaches 45 %, `resuca` 20 %." in roof


def test_a_bank_that_is_timed_twice_is_told_so_with_both_times() -> None:
    found = {"resuca": [_measured(OURS, 1.0), _measured(SESSIONS, 3.6), _measured(FLOAT_SESSIONS, 16.0)]}

    text = page(found, [replace(_shape("narrow", 40.0), us=2750.0), _shape("wide", 90.0)], compounds=368, points=1024)

    assert "timed minutes later: `resuca` 2.8 ms here and 2.0 in its table." in text


def test_half_of_the_fastest_kernel_is_met_by_one_shape() -> None:
    found = {"resuca": [_measured(OURS, 1.0), _measured(SESSIONS, 3.6), _measured(FLOAT_SESSIONS, 16.0)]}

    text = page(found, [_shape("narrow", 40.0), _shape("wide", 110.0)], compounds=368, points=1024)

    assert "at least 50 %: met. The best shape (wide) reaches 55 %" in text
