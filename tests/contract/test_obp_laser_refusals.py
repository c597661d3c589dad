"""A Ventana that will not hear of switching its laser off: told on, whatever it says, and then an alarm."""

from __future__ import annotations

import pytest

from drivers.clock import ManualClock
from drivers.contract import ExposureSettings, Medium
from drivers.errors import LaserAlarm, LinkLost
from edged.acquire.instrument import DriverInstrument
from tests.contract.obp_ends import OBP, instrument, scans_of, session_on

LINES: list[Medium] = ["serial", "tcp"]
EVERYWHERE: list[Medium] = ["usb", *LINES]
PORTS: dict[Medium, str] = {"usb": "usb", "serial": "/dev/ventana", "tcp": "tcp:box:4000"}
PROTOCOL_VERSION, NOT_READY, UNEXPECTED_RESET, TOO_MANY_BUSES, OUT_OF_MEMORY, INTERNAL = 1, 7, 9, 10, 11, 13
REFUSALS = (PROTOCOL_VERSION, NOT_READY, UNEXPECTED_RESET, TOO_MANY_BUSES, OUT_OF_MEMORY, INTERNAL)
SETTINGS = ExposureSettings(integration_ms=50.0, laser_mw=30.0, laser_unattended=True)


@pytest.mark.parametrize("medium", EVERYWHERE)
@pytest.mark.parametrize("number", REFUSALS)
def test_a_refusal_of_any_cure_that_stays_is_an_alarm_at_every_turn(medium: Medium, number: int):
    device, firmware = OBP.over(medium), instrument("ventana", medium)
    session = session_on(firmware)
    unit = session.perform(device.open())
    session.perform(device.configure(unit, SETTINGS))
    firmware.operate(f"faults off_refused@1-:{number}")

    for conversation in (device.scan(unit, SETTINGS), device.close(), device.open()):
        with pytest.raises(LaserAlarm, match="told 3 times to be off") as caught:
            session.perform(conversation, interruptible=False)
        assert "cut its power" in caught.value.hint

    assert firmware.bench.laser_on


@pytest.mark.parametrize("medium", EVERYWHERE)
@pytest.mark.parametrize("number", REFUSALS)
def test_a_refusal_of_any_cure_is_followed_by_telling_it_again(medium: Medium, number: int):
    firmware = instrument("ventana", medium)
    firmware.operate(f"faults off_refused@1-2:{number}")

    (scan,) = scans_of(firmware, medium, SETTINGS)
    firmware.operate(f"faults off_refused@1-2:{number}")
    (again,) = scans_of(firmware, medium, SETTINGS)

    assert (scan.laser_mw, again.laser_mw) == (30.0, 30.0)
    assert not firmware.bench.laser_on


@pytest.mark.parametrize("medium", EVERYWHERE)
def test_closing_an_instrument_whose_laser_stays_on_is_logged_as_critical(
    medium: Medium, caplog: pytest.LogCaptureFixture
):
    firmware, clock = instrument("ventana", medium), ManualClock()
    link = session_on(firmware, clock).link
    bench = DriverInstrument(OBP, PORTS[medium], SETTINGS, open_link=lambda *_: link, clock=clock)
    bench.open()
    bench.prepare()
    firmware.operate(f"faults off_refused@1-:{INTERNAL}")

    bench.close()

    (logged,) = [record for record in caplog.records if record.levelname == "CRITICAL"]
    assert "cut its power" in logged.getMessage()


@pytest.mark.parametrize("medium", LINES)
def test_on_a_line_who_refuses_and_may_have_no_laser_is_an_alarm_that_says_so(medium: Medium):
    device, firmware = OBP.over(medium), instrument("sts-nir", medium)
    session = session_on(firmware)
    session.perform(device.open())
    firmware.operate(f"faults off_refused@1-:{INTERNAL}")

    with pytest.raises(LaserAlarm) as caught:
        session.perform(device.close(), interruptible=False)

    assert "if it has a laser, cut its power" in caught.value.hint


@pytest.mark.parametrize("medium", LINES)
def test_a_line_that_is_cut_while_it_is_told_is_lost_and_no_alarm(medium: Medium):
    """Nobody can be told any more; docs/devices.md says what that means."""
    device, firmware = OBP.over(medium), instrument("ventana", medium)
    session = session_on(firmware)
    session.perform(device.open())
    firmware.operate(f"faults off_refused@1-:{INTERNAL},hangup@2")

    with pytest.raises(LinkLost):
        session.perform(device.close(), interruptible=False)
