from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from tests.broker import Broker
from tests.publish.conftest import Rig

RECORDS = 10_000


@pytest.mark.bench
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_how_fast_a_backlog_drains(
    broker: Broker, make_rig: Callable[..., Rig], protocol: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rig = make_rig(broker.port, protocol=protocol)

    async def scene() -> float:
        records = await rig.append(RECORDS, note="x" * 1000)
        began_s = time.monotonic()
        async with rig.running():
            await rig.drained()
        assert len(records) == RECORDS
        return time.monotonic() - began_s

    took_s = asyncio.run(scene())

    with capsys.disabled():
        print(f"\ndrain of a backlog, MQTT {protocol}: {RECORDS / took_s:,.0f} records/s of about 2 kB")
