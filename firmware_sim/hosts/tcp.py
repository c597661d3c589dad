"""A network socket: the line of an instrument with an address, or of one behind a serial server."""

from __future__ import annotations

import contextlib
import select
import socket
import time

from firmware_sim.contract import Event

READ_BYTES = 4096
OUTPUT_S = 1.0
LOOPBACK = "127.0.0.1"


class PortTaken(Exception):
    """The port cannot be listened at."""


class TcpLine:
    """One client at a time: while one is there, others are turned away. port 0: a free one is chosen, and kept."""

    def __init__(self, port: int, host: str = LOOPBACK) -> None:
        self._host = host
        self._port = port
        self._listener: socket.socket | None = None
        self._client: socket.socket | None = None

    @property
    def told(self) -> Event:
        """How a client finds it."""
        return {"tcp": f"{self._host}:{self._port}"}

    @property
    def is_open(self) -> bool:
        """It is listened at."""
        return self._listener is not None

    @property
    def patience_s(self) -> None:
        """Sockets tell everything by their handles."""

    @property
    def handles(self) -> list[int]:
        """What to wait for."""
        return [one.fileno() for one in (self._listener, self._client) if one is not None]

    @property
    def baud(self) -> None:
        """There is none."""

    def open(self) -> None:
        """Listen. Raises PortTaken."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._host, self._port))
            listener.listen(4)
        except OSError as error:
            listener.close()
            raise PortTaken(f"{self._host}:{self._port}: {error.strerror}; choose another port") from error
        listener.setblocking(False)
        self._port = listener.getsockname()[1]
        self._listener = listener

    def close(self) -> None:
        """Listen no more, and drop the client: one that notices finds nobody at once."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._drop()

    def read(self) -> bytes | None:
        """Return what came, b"" for nothing yet; None when nobody is there."""
        data: bytes | None = None
        if self._client is not None:
            try:
                data = self._client.recv(READ_BYTES) or None
            except BlockingIOError:
                data = b""
            except OSError:
                data = None
            if data is None:
                self._drop()
                return None  # whoever waits at the listener has its turn with the next call
        return b"" if self._admit() and data is None else data

    def write(self, data: bytes) -> None:
        """Send it all; a client that takes nothing for a second is dropped, for a stream has no holes."""
        deadline = time.monotonic() + OUTPUT_S
        while data and self._client is not None:
            try:
                data = data[self._client.send(data) :]
            except BlockingIOError:
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([], [self._client], [], left)[1]:
                    self._drop()
            except OSError:
                self._drop()

    def flush(self) -> None:
        """The system still delivers what was sent before the end."""

    def _admit(self) -> bool:
        """Take the next client if there is no other; say whether one was taken."""
        assert self._listener is not None
        try:
            newcomer, _ = self._listener.accept()
        except OSError:
            return False
        if self._client is not None:
            newcomer.close()
            return False
        newcomer.setblocking(False)
        newcomer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client = newcomer
        return True

    def _drop(self) -> None:
        if self._client is not None:
            with contextlib.suppress(OSError):
                self._client.shutdown(socket.SHUT_RDWR)
            self._client.close()
            self._client = None
