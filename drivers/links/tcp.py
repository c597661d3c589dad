"""A TCP connection to an instrument with a network socket, or to a serial server in raw mode."""

from __future__ import annotations

import socket

from drivers.errors import LinkLost, LinkMissing
from drivers.links.address import address_of
from drivers.links.handle import HandleLink

CONNECT_WITHIN_S = 5.0


class TcpLink(HandleLink):
    """An open connection. Made by `open`; `name` is "tcp:HOST:PORT"."""

    @classmethod
    def open(cls, address: str) -> TcpLink:
        """Connect to HOST:PORT. Raises BadPort, LinkMissing or LinkLost."""
        host, port = address_of(address)
        name = f"tcp:{address}"
        try:
            connection = socket.create_connection((host, port), timeout=CONNECT_WITHIN_S)
        except socket.gaierror as error:
            raise LinkMissing(f"{name}: no host of that name", hint="check the name, or use its number") from error
        except ConnectionRefusedError as error:
            raise LinkMissing(f"{name}: nobody listens there", hint="is the instrument switched on?") from error
        except OSError as error:
            raise LinkLost(f"{name}: {error.strerror or error}", hint="is it on this network?") from error
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a request is one small packet
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setblocking(False)
        return cls(connection.fileno(), name, connection.close)
