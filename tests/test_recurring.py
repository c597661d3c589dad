"""A fault that comes again and again fills no log, and one that went away begins anew."""

from __future__ import annotations

import logging

import pytest

from edged.recurring import Recurring

log = logging.getLogger("tests.recurring")


def test_a_repeated_fault_is_logged_at_powers_of_ten(caplog: pytest.LogCaptureFixture) -> None:
    fault = Recurring(log)

    for _ in range(2_000):
        fault.again(logging.WARNING, "station=%s is away", "bench")

    assert fault.count == 2_000
    assert [record.getMessage() for record in caplog.records] == [
        f"station=bench is away (time {count})" for count in (1, 10, 100, 1000)
    ]
    assert {record.funcName for record in caplog.records} == {"test_a_repeated_fault_is_logged_at_powers_of_ten"}


def test_a_fault_that_was_over_is_told_at_once_when_it_comes_again(caplog: pytest.LogCaptureFixture) -> None:
    fault = Recurring(log)
    for _ in range(5):
        fault.again(logging.ERROR, "silent")

    fault.over()
    fault.again(logging.ERROR, "silent", exc_info=ValueError("why"))

    assert [record.getMessage() for record in caplog.records] == ["silent (time 1)"] * 2
    assert "ValueError: why" in caplog.text


def test_what_was_told_as_something_else_has_come_and_is_not_told_again(caplog: pytest.LogCaptureFixture) -> None:
    fault, known = Recurring(log), Recurring(log)
    for _ in range(4):
        known.again(logging.INFO, "before")
    caplog.clear()

    for one in (fault, known):
        one.told_otherwise()
    told = fault.count, known.count
    fault.again(logging.WARNING, "still away")

    assert told == (1, 4)
    assert fault.count == 2
    assert not caplog.records


def test_what_never_happened_is_not_told() -> None:
    assert not Recurring(log).is_told
