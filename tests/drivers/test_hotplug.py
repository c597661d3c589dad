"""What comes and goes, told by recorded uevents, by a folder like sysfs, and by a mocked bus to another process."""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path

import pytest

from drivers.hotplug import Hotplug, concerns_us
from tests.drivers.talking import talking

# As the kernel sends them (Documentation/core-api/kobject.rst; lib/kobject_uevent.c): header, then zero-ended words.
KERNEL_ADD = (
    b"add@/devices/pci0000:00/0000:00:14.0/usb1/1-2\0ACTION=add\0DEVPATH=/devices/pci0000:00/0000:00:14.0/usb1/1-2\0"
    b"SUBSYSTEM=usb\0MAJOR=189\0MINOR=4\0DEVNAME=bus/usb/001/005\0DEVTYPE=usb_device\0PRODUCT=2457/1026/2\0"
    b"TYPE=0/0/0\0BUSNUM=001\0DEVNUM=005\0SEQNUM=4523\0"
)
KERNEL_DISK = b"change@/devices/virtual/block/loop0\0ACTION=change\0SUBSYSTEM=block\0SEQNUM=4524\0"
# As udev sends them (libsystemd, device-monitor.c): prefix, magic 0xfeedcafe, sizes and places, filters; then words.
WORDS = b"ACTION=bind\0DEVPATH=/devices/usb1/1-2\0SUBSYSTEM=usb\0TAGS=:uaccess:\0"
UDEV_BIND = (
    b"libudev\0\xfe\xed\xca\xfe"
    + (40).to_bytes(4, sys.byteorder)
    + (40).to_bytes(4, sys.byteorder)
    + len(WORDS).to_bytes(4, sys.byteorder)
    + bytes(16)
    + WORDS
)


def nothing() -> socket.socket:
    raise PermissionError("refused")


def plug(bus: Path, place: str, address: int) -> None:
    (bus / place).mkdir(parents=True, exist_ok=True)
    (bus / place / "devnum").write_text(f"{address}\n")


@pytest.mark.parametrize(
    ("message", "ours"),
    [
        (KERNEL_ADD, True),
        (KERNEL_ADD.replace(b"add", b"remove"), True),
        (KERNEL_ADD.replace(b"=usb\0", b"=hidraw\0"), True),
        (KERNEL_ADD.replace(b"=usb\0", b"=tty\0"), True),
        (UDEV_BIND, True),
        (KERNEL_DISK, False),
        (UDEV_BIND.replace(b"=usb\0", b"=net\0"), False),
        (b"", False),
        (b"libudev\0", False),
        (b"libudev\0\xfe\xed\xca\xfe" + b"\xff" * 12, False),
        (b"\xff\xfe\0=\0==\0", False),
    ],
)
def test_only_what_could_be_an_instrument_concerns_us(message: bytes, ours: bool) -> None:
    assert concerns_us(message) is ours


def test_uevents_are_noticed_and_read_to_their_end(tmp_path: Path) -> None:
    ours, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    plugs = Hotplug(bus=tmp_path, connect=lambda: ours)
    with far:
        assert plugs.handle is not None
        assert not plugs.changed()

        far.send(KERNEL_DISK)
        assert not plugs.changed()

        for message in (KERNEL_DISK, KERNEL_ADD, UDEV_BIND):
            far.send(message)
        assert plugs.changed()
        assert not plugs.changed()
        plugs.close()
        plugs.close()


def test_a_socket_that_ends_leaves_the_listing(tmp_path: Path) -> None:
    ours, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    plugs = Hotplug(bus=tmp_path, connect=lambda: ours)
    far.close()

    assert not plugs.changed()
    assert plugs.handle is None
    plug(tmp_path, "1-2", 5)
    assert plugs.changed()


def test_where_the_socket_is_refused_the_bus_is_listed(tmp_path: Path) -> None:
    plug(tmp_path, "usb1", 1)
    plugs = Hotplug(bus=tmp_path, connect=nothing)
    assert (plugs.handle, plugs.changed()) == (None, False)

    plug(tmp_path, "1-2", 5)
    assert (plugs.changed(), plugs.changed()) == (True, False)

    plug(tmp_path, "1-2", 6)  # replugged between two looks
    assert (plugs.changed(), plugs.changed()) == (True, False)

    shutil.rmtree(tmp_path / "1-2")
    assert (plugs.changed(), plugs.changed()) == (True, False)


def test_interfaces_are_no_devices(tmp_path: Path) -> None:
    plugs = Hotplug(bus=tmp_path, connect=nothing)

    (tmp_path / "1-2:1.0").mkdir()

    assert not plugs.changed()


def test_a_machine_without_usb_never_changes(tmp_path: Path) -> None:
    plugs = Hotplug(bus=tmp_path / "none", connect=nothing)

    assert not plugs.changed()


def test_a_device_that_is_plugged_in_is_noticed_over_netlink() -> None:
    if shutil.which("umockdev-wrapper") is None:
        pytest.skip("umockdev is not installed: .ci/set-up test")
    watch = ("umockdev-wrapper", sys.executable, "-m", "tests.drivers.plug_watcher")
    with talking(sys.executable, "-m", "tests.firmware_sim.serve_bench", "A") as simulator:
        directory = simulator.event("ready")["umockdev_dir"]
        with talking(*watch, env={"UMOCKDEV_DIR": directory}) as watcher:
            assert watcher.hear() == {"listens": True}

            simulator.say("unplug")
            assert watcher.ask("wait") == {"changed": True}
            simulator.event("unplugged")
            simulator.say("plug")
            assert watcher.ask("wait") == {"changed": True}
