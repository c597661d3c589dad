from __future__ import annotations

import re
import uuid

from edged.store.identity import Uuid7


def test_an_id_says_when_it_was_made() -> None:
    found = uuid.UUID(Uuid7(wall_ms=lambda: 0x017F22E279B0, random_bits=lambda bits: (1 << bits) - 1)())

    assert found.int >> 80 == 0x017F22E279B0
    assert found.version == 7
    assert found.variant == uuid.RFC_4122
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", str(found))


def test_ids_rise_while_the_clock_stands_still_or_steps_back() -> None:
    times = iter([1000] * 9000 + [500] * 1000)
    make = Uuid7(wall_ms=lambda: next(times))

    ids = [make() for _ in range(10_000)]

    assert ids == sorted(set(ids))
