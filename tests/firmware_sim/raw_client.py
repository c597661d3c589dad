"""A host that knows the wire and nothing else: frames built and read by hand from the written protocol."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from firmware_sim.devices.nirscan import NirscanNano
from firmware_sim.faults import FaultPlan
from firmware_sim.hosts.memory import Memory
from firmware_sim.sample import Products, Source, Tray, Twin

TWIN = Twin.load()
APPLY_COLUMN_1 = (  # the worked bytes behind the command: an image of 91 bytes in a buffer of 124
    bytes.fromhex(
        "74 70 6c 00 5b 00 00 00 53 28 63 76 63 23 63 23 76 76 63 76 76 29 00 08 00 00"
        "00 28 00 00 00 00 08 00 36 31 30 30 30 32 33 00 43 6f 6c 75 6d 6e 20 31"
    )
    + bytes(32)
    + bytes.fromhex("84 03 a4 06 06 e4 00 06")
).ljust(124, b"\0")


def frame(message: bytes) -> bytes:
    return b"ABCD" + struct.pack("<I", sum(message)) + message + b"DCBA"


def request(command: int, data: bytes = b"", *, flags: int = 0xC0, sequence: int = 0) -> bytes:
    body = struct.pack("<H", command) + data
    return frame(bytes((flags, sequence)) + struct.pack("<H", len(body)) + body)


def memory(
    names: list[str] | None = None, *, source: Source | None = None, faults: str = "", **options: object
) -> Memory:
    seed = int(options.pop("seed", 0))  # type: ignore[call-overload]
    white = int(options.pop("white", 1))  # type: ignore[call-overload]
    tray = Tray(source or Products(names, TWIN), white=white, seed=seed)
    settings = {"speed": 0, "seed": seed, "faults": FaultPlan.parse(faults, seed=seed), **options}
    return Memory(NirscanNano(tray, **settings))  # type: ignore[arg-type]


class Client:
    """Asks over any `exchange` of one whole request for one whole reply."""

    def __init__(self, exchange: Callable[[bytes], bytes]) -> None:
        self._exchange = exchange

    def read(self, command: int, data: bytes = b"") -> bytes:
        return self._ask(command, data, 0xC0)

    def write(self, command: int, data: bytes = b"") -> bytes:
        return self._ask(command, data, 0x40)

    def scan(self) -> bytes:
        self.write(0x0218, b"\0")
        while self.read(0x0219) != b"\1":
            pass
        return self.fetch()

    def fetch(self) -> bytes:
        (size,) = struct.unpack("<I", self.read(0x002D, bytes(4)))
        blob = b""
        while len(blob) < size:
            blob += self.read(0x002E)
        return blob

    def _ask(self, command: int, data: bytes, flags: int) -> bytes:
        reply = self._exchange(request(command, data, flags=flags))
        length = struct.unpack_from("<H", reply, 10)[0]
        assert reply == frame(reply[8:-4]), reply.hex(" ")
        assert (reply[8], length) == (flags, len(reply) - 16), reply.hex(" ")
        assert reply[12:14] == struct.pack("<H", command)
        return reply[14:-4]


def client(line: Memory) -> Client:
    return Client(line.feed)


def counts(blob: bytes) -> NDArray[np.int64]:
    """Dark-corrected counts of a scan image."""
    readings = adc(blob)
    black = np.arange(len(readings)) % 25 == 24
    return readings[~black] - readings[black].sum() // black.sum()


def adc(blob: bytes) -> NDArray[np.int64]:
    return np.frombuffer(blob, "<i4", struct.unpack_from("<H", blob, 180)[0], 245).astype(np.int64)


def scan_index(blob: bytes) -> int:
    return int(struct.unpack_from("<I", blob, 120)[0])
