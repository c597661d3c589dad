"""The control socket against good, wrong, hostile and vanished clients."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import stat
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from edged.acquire.station import MAX_WAITING
from edged.service.control import (
    ANSWER_WITHIN_S,
    IDLE_S,
    MAX_CONNECTIONS,
    MAX_LINE_BYTES,
    ControlServer,
    MeasureRequest,
    NotAnswered,
    NotRunning,
    Refusal,
    Request,
    StatusRequest,
    ask,
)
from edged.service.measure import _CODES

REPOSITORY = Path(__file__).resolve().parents[2]
DOCUMENT = REPOSITORY / "docs" / "control.md"
DO = "allowed for do: status, measure, reference, dark, selftest, renew, look"


async def handle(request: Request) -> dict[str, Any]:
    match request:
        case StatusRequest():
            return {"state": "well"}
        case MeasureRequest(station="bad"):
            raise Refusal("not_ready", "bad is absent", hint="plug it in")
        case MeasureRequest(station="bug"):
            raise RuntimeError("a bug")
    return {"station": request.station}


def with_server(path: Path, talk: Callable[[Path], Awaitable[None]]) -> None:
    async def life() -> None:
        server = ControlServer(path, handle)
        await server.start()
        try:
            await talk(path)
        finally:
            await server.stop()
        assert not path.exists()

    asyncio.run(life())


async def exchange(path: Path, data: bytes, *, end: bool = True) -> list[dict[str, Any]]:
    reader, writer = await asyncio.open_unix_connection(str(path))
    writer.write(data)
    if end:
        writer.write_eof()
    try:
        answers = await reader.read()
    except ConnectionResetError:  # it hung up on what we were still sending
        answers = b""
    writer.close()
    return [json.loads(line) for line in answers.splitlines()]


def test_requests_of_one_connection_are_answered_in_order(tmp_path: Path) -> None:
    async def talk(path: Path) -> None:
        answers = await exchange(
            path, b'{"do":"status"}\n{"do":"look","station":"a"}\n{"do":"reference","station":"b"}\n'
        )

        assert [a["result"] for a in answers] == [{"state": "well"}, {"station": "a"}, {"station": "b"}]

    with_server(tmp_path / "c", talk)


def test_a_refusal_carries_code_message_and_hint_and_a_bug_does_not_end_the_server(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def talk(path: Path) -> None:
        refused, internal, well = await exchange(
            path, b'{"do":"measure","station":"bad"}\n{"do":"measure","station":"bug"}\n{"do":"status"}\n'
        )

        assert refused["error"] == {"code": "not_ready", "message": "bad is absent", "hint": "plug it in"}
        assert internal["error"]["code"] == "internal"
        assert well["ok"]

    with_server(tmp_path / "c", talk)
    assert "a bug" in caplog.text


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"null\n",
        b"[]\n",
        b'{"do":"format"}\n',
        b'{"do":"measure"}\n',
        b'{"do":"measure","station":5}\n',
        b'{"do":"measure","station":"a","unknown":1}\n',
        b'{"do":"measure","station":"' + b"a" * 300 + b'"}\n',
        b'{"do":"status"',
        b"\xff\xfe\x00\n",
        b"[" * 5000 + b"\n",
    ],
)
def test_a_line_that_is_no_request_is_told_so_and_the_next_one_is_served(tmp_path: Path, line: bytes) -> None:
    async def talk(path: Path) -> None:
        first, *_ = await exchange(path, line)
        assert first["error"]["code"] == "bad_request"
        assert (await exchange(path, b'{"do":"status"}\n'))[0]["ok"]

    with_server(tmp_path / "c", talk)


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        (b"", "the request is no JSON: ", ""),
        (b"[]", "the request is no JSON object", ""),
        (b"{}", "do: is missing", DO),
        (b'{"do":"mesure"}', 'do: is not one of the choices, found "mesure"', DO + "; did you mean measure?"),
        (b'{"do":"' + b"x" * 9_000 + b'"}', 'do: is not one of the choices, found "xxxx', DO),
        (b'{"do":"measure"}', "station: is missing", ""),
        (b'{"do":"look","station":"a","lot":"b"}', '"lot": unknown key', "allowed keys: do, station"),
        (
            b'{"do":"measure","station":"a","preset":"confrim"}',
            'preset: is not one of the choices, found "confrim"',
            "allowed for preset: 'screen', 'balanced', 'confirm'; did you mean confirm?",
        ),
        (
            b'{"do":"dark","station":"' + b"a" * 300 + b'","a":1,"b":2,"c":3}',
            f'station: does not fit, found "{"a" * 26}...; "a": unknown key; "b": unknown key; and 1 more',
            "allowed for station: at most 256 characters; allowed keys: do, station, operator, note",
        ),
    ],
)
def test_a_wrong_request_is_told_the_key_and_what_it_may_be(
    tmp_path: Path, line: bytes, message: str, hint: str
) -> None:
    async def talk(path: Path) -> None:
        (answer,) = await exchange(path, line + b"\n")
        error = answer["error"]
        assert error["code"] == "bad_request"
        assert error["message"].startswith(message)
        assert error["hint"].startswith(hint)
        assert len(error["message"]) < 200
        assert bool(error["hint"]) == bool(hint)

    with_server(tmp_path / "c", talk)


def test_a_line_without_end_is_cut_off_at_the_limit(tmp_path: Path) -> None:
    async def talk(path: Path) -> None:
        answers = await exchange(path, b"a" * (4 * MAX_LINE_BYTES), end=False)
        assert [a["error"]["code"] for a in answers] in ([], ["too_long"])
        assert (await exchange(path, b'{"do":"status"}\n'))[0]["ok"]

    with_server(tmp_path / "c", talk)


def test_one_connection_too_many_is_told_so_and_the_others_live(tmp_path: Path) -> None:
    async def talk(path: Path) -> None:
        held = [await asyncio.open_unix_connection(str(path)) for _ in range(MAX_CONNECTIONS)]
        for reader, writer in held:
            writer.write(b'{"do":"status"}\n')
            assert json.loads(await reader.readline())["ok"]

        assert (await exchange(path, b"", end=False))[0]["error"]["code"] == "too_many"
        for _, writer in held:
            writer.close()

    with_server(tmp_path / "c", talk)


def test_only_owner_and_group_may_connect(tmp_path: Path) -> None:
    async def talk(path: Path) -> None:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660

    with_server(tmp_path / "c", talk)


def test_a_socket_that_a_crash_left_behind_is_replaced_and_a_living_one_is_not(tmp_path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "c"))

    async def talk(path: Path) -> None:
        with pytest.raises(FileExistsError):
            await ControlServer(path, handle).start()
        assert (await exchange(path, b'{"do":"status"}\n'))[0]["ok"]

    with_server(tmp_path / "c", talk)


def test_a_client_is_told_why_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="no such socket") as absent:
        ask(tmp_path / "none", {"do": "status"}, within_s=1)
    (tmp_path / "file").touch()
    with pytest.raises(NotRunning, match="nobody answers"):
        ask(tmp_path / "file", {"do": "status"}, within_s=1)

    assert "edged run" in absent.value.hint


@settings(max_examples=150)
@given(
    st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([b"\n", b'{"do":"status"}\n', b'{"do":'])), max_size=8)
)
def test_any_bytes_get_answers_and_never_silence_the_server(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]
) -> None:
    async def talk(path: Path) -> None:
        data = b"".join(pieces)
        answers = await exchange(path, data)
        lines = data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
        assert len(answers) == lines
        assert all(a["ok"] or a["error"]["code"] == "bad_request" for a in answers)

    with_server(tmp_path_factory.getbasetemp() / "fuzz.sock", talk)


def test_a_file_that_is_no_socket_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "edged.toml"
    path.write_text('site = "lab"\n')

    with pytest.raises(OSError, match="not a socket"):
        asyncio.run(ControlServer(path, handle).start())

    assert path.read_text() == 'site = "lab"\n'


@pytest.mark.parametrize("leaves_early", [False, True])
def test_a_client_that_never_reads_its_answers_does_not_hold_up_the_stop(tmp_path: Path, leaves_early: bool) -> None:
    answered = asyncio.Event()

    async def much(_: Request) -> dict[str, Any]:
        answered.set()
        return {"text": "x" * 1_000_000}

    async def life() -> None:
        server = ControlServer(tmp_path / "c", much)
        await server.start()
        _, writer = await asyncio.open_unix_connection(str(tmp_path / "c"), limit=1024)
        writer.write(b'{"do":"status"}\n')
        if leaves_early:
            writer.write_eof()
        await answered.wait()
        await asyncio.sleep(0)

        async with asyncio.timeout(5):
            await server.stop()
        writer.transport.abort()

    asyncio.run(life())


def test_the_document_shows_every_request_and_no_other() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    shown = re.findall(r'^{"do":.*}$', text, re.MULTILINE)
    keys = dict(re.findall(r"^\| `(\w+)` \|(.*)\|.*\|$", text, re.MULTILINE))

    requests = [TypeAdapter[Request](Request).validate_json(line) for line in shown]

    words = {str(request.do): set(type(request).model_fields) - {"do"} for request in requests}
    assert set(words) == {"status", "measure", "reference", "dark", "selftest", "renew", "look"}
    for do, known in words.items():
        told = set(re.findall(r"`(\w+)`", keys["reference" if do == "dark" else do]))
        assert told == known, do


def test_the_document_tells_every_code_and_every_limit() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    sources = [path.read_text(encoding="utf-8") for path in (REPOSITORY / "edged" / "service").glob("*.py")]
    codes = {code for _, code in _CODES} | {
        code for source in sources for code in re.findall(r'\b(?:Refusal|_error)\("(\w+)"', source)
    }
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| [^|]* \|$", text.split("## Errors")[1], re.MULTILINE)

    assert {code for row in rows for code in re.findall(r"\w+", row)} == codes
    for limit in (
        f"at most {MAX_LINE_BYTES:,} bytes",
        f"{MAX_CONNECTIONS} connections",
        f"for {IDLE_S:g} s",
        f"within {ANSWER_WITHIN_S:g} s",
        f"{MAX_WAITING} measurements wait",
    ):
        assert limit in text


def test_the_client_in_the_document_asks_and_is_refused_in_words(tmp_path: Path) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    defined: dict[str, Any] = {}
    exec(source, defined)

    async def talk(path: Path) -> None:
        result = await asyncio.to_thread(defined["ask"], {"do": "look", "station": "bench"}, str(path))
        assert result == {"station": "bench"}
        with pytest.raises(RuntimeError, match="not_ready: bad is absent; plug it in"):
            await asyncio.to_thread(defined["ask"], {"do": "measure", "station": "bad"}, str(path))

    with_server(tmp_path / "c", talk)


def test_a_daemon_that_goes_away_while_it_answers_is_told_as_one(tmp_path: Path) -> None:
    """Half an answer is no answer, whatever can be read of it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as daemon, ThreadPoolExecutor(1) as other:
        daemon.bind(str(tmp_path / "c"))
        daemon.listen()

        def die() -> None:
            connection, _ = daemon.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b'{"ok":true,"result":{}}')

        dying = other.submit(die)
        with pytest.raises(NotAnswered, match="went away while answering") as gone:
            ask(tmp_path / "c", {"do": "status"}, within_s=60.0)
        dying.result()

    assert "journalctl -u edged" in gone.value.hint
