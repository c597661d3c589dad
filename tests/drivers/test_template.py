"""The template is a working device, so that a copy of it starts from something that runs."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.contract import Device, ExposureSettings, Identity, ScanSettings, Unit
from drivers.devices._template import DEVICE
from drivers.errors import BadSettings, DeviceRefused, Interrupted, WireError, WrongInstrument
from drivers.links.replay import ReplayLink
from drivers.session import Session


def said(body: bytes) -> bytes:
    """A line of the instrument: CRC-16/XMODEM, bit by bit."""
    crc = 0
    for byte in body:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xFFFF
    return body + b" %04X\n" % crc


LAMP_OFF = ((">", b"L 0\n"), ("<", said(b"OK L 0")))
LAMP_ON = ((">", b"L 1\n"), ("<", said(b"OK L 1")))
OPEN = (*LAMP_OFF, (">", b"I\n"), ("<", said(b"N1 000123")))
UNIT = Unit(identity=Identity(kind="_template", model="N1", serial_number="000123"))
PIXELS = b" ".join(b"%d" % (500 * k) for k in range(128))


def session_on(link: ReplayLink) -> Session:
    return Session(link, clock=link.clock)


def test_the_template_opens_scans_and_closes():
    device: Device[Any] = DEVICE
    setting = ((">", b"G 10\n"), ("<", said(b"OK G 10")))
    measuring = ((">", b"M\n"), ("<", said(b"7 -105 " + PIXELS)))
    with ReplayLink((*OPEN, *setting, *LAMP_ON, *measuring, *LAMP_OFF, *LAMP_OFF)) as link:
        session = session_on(link)
        unit = session.perform(device.open())
        session.perform(device.configure(unit, device.default_settings))
        raw = session.perform(device.scan(unit, device.default_settings))
        session.perform(device.close())

    assert unit.identity.serial_number == "000123"
    assert raw.counts.tolist() == [500 * k for k in range(128)]
    assert (raw.scan_index, raw.environment.detector_c) == (7, -10.5)


def test_the_light_goes_off_when_a_scan_fails():
    refused = ((">", b"M\n"), ("<", said(b"ERR 3"))) * 3
    with ReplayLink((*LAMP_ON, *refused, *LAMP_OFF)) as link, pytest.raises(DeviceRefused, match="lamp"):
        session_on(link).perform(DEVICE.scan(UNIT, ExposureSettings()))


class Stopping(ReplayLink):
    """The station is told to stop as soon as the instrument was asked to measure."""

    session: Session

    def write(self, data: bytes, within_s: float) -> None:
        super().write(data, within_s)
        if data == b"M\n":
            self.session.interrupt()


def test_the_light_goes_off_when_a_scan_is_interrupted():
    with Stopping((*LAMP_ON, (">", b"M\n"), *LAMP_OFF)) as link:
        link.session = session_on(link)
        with pytest.raises(Interrupted):
            link.session.perform(DEVICE.scan(UNIT, ExposureSettings()))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (said(b"N2 000123"), WrongInstrument),
        (said(b"N1 ffffff"), WrongInstrument),
        (said(b"ERR x"), WireError),
        (b"N1 000123 0000\n", WireError),
        (b"\n", WireError),
    ],
)
def test_another_instrument_or_nonsense_is_refused(answer: bytes, error: type[Exception]):
    times = 1 if error is WrongInstrument else 2
    with ReplayLink((*LAMP_OFF, *((">", b"I\n"), ("<", answer)) * times)) as link, pytest.raises(error):
        session_on(link).perform(DEVICE.open())


def test_an_echo_of_something_else_is_no_acknowledgement():
    steps = ((">", b"G 10\n"), ("<", said(b"OK G 18"))) * 2
    with ReplayLink(steps) as link, pytest.raises(WireError, match="something else"):
        session_on(link).perform(DEVICE.configure(UNIT, DEVICE.default_settings))


@pytest.mark.parametrize(
    "settings", [ScanSettings(), ExposureSettings(integration_ms=0.5), ExposureSettings(laser_mw=1.0)]
)
def test_settings_of_another_model_are_refused(settings: ScanSettings | ExposureSettings):
    with ReplayLink([]) as link, pytest.raises(BadSettings):
        session_on(link).perform(DEVICE.configure(UNIT, settings))
