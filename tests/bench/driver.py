"""The driver on a pseudo-terminal, with a simulated handheld behind it that does not wait."""

from __future__ import annotations

import time
from collections.abc import Iterator

from drivers import registry
from drivers.links.serial import SerialLink
from drivers.session import Session
from tests.bench.daemon import simulator
from tests.bench.subject import Subject
from tests.bench.table import Row
from tests.bench.timing import cpu_of_s, quartile

BITS_A_BYTE = 10  # 8N1
BAUD = 115_200


class _Counter:
    """A trace that counts the bytes of both directions."""

    def __init__(self) -> None:
        self.bytes = 0

    def sent(self, data: bytes) -> None:
        self.bytes += len(data)

    def received(self, data: bytes) -> None:
        self.bytes += len(data)

    def flush(self) -> None:
        pass

    def note(self, text: str) -> None:
        pass


def driver(subject: Subject) -> Iterator[Row]:
    """Next to the time that the same bytes take on the wire: what is faster waits for the wire alone."""
    device = registry.load("nirscan")
    settings = device.default_settings
    walls, cpus, simulated, sizes = [], [], [], []
    with subject.scratch() as folder, simulator(folder / "port") as pid:
        counter = _Counter()
        with Session(SerialLink.open(str(folder / "port")), trace=counter) as session:
            unit = session.perform(device.open())
            session.perform(device.configure(unit, settings))
            for _ in range(subject.scale.scans):
                bytes_before, theirs_s = counter.bytes, cpu_of_s(pid)
                cpu_s, wall_s = time.process_time(), time.perf_counter()
                session.perform(device.scan(unit, settings))
                walls.append(time.perf_counter() - wall_s)
                cpus.append(time.process_time() - cpu_s)
                simulated.append(cpu_of_s(pid) - theirs_s)
                sizes.append((counter.bytes - bytes_before) * BITS_A_BYTE / BAUD)
            session.perform(device.close())
    wire_ms = quartile(sizes) * 1e3
    peer = "its bytes at 115200 baud"
    yield Row(
        bench="driver",
        what="scans through terminal and simulator",
        ours=1 / quartile(walls),
        other=1e3 / wire_ms,
        against=peer,
        unit="scans/s",
        more_is_better=True,
    )
    for whose, times in (("driver", cpus), ("simulator", simulated)):
        yield Row(
            bench="driver",
            what=f"a scan, CPU of the {whose}",
            ours=quartile(times) * 1e3,
            other=wire_ms,
            against=peer,
            unit="ms",
        )
