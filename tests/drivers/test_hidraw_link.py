"""HID nodes: found in a tree like sysfs; a socket that keeps packets apart stands for the node, as hidraw does."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from drivers.contract import UsbIds
from drivers.errors import LinkDenied, LinkLost, LinkMissing
from drivers.links.hidraw import HidrawLink, hid_places

IDS = UsbIds(ids=((0x0451, 0x4200),))
NOBODY = 65534


def node(root: Path, name: str, place: str, hid_id: str = "0003:00000451:00004200") -> None:
    """Make what sysfs shows of one node: class/hidraw/NAME/device leads into the tree of devices."""
    device = root / "devices" / "usb1" / place / f"{place}:1.0" / f"0003:0451:4200.{name[-1]:0>4}"
    device.mkdir(parents=True)
    (device / "uevent").write_text(f"DRIVER=hid-generic\nHID_ID={hid_id}\nHID_NAME=Texas Instruments\n")
    entry = root / "class" / name
    entry.mkdir(parents=True)
    (entry / "device").symlink_to(device)


@pytest.fixture
def nodes(tmp_path: Path) -> Path:
    return tmp_path / "class"


def test_nodes_are_found_by_their_ids_and_named_by_their_place(tmp_path: Path, nodes: Path) -> None:
    node(tmp_path, "hidraw0", "1-1", "0003:0000046D:0000C31C")
    node(tmp_path, "hidraw1", "1-2.4")
    node(tmp_path, "hidraw2", "1-3", "0005:00000451:00004200")  # over Bluetooth
    (tmp_path / "class" / "hidraw3").mkdir()

    assert hid_places(IDS, nodes=nodes) == {"1-2.4": "/dev/hidraw1"}


def test_a_machine_without_hid_has_none(tmp_path: Path) -> None:
    assert hid_places(IDS, nodes=tmp_path / "none") == {}


def test_no_instrument_is_a_missing_one(nodes: Path) -> None:
    with pytest.raises(LinkMissing, match="no such instrument"):
        HidrawLink.open(IDS, nodes=nodes)


def test_two_instruments_need_a_place_and_both_are_named(tmp_path: Path, nodes: Path) -> None:
    node(tmp_path, "hidraw1", "1-1")
    node(tmp_path, "hidraw2", "1-2")

    with pytest.raises(LinkDenied) as caught:
        HidrawLink.open(IDS, nodes=nodes)

    assert "2 such instruments" in caught.value.message
    assert caught.value.hint == "name one as the port: hid:1-1, hid:1-2"


def test_another_place_is_missing_and_the_one_there_is_is_named(tmp_path: Path, nodes: Path) -> None:
    node(tmp_path, "hidraw1", "1-1")

    with pytest.raises(LinkMissing) as caught:
        HidrawLink.open(IDS, "1-7", nodes=nodes)

    assert caught.value.hint == "there is: hid:1-1"


def test_a_node_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(LinkMissing):
        HidrawLink.open(IDS, str(tmp_path / "hidraw9"))


def test_a_node_without_permission_is_denied_and_the_rule_is_named(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:3]):
        if folder.name.startswith(("pytest-", "popen-", "test_")):  # ours, not the system's own
            folder.chmod(0o755)
    path = tmp_path / "hidraw1"
    path.touch(mode=0)

    with as_nobody(), pytest.raises(LinkDenied) as caught:
        HidrawLink.open(IDS, str(path))

    assert "hidraw1: permission denied, it belongs to user " in caught.value.message
    assert "70-edged.rules" in caught.value.hint


@contextmanager
def as_nobody() -> Iterator[None]:
    """Give up what root may do; others have it not."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@dataclass
class Open:
    """An open link, and the instrument's end."""

    link: HidrawLink
    far: socket.socket


@pytest.fixture
def opened() -> Iterator[Open]:
    ours, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    link = HidrawLink(ours.fileno(), "/dev/hidraw1", ours.close)
    yield Open(link, far)
    link.close()
    far.close()


def test_a_report_goes_out_behind_its_number_and_comes_in_without(opened: Open) -> None:
    opened.link.write(bytes(range(64)) + bytes(64), 1.0)
    opened.far.send(bytes(range(64, 128)))

    assert opened.far.recv(256) == b"\0" + bytes(range(64))
    assert opened.far.recv(256) == b"\0" + bytes(64)
    assert opened.link.read(64, 5.0) == bytes(range(64, 128))


def test_a_report_is_never_cut_however_little_is_asked_for(opened: Open) -> None:
    opened.far.send(b"a" * 64)

    assert opened.link.read(5, 5.0) == b"a" * 64


def test_what_is_no_whole_report_is_our_mistake(opened: Open) -> None:
    with pytest.raises(ValueError, match="63 bytes are no whole reports of 64"):
        opened.link.write(bytes(63), 1.0)


def test_pulling_the_cable_is_a_lost_link(opened: Open) -> None:
    opened.far.close()

    with pytest.raises(LinkLost):
        opened.link.read(64, 5.0)


def test_an_interrupt_ends_a_read_under_way(opened: Open) -> None:
    timer = threading.Timer(0.05, opened.link.interrupt)
    started = time.monotonic()
    timer.start()

    assert opened.link.read(64, 10.0) == b""
    assert time.monotonic() - started < 0.35
    timer.join()
