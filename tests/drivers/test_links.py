"""Memory, faulty and replay links: what the tests of everything else stand on."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest

from drivers.clock import ManualClock
from drivers.errors import LinkLost
from drivers.links.faulty import Faults, FaultyLink
from drivers.links.memory import MemoryLink
from drivers.links.replay import ReplayLink, ReplayMismatch, parse_recording
from drivers.trace import RecordTrace


def test_what_one_end_writes_the_other_reads():
    ours, theirs = MemoryLink.pair()
    ours.write(b"abc", 1.0)
    assert theirs.read(2, 0.0) == b"ab"
    assert theirs.read(2, 0.0) == b"c"
    assert theirs.read(2, 0.0) == b""


def test_an_end_that_closed_is_lost_after_what_was_under_way():
    ours, theirs = MemoryLink.pair()
    theirs.write(b"last", 1.0)
    theirs.close()
    theirs.close()
    assert ours.read(10, 1.0) == b"last"
    with pytest.raises(LinkLost):
        ours.read(10, 1.0)
    with pytest.raises(LinkLost):
        ours.write(b"x", 1.0)


def test_an_interrupt_wakes_a_read_that_waits():
    ours, theirs = MemoryLink.pair()
    woken = threading.Event()
    reader = threading.Thread(target=lambda: (ours.read(1, 60.0), woken.set()))
    reader.start()
    ours.interrupt()
    assert woken.wait(5.0)
    reader.join()
    theirs.close()


def test_a_slow_cable_hands_over_one_byte_at_a_time():
    ours, theirs = MemoryLink.pair()
    link = FaultyLink(ours, Faults(one_byte_at_a_time=True))
    theirs.write(b"abc", 1.0)
    assert [link.read(10, 0.0) for _ in range(4)] == [b"a", b"b", b"c", b""]


def test_a_delay_passes_on_the_clock():
    clock = ManualClock()
    ours, theirs = MemoryLink.pair()
    link = FaultyLink(ours, Faults(delay_s=0.5), clock=clock)
    theirs.write(b"abc", 1.0)
    assert link.read(10, 2.0) == b"abc"
    assert clock.now_s() == 0.5


def spoiled(faults: Faults, data: bytes) -> bytes:
    ours, theirs = MemoryLink.pair()
    theirs.write(data, 1.0)
    return FaultyLink(ours, faults).read(len(data), 0.0)


def test_loss_and_corruption_repeat_with_their_seed():
    data = bytes(range(256)) * 4
    lost, bent = Faults(loss=0.1, seed=7), Faults(corruption=0.1, seed=7)

    assert spoiled(lost, data) == spoiled(lost, data)
    assert 800 < len(spoiled(lost, data)) < 1000
    assert len(spoiled(bent, data)) == len(data)
    assert 50 < sum(a != b for a, b in zip(spoiled(bent, data), data, strict=True)) < 150
    assert spoiled(Faults(loss=0.1, seed=8), data) != spoiled(lost, data)
    assert spoiled(Faults(), data) == data


def test_noise_comes_before_everything():
    ours, theirs = MemoryLink.pair()
    theirs.write(b"abc", 1.0)
    link = FaultyLink(ours, Faults(noise=b"stale"))
    assert [link.read(10, 0.0), link.read(10, 0.0)] == [b"stale", b"abc"]


def test_a_cable_breaks_after_so_many_bytes_of_both_directions():
    ours, theirs = MemoryLink.pair()
    link = FaultyLink(ours, Faults(hang_up_after_bytes=5))
    link.write(b"abc", 1.0)
    theirs.write(b"defg", 1.0)
    assert link.read(2, 1.0) == b"de"
    with pytest.raises(LinkLost, match="after 5 bytes"):
        link.read(2, 1.0)
    with pytest.raises(LinkLost):
        theirs.write(b"x", 1.0)


def test_a_cable_that_breaks_in_the_middle_of_a_write_passes_on_the_first_part():
    ours, theirs = MemoryLink.pair()
    link = FaultyLink(ours, Faults(hang_up_after_bytes=2))
    with pytest.raises(LinkLost):
        link.write(b"abc", 1.0)
    assert theirs.read(10, 0.0) == b"ab"


def test_a_replay_insists_on_what_was_sent():
    link = ReplayLink([(">", b"ab"), ("<", b"cd")])
    link.write(b"a", 1.0)
    with pytest.raises(ReplayMismatch, match="wrote 78, recorded > 62"):
        link.write(b"x", 1.0)


def test_leaving_a_replay_asserts_that_nothing_remains():
    with pytest.raises(ReplayMismatch, match="1 pieces remain, the first is < 63 64"), ReplayLink([("<", b"cd")]):
        pass
    with pytest.raises(RuntimeError), ReplayLink([("<", b"cd")]):
        raise RuntimeError("an error under way is not covered up")


def test_a_recording_is_read_back_as_it_was_made(tmp_path: Path):
    text = io.StringIO()
    trace = RecordTrace(text)
    trace.sent(bytes(range(40)))
    trace.received(b"x")
    trace.received(b"y")
    trace.note("two\nlines")
    trace.sent(b"z")
    path = tmp_path / "talk.txt"
    path.write_text(text.getvalue())

    assert text.getvalue().splitlines()[2:] == ["< 78 79", "# two lines", "> 7a"]
    with ReplayLink.from_file(path) as link:
        link.write(bytes(range(40)), 1.0)
        assert link.read(10, 1.0) == b"xy"
        link.write(b"z", 1.0)
        assert link.read(10, 1.0) == b""
    assert link.clock.now_s() == 1.0


@pytest.mark.parametrize("line", ["x 41", "> 4", "<", "> zz", "41 42"])
def test_a_broken_recording_names_the_line(line: str):
    with pytest.raises(ValueError, match="talk, line 2"):
        parse_recording(f"# remark\n{line}\n", name="talk")
