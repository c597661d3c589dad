"""The address of an instrument with a network socket, HOST:PORT."""

from __future__ import annotations

from drivers.errors import Park

EXAMPLE = "for example tcp:192.168.1.20:57357"


class BadPort(Park, ValueError):
    """The port's name is of no kind that we know, or the family cannot be reached that way."""


def address_of(address: str) -> tuple[str, int]:
    """Return host and number; an IPv6 host stands in brackets. Raises BadPort."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise BadPort(f"{address[:64]!r} is not HOST:PORT", hint=EXAMPLE)
    try:
        host.encode("idna")
    except UnicodeError as error:
        raise BadPort(f"{host[:64]!r} is not the name of a host", hint=EXAMPLE) from error
    return host, int(port)
