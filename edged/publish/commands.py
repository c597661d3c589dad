"""Commands from the broker: hostile bytes enter, at most one call of the handler and one reply leave. On the loop."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from edged.mistakes import request_mistakes
from edged.publish.connection import Arrived, Message
from edged.publish.payloads import VERBS, CommandFailure, CommandReply, CommandRequest, Verb, to_json
from edged.publish.topics import REPLY, Names

log = logging.getLogger(__name__)

MAX_PAYLOAD_BYTES = 8 * 1024  # the longest allowed request is under 4 kB
MAX_AT_ONCE = 8  # commands being carried out; a station does one after the other anyway
MAX_REMEMBERED = 256  # replies kept for repeated requests
MAX_TOPIC_CHARACTERS = 512
_VERB = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class CommandRefused(Exception):
    """Raised by the handler: the command was understood and is not carried out. `code` is for programs."""

    def __init__(self, code: str, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command that may be carried out. `request.station` is set for every verb but `status`."""

    verb: Verb
    request: CommandRequest


CommandHandler = Callable[[Command], Awaitable[dict[str, Any]]]


@dataclass(slots=True)
class _Remembered:
    digest: bytes
    reply: CommandReply | None = None  # None while it is being carried out


@dataclass(frozen=True, slots=True, kw_only=True)
class _Return:
    topic: str
    correlation: bytes | None


class Commands:
    """Checks, carries out, answers. `handler` returns the `result` of the reply or raises CommandRefused."""

    def __init__(self, *, names: Names, handler: CommandHandler, send: Callable[[Message], None]) -> None:
        self._names = names
        self._handler = handler
        self._send = send
        self._remembered: OrderedDict[object, _Remembered] = OrderedDict()
        self._running: set[asyncio.Task[None]] = set()

    def receive(self, arrived: Arrived, jobs: asyncio.TaskGroup) -> None:
        """Take one message. Whatever it holds, this returns soon and raises nothing."""
        name = self._names.verb(arrived.topic)
        if name is None or not _VERB.fullmatch(name):
            return
        if arrived.retained:  # it would fire again at every connection
            log.warning("retained command ignored topic=%s", arrived.topic)
            return
        back = self._return(arrived, name)
        try:
            command = _understood(name, arrived.payload)
        except CommandRefused as refused:
            self._answer(back, _refusal(name, _request_id(arrived.payload), refused))
            return
        key = _key(name, arrived, command.request)
        digest = hashlib.sha256(arrived.payload).digest()
        known = self._remembered.get(key) if key is not None else None
        if known is not None:
            self._repeat(back, command, known, digest)
        elif len(self._running) >= MAX_AT_ONCE:
            busy = CommandRefused(
                "busy", f"{MAX_AT_ONCE} commands are being carried out already", hint="ask again later"
            )
            self._answer(back, _refusal(name, command.request.request_id, busy))
        else:
            memory = _Remembered(digest)
            if key is not None:
                self._remembered[key] = memory
                while len(self._remembered) > MAX_REMEMBERED:
                    self._remembered.popitem(last=False)
            task = jobs.create_task(self._carry_out(command, memory, back), name=f"command {name}")
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def cancel(self) -> None:
        """Give up on commands that are being carried out."""
        for task in self._running:
            task.cancel()

    def _repeat(self, back: _Return, command: Command, known: _Remembered, digest: bytes) -> None:
        if known.digest != digest:
            reused = CommandRefused("request_id_reused", "this request id came before, with another request")
            self._answer(back, _refusal(command.verb, command.request.request_id, reused))
        elif known.reply is not None:
            self._answer(back, known.reply)

    async def _carry_out(self, command: Command, memory: _Remembered, back: _Return) -> None:
        request_id = command.request.request_id
        try:
            result = await self._handler(command)
            reply = CommandReply(verb=command.verb, request_id=request_id, ok=True, result=result)
        except CommandRefused as refused:
            reply = _refusal(command.verb, request_id, refused)
        except Exception:  # the boundary to the handler: one failed command must not end the publisher
            log.exception("command failed verb=%s station=%s", command.verb, command.request.station)
            failed = CommandRefused("internal", "the command failed", hint="the daemon's log says more")
            reply = _refusal(command.verb, request_id, failed)
        memory.reply = reply
        self._answer(back, reply)

    def _return(self, arrived: Arrived, verb: str) -> _Return:
        wanted = arrived.response_topic
        if wanted is None or not self._may_answer_on(wanted):
            wanted = self._names.of(REPLY, verb=verb)
        return _Return(topic=wanted, correlation=arrived.correlation)

    def _may_answer_on(self, topic: str) -> bool:
        """Tell whether a stranger may make us write there: not on our own topics, which would be forgery."""
        return (
            0 < len(topic) <= MAX_TOPIC_CHARACTERS
            and not any(c in "+#\0" for c in topic)
            and not topic.startswith("$")
            and not topic.startswith(f"{self._names.prefix}/")
        )

    def _answer(self, back: _Return, reply: CommandReply) -> None:
        self._send(Message(topic=back.topic, payload=to_json(reply), correlation=back.correlation))


def _understood(verb: str, payload: bytes) -> Command:
    if verb not in VERBS:
        raise CommandRefused("unknown_verb", f"no verb {verb!r}", hint=f"there are {', '.join(VERBS)}")
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise CommandRefused("too_large", f"{len(payload)} bytes; at most {MAX_PAYLOAD_BYTES}")
    try:
        request = CommandRequest.model_validate_json(payload or b"{}")
    except ValidationError as error:
        message, hint = request_mistakes(error.errors(include_url=False), CommandRequest.model_fields)
        raise CommandRefused("bad_request", message, hint=hint) from error
    if verb != "status" and request.station is None:
        raise CommandRefused("bad_request", "station: is missing")
    return Command(verb=verb, request=request)


def _refusal(verb: str, request_id: str | None, why: CommandRefused) -> CommandReply:
    failure = CommandFailure(code=why.code, message=why.message, hint=why.hint)
    return CommandReply(verb=verb, request_id=request_id, ok=False, error=failure)


def _key(verb: str, arrived: Arrived, request: CommandRequest) -> object:
    """Return what tells a repeated request from a new one, or None when the sender gave nothing to tell by."""
    if arrived.correlation is not None:
        return verb, arrived.response_topic, arrived.correlation
    return (verb, request.request_id) if request.request_id is not None else None


def _request_id(payload: bytes) -> str | None:
    """Return the request id of a request that is wrong in other ways, as far as it can be told."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        return None
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    request_id = found.get("request_id") if isinstance(found, dict) else None
    return (
        request_id if isinstance(request_id, str) and 0 < len(request_id) <= 64 and request_id.isprintable() else None
    )
