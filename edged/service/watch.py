"""The watchdog's heart: every thread is asked, and only if all answer does systemd hear that we are alive."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import NoReturn

from edged.acquire.worker import Worker
from edged.recurring import Recurring
from edged.service.health import Health
from edged.service.notify import Notifier

log = logging.getLogger(__name__)

UNWATCHED_S = 30.0  # without systemd's watchdog the threads are asked at this pace, so that health still tells
SHARE = 1 / 3  # of the watchdog's time between two signs of life; systemd recommends at most a half


async def watch(workers: Sequence[Worker], notifier: Notifier, health: Health) -> NoReturn:
    """Ask all threads again and again. It runs on the loop, so that a loop that hangs is not alive either."""
    period_s = (notifier.watchdog_s or UNWATCHED_S) * SHARE
    silent = Recurring(log)
    while True:
        answers = await asyncio.gather(*(worker.ping(period_s / 2) for worker in workers))
        hanging = [worker.name for worker, answered in zip(workers, answers, strict=True) if not answered]
        if hanging:
            silent.again(logging.ERROR, "threads=%s do not answer, the watchdog is not fed", ",".join(hanging))
        else:
            silent.over()
            notifier.alive()
        health.set("thread_hangs", stands=bool(hanging), detail=", ".join(hanging))
        await asyncio.sleep(period_s)
