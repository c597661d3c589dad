"""The machine's side of usbredir, written from the protocol's description (version 0.7) and not from our host."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

HELLO, CONNECT, DISCONNECT, RESET, INTERFACES, ENDPOINTS = range(6)
CONTROL, BULK, INTERRUPT, CANCEL = 100, 101, 103, 21
ALL = 0b1110010  # device version, packet sizes, 64 bits of number, 32 bits of bulk length
WITHIN_S = 10.0


@dataclass(frozen=True)
class Heard:
    kind: int
    number: int
    body: bytes


class Machine:
    """A connection. Packets that are asked for are waited for; `wait` says which kinds may pass meanwhile."""

    def __init__(self, connection: socket.socket, capabilities: int = ALL) -> None:
        self.connection = connection
        self._long = False
        self._unread = b""
        connection.settimeout(WITHIN_S)
        hello = self.hear()
        assert hello.kind == HELLO
        self.theirs = int.from_bytes(hello.body[64:68], "little")
        self.say(HELLO, b"a machine".ljust(64, b"\0") + struct.pack("<I", capabilities))
        self._long = bool(self.theirs & capabilities & 1 << 5)
        self._long_bulk = bool(self.theirs & capabilities & 1 << 6)

    def say(self, kind: int, body: bytes = b"", number: int = 0) -> None:
        self.connection.sendall(struct.pack("<IIQ" if self._long else "<III", kind, len(body), number) + body)

    def hear(self) -> Heard:
        kind, length, number = struct.unpack("<IIQ" if self._long else "<III", self._take(16 if self._long else 12))
        return Heard(kind, number, self._take(length))

    def until(self, kind: int) -> Heard:
        while (heard := self.hear()).kind != kind:
            pass
        return heard

    def is_dropped(self) -> bool:
        """The other end has hung up."""
        with contextlib.suppress(ConnectionError):
            while self.connection.recv(4096):
                pass
        return True

    def is_quiet(self, seconds: float) -> bool:
        """Nothing comes for so long."""
        self.connection.settimeout(seconds)
        try:
            self._unread += self.connection.recv(4096)
        except TimeoutError:
            return not self._unread
        finally:
            self.connection.settimeout(WITHIN_S)
        return False

    def control(self, request_type: int, request: int, value: int = 0, index: int = 0, data: int | bytes = 0) -> int:
        """Say a request; return its number."""
        length, content = (data, b"") if isinstance(data, int) else (len(data), data)
        head = struct.pack("<BBBBHHH", request_type & 0x80, request, request_type, 0, value, index, length)
        self.say(CONTROL, head + content, 70 + request)
        return 70 + request

    def answered(self, request_type: int, request: int, value: int = 0, index: int = 0, data: int | bytes = 0):
        """Return status, length and data of the answer to a control request."""
        number = self.control(request_type, request, value, index, data)
        heard = self.until(CONTROL)
        assert heard.number == number
        _, again, again_type, status, _, _, length = struct.unpack_from("<BBBBHHH", heard.body)
        assert (again, again_type) == (request, request_type)
        return status, length, heard.body[10:]

    def bulk(self, endpoint: int, data: int | bytes, number: int) -> None:
        length, content = (data, b"") if isinstance(data, int) else (len(data), data)
        head = struct.pack("<BBHI", endpoint, 0, length & 0xFFFF, 0)
        self.say(BULK, head + (struct.pack("<H", length >> 16) if self._long_bulk else b"") + content, number)

    def moved(self) -> tuple[int, int, int, int, bytes]:
        """Return number, endpoint, status, length and data of the next bulk answer."""
        heard = self.until(BULK)
        endpoint, status, length, _ = struct.unpack_from("<BBHI", heard.body)
        if self._long_bulk:
            length |= struct.unpack_from("<H", heard.body, 8)[0] << 16
        return heard.number, endpoint, status, length, heard.body[10 if self._long_bulk else 8 :]

    def _take(self, count: int) -> bytes:
        while len(self._unread) < count:
            data = self.connection.recv(65536)
            assert data, "the host has hung up"
            self._unread += data
        taken, self._unread = self._unread[:count], self._unread[count:]
        return taken


@contextmanager
def machine(path: str, capabilities: int = ALL) -> Iterator[Machine]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(path)
        yield Machine(connection, capabilities)
