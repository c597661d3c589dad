"""Which bundles are in use, as the monitor is told of them."""

from __future__ import annotations

from edged.bundle.archive import bundle_from_bytes
from edged.monitor.monitor import Key, Monitor, Rules
from edged.service.drifting import InUse
from tests.bundle.tiny import tiny_bytes

USUAL, OWN = (bundle_from_bytes(tiny_bytes(name=name)) for name in ("usual", "own"))
DIGESTS = (USUAL.digest, OWN.digest)


def in_use_at(monitor: Monitor, station: str) -> list[bool]:
    """Whether what the usual bundle taught there stands, and what the station's own did."""
    return [
        monitor.is_in_use(Key(station=station, serial_number="1", bundle=digest, product="x")) for digest in DIGESTS
    ]


def test_a_station_whose_own_bundle_is_unusable_does_not_go_back_to_what_the_usual_one_taught() -> None:
    monitor = Monitor(Rules())

    InUse(usual=USUAL, own={"raman": None}).tell(monitor)

    assert in_use_at(monitor, "raman") == [False, True]
    assert in_use_at(monitor, "bench") == [True, False]


def test_a_bundle_that_became_unusable_is_still_known_by_what_it_was() -> None:
    monitor, other = Monitor(Rules()), Key(station="raman", serial_number="1", bundle="another", product="x")
    InUse(usual=USUAL, own={"raman": OWN}).tell(monitor)

    InUse(usual=USUAL, own={"raman": None}).tell(monitor)

    assert in_use_at(monitor, "raman") == [False, True]
    assert not monitor.is_in_use(other)


def test_a_station_that_no_longer_names_a_bundle_is_judged_by_the_usual_one() -> None:
    monitor = Monitor(Rules())
    InUse(usual=USUAL, own={"raman": None}).tell(monitor)

    InUse(usual=USUAL).tell(monitor)

    assert in_use_at(monitor, "raman") == [True, False]
