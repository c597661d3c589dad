"""USB pipes over an unmodified pyusb and libusb: a simulated bus that umockdev shows to a program of its own."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drivers.contract import UsbIds
from drivers.errors import LinkDenied
from drivers.links.usb import UsbPipeLink
from tests.drivers.talking import Said, Talking, talking

IDS = UsbIds(ids=((0x1209, 0x5EC7),))


@contextmanager
def bus(*serial_numbers: str) -> Iterator[Talking]:
    if shutil.which("umockdev-wrapper") is None:
        pytest.skip("umockdev is not installed: .ci/set-up test")
    with talking(sys.executable, "-m", "tests.firmware_sim.serve_bench", *serial_numbers) as simulator:
        simulator.directory = simulator.event("ready")["umockdev_dir"]  # type: ignore[attr-defined]
        yield simulator


@contextmanager
def client(simulator: Talking) -> Iterator[Talking]:
    directory = simulator.directory  # type: ignore[attr-defined]
    command = ("umockdev-wrapper", sys.executable, "-m", "tests.drivers.usb_client")
    with talking(*command, env={"UMOCKDEV_DIR": directory}) as program:
        yield program


@pytest.fixture(scope="module")
def one_unit() -> Iterator[Talking]:
    with bus("A") as simulator:
        yield simulator


@pytest.fixture
def link(one_unit: Talking) -> Iterator[Talking]:
    with client(one_unit) as program:
        assert program.ask("open")["result"] == ["usb:1-1", [0x82]]
        yield program


def replug(simulator: Talking) -> int:
    """Pull the cable, plug it in again, and return the new address."""
    simulator.say("unplug")
    simulator.event("unplugged")
    simulator.say("plug")
    address = simulator.event("plugged")["address"]
    assert isinstance(address, int)
    return address


def test_what_goes_out_comes_back(link: Talking) -> None:
    assert link.ask("write hello there")["result"] is None
    assert link.ask("read 64 1")["result"] == "hello there"


def test_control_transfers_go_both_ways(link: Talking) -> None:
    assert link.ask("serial")["result"] == "A"
    assert link.ask("note remembered")["result"] == "remembered"


def test_a_request_that_the_device_does_not_know_is_refused(link: Talking) -> None:
    said = link.ask("refused")

    assert (said["error"], said["message"]) == ("Stalled", "usb:1-1: request 0x77 was refused")
    assert link.ask("serial")["result"] == "A"


def test_silence_is_no_bytes_after_the_time_that_was_given(link: Talking) -> None:
    said = link.ask("read 64 0.2")

    assert said["result"] == ""
    assert 0.2 <= said["seconds"] < 1


def test_a_late_answer_is_waited_for(link: Talking) -> None:
    link.ask("write after 0.2:late")
    said = link.ask("read 64 5")

    assert said["result"] == "late"
    assert 0.1 < said["seconds"] < 1


def test_a_long_transfer_comes_whole_however_little_is_asked_for(link: Talking) -> None:
    link.ask("write " + "x" * 700)

    parts = [link.ask("read 300 1")["result"] for _ in range(4)]

    assert [len(part) for part in parts[:3]] in ([300, 212, 188], [300, 300, 100])
    assert parts[3] == ""


def test_a_stalled_pipe_is_a_fault_of_the_wire_and_works_once_it_is_cleared(link: Talking) -> None:
    link.ask("write stall:")
    said = link.ask("read 64 1")
    link.ask("clear")
    link.ask("write again")

    assert (said["error"], said["message"]) == ("WireError", "usb:1-1: pipe 0x82 is stalled")
    assert link.ask("read 64 1")["result"] == "again"


def test_a_read_under_way_ends_when_the_cable_is_pulled(one_unit: Talking, link: Talking) -> None:
    link.say("read 64 10")
    one_unit.say("unplug")
    said = link.hear()
    one_unit.say("plug")
    one_unit.event("plugged")

    assert said["error"] == "LinkLost"
    assert "still plugged in" in said["hint"]
    assert said["seconds"] < 2
    assert link.ask("serial")["error"] == "LinkLost"


def test_an_instrument_that_was_replugged_is_found_at_its_place_whatever_its_address(
    one_unit: Talking, link: Talking
) -> None:
    first, second = replug(one_unit), replug(one_unit)
    link.ask("close")

    assert second == first + 1
    assert opened_in_time(link, "open 1-1")["result"] == ["usb:1-1", [0x82]]
    assert link.ask("serial")["result"] == "A"


def opened_in_time(link: Talking, words: str) -> Said:
    """Open what libusb may not have noticed yet."""
    deadline = time.monotonic() + 5
    while "error" in (said := link.ask(words)) and time.monotonic() < deadline:
        pass
    return said


def test_an_instrument_that_is_not_there_is_missing(one_unit: Talking) -> None:
    with client(one_unit) as program:
        said = program.ask("open 1-7")

    assert (said["error"], said["message"], said["hint"]) == (
        "LinkMissing",
        "usb:1-7: no such instrument",
        "there is: usb:1-1",
    )


def test_an_instrument_in_use_is_denied(one_unit: Talking, link: Talking) -> None:
    with client(one_unit) as second:
        said = second.ask("open")

    assert (said["error"], said["message"]) == ("LinkDenied", "usb:1-1: in use by another program")
    assert link.ask("serial")["result"] == "A"


def test_a_program_that_ends_gives_the_instrument_back(one_unit: Talking, link: Talking) -> None:
    link.process.kill()
    link.process.wait()
    with client(one_unit) as second:
        assert second.ask("open")["result"] == ["usb:1-1", [0x82]]


def test_a_node_without_permission_is_denied_and_the_rule_is_named(one_unit: Talking) -> None:
    root = Path(one_unit.directory)  # type: ignore[attr-defined]
    (node,) = (root / "dev" / "bus" / "usb" / "001").iterdir()
    for path in (root, *root.rglob("*")):
        path.chmod(0o777)  # umockdev's own sockets, too, so that it is the node that is forbidden
    node.chmod(0)
    with client(one_unit) as program:
        program.ask("nobody")
        said = program.ask("open")
    node.chmod(0o666)

    assert (said["error"], said["message"]) == ("LinkDenied", "usb:1-1: permission denied")
    assert "70-edged.rules" in said["hint"]


def test_an_interrupt_ends_a_session_that_waits(link: Talking) -> None:
    said = link.ask("interrupted 0.5")

    assert said["error"] == "Interrupted"
    assert 0.5 <= said["seconds"] < 0.8


def test_a_libusb_that_does_not_start_says_what_it_needs() -> None:
    with pytest.raises(LinkDenied) as caught:
        UsbPipeLink.open(IDS, backend=lambda: None)

    assert "apt install libusb-1.0-0" in caught.value.hint
    assert "AF_NETLINK" in caught.value.hint


def test_two_units_need_a_place_and_both_are_named() -> None:
    with bus("A", "B") as simulator, client(simulator) as program:
        said = program.ask("open")
        second = program.ask("open 1-2")
        serial_number = program.ask("serial")["result"]

    assert (said["error"], said["message"]) == ("LinkDenied", "usb: 2 such instruments are plugged in")
    assert sorted(said["hint"].removeprefix("name one as the port: ").split(", ")) == ["usb:1-1", "usb:1-2"]
    assert second["result"] == ["usb:1-2", [0x82]]
    assert serial_number == "B"
