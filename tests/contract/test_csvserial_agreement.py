"""Boards that print CSV: whatever a sketch does differently, the driver reads the counts that the simulator meant."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers import registry
from drivers.clock import ManualClock
from drivers.contract import ExposureSettings, RawScan, Unit
from drivers.errors import DeviceRefused, DriverError, LinkLost, NoAnswer, WireError, WrongInstrument
from drivers.links.replay import ReplayLink
from drivers.links.serial import SerialLink
from drivers.session import Session
from drivers.trace import RecordTrace
from edged.acquire.station import ENVIRONMENT_WITHIN_S
from firmware_sim.devices.csvserial import QUIRKS, ROW_FAULTS, CsvBoard
from firmware_sim.faults import FaultPlan
from firmware_sim.sample import Products
from firmware_sim.scene import Ramp, lamp_with
from tests.contract.far_ends import Wire

DEVICE = registry.load("csvserial")
ALL_AT_ONCE = "plain crlf trailing semicolons decimals unnumbered polynomial talks resets"
HARMLESS = [quirk for quirk in QUIRKS if quirk not in ("no-axis", "no-serial", "streams")]
SETTINGS = ExposureSettings(integration_ms=25.5, repeats=3)


def board(plan: str = "", *quirks: str) -> CsvBoard:
    return CsvBoard(Ramp(), seed=3, faults=FaultPlan.parse(plan, seed=3, own=ROW_FAULTS), quirks=quirks)


def life(firmware: CsvBoard, *, scans: int = 2) -> tuple[Unit, list[RawScan]]:
    clock = ManualClock()
    session = Session(Wire(firmware, clock), clock=clock)
    unit = session.perform(DEVICE.open())
    session.perform(DEVICE.configure(unit, SETTINGS))
    taken = [session.perform(DEVICE.scan(unit, SETTINGS)) for _ in range(scans)]
    session.perform(DEVICE.environment(unit))
    session.perform(DEVICE.close())
    return unit, taken


def is_right(firmware: CsvBoard, scans: list[RawScan]) -> bool:
    frames = [frame for scan in scans for frame in scan.raw]
    return all(any(np.array_equal(frame, meant) for meant in firmware.meant) for frame in frames) and len(
        {tuple(frame) for frame in frames}
    ) == len(frames)


@pytest.mark.parametrize("quirk", [*HARMLESS, ALL_AT_ONCE])
def test_a_sketch_may_do_it_differently(quirk: str):
    firmware = board("", *quirk.split())
    unit, scans = life(firmware)

    assert is_right(firmware, scans)
    assert unit.identity.serial_number == "SIM0001"
    np.testing.assert_allclose(scans[0].axis, firmware.axis_nm, rtol=0, atol=0.005)  # two decimals are printed
    assert scans[0].exposure_ms == (50.0 if "fixed" in quirk else 25.5)
    discarded = 0 if "fixed" in quirk else 1
    expected = [None, None] if "unnumbered" in quirk else [3 + discarded, 6 + discarded]
    assert [scan.scan_index for scan in scans] == expected


@pytest.mark.parametrize(("quirk", "why"), [("no-axis", "no wavelengths"), ("no-serial", "no serial number")])
def test_a_board_that_leaves_out_what_is_needed_is_refused(quirk: str, why: str):
    with pytest.raises(WrongInstrument, match=why):
        life(board("", quirk))


@pytest.mark.parametrize("reply", range(1, 16))
@pytest.mark.parametrize("fault", ["drop", "corrupt", "truncate", "delay", "duplicate"])
def test_one_line_that_goes_wrong_is_cured(fault: str, reply: int):
    firmware = board(f"{fault}@{reply}")
    _, scans = life(firmware)

    assert len(scans) == 2
    assert is_right(firmware, scans)


@pytest.mark.parametrize("row", range(1, 8))
@pytest.mark.parametrize("fault", ROW_FAULTS)
def test_a_row_that_lacks_a_number_or_comes_twice_is_not_taken(fault: str, row: int):
    firmware = board(f"{fault}@{row}")
    _, scans = life(firmware)

    assert is_right(firmware, scans)


@pytest.mark.parametrize(
    ("plan", "error"), [("short_row", WireError), ("busy@6-", DeviceRefused), ("hangup@5", LinkLost)]
)
def test_what_stays_wrong_is_an_error_of_its_cure(plan: str, error: type[DriverError]):
    with pytest.raises(error):
        life(board(plan))


@pytest.mark.parametrize("quirk", ["streams", f"streams {ALL_AT_ONCE}", "streams no-lamp", "streams fixed"])
def test_rows_that_come_by_themselves_are_taken_each_once(quirk: str):
    firmware = board("", *quirk.split())
    _, scans = life(firmware)

    assert is_right(firmware, scans)
    assert [scan.frames_dropped for scan in scans] == [1, 1]


ROW_S = 20.0


def listening(**more: Any) -> tuple[CsvBoard, Session, Unit, ManualClock]:
    """A board that streams a row every 20 s, because it is told so or by itself, and is open and told its settings."""
    quirks = ["streams", *(["fixed"] if more else [])]
    firmware, clock = CsvBoard(Ramp(), seed=3, quirks=quirks, **more), ManualClock()
    session = Session(Wire(firmware, clock), clock=clock)
    unit = session.perform(DEVICE.open())
    settings = ExposureSettings() if more else ExposureSettings(integration_ms=ROW_S * 1000)
    session.perform(DEVICE.configure(unit, settings))
    return firmware, session, unit, clock


def listen(session: Session, unit: Unit, clock: ManualClock, seconds: float) -> float:
    """Look for a sign of life once a second, as a station does; return how long the longest look took."""
    longest_s, end_s = 0.0, clock.now_s() + seconds
    while clock.now_s() < end_s:
        clock.advance(1.0)
        began_s = clock.now_s()
        session.perform(DEVICE.environment(unit))
        longest_s = max(longest_s, clock.now_s() - began_s)
    return longest_s


@pytest.mark.parametrize("more", [{}, {"fixed_ms": ROW_S * 1000}], ids=["told", "fixed"])
def test_a_board_whose_rows_are_far_apart_is_there_all_the_time(more: dict[str, float]):
    """And each look is short enough for a station, and for a trigger that waits for its end."""
    _, session, unit, clock = listening(**more)

    longest_s = listen(session, unit, clock, 10 * ROW_S)

    assert longest_s < ENVIRONMENT_WITHIN_S


@pytest.mark.parametrize("more", [{}, {"fixed_ms": ROW_S * 1000}], ids=["told", "fixed"])
def test_a_board_whose_rows_are_far_apart_is_lost_when_the_next_one_is_overdue(more: dict[str, float]):
    firmware, session, unit, clock = listening(**more)
    session.perform(DEVICE.environment(unit))
    firmware.operate("faults drop")
    began_s = clock.now_s()

    with pytest.raises(NoAnswer, match="no row for 24 s"):
        listen(session, unit, clock, 10 * ROW_S)

    assert ROW_S <= clock.now_s() - began_s < 2 * ROW_S


def test_the_lamp_is_lit_for_the_scan_and_dark_around_it():
    firmware = CsvBoard(lamp_with(Products(["white"]), white=0, seed=0), seed=3)
    _, scans = life(firmware, scans=1)
    dark, *lit = firmware.meant

    assert dark.max() < 1100 < 2000 < min(frame.max() for frame in lit)
    assert is_right(firmware, scans)


def test_rows_over_a_terminal_can_be_replayed(tmp_path: Path, repository: Path):
    recording = io.StringIO()
    options = ["--speed", "0", "--quirk", "crlf", "--faults", "garbage=200,corrupt@5"]
    with plugged(tmp_path / "board", repository, *options) as port:
        session = Session(SerialLink.open(port), trace=RecordTrace(recording))
        blob = scanned(session)
        session.close()

    with ReplayLink.from_text(recording.getvalue()) as link:
        assert scanned(Session(link, clock=link.clock)) == blob


def test_rows_that_come_by_themselves_come_over_a_terminal(tmp_path: Path, repository: Path):
    with plugged(tmp_path / "board", repository, "--quirk", "streams") as port:
        session = Session(SerialLink.open(port))
        blob = scanned(session, ExposureSettings(integration_ms=300.0, repeats=2))
        session.close()

    first, second = (int(row.partition(b",")[0]) for row in blob.splitlines())
    assert first < second


@contextmanager
def plugged(port: Path, repository: Path, *options: str) -> Iterator[str]:
    """A board as a process of its own, on a terminal."""
    command = [sys.executable, "-m", "firmware_sim.main", "csvserial", "--pty", str(port), "--json", *options]
    with subprocess.Popen(command, cwd=repository, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["event"] == "ready"
            yield str(port)
        finally:
            process.terminate()


def scanned(session: Session, settings: ExposureSettings = SETTINGS) -> bytes:
    unit = session.perform(DEVICE.open())
    session.perform(DEVICE.configure(unit, settings))
    blob: bytes = session.perform(DEVICE.scan(unit, settings)).blob
    session.perform(DEVICE.close())
    return blob
