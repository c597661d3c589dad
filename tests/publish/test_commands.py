"""Commands over a real broker: understood ones are carried out once, all others are answered and do no harm."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.publish.commands import MAX_AT_ONCE, Command, CommandRefused, Commands
from edged.publish.connection import Arrived, Message
from edged.publish.topics import Names
from tests.broker import Broker
from tests.publish.conftest import Rig
from tests.subscriber import Subscriber

PREFIX = "edged/v1/plant-1/edge-1"
MakeRig = Callable[..., Rig]


def converse(
    rig: Rig, port: int, talk: Callable[[Subscriber], Awaitable[None]], *topics: str, five: bool = True
) -> list[Any]:
    """Run a talk with the publisher; return the replies that were heard."""

    async def scene(listener: Subscriber) -> None:
        async with rig.running() as publisher:
            await rig.until(lambda: publisher.state.connected)
            await talk(listener)

    with Subscriber(port, *(topics or (f"{PREFIX}/cmd/+/reply",)), five=five, client_id="commander") as listener:
        asyncio.run(scene(listener))
        return list(listener.heard)


def test_a_command_is_answered_where_it_asks_with_its_correlation(broker: Broker, make_rig: MakeRig) -> None:
    rig = make_rig(broker.port)
    payload = b'{"station":"bench","lot":"L7","procedure":"verify","claimed":"acetaminophen","preset":"confirm"}'

    async def talk(listener: Subscriber) -> None:
        await asyncio.to_thread(
            listener.publish,
            f"{PREFIX}/cmd/measure",
            payload,
            ResponseTopic="mine/answers",
            CorrelationData=b"\x00\x07",
        )
        await asyncio.to_thread(listener.wait_for, lambda h: len(h) == 1)

    (reply,) = converse(rig, broker.port, talk, "mine/#")

    assert (reply.topic, reply.correlation) == ("mine/answers", b"\x00\x07")
    assert reply.json["ok"] is True
    assert reply.json["result"] == {"count": 1}
    assert [c.verb for c in rig.commands] == ["measure"]
    assert rig.commands[0].request.claimed == "acetaminophen"


def test_in_mqtt_3_a_command_is_answered_on_the_reply_topic_with_its_request_id(
    broker: Broker, make_rig: MakeRig
) -> None:
    rig = make_rig(broker.port, protocol="3.1.1")

    async def talk(listener: Subscriber) -> None:
        await asyncio.to_thread(listener.publish, f"{PREFIX}/cmd/reference", b'{"station":"bench","request_id":"r1"}')
        await asyncio.to_thread(listener.wait_for, lambda h: len(h) == 1)

    (reply,) = converse(rig, broker.port, talk, five=False)

    assert reply.topic == f"{PREFIX}/cmd/reference/reply"
    assert (reply.json["ok"], reply.json["request_id"]) == (True, "r1")


def test_a_repeated_request_is_not_carried_out_twice(broker: Broker, make_rig: MakeRig) -> None:
    rig = make_rig(broker.port)
    payload = b'{"station":"bench","request_id":"r1"}'

    async def talk(listener: Subscriber) -> None:
        rig.carried_out.clear()
        for _ in range(2):  # the second comes while the first is being carried out
            await asyncio.to_thread(listener.publish, f"{PREFIX}/cmd/measure", payload)
        await asyncio.to_thread(listener.publish, f"{PREFIX}/cmd/status", b"")  # when it is there, so are both
        await rig.until(lambda: [c.verb for c in rig.commands] == ["measure", "status"])
        rig.carried_out.set()
        await asyncio.to_thread(listener.wait_for, lambda h: len(h) == 2)
        await asyncio.to_thread(listener.publish, f"{PREFIX}/cmd/measure", payload)
        await asyncio.to_thread(listener.wait_for, lambda h: len(h) == 3)
        await asyncio.to_thread(listener.publish, f"{PREFIX}/cmd/measure", b'{"station":"shelf","request_id":"r1"}')
        await asyncio.to_thread(listener.wait_for, lambda h: len(h) == 4)

    replies = [reply for reply in converse(rig, broker.port, talk) if reply.json["verb"] == "measure"]

    assert [command.verb for command in rig.commands] == ["measure", "status"]
    assert replies[0].payload == replies[1].payload
    assert replies[2].json["error"]["code"] == "request_id_reused"


def test_a_retained_command_never_fires(broker: Broker, make_rig: MakeRig) -> None:
    rig = make_rig(broker.port)
    with Subscriber(broker.port, "x", client_id="careless") as careless:
        careless.publish(f"{PREFIX}/cmd/measure", b'{"station":"bench"}', retain=True)

    async def talk(listener: Subscriber) -> None:
        await asyncio.to_thread(listener.publish, f"{PREFIX}/cmd/status", b"")
        await asyncio.to_thread(listener.wait_for, lambda h: len(h) == 1)

    converse(rig, broker.port, talk)

    assert [command.verb for command in rig.commands] == ["status"]


HOSTILE = [
    ("measure", b"", "bad_request", "station: is missing"),
    ("measure", b"{", "bad_request", "the request is no JSON: EOF"),
    ("measure", b"[" * 8000, "bad_request", "the request is no JSON: "),
    ("measure", b"[1]", "bad_request", "the request is no JSON object"),
    ("measure", b"\xff\xfe", "bad_request", "the request is no JSON: "),
    ("measure", b'{"station":7}', "bad_request", "station: does not fit, found 7"),
    ("measure", b'{"station":"bench","laser":"on"}', "bad_request", '"laser": unknown key'),
    (
        "measure",
        b'{"station":"bench","preset":"wild"}',
        "bad_request",
        'preset: is not one of the choices, found "w',
    ),
    ("measure", b'{"station":"bench","note":"' + b"x" * 1001 + b'"}', "bad_request", "note: does not fit"),
    ("measure", b'{"station":"' + b"x" * 9000 + b'"}', "too_large", "bytes; at most"),
    ("explode", b"{}", "unknown_verb", "explode"),
]


@pytest.mark.parametrize(("verb", "payload", "code", "words"), HOSTILE)
def test_a_hostile_command_is_answered_and_not_carried_out(verb: str, payload: bytes, code: str, words: str) -> None:
    called, sent = exercise(lambda desk, jobs: desk.receive(arrived(verb, payload), jobs))

    assert called == []
    assert sent[0].topic == f"{PREFIX}/cmd/{verb}/reply"
    reply = json.loads(sent[0].payload)
    assert (reply["ok"], reply["error"]["code"]) == (False, code)
    assert words in reply["error"]["message"]
    assert len(sent[0].payload) < 1000


def test_a_wrong_request_is_told_what_is_allowed() -> None:
    payload = b'{"station":"bench","prset":"confirm","procedure":"verfy","explain":"yes"}'

    _, sent = exercise(lambda desk, jobs: desk.receive(arrived("measure", payload), jobs))

    error = json.loads(sent[0].payload)["error"]
    assert error["message"].split("; ") == [
        'procedure: is not one of the choices, found "verfy"',
        'explain: does not fit, found "yes"',
        '"prset": unknown key',
    ]
    procedure, meant, *rest = error["hint"].split("; ")
    assert procedure == "allowed for procedure: 'identify', 'verify', 'components', 'quantify'"
    assert meant == "did you mean verify?"
    assert (rest[0], rest[-1]) == ("allowed for explain: boolean", "did you mean preset?")


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.text()), min_size=1, max_size=20))
def test_what_a_stranger_sends_is_not_sent_back(request_: dict[str, Any]) -> None:
    payload = json.dumps({key + "x" * 400: f"{value}" * 9 for key, value in request_.items()}).encode()[:8000]

    _, sent = exercise(lambda desk, jobs: desk.receive(arrived("measure", payload), jobs))

    error = json.loads(sent[0].payload)["error"]
    assert error["message"].isprintable()
    assert len(error["message"]) < 200
    assert "x" * 31 not in error["message"] + error["hint"]


def test_the_request_id_of_a_wrong_request_comes_back() -> None:
    _, sent = exercise(lambda desk, jobs: desk.receive(arrived("measure", b'{"request_id":"r9","x":1}'), jobs))

    assert json.loads(sent[0].payload)["request_id"] == "r9"


@given(st.text(max_size=8) | st.sampled_from(["measure", "status"]), st.binary(max_size=64) | st.text().map(str.encode))
def test_whatever_arrives_nothing_is_raised(verb: str, payload: bytes) -> None:
    exercise(lambda desk, jobs: desk.receive(arrived(verb, payload), jobs))


@pytest.mark.parametrize(
    "topic", [f"{PREFIX}/status", f"{PREFIX}/result/bench", "a/#", "a/+/b", "$SYS/x", "", "x" * 600]
)
def test_nobody_can_make_us_answer_where_we_must_not_write(topic: str) -> None:
    _, sent = exercise(lambda desk, jobs: desk.receive(arrived("status", b"", response_topic=topic), jobs))

    assert [message.topic for message in sent] == [f"{PREFIX}/cmd/status/reply"]


def test_more_commands_than_can_be_carried_out_are_told_to_wait() -> None:
    def flood(desk: Commands, jobs: asyncio.TaskGroup) -> None:
        for number in range(MAX_AT_ONCE + 1):
            desk.receive(arrived("status", b'{"request_id":"%d"}' % number), jobs)

    called, sent = exercise(flood)

    assert len(called) == MAX_AT_ONCE
    assert json.loads(sent[0].payload)["error"]["code"] == "busy"


def test_a_refusal_or_a_bug_of_the_handler_becomes_an_error_reply(caplog: pytest.LogCaptureFixture) -> None:
    async def refuse(_: Command) -> dict[str, Any]:
        raise CommandRefused("parked", "bench: parked", hint="plug it in")

    async def stumble(_: Command) -> dict[str, Any]:
        raise RuntimeError("secret detail")

    _, refused = exercise(lambda desk, jobs: desk.receive(arrived("status", b""), jobs), refuse)
    _, stumbled = exercise(lambda desk, jobs: desk.receive(arrived("status", b""), jobs), stumble)

    assert json.loads(refused[0].payload)["error"] == {
        "code": "parked",
        "message": "bench: parked",
        "hint": "plug it in",
    }
    assert json.loads(stumbled[0].payload)["error"]["code"] == "internal"
    assert b"secret" not in stumbled[0].payload
    assert "secret detail" in caplog.text


def arrived(verb: str, payload: bytes, *, response_topic: str | None = None) -> Arrived:
    return Arrived(
        topic=f"{PREFIX}/cmd/{verb}", payload=payload, retained=False, response_topic=response_topic, correlation=None
    )


def exercise(
    act: Callable[[Commands, asyncio.TaskGroup], None],
    handler: Callable[[Command], Awaitable[dict[str, Any]]] | None = None,
) -> tuple[list[Command], list[Message]]:
    called: list[Command] = []
    sent: list[Message] = []

    async def note(command: Command) -> dict[str, Any]:
        called.append(command)
        return {}

    async def scene() -> None:
        desk = Commands(names=Names(site="plant-1", device="edge-1"), handler=handler or note, send=sent.append)
        async with asyncio.TaskGroup() as jobs:
            act(desk, jobs)

    asyncio.run(scene())
    return called, sent
