"""The template is a working device, so that a copy of it starts from something that runs."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.contract import Device, ExposureSettings, Identity, ScanSettings, Unit
from drivers.devices._template import DEVICE
from drivers.errors import BadSettings, DeviceRefused, WireError, WrongInstrument
from drivers.links.replay import ReplayLink
from drivers.session import Session

OPEN = ((">", b"L 0\n"), ("<", b"OK\n"), (">", b"I\n"), ("<", b"N1 000123\n"))
UNIT = Unit(identity=Identity(kind="_template", model="N1", serial_number="000123"))
PIXELS = b" ".join(b"%d" % (500 * k) for k in range(128))


def session_on(link: ReplayLink) -> Session:
    return Session(link, clock=link.clock)


def test_the_template_opens_scans_and_closes():
    device: Device[Any] = DEVICE
    scan = (
        (">", b"L 1\n"),
        ("<", b"OK\n"),
        (">", b"M\n"),
        ("<", b"7 -105 " + PIXELS + b"\n"),
        (">", b"L 0\n"),
        ("<", b"OK\n"),
    )
    with ReplayLink((*OPEN, (">", b"G 10\n"), ("<", b"OK\n"), *scan, *OPEN[:2])) as link:
        session = session_on(link)
        unit = session.perform(device.open())
        session.perform(device.configure(unit, device.default_settings))
        raw = session.perform(device.scan(unit, device.default_settings))
        session.perform(device.close())

    assert unit.identity.serial_number == "000123"
    assert raw.counts.tolist() == [500 * k for k in range(128)]
    assert (raw.scan_index, raw.environment.detector_c) == (7, -10.5)


def test_the_light_goes_off_when_a_scan_fails():
    start = ((">", b"L 1\n"), ("<", b"OK\n"))
    refused = ((">", b"M\n"), ("<", b"ERR 3\n")) * 3
    with (
        ReplayLink((*start, *refused, *OPEN[:2])) as link,
        pytest.raises(DeviceRefused, match="lamp"),
    ):
        session_on(link).perform(DEVICE.scan(UNIT, ExposureSettings()))


@pytest.mark.parametrize(("answer", "error"), [(b"N2 000123\n", WrongInstrument), (b"ERR x\n", WireError)])
def test_another_instrument_or_nonsense_is_refused(answer: bytes, error: type[Exception]):
    times = 1 if error is WrongInstrument else 2
    with ReplayLink((*OPEN[:2], *((">", b"I\n"), ("<", answer)) * times)) as link, pytest.raises(error):
        session_on(link).perform(DEVICE.open())


@pytest.mark.parametrize(
    "settings", [ScanSettings(), ExposureSettings(integration_ms=0.5), ExposureSettings(laser_mw=1.0)]
)
def test_settings_of_another_model_are_refused(settings: ScanSettings | ExposureSettings):
    with ReplayLink([]) as link, pytest.raises(BadSettings):
        session_on(link).perform(DEVICE.configure(UNIT, settings))
