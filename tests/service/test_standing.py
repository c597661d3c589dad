"""What the journal says of drift, read from records written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged.monitor.words import Cause, DriftEvent
from edged.service.standing import said
from edged.store.identity import Uuid7
from edged.store.journal import Journal
from edged.store.record import BundleInfo, Draft, DriftInfo, InstrumentInfo, TakenAt

BUNDLE = BundleInfo(name="x", version="1.0.0", digest="ab")
new_id = Uuid7()
Line = tuple[DriftEvent, str | None, Cause | None, str | None]  # event, product, cause, serial number

P_BEGAN: Line = ("began", "P", "lamp", "1")
P_KNOWN: Line = ("baseline", "P", None, "1")


def draft(event: DriftEvent, product: str | None, cause: Cause | None, serial: str | None) -> Draft:
    return Draft(
        kind="drift",
        id=new_id(),
        device="board",
        station="bench",
        instrument=InstrumentInfo(kind="nirscan", model="NIR-M-R2", serial_number=serial) if serial else None,
        taken_at=TakenAt(wall="2026-11-21T04:07:22.169Z", monotonic_s=1.0, boot_id="a", clock="synced"),
        bundle=BUNDLE,
        drift=DriftInfo(event=event, product=product, cause=cause, message="by hand"),
    )


@pytest.mark.parametrize(
    ("lines", "open_seqs", "products"),
    [
        ([], [], []),
        ([P_KNOWN, P_BEGAN], [2], ["P"]),
        ([P_BEGAN, ("ended", "P", "lamp", "1")], [], []),
        ([P_BEGAN, ("ended", "Q", "lamp", "1")], [], []),  # of products that show it the last one ends it
        ([P_BEGAN, ("ended", "P", "axis", "1")], [1], []),
        ([P_BEGAN, ("ended", "P", "lamp", "2")], [1], []),
        ([P_BEGAN, ("ended", "P", "lamp", None)], [], []),  # the record that says whose it was is spoilt
        ([P_BEGAN, ("ended", "P", "lamp", "1"), P_BEGAN], [3], []),
        ([P_BEGAN, ("began", "P", "axis", "1"), ("began", "P", "lamp", "2")], [1, 2, 3], []),
        ([P_KNOWN, P_BEGAN, ("renewed", None, None, "1")], [], []),
        ([P_KNOWN, P_BEGAN, ("renewed", None, None, None)], [], []),
        ([P_KNOWN, P_BEGAN, ("renewed", "P", None, "1")], [], []),
        ([P_KNOWN, P_BEGAN, ("renewed", "Q", None, "1")], [2], ["P"]),
        ([P_KNOWN, P_BEGAN, ("renewed", None, None, "2")], [2], ["P"]),
        ([("began", None, "lamp", "1"), ("renewed", "P", None, "1")], [1], []),  # of a white reference
        ([P_KNOWN, P_BEGAN, ("renewed", "Q", None, "1"), ("renewed", None, None, "1")], [2], ["P"]),
    ],
)
def test_an_alarm_is_open_until_it_ended_or_somebody_ordered_to_learn_anew(
    tmp_path: Path, lines: list[Line], open_seqs: list[int], products: list[str]
) -> None:
    """Orders behind the third record have not been followed yet."""
    with Journal.open(tmp_path / "journal.db") as journal:
        for line in lines:
            journal.append(draft(*line))

        found = said(journal, orders_until=3)

    assert sorted(record.seq for record in found.began.values()) == open_seqs
    assert found.known == {("bench", "1", "ab", product) for product in products}
