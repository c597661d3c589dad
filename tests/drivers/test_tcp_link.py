"""The network link to a socket of this machine."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from drivers.errors import LinkLost, LinkMissing
from drivers.links.ports import BadPort
from drivers.links.tcp import TcpLink


@dataclass
class Far:
    """The instrument's end."""

    connection: socket.socket
    link: TcpLink


@contextmanager
def listening(host: str = "127.0.0.1", family: int = socket.AF_INET) -> Iterator[socket.socket]:
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.bind((host, 0))
        listener.listen(1)
        yield listener


@pytest.fixture
def far() -> Iterator[Far]:
    with listening() as listener:
        link = TcpLink.open(f"127.0.0.1:{listener.getsockname()[1]}")
        connection, _ = listener.accept()
        with connection:
            yield Far(connection, link)
        link.close()


def test_bytes_go_both_ways(far: Far) -> None:
    far.link.write(b"asked", 1.0)
    far.connection.sendall(b"answered")

    assert far.connection.recv(64) == b"asked"
    assert far.link.read(64, 5.0) == b"answered"


def test_silence_is_no_bytes(far: Far) -> None:
    started = time.monotonic()

    assert far.link.read(64, 0.05) == b""
    assert time.monotonic() - started < 1


def test_the_far_end_closing_is_a_lost_link_after_its_last_words(far: Far) -> None:
    far.connection.sendall(b"bye")
    far.connection.close()

    assert far.link.read(64, 5.0) == b"bye"
    with pytest.raises(LinkLost, match="hung up"):
        far.link.read(64, 5.0)


def test_a_reset_is_a_lost_link(far: Far) -> None:
    far.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    far.connection.close()

    with pytest.raises(LinkLost, match="reset"):
        far.link.read(64, 5.0)


def test_an_end_that_takes_nothing_is_a_lost_link_in_time(far: Far) -> None:
    started = time.monotonic()

    with pytest.raises(LinkLost, match=r"not taken within 0\.2 s"):
        far.link.write(bytes(64 << 20), 0.2)
    assert time.monotonic() - started < 2


def test_an_interrupt_ends_a_read_under_way(far: Far) -> None:
    timer = threading.Timer(0.05, far.link.interrupt)
    started = time.monotonic()
    timer.start()

    assert far.link.read(64, 10.0) == b""
    assert time.monotonic() - started < 0.35
    timer.join()


def test_a_closed_link_says_so_and_closes_twice(far: Far) -> None:
    far.link.close()
    far.link.close()
    far.link.interrupt()

    with pytest.raises(LinkLost, match="closed"):
        far.link.read(64, 1.0)


def test_nobody_listening_is_a_missing_instrument() -> None:
    with listening() as listener:
        port = listener.getsockname()[1]

    with pytest.raises(LinkMissing, match="nobody listens there"):
        TcpLink.open(f"127.0.0.1:{port}")


def test_a_name_that_nobody_has_is_a_missing_instrument() -> None:
    with pytest.raises(LinkMissing, match="no host of that name"):
        TcpLink.open("instrument.invalid:57357")


@pytest.mark.parametrize("address", ["", "host", ":1", "host:", "host:0", "host:65536", "host:http", "host:-1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(BadPort, match="is not HOST:PORT"):
        TcpLink.open(address)


def test_an_ipv6_host_stands_in_brackets() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    with listening("::1", socket.AF_INET6) as listener:
        link = TcpLink.open(f"[::1]:{listener.getsockname()[1]}")
        link.close()
