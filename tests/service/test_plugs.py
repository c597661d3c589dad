"""The loop's watch for hardware that comes and goes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from drivers.hotplug import Hotplug
from edged.service import plugs
from edged.service.plugs import watch_plugs

ADD = b"add@/devices/usb1/1-2\0ACTION=add\0DEVPATH=/devices/usb1/1-2\0SUBSYSTEM=usb\0SEQNUM=1\0"


async def told_after(act: object, hotplug: Hotplug) -> None:
    """Watch, act, and wait until a change is told."""
    told = asyncio.Event()
    watching = asyncio.create_task(watch_plugs(told.set, open_hotplug=lambda: hotplug))
    await asyncio.sleep(0)
    assert callable(act)
    act()
    async with asyncio.timeout(5):
        await told.wait()
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching


def test_an_event_is_told_at_once(tmp_path: Path) -> None:
    ours, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    with far:
        asyncio.run(told_after(lambda: far.send(ADD), Hotplug(bus=tmp_path, connect=lambda: ours)))


def test_where_nothing_is_told_the_bus_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugs, "POLL_S", 0.01)

    def refused() -> socket.socket:
        raise PermissionError

    def plug() -> None:
        (tmp_path / "1-2").mkdir()
        (tmp_path / "1-2" / "devnum").write_text("5\n")

    asyncio.run(told_after(plug, Hotplug(bus=tmp_path, connect=refused)))


def test_a_socket_that_ends_leaves_the_listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugs, "POLL_S", 0.01)
    ours, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)

    def end_and_plug() -> None:
        far.close()
        (tmp_path / "1-2").mkdir()
        (tmp_path / "1-2" / "devnum").write_text("5\n")

    asyncio.run(told_after(end_and_plug, Hotplug(bus=tmp_path, connect=lambda: ours)))
