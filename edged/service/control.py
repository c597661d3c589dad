"""The local control socket: a JSON object a line in, a JSON object a line out. `edged status`, `edged measure` use it.

    {"do": "status"}
    {"do": "measure", "station": "bench", "operator": "kl", "lot": "A", "barcode": "4", "note": "left", "claimed": "X"}
    {"do": "measure", "station": "bench", "procedure": "quantify", "preset": "confirm"}
    {"do": "measure", "station": "bench", "explain": true}
    {"do": "reference", "station": "bench"}     or "dark"
    {"do": "selftest", "station": "bench", "material": "polystyrene"}
    {"do": "renew", "station": "bench", "product": "X", "note": "new lamp"}     learn drift anew
    {"do": "look", "station": "bench"}          look again at a parked or absent instrument

    {"ok": true, "result": {...}}
    {"ok": false, "error": {"code": "not_ready", "message": "...", "hint": "..."}}

`result` of measure and reference is the record as stored. A station's `answers_within_s`, in the result of status, says
how long that may take; who waits no longer, or is cut off, must not think that nothing was stored. A line that is no
such request gets an error and the connection goes on; one longer than MAX_LINE_BYTES ends it. Answers come in the order
of the requests of a connection. Whoever may write to the socket's file (mode 0660) may command. Lives on the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from edged.infer.verdict import Preset, Procedure
from edged.mistakes import SHOWN_CHARACTERS, near, request_mistakes, shown

log = logging.getLogger(__name__)

MAX_LINE_BYTES = 16_384  # the longest request is under 4 KiB; bounds what one connection can make us hold
MAX_CONNECTIONS = 32  # several terminals and a script; bounds a runaway loop of clients
IDLE_S = 60.0  # a connection that says nothing is closed
ANSWER_WITHIN_S = 10.0  # a client that does not read its answer is dropped
SOCKET_MODE = 0o660

ShortText = Annotated[str, Field(min_length=1, max_length=256)]


class _Request(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class StatusRequest(_Request):
    """How are you?"""

    do: Literal["status"]


class MeasureRequest(_Request):
    """One measurement, one verdict."""

    do: Literal["measure"]
    station: ShortText
    procedure: Procedure | None = None
    claimed: ShortText | None = None
    preset: Preset | None = None
    operator: ShortText | None = None
    lot: ShortText | None = None
    barcode: ShortText | None = None
    note: Annotated[str, Field(min_length=1, max_length=1_000)] | None = None
    explain: bool | None = None


class ReferenceRequest(_Request):
    """Take the white reference."""

    do: Literal["reference", "dark"]
    station: ShortText
    operator: ShortText | None = None
    note: Annotated[str, Field(min_length=1, max_length=1_000)] | None = None


class SelfTestRequest(_Request):
    """Measure a standard and compare it with its table."""

    do: Literal["selftest"]
    station: ShortText
    material: ShortText | None = None
    baseline: bool = False
    operator: ShortText | None = None
    note: Annotated[str, Field(min_length=1, max_length=1_000)] | None = None


class RenewRequest(_Request):
    """Learn anew what drift is measured against: one product, or all there and the white reference."""

    do: Literal["renew"]
    station: ShortText
    product: ShortText | None = None
    operator: ShortText | None = None
    note: Annotated[str, Field(min_length=1, max_length=1_000)] | None = None


class LookRequest(_Request):
    """Look again at an instrument that is parked or absent."""

    do: Literal["look"]
    station: ShortText


Request = Annotated[
    StatusRequest | MeasureRequest | ReferenceRequest | SelfTestRequest | RenewRequest | LookRequest,
    Field(discriminator="do"),
]
_REQUEST: TypeAdapter[Request] = TypeAdapter(Request)
_KEYS = {
    str(verb): tuple(kind.model_fields)
    for kind in get_args(get_args(Request)[0])
    for verb in get_args(kind.model_fields["do"].annotation)
}

Json = dict[str, Any]


class Refusal(Exception):
    """A request that is answered with an error. `code` is one word for programs."""

    def __init__(self, code: str, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint


class ControlServer:
    """Serves `handle` on a socket file. `handle` returns the result, or raises Refusal."""

    def __init__(self, path: Path, handle: Callable[[Request], Awaitable[Json]]) -> None:
        self.path = path
        self._handle = handle
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to listen. Raises OSError, also when another daemon listens there already."""
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"control.path {self.path}: there is no folder {self.path.parent}")
        if _someone_listens(self.path):
            raise FileExistsError(f"control.path {self.path}: another edged answers there already")
        self._remove_what_a_crash_left()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            mask = os.umask(0o777 & ~SOCKET_MODE)
            try:
                listener.bind(str(self.path))
            finally:
                os.umask(mask)
            self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=MAX_LINE_BYTES)
        except OSError as error:
            listener.close()
            raise OSError(f"control.path {self.path}: {error.strerror or error}") from error
        except BaseException:
            listener.close()
            raise

    async def stop(self) -> None:
        """Stop listening, end every connection, remove the file."""
        if self._server is None:
            return
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self.path.unlink(missing_ok=True)
        self._server = None

    def _remove_what_a_crash_left(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(self.path.lstat().st_mode):
                raise FileExistsError(f"control.path {self.path}: is not a socket, and nothing of ours to replace")
            self.path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        writer.transport.set_write_buffer_limits(high=0)  # an answer counts as written when the client has taken it
        try:
            if len(self._connections) > MAX_CONNECTIONS:
                await _write(writer, _error("too_many", f"{MAX_CONNECTIONS} connections are open already"))
            else:
                await self._converse(reader, writer)
        except (ConnectionError, TimeoutError):
            writer.transport.abort()  # the client is gone, silent, or does not read: nobody is left to tell
        except asyncio.CancelledError:
            writer.transport.abort()  # `stop`; the streams' own done-callback would report a cancelled task as an error
        finally:
            self._connections.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                async with asyncio.timeout(IDLE_S):
                    line = await reader.readline()
            except ValueError:
                await _write(writer, _error("too_long", f"a request has at most {MAX_LINE_BYTES} bytes"))
                return
            if not line:
                return
            await _write(writer, await self._answer(line))

    async def _answer(self, line: bytes) -> Json:
        try:
            request = _REQUEST.validate_json(line)
        except ValidationError as error:
            return _error("bad_request", *_told(error))
        try:
            return {"ok": True, "result": await self._handle(request)}
        except Refusal as refusal:
            return _error(refusal.code, refusal.message, refusal.hint)
        except Exception:
            log.exception("request=%s failed unexpectedly", request.do)
            return _error("internal", "the daemon failed at this request; its log says more")


def _told(error: ValidationError) -> tuple[str, str]:
    """Message and hint of a line that is no request."""
    details = error.errors(include_url=False)
    verbs = f"allowed for do: {', '.join(_KEYS)}"
    match details[0]["type"]:
        case "union_tag_not_found":
            return "do: is missing", verbs
        case "union_tag_invalid":
            verb = details[0]["input"]["do"]
            message = f"do: is not one of the choices, found {shown(verb, SHOWN_CHARACTERS)}"
            return message, "; ".join(filter(None, (verbs, near(verb, _KEYS))))
        case _:
            verb = details[0]["loc"][0] if details[0]["loc"] else ""
            return request_mistakes(details, _KEYS.get(str(verb), ()))


def _error(code: str, message: str, hint: str = "") -> Json:
    return {"ok": False, "error": {"code": code, "message": message, "hint": hint}}


async def _write(writer: asyncio.StreamWriter, answer: Json) -> None:
    writer.write(json.dumps(answer, separators=(",", ":")).encode() + b"\n")
    async with asyncio.timeout(ANSWER_WITHIN_S):
        await writer.drain()


def _someone_listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


class NotRunning(Exception):
    """No daemon answers on the control socket. `hint` tells a human what to do."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class NotAnswered(NotRunning):
    """A daemon took the request and gave no answer: it may have carried it out, or be about to."""


def ask(path: Path, request: Json, *, within_s: float) -> Json:
    """Send one request, blocking, and return the result. Raises Refusal, NotRunning or NotAnswered."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(within_s)
        try:
            connection.connect(str(path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as stream:
                line = stream.readline()
        except TimeoutError as error:
            raise NotAnswered(
                f"{path}: the daemon did not answer within {within_s:g} s", hint="look at: journalctl -u edged"
            ) from error
        except FileNotFoundError as error:
            raise NotRunning(f"{path}: no such socket", hint=_START) from error
        except PermissionError as error:
            raise NotRunning(
                f"{path}: permission denied", hint="run as root, or join the group that owns the socket (edged)"
            ) from error
        except OSError as error:
            raise NotRunning(f"{path}: nobody answers ({error.strerror or error})", hint=_START) from error
    if not line.endswith(b"\n"):
        raise NotAnswered(f"{path}: the daemon went away while answering", hint="look at: journalctl -u edged")
    answer = json.loads(line)
    if not answer["ok"]:
        refused = answer["error"]
        raise Refusal(refused["code"], refused["message"], hint=refused["hint"])
    result: Json = answer["result"]
    return result


_START = "is the daemon running? systemctl start edged, or: edged run"
