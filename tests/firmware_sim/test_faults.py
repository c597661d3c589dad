"""The grammar of a fault plan, its determinism, and each fault on the wire."""

from __future__ import annotations

import struct

import pytest

from firmware_sim.faults import Fault, FaultPlan, FaultPlanError
from tests.firmware_sim.raw_client import adc, client, frame, memory, request, scan_index

STATUS = request(0x0403, sequence=9)
ANSWER = memory().feed(STATUS)


def good_scan(line) -> bytes:
    client(line).write(0x0405)
    return client(line).scan()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("drop=0.01", Fault(name="drop", probability=0.01)),
        ("corrupt@3", Fault(name="corrupt", first=3, last=3)),
        ("busy@1-3", Fault(name="busy", first=1, last=3)),
        ("busy@4-", Fault(name="busy", first=4)),
        ("early_done", Fault(name="early_done")),
        ("delay=0.2:0.5", Fault(name="delay", probability=0.2, parameters=(0.5,))),
        ("delay@3:0.5", Fault(name="delay", first=3, last=3, parameters=(0.5,))),
        ("hangup@7:1200", Fault(name="hangup", first=7, last=7, parameters=(1200.0,))),
        ("hangup@7:1200:2.5", Fault(name="hangup", first=7, last=7, parameters=(1200.0, 2.5))),
        ("error@4:32", Fault(name="error", first=4, last=4, parameters=(32.0,))),
        (" drop = 0.5 @ 2 - 4 ", Fault(name="drop", probability=0.5, first=2, last=4)),
        ("truncate@5:10", Fault(name="truncate", first=5, last=5, parameters=(10.0,))),
    ],
)
def test_an_item_is_read(text: str, fault: Fault) -> None:
    assert FaultPlan.parse(text).faults == (fault,)


def test_items_that_stand_alone_are_read() -> None:
    plan = FaultPlan.parse("garbage=64, estimate=-1, hangup=1200:2", seed=7)

    assert plan == FaultPlan(garbage_bytes=64, estimate_ms=-1, hangup_after=(1200, 2.0), seed=7)


@pytest.mark.parametrize("text", ["", " ", "none"])
def test_an_empty_plan_is_none(text: str) -> None:
    assert FaultPlan.parse(text) == FaultPlan()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("explode", "no fault 'explode'; there are busy, corrupt"),
        ("drop=2", "not a probability"),
        ("drop=-0.1", "not a probability"),
        ("drop=a", "is not NAME"),
        ("drop=1.2.3", "not a number"),
        ("drop@0", "begin at 1"),
        ("drop@5-2", "must not go back"),
        ("drop@2:7", "at most 0 numbers"),
        ("delay@2:-1", "none negative"),
        ("hangup", "hangup@REPLY:BYTE"),
        ("hangup=0.5", "hangup@REPLY:BYTE"),
        ("garbage=0", "1 to 4096"),
        ("garbage@2", "only a value"),
        ("error@1:300", "1 to 255"),
        ("estimate=1.5", "whole number"),
        ("drop,,busy", "is not NAME"),
        ("drop busy", "no fault 'dropbusy'"),
    ],
)
def test_a_wrong_plan_says_what_is_wrong_and_what_is_allowed(text: str, said: str) -> None:
    with pytest.raises(FaultPlanError, match=".*" + said.replace("(", r"\(")):
        FaultPlan.parse(text)


def test_chance_depends_on_seed_and_count_only() -> None:
    def hits(seed: int, order: range) -> set[int]:
        plan = FaultPlan.parse("drop=0.3", seed=seed)
        return {count for count in order if plan.strikes("drop", count)}

    assert hits(1, range(1, 1001)) == hits(1, range(1000, 0, -1))
    assert hits(1, range(1, 1001)) != hits(2, range(1, 1001))
    assert 240 < len(hits(1, range(1, 1001))) < 360


def test_a_dropped_reply_is_silence_and_the_next_is_whole() -> None:
    line = memory(faults="drop@1")

    assert [line.feed(STATUS), line.feed(STATUS)] == [b"", ANSWER]
    assert line.events() == [{"event": "fault", "serial_number": "SIM0001", "fault": "drop", "reply": 1}]


def test_a_corrupted_reply_differs_in_one_byte() -> None:
    reply = memory(faults="corrupt").feed(STATUS)

    assert len(reply) == len(ANSWER)
    assert sum(a != b for a, b in zip(reply, ANSWER, strict=True)) == 1


def test_a_truncated_reply_is_the_beginning_of_the_whole_one() -> None:
    assert memory(faults="truncate@1:5").feed(STATUS) == ANSWER[:5]
    reply = memory(faults="truncate").feed(STATUS)
    assert len(reply) < len(ANSWER)
    assert ANSWER.startswith(reply)


def test_a_delayed_reply_comes_after_so_many_seconds_at_any_speed() -> None:
    line = memory(faults="delay@1:0.5")

    assert line.feed(STATUS) == b""
    assert line.advance(0.49) == b""
    assert line.advance(0.02) == ANSWER


def test_a_duplicated_reply_comes_twice() -> None:
    assert memory(faults="duplicate").feed(STATUS) == ANSWER * 2


def test_a_wrong_sequence_is_a_good_frame_with_another_number() -> None:
    reply = memory(faults="sequence").feed(STATUS)

    assert reply[9] == 10
    assert reply == frame(reply[8:-4])


def test_busy_is_answered_in_both_kinds() -> None:
    line = memory(faults="busy@1-2")

    assert line.feed(request(0x0403)) == frame(b"\xe0\0\0\0")
    assert line.feed(request(0x0405, flags=0x40)) == frame(b"\x60\0\0\0")
    assert line.feed(STATUS) == ANSWER


def test_garbage_comes_before_the_first_reply_of_each_opening_only() -> None:
    line = memory(faults="garbage=64")

    first, second = line.feed(STATUS), line.feed(STATUS)

    assert (len(first), first[64:], second) == (64 + len(ANSWER), ANSWER, ANSWER)
    line.hang_up(0.1)
    line.advance(0.2)
    assert len(line.feed(STATUS)) == 64 + len(ANSWER)


@pytest.mark.parametrize("byte", [0, 1, 13, len(ANSWER) - 1])
def test_a_hang_up_cuts_a_reply_at_the_exact_byte_and_ends_after_its_seconds(byte: int) -> None:
    line = memory(faults=f"hangup@2:{byte}:2")
    line.feed(STATUS)

    assert line.feed(STATUS) == ANSWER[:byte]
    assert line.hung_up
    assert line.feed(STATUS) == b""
    line.advance(2.1)
    assert line.feed(STATUS) == ANSWER


def test_a_hang_up_may_be_counted_in_bytes_over_all_replies_and_strikes_once() -> None:
    line = memory(faults=f"hangup={2 * len(ANSWER) + 3}:1")

    assert [line.feed(STATUS) for _ in range(4)] == [ANSWER, ANSWER, ANSWER[:3], b""]
    line.advance(1.1)
    assert [line.feed(STATUS) for _ in range(4)] == [ANSWER] * 4


def test_a_stale_scan_ends_well_and_leaves_the_data_of_the_one_before() -> None:
    line = memory(faults="stale@2")
    first, second, third = (good_scan(line) for _ in range(3))

    assert second == first
    assert scan_index(third) == scan_index(first) + 1
    assert [event["ok"] for event in line.events() if event["event"] == "scan"] == [True, False, True]


def test_a_failed_scan_shows_only_in_the_error_status_and_must_be_cleared() -> None:
    line = memory(faults="error@2:32")
    first = good_scan(line)

    assert client(line).scan() == first
    status = client(line).read(0x0404)
    assert (struct.unpack_from("<I", status)[0], status[4]) == (1, 32)
    assert line.feed(request(0x0218, b"\0", flags=0x40)) == frame(b"\x50\0\0\0")

    assert scan_index(good_scan(line)) == scan_index(first) + 1


def test_done_too_early_serves_the_scan_before_once() -> None:
    line = memory(faults="early_done@2")
    first, second = good_scan(line), good_scan(line)

    assert second == first
    assert scan_index(client(line).fetch()) == scan_index(first) + 1


def test_done_too_early_is_said_while_the_scan_runs() -> None:
    line = memory(faults="early_done", speed=1.0)
    line.feed(request(0x0218, b"\0", flags=0x40))
    line.advance(0.05)
    line.feed(request(0x0219))

    assert line.advance(0.05)[14:15] == b"\1"


def test_short_light_leaves_an_image_that_is_none() -> None:
    line = memory(faults="short_light@1")

    assert good_scan(line) == bytes(3822)


def test_a_glint_saturates_the_scan() -> None:
    line = memory(["100LA"], faults="saturate@2")
    good_scan(line)

    assert (adc(good_scan(line)) == 2**23 - 1).sum() > 200


def test_the_estimate_may_be_wrong() -> None:
    assert client(memory(faults="estimate=-1")).read(0x0237) == b"\xff" * 4


def test_a_new_plan_counts_from_one_again() -> None:
    line = memory(faults="drop@2")
    line.feed(STATUS)

    line.device.operate("faults drop@2")

    assert [line.feed(STATUS), line.feed(STATUS)] == [ANSWER, b""]
