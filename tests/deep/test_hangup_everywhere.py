"""The cable pulled at every byte that an instrument sends during one scan, and plugged in again."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers import registry
from drivers.contract import Link, RawScan
from drivers.errors import LinkLost, LinkMissing
from drivers.links.serial import SerialLink
from drivers.session import Session
from tests.drivers.nirscan_bytes import UNIT
from tests.flow.plant import Handheld, Plant, eventually, station

pytestmark = [pytest.mark.deep, pytest.mark.timeout(900)]

SEED = 20261121
DEVICE = registry.load("nirscan")
SETTINGS = DEVICE.default_settings
AT_LEAST_BYTES = 3900  # one transfer is longer than the 3822 bytes of the scan's image: every piece is framed
READY_WITHIN_S = 3.0
FASTER = 10  # of the driver's clock, so that thousands of scans need not wait for lamps that nobody lights
WHOLE_EVERY = 50  # cuts between two scans that may come to their end
DAEMON_CUTS = 40
MEASURE = {"do": "measure", "station": "bench"}
REFERENCE = {"do": "reference", "station": "bench"}


class FastClock:
    """Runs FASTER than time does; pauses are over at once."""

    def now_s(self) -> float:
        return time.monotonic() * FASTER

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        return stop.is_set()


class CountingLink:
    """A serial link on the fast clock that counts what it has read."""

    def __init__(self, link: Link) -> None:
        self.name = link.name
        self.bytes_read = 0
        self._link = link

    def read(self, limit: int, within_s: float) -> bytes:
        data = self._link.read(limit, within_s / FASTER)
        self.bytes_read += len(data)
        return data

    def write(self, data: bytes, within_s: float) -> None:
        self._link.write(data, within_s)

    def interrupt(self) -> None:
        self._link.interrupt()

    def close(self) -> None:
        self._link.close()


class Driver:
    """The driver alone on the simulator's terminal. `ready` plugs in; `scan` ends with a scan or a sorted error."""

    def __init__(self, port: Path) -> None:
        self._port = str(port)
        self._link: CountingLink | None = None
        self._session: Session | None = None

    @property
    def bytes_read(self) -> int:
        assert self._link is not None
        return self._link.bytes_read

    def ready(self) -> float:
        """Open and configure as soon as the port is there; return the seconds that it took."""
        self.close()
        began_s = time.monotonic()
        self._link = CountingLink(eventually(self._opened, "the port is back", READY_WITHIN_S))
        self._session = Session(self._link, clock=FastClock())
        self._session.perform(DEVICE.open())
        self._session.perform(DEVICE.configure(UNIT, SETTINGS))
        return time.monotonic() - began_s

    def scan(self) -> RawScan:
        assert self._session is not None
        return self._session.perform(DEVICE.scan(UNIT, SETTINGS))

    def close(self) -> None:
        if self._session is not None:
            self._session.close()

    def _opened(self) -> SerialLink | None:
        try:
            return SerialLink.open(self._port)
        except LinkMissing:
            return None


@pytest.fixture
def handheld(tmp_path: Path) -> Iterator[Handheld]:
    with Handheld(tmp_path / "nirscan", "--sample", "100AC", speed=0.0) as handheld:
        yield handheld


def cut_after(handheld: Handheld, byte: int, back_after_s: float) -> None:
    """From now on count what the instrument sends; hang up when so many bytes have passed."""
    handheld.tell(f"faults hangup={byte}:{back_after_s:g}")


def test_a_hang_up_at_every_byte_of_a_scan_is_a_lost_link_and_the_driver_is_ready_again_within_3_s(
    handheld: Handheld, tell: Callable[[str], None]
) -> None:
    began_s = time.monotonic()
    driver, slowest_s, whole = Driver(handheld.port), 0.0, 0
    driver.ready()
    driver.scan()  # the white tile; from now on every scan also meets the image of the one before
    before = driver.bytes_read
    driver.scan()
    scan_bytes = driver.bytes_read - before
    assert scan_bytes >= AT_LEAST_BYTES

    for byte in range(scan_bytes):
        cut_after(handheld, byte, back_after_s=0.0)
        with pytest.raises(LinkLost):
            driver.scan()
        slowest_s = max(slowest_s, driver.ready())
        if byte % WHOLE_EVERY == 0:
            until_told(handheld, driver.scan().scan_index or 0)
            whole += 1
    cut_after(handheld, scan_bytes, back_after_s=0.0)
    driver.scan()  # all of it had passed
    driver.close()

    eventually(lambda: True if len(handheld.said("fault")) == scan_bytes else None, "every hang-up was told")
    tell(f"driver: cut at each of {scan_bytes} bytes of a scan, each a lost link; {whole} scans in between, all new")
    tell(f"driver: ready again after at most {slowest_s:.2f} s; {time.monotonic() - began_s:.0f} s")
    assert slowest_s < READY_WITHIN_S


def until_told(handheld: Handheld, scan_index: int) -> None:
    """The instrument's last scan is this one, and no older one that was taken for it."""
    eventually(lambda: True if handheld.said("scan")[-1]["scan_index"] == scan_index else None, f"scan {scan_index}")


def test_the_daemon_stays_up_through_hang_ups_all_over_a_scan_writes_no_wrong_record_and_is_ready_within_3_s(
    handheld: Handheld, tmp_path: Path, shipped: Path, tell: Callable[[str], None]
) -> None:
    began_s = time.monotonic()
    rng = random.Random(SEED)
    cuts = sorted({0, 1, 4000, *rng.sample(range(4800), DAEMON_CUTS - 3)})
    slowest_s = 0.0
    with Plant(tmp_path, stations=station(handheld.port), bundle=shipped) as plant:
        plant.until_state("ready")
        records = [result(plant.ask(REFERENCE)), result(plant.ask(MEASURE))]
        pid = plant.pid
        for byte in cuts:
            cut_after(handheld, byte, back_after_s=0.3)
            lost = plant.ask(MEASURE)
            assert lost["error"]["code"] == "measurement_lost", (byte, lost)
            eventually(lambda: True if handheld.port.exists() else None, "the port is back")
            back_s = time.monotonic()
            plant.until_state("ready", within_s=READY_WITHIN_S)
            slowest_s = max(slowest_s, time.monotonic() - back_s)

            records.append(result(plant.ask(MEASURE)))
            until_told(handheld, records[-1]["reading"]["scan_index"])
            assert records[-1]["verdict"]["label"] == "100AC"
        assert plant.records() == records
        assert (plant.pid, plant.is_running) == (pid, True)
        assert plant.stop()[0] == 0

    tell(f"daemon: cut at {len(cuts)} bytes of a scan, no record of any; {len(records)} records, one process")
    tell(f"daemon: ready again at most {slowest_s:.2f} s after the port was back; {time.monotonic() - began_s:.0f} s")
    assert "Traceback" not in plant.log


def result(answer: dict[str, Any]) -> dict[str, Any]:
    assert answer["ok"], answer
    found = answer["result"]
    assert isinstance(found, dict)
    return found
