"""Drafts for tests of journal and publisher, and an independent judge of their chain."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any, Literal

from edged.infer.verdict import Candidate, Reason, Verdict
from edged.store.identity import Uuid7
from edged.store.record import Draft, InstrumentInfo, TakenAt

next_id = Uuid7()


def draft(
    *,
    kind: Literal["result", "reference", "clock"] = "result",
    station: str | None = "bench",
    serial: str = "6100023",
    wall: str = "2026-11-21T03:00:00.000Z",
    clock: Literal["synced", "unsynced"] = "synced",
    note: str | None = None,
    timing_ms: dict[str, float] | None = None,
) -> Draft:
    verdict = Verdict(
        procedure="identify",
        preset="balanced",
        outcome="identified",
        label="acetaminophen",
        title="Acetaminophen, 90 %",
        probability=0.9993,
        candidates=(Candidate(label="acetaminophen", title="Acetaminophen, 90 %", probability=0.9993),),
        reasons=(Reason(code="reference_stale", message="σ", value=1e-7, limit=1e21),),
    )
    return Draft(
        kind=kind,
        id=next_id(),
        device="edge-1",
        station=station,
        instrument=InstrumentInfo(kind="nirscan", model="NIR-M-R2", serial_number=serial),
        taken_at=TakenAt(wall=wall, monotonic_s=12.0, boot_id="b", clock=clock),
        procedure="identify" if kind == "result" else None,
        verdict=verdict if kind == "result" else None,
        note=note,
        timing_ms=timing_ms or {"infer": 0.25, "wire": 310.0},
    )


def assert_chain(bodies: Iterable[bytes]) -> list[dict[str, Any]]:
    """Verify records as a stranger would who has only read the documented rule."""
    previous, seen = "0" * 64, []
    for number, body in enumerate(bodies, start=1):
        record = json.loads(body)
        cut = body.replace(b'"hash":"' + record["hash"].encode() + b'",', b"", 1)
        assert len(body) - len(cut) == 64 + len('"hash":"",')
        assert hashlib.sha256(cut).hexdigest() == record["hash"]
        assert record["seq"] == number
        assert record["prev_hash"] == previous
        previous = record["hash"]
        seen.append(record)
    return seen
