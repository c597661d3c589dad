"""Waits for hardware that comes and goes, so that a station need not wait for its next slow look. On the event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import NoReturn

from drivers.hotplug import POLL_S, SETTLE_S, Hotplug


async def watch_plugs(on_change: Callable[[], None], *, open_hotplug: Callable[[], Hotplug] = Hotplug) -> NoReturn:
    """Call `on_change` after each change of what is plugged in, once its many events have gone by."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    plugs = open_hotplug()
    watched = plugs.handle
    if watched is not None:
        loop.add_reader(watched, told.set)
    try:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await told.wait()
            told.clear()
            if plugs.changed():
                await asyncio.sleep(SETTLE_S)
                plugs.changed()
                on_change()
            if watched is not None and plugs.handle is None:
                loop.remove_reader(watched)
                watched = None
    finally:
        if watched is not None:
            loop.remove_reader(watched)
        plugs.close()
