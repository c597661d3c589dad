"""One conversation after the other on one link: the session performs steps; timers, patience and buffer are its own.

Steps come in, results or sorted errors go out. Lives on its station's thread; others may call `interrupt` only.
"""

from __future__ import annotations

import logging
import struct
import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

from drivers.clock import Clock, SystemClock
from drivers.contract import (
    BaudLink,
    Control,
    Conversation,
    Drain,
    Link,
    Receive,
    Recover,
    Send,
    SetBaud,
    Step,
    UsbLink,
    Wait,
)
from drivers.errors import AskAgain, DriverError, Interrupted, NoAnswer, WireError
from drivers.framing import Frame, Inbox
from drivers.trace import Trace, log_trace

T = TypeVar("T")

SLICE_S = 0.1  # longest read in one piece, so that an interrupt which raced with its start is seen soon
WRITE_WITHIN_S = 2.0  # the longest message is 530 bytes, 46 ms at 115200 baud
DRAIN_CHUNK_BYTES = 4096

SETUP = struct.Struct("<BBHHH")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often a fault is forgiven before it is passed on.

    refusals: an AskAgain error; the pause before asking again doubles from `pause_s`.
    resynchronisations: a Resynchronise error; the line is drained before asking again.
    """

    refusals: int = 2
    resynchronisations: int = 1
    pause_s: float = 0.25


class Session:
    """Performs conversations on `link`, which it closes in the end. `trace` None means DEBUG lines in the log, if that
    takes them when the session begins."""

    def __init__(
        self,
        link: Link | UsbLink,
        *,
        trace: Trace | None = None,
        clock: Clock | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._link = link
        self._pipes = link if isinstance(link, UsbLink) else None
        self._stream = None if isinstance(link, UsbLink) else link
        self._trace: Trace | None = trace or log_trace(link.name)
        self._clock: Clock = clock or SystemClock()
        self._patience = patience or Patience()
        self._inboxes: dict[int | None, Inbox] = {}  # by endpoint
        self._stop = threading.Event()
        self._never = threading.Event()
        self._out_of_step = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def link(self) -> Link | UsbLink:
        """The link that this session talks on."""
        return self._link

    def perform(self, conversation: Conversation[T], *, interruptible: bool = True) -> T:
        """Hold the conversation and return its result.

        Raises the DriverError that ended it, or Interrupted. With `interruptible` False an interrupt waits for the
        next one: for switching a lamp off. A conversation that catches Interrupted may take a few more steps, which
        nothing interrupts, to switch its own light off. One after another that failed begins with a drained line.
        """
        stop = self._stop if interruptible else self._never
        settled = False
        try:
            if self._out_of_step:
                self._drain(Drain(), stop)
            self._out_of_step = True
            result = self._hold(conversation, stop)
            settled = True
            return result
        except Interrupted:
            self._stop.clear()
            raise
        finally:
            self._out_of_step = not settled
            conversation.close()

    def interrupt(self) -> None:
        """Make the conversation under way, or else the next one, raise Interrupted within 0.3 s. Any thread.

        One that uses a laser first switches it off, with a few requests more.
        """
        self._stop.set()
        self._link.interrupt()

    def close(self) -> None:
        """Close the link. Never raises."""
        self._link.close()

    def _hold(self, conversation: Conversation[T], stop: threading.Event) -> T:
        fault: DriverError | Interrupted
        try:
            step = conversation.send(None)
            while True:
                try:
                    answer = self._perform(step, stop)
                except DriverError as error:
                    fault = error
                except Interrupted as error:
                    self._stop.clear()
                    fault, stop = error, self._never
                else:
                    step = conversation.send(answer)
                    continue
                step = conversation.throw(fault)
        except StopIteration as end:
            result: T = end.value
            return result

    def _perform(self, step: Step, stop: threading.Event) -> bytes | None:
        if stop.is_set():
            raise _stopped()
        match step:  # the two that every frame needs come first
            case Send():
                self._send(step)
            case Receive():
                return self._receive(step, stop)
            case Control():
                return self._control(step)
            case Drain():
                self._drain(step, stop)
            case SetBaud(baud=baud):
                if isinstance(self._link, BaudLink):
                    self._link.set_baud(baud)
                    self._note(f"{baud} baud")
            case Wait():
                self._wait(step.seconds, stop)
            case Recover():
                self._recover(step, stop)
        return None

    def _send(self, step: Send) -> None:
        data, endpoint = step.data, step.endpoint
        if self._trace is not None:
            self._trace.sent(data)
        if endpoint is None:
            self._line.write(data, WRITE_WITHIN_S)
        else:
            self._usb.write_to(endpoint, data, WRITE_WITHIN_S)

    def _note(self, text: str) -> None:
        if self._trace is not None:
            self._trace.note(text)

    def _control(self, step: Control) -> bytes:
        setup = SETUP.pack(step.request_type, step.request, step.value, step.index, step.length or len(step.data))
        if self._trace is not None:
            self._trace.sent(setup + step.data)
        answer = self._usb.control(step)
        if self._trace is not None:
            if answer:
                self._trace.received(answer)
            self._trace.flush()
        return answer

    @property
    def _line(self) -> Link:
        assert self._stream is not None, "this conversation is for a stream, the link is USB"
        return self._stream

    @property
    def _usb(self) -> UsbLink:
        assert self._pipes is not None, "this conversation is for USB, the link is a stream"
        return self._pipes

    def _inbox(self, endpoint: int | None) -> Inbox:
        inbox = self._inboxes.get(endpoint)
        if inbox is None:
            inbox = self._inboxes[endpoint] = Inbox()
        return inbox

    def _receive(self, step: Receive, stop: threading.Event) -> bytes:
        left_s, framer, endpoint = step.within_s, step.framer, step.endpoint
        deadline_s, data = self._clock.now_s() + left_s, b""
        try:
            if left_s > 0 and not self._inboxes.get(endpoint):  # as a rule one transfer brings one frame
                data = self._read(framer.limit_bytes, left_s, stop, endpoint)
                found = framer.find(data) if data else None
                if isinstance(found, Frame) and found.size_bytes == len(data):
                    return found.payload
            inbox = self._inbox(endpoint)
            inbox.feed(data)
            inbox.forgive()
            while (frame := inbox.next(framer)) is None:
                left_s = deadline_s - self._clock.now_s()
                if left_s <= 0:
                    raise self._silence(step, inbox)
                inbox.feed(self._read(inbox.room(framer), left_s, stop, endpoint))
        finally:
            if self._trace is not None:
                self._trace.flush()
        if inbox.skipped:
            self._note(f"skipped {inbox.skipped} bytes: {inbox.reason}")
        return frame.payload

    def _silence(self, step: Receive, inbox: Inbox) -> WireError | NoAnswer:
        where = self._link.name
        if inbox.skipped:
            return WireError(
                f"{where}: {inbox.skipped} bytes made no frame: {inbox.reason}",
                hint="check the baud rate, and that this port belongs to the instrument",
                received=inbox.noise,
            )
        pending = f" but {len(inbox)} bytes of an unfinished frame" if len(inbox) else ""
        return NoAnswer(f"{where}: no answer within {step.within_s:g} s{pending}")

    def _read(self, limit: int, within_s: float, stop: threading.Event, endpoint: int | None) -> bytes:
        if stop.is_set():
            raise _stopped()
        if within_s > SLICE_S:
            within_s = SLICE_S
        data = self._line.read(limit, within_s) if endpoint is None else self._usb.read_from(endpoint, limit, within_s)
        if data and self._trace is not None:
            self._trace.received(data)
        return data

    def _drain(self, step: Drain, stop: threading.Event) -> None:
        dropped = sum(len(inbox.clear()) for inbox in self._inboxes.values())
        endpoints: tuple[int | None, ...] = (None,)
        if self._pipes is not None:
            self._pipes.clear_halts()
            endpoints = self._pipes.in_endpoints
        for endpoint in endpoints:
            dropped += self._drain_one(endpoint, step, stop)
        if dropped:
            self._note(f"drained {dropped} bytes")

    def _drain_one(self, endpoint: int | None, step: Drain, stop: threading.Event) -> int:
        dropped = 0
        deadline_s = self._clock.now_s() + step.within_s
        quiet_since_s = self._clock.now_s()
        while (now_s := self._clock.now_s()) < min(deadline_s, quiet_since_s + step.quiet_s):
            left_s = min(deadline_s, quiet_since_s + step.quiet_s) - now_s
            data = self._read(DRAIN_CHUNK_BYTES, left_s, stop, endpoint)
            if data:
                dropped += len(data)
                quiet_since_s = self._clock.now_s()
        return dropped

    def _wait(self, seconds: float, stop: threading.Event) -> None:
        if self._clock.wait(stop, seconds):
            raise _stopped()

    def _recover(self, step: Recover, stop: threading.Event) -> None:
        asking_again = isinstance(step.error, AskAgain)
        allowed = self._patience.refusals if asking_again else self._patience.resynchronisations
        if step.attempt > allowed:
            raise step.error
        log.debug("asking again link=%s attempt=%d after=%s", self._link.name, step.attempt, step.error.message)
        self._note(f"asking again: {step.error.message}")
        if asking_again:
            self._wait(self._patience.pause_s * 2 ** (step.attempt - 1), stop)
        else:
            self._drain(Drain(), stop)


def _stopped() -> Interrupted:
    return Interrupted("stopped on request")
