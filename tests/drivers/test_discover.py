"""What is plugged in, as the system tells it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from drivers import discover
from drivers.discover import SerialPort, serial_ports


@dataclass
class Listed:
    """What pyserial says of one port."""

    device: str
    vid: int | None = None
    pid: int | None = None
    serial_number: str | None = None
    description: str | None = None


def test_a_port_is_described_with_its_stable_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    device = tmp_path / "ttyUSB0"
    device.touch()
    by_id = tmp_path / "by-id"
    by_id.mkdir()
    (by_id / "usb-FTDI_A1-if00-port0").symlink_to(device)
    listed = [Listed(str(device), 0x0403, 0x6001, "A1\x00\x1b[31m", "FT232R USB UART")]
    monkeypatch.setattr(discover, "comports", lambda: listed)

    (port,) = serial_ports(by_id=by_id)

    assert port == SerialPort(
        path=str(device),
        by_id=str(by_id / "usb-FTDI_A1-if00-port0"),
        vid=0x0403,
        pid=0x6001,
        serial_number="A1[31m",
        description="FT232R USB UART",
        access="ok",
        note="",
    )


def test_a_port_that_cannot_be_opened_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(discover, "comports", lambda: [Listed(str(tmp_path / "gone"))])

    (port,) = serial_ports(by_id=tmp_path / "none")

    assert (port.access, port.by_id, port.vid, port.serial_number) == ("denied", None, None, None)
    assert "install the udev rule" in port.note


def test_this_machine_can_be_asked():
    assert isinstance(serial_ports(), tuple)
