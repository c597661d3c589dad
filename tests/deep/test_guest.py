"""Drivers, unit and udev rules in an arm64 machine with a true kernel, and simulated instruments on its USB ports.

The program in the machine has our drivers and the sandbox of edged.service, whose program it stands in for. One boot
serves all tests; what one of them unplugs it plugs in again.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.deep.container import eventually
from tests.deep.guest import Guest, Instrument, booted
from tests.deep.guest_image import image, what_is_missing

pytestmark = [pytest.mark.deep, pytest.mark.timeout(900)]

SERIAL_NUMBERS = {
    "ooi": "NQ51A00012",
    "other": "NQ51B00345",
    "wasatch": "WP-01234",
    "nirscan": "6100023",
    "spare": "WP-00777",
    "uart": "6100099",
}
REPEATS = 3
LONG_MS = 20_000  # two and a half seconds of a simulator that is in a hurry
AGAIN_WITHIN_S = 60.0

Unit = dict[str, Any]


class Bench:
    """The machine with what is plugged into it: two NIRQuests, a Wasatch with a laser, and later a NIRscan.

    spare, serial_at: where others may be plugged in, on USB and behind a serial adapter.
    """

    def __init__(
        self, guest: Guest, instruments: dict[str, Instrument], spare: Path, serial_at: int, made_s: float
    ) -> None:
        self.guest = guest
        self.instruments = instruments
        self.spare = spare
        self.serial_at = serial_at
        self.made_s = made_s
        self.booted_s = 0.0

    def units(self) -> dict[str, Unit]:
        """What is there for the service's account, by port."""
        return {unit["port"]: unit for unit in self.guest.ask("units")["result"]}

    def usable(self, serial_number: str) -> Unit | None:
        """The unit of this serial number, once it may be opened."""
        found = [unit for unit in self.units().values() if unit["serial_number"] == serial_number]
        return found[0] if found and found[0]["access"] == "ok" else None

    def found(self, serial_number: str) -> Unit:
        """The same, waited for."""
        unit = eventually(lambda: self.usable(serial_number), AGAIN_WITHIN_S, f"{serial_number} may be opened")
        assert unit is not None
        return unit

    def open(self, name: str, kind: str, port: str) -> Any:
        said = self.guest.ask(f"open {name} {kind} {port}")
        assert "result" in said, said
        return said["result"]

    def scan(self, name: str, integration_ms: float = 50.0, repeats: int = REPEATS) -> Any:
        said = self.guest.ask(f"scan {name} {integration_ms} {repeats}")
        assert "result" in said, said
        return said["result"]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    if reason := what_is_missing():
        pytest.skip(reason)
    began_s = time.monotonic()
    image()
    made_s = time.monotonic()
    folder = tmp_path_factory.mktemp("usb")
    kinds = {"ooi": "ooi", "other": "ooi", "wasatch": "wasatch", "nirscan": "nirscan"}
    with ExitStack() as stack:
        instruments = {
            name: stack.enter_context(Instrument(kind, SERIAL_NUMBERS[name], folder / name))
            for name, kind in kinds.items()
        }
        instruments["nirscan"].tell("unplug")
        with socket.create_server(("127.0.0.1", 0)) as free:
            serial_at = free.getsockname()[1]
        guest = stack.enter_context(booted((folder / name for name in (*kinds, "spare")), serial_at=serial_at))
        bench = Bench(guest, instruments, folder / "spare", serial_at, made_s - began_s)
        for name in ("ooi", "other", "wasatch"):
            bench.found(SERIAL_NUMBERS[name])
        bench.booted_s = time.monotonic() - made_s
        yield bench


def meant_by(instrument: Instrument) -> list[list[int]]:
    """The numbers of the last spectra that the simulator sent."""
    return [event["meant"] for event in instrument.said("spectrum")[-REPEATS:]]


@contextmanager
def opened(bench: Bench, name: str, kind: str) -> Iterator[Unit]:
    unit = bench.found(SERIAL_NUMBERS[name])
    bench.open(name, kind, unit["port"])
    try:
        yield unit
    finally:
        bench.guest.ask(f"close {name}")


def test_the_rule_gives_the_nodes_to_the_account_of_the_service(bench: Bench, tell: Callable[[str], None]) -> None:
    who = bench.guest.ask("who")["result"]
    units = bench.units()

    tell(f"image made in {bench.made_s:.0f} s; boot to three usable instruments {bench.booted_s:.0f} s")
    tell(f"kernel {who['kernel']}, uid {who['uid']}")
    for port, unit in units.items():
        tell(f"{port} {unit['path']} {' '.join(unit['owner'])} {unit['mode']} {unit['description']}")
    assert who["uid"] != 0
    assert {port.partition(":")[0] for port in units} == {"usb"}
    expected = {SERIAL_NUMBERS[name] for name in ("ooi", "other", "wasatch")}
    assert {unit["serial_number"] for unit in units.values()} == expected
    for unit in units.values():
        assert (unit["mode"], unit["owner"], unit["access"]) == ("660", ["root", "edged"], "ok")


def test_counts_are_those_that_each_of_three_open_instruments_meant(bench: Bench, tell: Callable[[str], None]) -> None:
    kinds = {"ooi": "ooi", "other": "ooi", "wasatch": "wasatch"}
    with ExitStack() as stack:
        for name, kind in kinds.items():
            stack.enter_context(opened(bench, name, kind))
        for _ in range(2):
            for name in kinds:
                began_s = time.monotonic()
                scan = bench.scan(name)
                tell(f"{name}: {REPEATS} spectra of {len(scan['raw'][0])} pixels, {time.monotonic() - began_s:.2f} s")
                assert scan["serial_number"] == SERIAL_NUMBERS[name]
                assert scan["raw"] == meant_by(bench.instruments[name])


def test_of_two_alike_one_has_to_be_named(bench: Bench) -> None:
    said = bench.guest.ask("open either ooi usb")

    assert (said["error"], said["message"]) == ("LinkDenied", "usb: 2 such instruments are plugged in")
    assert all(port in said["hint"] for port in ("usb:1-1", "usb:1-2"))


def test_the_first_hid_instrument_is_told_of_and_usable_though_the_service_started_without_one(
    bench: Bench, tell: Callable[[str], None]
) -> None:
    bench.guest.ask("watch")
    bench.instruments["nirscan"].tell("plug")

    assert bench.guest.ask("changed 30")["result"] is True
    unit = eventually(
        lambda: next((u for u in bench.units().values() if u["kind"] == "nirscan" and u["access"] == "ok"), None),
        AGAIN_WITHIN_S,
        "the NIRscan may be opened",
    )
    assert unit is not None
    identity = bench.open("nirscan", "nirscan", unit["port"])
    scan = bench.scan("nirscan", 0, 0)
    bench.guest.ask("close nirscan")
    (event,) = bench.instruments["nirscan"].said("scan")

    tell(f"nirscan: {unit['port']} {unit['path']}, {len(scan['raw'])} values, image of {scan['blob'][:12]}...")
    assert (unit["path"], unit["mode"], unit["owner"]) == ("/dev/hidraw0", "660", ["root", "edged"])
    assert identity["serial_number"] == SERIAL_NUMBERS["nirscan"]
    assert scan["blob"] == event["image"]


def test_a_cable_pulled_in_the_middle_of_a_scan_is_a_lost_link_and_the_next_one_measures(
    bench: Bench, tell: Callable[[str], None]
) -> None:
    instrument = bench.instruments["ooi"]

    def exposing() -> bool:
        return LONG_MS in [event["integration_ms"] for event in instrument.said("spectrum")]

    with opened(bench, "ooi", "ooi") as before:
        bench.guest.say(f"scan ooi {LONG_MS} 1")
        eventually(exposing, 30, "an exposure is under way")
        pulled_s = time.monotonic()
        instrument.tell("unplug")
        said = bench.guest.hear()
        noticed_s = time.monotonic() - pulled_s
    eventually(lambda: before["port"] not in bench.units(), AGAIN_WITHIN_S, "it is gone")
    instrument.tell("plug")
    with opened(bench, "ooi", "ooi") as after:
        scan = bench.scan("ooi")

    tell(f"pulled: {said['error']} after {noticed_s:.2f} s: {said['message']}; {before['path']} -> {after['path']}")
    assert (said["error"], said["message"].partition(":")[0]) == ("LinkLost", "usb")
    assert "pipe 0x82" in said["message"]
    assert noticed_s < 10.0
    assert (before["port"], before["path"]) != (after["port"], after["path"])
    assert before["port"] == after["port"]
    assert scan["raw"] == meant_by(instrument)


def test_an_instrument_whose_process_is_killed_and_started_again_is_plugged_in_again(bench: Bench) -> None:
    with Instrument("wasatch", SERIAL_NUMBERS["spare"], bench.spare) as instrument:
        before = bench.found(SERIAL_NUMBERS["spare"])
        bench.open("spare", "wasatch", before["port"])
        first, first_meant = bench.scan("spare"), meant_by(instrument)
    lost = bench.guest.ask("scan spare 50 1")
    bench.guest.ask("close spare")
    with Instrument("wasatch", SERIAL_NUMBERS["spare"], bench.spare) as instrument:
        with opened(bench, "spare", "wasatch") as after:
            second = bench.scan("spare")
        second_meant = meant_by(instrument)

    assert lost["error"] == "LinkLost"
    assert (before["port"], before["path"]) != (after["port"], after["path"])
    assert (first["raw"], second["raw"]) == (first_meant, second_meant)


def test_a_serial_adapter_that_comes_later_has_a_lasting_name_and_its_loss_is_told(
    bench: Bench, tell: Callable[[str], None]
) -> None:
    def adapter() -> Unit | None:
        found = [port for port in bench.guest.ask("ports")["result"] if port["by_id"] and port["access"] == "ok"]
        return found[0] if found else None

    assert adapter() is None
    with Instrument("uart", SERIAL_NUMBERS["uart"], bench.serial_at) as instrument:
        port = eventually(adapter, AGAIN_WITHIN_S, "the serial adapter may be opened")
        assert port is not None
        identity = bench.open("uart", "nirscan", port["by_id"])
        scan = bench.scan("uart", 0, 0)
        (event,) = instrument.said("scan")
    lost = bench.guest.ask("scan uart 0 0")
    bench.guest.ask("close uart")

    tell(f"{port['by_id']} -> {port['path']}, {len(scan['raw'])} values; then {lost['error']}: {lost['message']}")
    assert (port["path"], port["mode"], port["owner"]) == ("/dev/ttyUSB0", "660", ["root", "edged"])
    assert identity["serial_number"] == SERIAL_NUMBERS["uart"]
    assert scan["blob"] == event["image"]
    assert lost["error"] == "LinkLost"
