"""The session: steps performed, faults cured or passed on, stopped when told."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from drivers.attempt import attempt
from drivers.clock import ManualClock
from drivers.contract import Conversation, Drain, Receive, Send, Wait
from drivers.errors import DeviceBusy, DeviceRefused, Interrupted, LaserAlarm, LinkLost, NoAnswer, WireError
from drivers.framing import Lines
from drivers.links.memory import MemoryLink
from drivers.links.replay import ReplayLink
from drivers.session import Patience, Session
from drivers.trace import LogTrace

LINE = Lines(limit_bytes=32)
STOPPED_WITHIN_S = 0.3


def ask(question: bytes, *, within_s: float = 1.0) -> Conversation[bytes]:
    yield Send(data=question + b"\n")
    answer = yield Receive(framer=LINE, within_s=within_s)
    if answer == b"busy":
        raise DeviceBusy("busy")
    if answer == b"no":
        raise DeviceRefused("no", codes={"no": 1})
    if answer == b"?":
        raise WireError("not an answer")
    return answer or b""


def replay(*pieces: tuple[str, bytes]) -> tuple[ReplayLink, Session]:
    link = ReplayLink(pieces)
    return link, Session(link, clock=link.clock)


def test_a_question_gets_its_answer():
    link, session = replay((">", b"who\n"), ("<", b"me\n"))
    with link:
        assert session.perform(ask(b"who")) == b"me"


def test_silence_is_no_answer_after_the_time_allowed_and_not_later():
    link, session = replay((">", b"who\n"))
    with link, pytest.raises(NoAnswer, match="within 1 s"):
        session.perform(ask(b"who"))
    assert link.clock.now_s() == pytest.approx(1.0)


def test_an_unfinished_frame_is_no_answer_that_says_so():
    link, session = replay((">", b"who\n"), ("<", b"m"))
    with link, pytest.raises(NoAnswer, match="1 bytes of an unfinished frame"):
        session.perform(ask(b"who"))


def test_bytes_that_make_no_frame_are_a_wire_error_that_holds_them():
    link, session = replay((">", b"who\n"), ("<", b"x" * 100))
    with link, pytest.raises(WireError, match="made no frame") as caught:
        session.perform(ask(b"who"))
    assert caught.value.received == b"x" * 64


class Trickle:
    """A link on which a byte comes every 0.4 s of its clock, for ever."""

    name = "trickle"

    def __init__(self) -> None:
        self.clock = ManualClock()

    def read(self, limit: int, within_s: float) -> bytes:
        self.clock.advance(min(0.4, within_s))
        return b"x"

    def write(self, data: bytes, within_s: float) -> None:
        pass

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_trickle_of_bytes_does_not_move_the_deadline():
    link = Trickle()
    with pytest.raises(NoAnswer):
        Session(link, clock=link.clock).perform(ask(b"who", within_s=2.0))
    assert link.clock.now_s() <= 2.01


def test_a_line_that_is_never_quiet_is_drained_for_a_limited_time():
    link = Trickle()

    def drain() -> Conversation[None]:
        yield Drain(quiet_s=0.05, within_s=1.0)

    Session(link, clock=link.clock).perform(drain())
    assert link.clock.now_s() <= 1.01


def test_a_refusal_is_asked_again_after_growing_pauses_and_then_passed_on():
    refusals = [(">", b"go\n"), ("<", b"no\n")] * 3
    link, session = replay(*refusals)
    with link, pytest.raises(DeviceRefused) as caught:
        session.perform(attempt(lambda: ask(b"go")))
    assert caught.value.codes == {"no": 1}
    assert link.clock.now_s() == pytest.approx(0.25 + 0.5)


def test_a_refusal_that_ends_is_forgotten():
    link, session = replay((">", b"go\n"), ("<", b"busy\n"), (">", b"go\n"), ("<", b"ok\n"))
    with link:
        assert session.perform(attempt(lambda: ask(b"go"))) == b"ok"


def test_a_stream_out_of_step_is_drained_and_asked_again_once():
    link, session = replay((">", b"go\n"), ("<", b"?\nstale"), (">", b"go\n"), ("<", b"ok\n"))
    with link:
        assert session.perform(attempt(lambda: ask(b"go"))) == b"ok"

    link, session = replay(*[(">", b"go\n"), ("<", b"?\n")] * 2)
    with link, pytest.raises(WireError):
        session.perform(attempt(lambda: ask(b"go")))


def test_a_lost_link_is_passed_on_at_once():
    ours, theirs = MemoryLink.pair()
    theirs.close()
    with pytest.raises(LinkLost):
        Session(ours).perform(attempt(lambda: ask(b"go")))


def test_a_cure_that_was_not_named_is_passed_on_at_once():
    link, session = replay((">", b"go\n"), ("<", b"no\n"))
    with link, pytest.raises(DeviceRefused):
        session.perform(attempt(lambda: ask(b"go"), (WireError,)))


def test_patience_can_be_set():
    link = ReplayLink([(">", b"go\n"), ("<", b"no\n")])
    session = Session(link, clock=link.clock, patience=Patience(refusals=0))
    with link, pytest.raises(DeviceRefused):
        session.perform(attempt(lambda: ask(b"go")))


def test_a_conversation_after_a_failed_one_begins_with_a_drained_line():
    link, session = replay((">", b"go\n"), ("<", b"?\nstale\n"), (">", b"who\n"), ("<", b"me\n"))
    with link:
        with pytest.raises(WireError):
            session.perform(ask(b"go"))
        assert session.perform(ask(b"who")) == b"me"


def test_waiting_takes_its_time_on_the_clock():
    def pause() -> Conversation[str]:
        yield Wait(seconds=3.0)
        return "done"

    link, session = replay()
    assert session.perform(pause()) == "done"
    assert link.clock.now_s() == pytest.approx(3.0)


def slow_steps() -> dict[str, Conversation[None]]:
    def receive() -> Conversation[None]:
        yield Receive(framer=LINE, within_s=60.0)

    def wait() -> Conversation[None]:
        yield Wait(seconds=60.0)

    def drain() -> Conversation[None]:
        yield Drain(quiet_s=60.0, within_s=60.0)

    def refused() -> Conversation[None]:
        raise DeviceRefused("no")
        yield Wait(seconds=0)

    return {"receive": receive(), "wait": wait(), "drain": drain(), "again": attempt(refused)}


@pytest.mark.parametrize("step", slow_steps())
def test_an_interrupt_from_another_thread_stops_any_step_soon(step: str):
    ours, theirs = MemoryLink.pair()
    session = Session(ours, patience=Patience(refusals=9, pause_s=60.0))
    stopped = threading.Event()

    def talk() -> None:
        with pytest.raises(Interrupted):
            session.perform(slow_steps()[step])
        stopped.set()

    station = threading.Thread(target=talk)
    station.start()
    while not station.is_alive():
        pass
    started_s = time.monotonic()
    session.interrupt()
    assert stopped.wait(5.0)
    assert time.monotonic() - started_s < STOPPED_WITHIN_S
    station.join()
    theirs.close()


def test_an_interrupt_before_a_conversation_stops_it_and_only_it():
    link, session = replay((">", b"who\n"), ("<", b"me\n"))
    session.interrupt()
    with link:
        with pytest.raises(Interrupted):
            session.perform(ask(b"who"))
        assert session.perform(ask(b"who")) == b"me"


def test_switching_off_is_not_stopped_by_an_interrupt():
    link, session = replay((">", b"off\n"), ("<", b"ok\n"))
    session.interrupt()
    with link:
        assert session.perform(ask(b"off"), interruptible=False) == b"ok"
    with pytest.raises(Interrupted):
        session.perform(ask(b"who"))


def test_an_interrupted_conversation_may_switch_its_own_light_off():
    def lit() -> Conversation[None]:
        try:
            yield Wait(seconds=1.0)
        except Interrupted:
            yield from ask(b"off")
            raise

    link, session = replay((">", b"off\n"), ("<", b"ok\n"), (">", b"who\n"), ("<", b"me\n"))
    session.interrupt()
    with link:
        with pytest.raises(Interrupted):
            session.perform(lit())
        assert session.perform(ask(b"who")) == b"me"


def test_a_light_that_does_not_go_off_is_heard_of_instead_of_the_interrupt():
    def lit() -> Conversation[None]:
        try:
            yield Wait(seconds=1.0)
        except Interrupted as interrupted:
            raise LaserAlarm("it stays on") from interrupted

    link, session = replay((">", b"who\n"), ("<", b"me\n"))
    session.interrupt()
    with link:
        with pytest.raises(LaserAlarm):
            session.perform(lit())
        assert session.perform(ask(b"who")) == b"me"


def test_a_conversation_is_closed_whatever_ends_it():
    closed = []

    def careful() -> Conversation[None]:
        try:
            yield Wait(seconds=1.0)
        finally:
            closed.append("yes")

    _, session = replay()
    session.interrupt()
    with pytest.raises(Interrupted):
        session.perform(careful())
    session.perform(careful())
    assert closed == ["yes", "yes"]


def test_the_log_shows_each_frame_once_in_hex_in_both_directions(caplog: pytest.LogCaptureFixture):
    ours, theirs = MemoryLink.pair("bench")
    theirs.write(b"me\n", 1.0)
    with caplog.at_level(logging.DEBUG, logger="drivers.trace"):
        Session(ours, trace=LogTrace("bench")).perform(ask(b"who"))
    assert [record.getMessage() for record in caplog.records] == ["bench > 77 68 6f 0a", "bench < 6d 65 0a"]


def test_a_session_closes_its_link():
    ours, theirs = MemoryLink.pair()
    with Session(ours):
        pass
    with pytest.raises(LinkLost):
        theirs.read(1, 0.0)
