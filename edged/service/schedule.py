"""What runs by itself: measurements at an interval, and self tests where the material is always in its place.

Lives on the event loop, one task each. Nobody is kept waiting: a station that is busy or away is looked at again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import NoReturn

from edged.acquire.reading import Moment
from edged.acquire.station import Station
from edged.recurring import Recurring
from edged.service.measure import EXPECTED, Measuring
from edged.service.pipeline import Asked

log = logging.getLogger(__name__)

NOT_YET_S = 0.25  # how often an interval looks whether its station has become ready for the first time
LOOK_EVERY_S = 1.0
AGAIN_AFTER_S = 60.0  # when one gave no record: a laser that did not warm up, a full disk; then twice as long each time
MOST_DOUBLED = 6  # to an hour


async def keep_measured(station: Station, measuring: Measuring, *, interval_s: float, name: str) -> NoReturn:
    """Measure from the moment the station is ready first. A trigger that finds it busy or away is skipped."""
    time_s, failures = asyncio.get_running_loop().time, Recurring(log)
    while station.is_busy:
        await asyncio.sleep(NOT_YET_S)
    due_s = time_s()
    while True:
        if not station.is_busy:
            try:
                await measuring.sample(name, Asked())
                failures.over()
            except EXPECTED as error:
                failures.again(logging.WARNING, "station=%s interval measurement failed: %s", name, error)
        missed = max(0, int((time_s() - due_s) // interval_s))
        due_s += (missed + 1) * interval_s
        await asyncio.sleep(max(0.0, due_s - time_s()))


async def keep_tested(station: Station, measuring: Measuring, *, now: Callable[[], Moment], name: str) -> NoReturn:
    """Test the station with its configured material whenever the last test is older than `selftest.interval_h`.

    When that is follows from the journal, so a restart of the daemon brings none forward, and another instrument is
    tested as soon as it is there.
    """
    failures = Recurring(log)
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        identity = station.status.identity
        if station.is_busy or identity is None:
            continue
        try:
            if await measuring.selftest_due_s(name, identity.serial_number, now()) > 0.0 or station.is_busy:
                continue
            record = await measuring.selftest(name, None, Asked(note="by itself"))
        except EXPECTED as error:
            failures.again(logging.WARNING, "station=%s self test gave nothing: %s", name, error)
            await asyncio.sleep(AGAIN_AFTER_S * 2.0 ** min(failures.count - 1, MOST_DOUBLED))
        else:
            failures.over()
            assert record.selftest is not None
            level = logging.WARNING if record.selftest.verdict == "fail" else logging.INFO
            log.log(level, "station=%s self test verdict=%s record=%s", name, record.selftest.verdict, record.id)
