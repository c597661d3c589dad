"""How long it takes to a bundle: all lessons to the first after which every promise holds."""

from __future__ import annotations

from tests.bench.bank_learn import Lesson, until_written


def lesson(broken: int, wall_s: float) -> Lesson:
    return Lesson(compound="c", told={}, broken=[{"named": 0.5}] * broken, wall_s=wall_s, cpu_s=wall_s / 2.0)


def test_lessons_that_were_left_without_a_bundle_count_and_those_after_it_do_not() -> None:
    found = until_written([lesson(3, 10.0), lesson(0, 20.0), lesson(0, 40.0)])

    assert (found["until_a_bundle_wall_s"], found["until_a_bundle_cpu_s"]) == (30.0, 15.0)
    assert [each["broken_promises"] for each in found["lessons"]] == [3, 0, 0]


def test_where_every_lesson_was_left_without_a_bundle_no_time_is_told() -> None:
    found = until_written([lesson(5, 10.0)])

    assert found["until_a_bundle_wall_s"] is None
    assert len(found["lessons"][0]["worst"]) == 3
