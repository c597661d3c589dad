"""Dialogues as tables: each file in tests/captures/nirscan is played back against the conversation it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drivers.contract import Conversation, Environment, RawScan, ScanSettings
from drivers.devices._nirscan_settings import estimated_ms
from drivers.devices.nirscan import DEVICE, Talk, fetch_scan
from drivers.errors import BadSettings, DeviceRefused, NoAnswer, Reopen, WireError
from drivers.links.replay import ReplayLink
from drivers.session import Session
from tests.drivers.nirscan_bytes import UNIT, uart_reply, uart_request

CAPTURES = Path(__file__).parent.parent / "captures" / "nirscan"
SETTINGS = ScanSettings(name="Column 1")
VERSIONS = {
    "tiva": "2.1.0",
    "dlpc": "2.0.0",
    "dlpc_flash": "2.1.0",
    "spectrum_library": "2.0.3",
    "calibration": "1",
    "reference": "3",
    "configuration": "1",
}


def play(name: str, conversation: Conversation[Any]) -> tuple[Any, float]:
    """Hold the conversation against the recording; return its result, or its error, and the time it took."""
    with ReplayLink.from_file(CAPTURES / f"{name}.txt") as link:
        try:
            result: Any = Session(link, clock=link.clock).perform(conversation)
        except (DeviceRefused, Reopen) as error:
            result = error
    return result, link.clock.now_s()


def is_opened(unit: Any) -> None:
    is_the_unit(unit.identity)


def is_the_unit(identity: Any) -> None:
    assert (identity.kind, identity.model, identity.serial_number) == ("nirscan", "NIR-M-R2", "6100023")
    assert identity.versions == VERSIONS


def is_the_golden_scan(scan: Any) -> None:
    assert isinstance(scan, RawScan)
    assert scan.scan_index == 77
    assert scan.counts.tolist() == [10 * k for k in range(228)]
    assert scan.axis[0] == pytest.approx(901.543160, abs=5e-6)
    assert (scan.dark_level, scan.gain, scan.axis_unit, scan.settings) == (1000.0, 16, "nm", SETTINGS)
    assert len(scan.raw) == 237
    assert len(scan.blob) == 3822
    is_the_unit(scan.identity)


def is_done(result: Any) -> None:
    assert result is None


def has_no_lamp(error: Any) -> None:
    assert isinstance(error, DeviceRefused)
    assert error.codes == {"scan": 1, "scan_lamp": 4}
    assert "lamp" in str(error)


def has_no_light(error: Any) -> None:
    assert isinstance(error, DeviceRefused)
    assert error.codes == {"invalid_scan": 1}


def is_refused_configuration(error: Any) -> None:
    assert isinstance(error, DeviceRefused)
    assert error.codes == {"configuration": -5}


def is_to_be_reopened(error: Any) -> None:
    assert type(error) is Reopen
    assert "950" in error.message


def knows_all(environment: Any) -> None:
    assert environment == Environment(
        ambient_c=31.25, detector_c=29.5, humidity_percent=42.1, lamp_photodiode=1234, battery_v=4.12
    )


def knows_nothing(environment: Any) -> None:
    assert environment == Environment()


TABLE: dict[str, tuple[Callable[[], Conversation[Any]], Callable[[Any], None]]] = {
    "open": (DEVICE.open, is_opened),
    "open_after_a_crash": (DEVICE.open, is_opened),
    "configure": (lambda: DEVICE.configure(UNIT, SETTINGS), is_done),
    "configure_refused": (lambda: DEVICE.configure(UNIT, SETTINGS), is_refused_configuration),
    "scan": (lambda: DEVICE.scan(UNIT, SETTINGS), is_the_golden_scan),
    "first_scan": (lambda: DEVICE.scan(UNIT, SETTINGS), is_the_golden_scan),
    "scan_without_lamp": (lambda: DEVICE.scan(UNIT, SETTINGS), has_no_lamp),
    "scan_stale_once": (lambda: DEVICE.scan(UNIT, SETTINGS), is_the_golden_scan),
    "scan_done_early": (lambda: DEVICE.scan(UNIT, SETTINGS), is_the_golden_scan),
    "scan_in_the_dark": (lambda: DEVICE.scan(UNIT, SETTINGS), has_no_light),
    "scan_with_a_bit_wrong": (lambda: DEVICE.scan(UNIT, SETTINGS), is_the_golden_scan),
    "scan_after_a_restart": (lambda: DEVICE.scan(UNIT, SETTINGS), is_to_be_reopened),
    "conditions": (lambda: DEVICE.environment(UNIT), knows_all),
    "conditions_unknown": (lambda: DEVICE.environment(UNIT), knows_nothing),
    "conditions_of_another_length": (lambda: DEVICE.environment(UNIT), knows_nothing),
    "close_while_busy": (DEVICE.close, is_done),
}


@pytest.mark.parametrize("name", sorted(path.stem for path in CAPTURES.glob("*.txt")))
def test_a_recorded_dialogue_is_held_to_the_last_byte(name: str):
    converse, judge = TABLE[name]

    result, _ = play(name, converse())

    judge(result)


def test_every_row_of_the_table_has_its_recording():
    assert set(TABLE) == {path.stem for path in CAPTURES.glob("*.txt")}


def test_done_is_not_asked_before_the_scan_can_have_begun():
    _, took_s = play("scan", DEVICE.scan(UNIT, SETTINGS))

    assert took_s == pytest.approx(0.05 + 3 * 0.1)


def test_a_scan_that_is_never_done_is_given_up_after_twice_its_estimate_and_five_seconds():
    recording = (CAPTURES / "scan.txt").read_text().split("# done? no")[0]
    with ReplayLink.from_text(recording) as link:
        answering = AlwaysScanning(link)
        session = Session(answering, clock=link.clock)
        with pytest.raises(NoAnswer, match=r"not done within 10\.4 s"):
            session.perform(DEVICE.scan(UNIT, SETTINGS))
    assert 10.0 < link.clock.now_s() < 11.5


class AlwaysScanning:
    """Plays a recording, and then answers each poll with "not done"."""

    name = "always scanning"

    def __init__(self, recording: ReplayLink) -> None:
        self._recording = recording
        self._answers = b""

    def write(self, data: bytes, within_s: float) -> None:
        if data[12:14] == b"\x19\x02":
            assert data == uart_request(0x0219, sequence=data[9])
            self._answers += uart_reply(0x0219, b"\0", sequence=data[9])
        else:
            self._recording.write(data, within_s)

    def read(self, limit: int, within_s: float) -> bytes:
        if self._answers:
            answers, self._answers = self._answers, b""
            return answers
        return self._recording.read(limit, within_s)

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": ""}, "name ''"),
        ({"name": "x" * 40}, "1 to 39 characters"),
        ({"name": "größe"}, "plain text"),
        ({"start_nm": 899.0}, "range 899 to 1700 nm"),
        ({"start_nm": 900.5}, "whole nm"),
        ({"start_nm": float("nan")}, "range nan"),
        ({"end_nm": 1701.0}, "900 to 1700"),
        ({"start_nm": 1700.0, "end_nm": 900.0}, "range"),
        ({"points": 24}, r"points 24 \(25 to 829\)"),
        ({"points": 830}, "points 830"),
        ({"width_px": 1}, "width_px 1"),
        ({"repeats": 0}, "repeats 0"),
        ({"repeats": 1001}, "repeats 1001"),
        ({"repeats": 1000}, "a scan of 218 s"),
        ({"gain": 3}, r"gain 3 \(one of 1, 2, 4, 8, 16, 32, 64\)"),
        ({"gain": 0, "points": 0}, "points 0 .*; gain 0"),
    ],
)
@pytest.mark.parametrize("verb", ["configure", "scan"])
def test_settings_that_cannot_be_are_refused_before_anything_is_sent(verb: str, change: dict, message: str):
    settings = replace(SETTINGS, **change)

    with ReplayLink([]) as link, pytest.raises(BadSettings, match=message):
        Session(link, clock=link.clock).perform(getattr(DEVICE, verb)(UNIT, settings))


@pytest.mark.parametrize(("repeats", "expected_ms"), [(6, 2691), (3, 2041)])
def test_the_time_of_a_scan_is_estimated_as_the_firmware_does(repeats: int, expected_ms: int):
    assert estimated_ms(ScanSettings(points=228, repeats=repeats)) == expected_ms


@pytest.mark.parametrize(
    ("size", "piece", "message"),
    [(0xFFFFFFFF, None, "4294967295 bytes, limit 8192"), (3822, b"", "0 bytes after 0"), (10, b"x" * 11, "11 bytes")],
)
def test_a_transfer_that_is_too_long_or_never_ends_is_given_up(size: int, piece: bytes | None, message: str):
    def transfer(sequence: int) -> list[tuple[str, bytes]]:
        asked = uart_request(0x002D, bytes(4), sequence=sequence)
        pieces = [(">", asked), ("<", uart_reply(0x002D, size.to_bytes(4, "little"), sequence=sequence))]
        if piece is not None:
            pieces.append((">", uart_request(0x002E, sequence=sequence + 1)))
            pieces.append(("<", uart_reply(0x002E, piece, sequence=sequence + 1)))
        return pieces

    with ReplayLink(transfer(1)) as link, pytest.raises(WireError, match=message):
        Session(link, clock=link.clock).perform(fetch_scan(Talk(wire=DEVICE.wire)))
