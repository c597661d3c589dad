"""Keeping parts alive: a part that fails unexpectedly is counted, logged and started again; the others go on."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from edged.recurring import Recurring

log = logging.getLogger(__name__)

RESTART_FIRST_S = 0.5
RESTART_MOST_S = 30.0
WELL_AFTER_S = 600.0  # a part that has lived so long begins anew with its next failure


async def keep_running(
    name: str,
    part: Callable[[], Awaitable[object]],
    *,
    on_failure: Callable[[str, int], None] = lambda _name, _count: None,
    is_stopping: Callable[[], bool] = lambda: False,
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Run `part` again and again until cancelled, or until it ends by itself while `is_stopping`.

    Its failures are logged at powers of ten, with their traceback.
    """
    failures, in_a_row = Recurring(log), 0
    while True:
        began_s = clock()
        try:
            await part()
            error: Exception | None = None
        except Exception as caught:  # noqa: BLE001 - the boundary: one part's bug must not end the others
            error = caught
        if is_stopping():
            return
        in_a_row = 1 if clock() - began_s >= WELL_AFTER_S else in_a_row + 1
        failures.again(logging.ERROR, "part=%s ended unexpectedly, starting it again", name, exc_info=error)
        on_failure(name, failures.count)
        await pause(min(RESTART_FIRST_S * 2 ** min(in_a_row - 1, 10), RESTART_MOST_S))
