"""The template is a working device, so that a copy of it starts from something that runs."""

from __future__ import annotations

import pytest

from drivers.contract import Device, ScanSettings
from drivers.devices._template import DEVICE
from drivers.errors import BadSettings, DeviceRefused, WireError, WrongInstrument
from drivers.links.replay import ReplayLink
from drivers.session import Session

OPEN = ((">", b"L 0\n"), ("<", b"OK\n"), (">", b"I\n"), ("<", b"N1 000123\n"))
PIXELS = b" ".join(b"%d" % (500 * k) for k in range(128))


def session_on(link: ReplayLink) -> Session:
    return Session(link, clock=link.clock)


def test_the_template_opens_scans_and_closes():
    device: Device = DEVICE
    scan = (
        (">", b"I\n"),
        ("<", b"N1 000123\n"),
        (">", b"L 1\n"),
        ("<", b"OK\n"),
        (">", b"M\n"),
        ("<", b"7 -105 " + PIXELS + b"\n"),
        (">", b"L 0\n"),
        ("<", b"OK\n"),
    )
    with ReplayLink((*OPEN, (">", b"G 10\n"), ("<", b"OK\n"), *scan, *OPEN[:2])) as link:
        session = session_on(link)
        identity = session.perform(device.open())
        session.perform(device.configure(device.default_settings))
        raw = session.perform(device.scan(device.default_settings))
        session.perform(device.close())

    assert identity.serial_number == "000123"
    assert raw.counts.tolist() == [500 * k for k in range(128)]
    assert (raw.scan_index, raw.environment.detector_c) == (7, -10.5)


def test_the_light_goes_off_when_a_scan_fails():
    start = ((">", b"I\n"), ("<", b"N1 000123\n"), (">", b"L 1\n"), ("<", b"OK\n"))
    refused = ((">", b"M\n"), ("<", b"ERR 3\n")) * 3
    with (
        ReplayLink((*start, *refused, *OPEN[:2])) as link,
        pytest.raises(DeviceRefused, match="lamp"),
    ):
        session_on(link).perform(DEVICE.scan(ScanSettings(points=128)))


@pytest.mark.parametrize(("answer", "error"), [(b"N2 000123\n", WrongInstrument), (b"ERR x\n", WireError)])
def test_another_instrument_or_nonsense_is_refused(answer: bytes, error: type[Exception]):
    times = 1 if error is WrongInstrument else 2
    with ReplayLink((*OPEN[:2], *((">", b"I\n"), ("<", answer)) * times)) as link, pytest.raises(error):
        session_on(link).perform(DEVICE.open())


def test_settings_of_another_model_are_refused():
    with ReplayLink([]) as link, pytest.raises(BadSettings):
        session_on(link).perform(DEVICE.configure(ScanSettings()))
