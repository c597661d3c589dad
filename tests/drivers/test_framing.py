"""Buffers and framers: bytes in, frames out, always on the move."""

from __future__ import annotations

import pytest

from drivers.framing import NEED_MORE, Frame, Inbox, Lines, Skip, skip_to


def test_a_line_is_found_whole_byte_by_byte_and_with_bytes_behind_it():
    lines = Lines(limit_bytes=16)

    assert lines.find(b"hello\n") == Frame(payload=b"hello", size_bytes=6)
    for size in range(6):
        assert lines.find(b"hello\n"[:size]) is NEED_MORE
    assert lines.find(b"hello\nnext") == Frame(payload=b"hello", size_bytes=6)


@pytest.mark.parametrize("buffer", [b"x" * 16, b"x" * 40, b"x" * 20 + b"\n"])
def test_a_line_over_the_limit_is_skipped(buffer: bytes):
    found = Lines(limit_bytes=16).find(buffer)

    assert isinstance(found, Skip)
    assert 1 <= found.size_bytes <= len(buffer)


def test_a_marker_cut_off_at_the_end_is_kept():
    assert skip_to(b"ABCD", b"xxABC") == Skip(size_bytes=2, reason="noise before a frame")
    assert skip_to(b"ABCD", b"ABC") is None
    assert skip_to(b"ABCD", b"ABCDx") is None
    assert skip_to(b"ABCD", b"xABCDx").size_bytes == 1
    assert skip_to(b"ABCD", b"ABxxx").size_bytes == 5


def test_an_inbox_hands_out_frames_in_order_and_keeps_the_rest():
    inbox, lines = Inbox(), Lines()
    inbox.feed(b"one\ntwo\nthr")

    assert [inbox.next(lines).payload, inbox.next(lines).payload, inbox.next(lines)] == [b"one", b"two", None]
    assert len(inbox) == 3
    inbox.feed(b"ee\n")
    assert inbox.next(lines).payload == b"three"


class Greedy:
    """A framer that is never satisfied."""

    limit_bytes = 8

    def find(self, buffer: bytes) -> None:
        return NEED_MORE


def test_an_inbox_stays_bounded_with_a_framer_that_is_never_satisfied():
    inbox, greedy = Inbox(), Greedy()

    for _ in range(1000):
        assert inbox.room(greedy) >= 1
        inbox.feed(b"x" * inbox.room(greedy))
        assert inbox.next(greedy) is None
        assert len(inbox) < greedy.limit_bytes

    assert inbox.skipped > 900
    assert len(inbox.noise) == 64
    assert inbox.reason == "no frame within 8 bytes"
    inbox.forgive()
    assert (inbox.skipped, inbox.noise, inbox.reason) == (0, b"", "")
