"""An instrument through its driver: automatic exposure, the laser's ceiling, and the light that goes off at the end."""

from __future__ import annotations

from typing import Any

import pytest

from drivers import registry
from drivers.clock import ManualClock
from drivers.contract import Device, ExposureSettings, Link, ScanSettings, UsbLink
from drivers.errors import DeviceRefused, Interrupted, LinkLost
from drivers.links.ports import BadPort
from edged.acquire.exposure import ExposurePlan
from edged.acquire.instrument import DriverInstrument
from firmware_sim.devices.csvserial import CsvBoard
from firmware_sim.devices.obp import ObpOnUsb
from firmware_sim.devices.ooi import OoiSpectrometer
from firmware_sim.scene import Raman, Ramp
from tests.contract.far_ends import Wire
from tests.contract.usb_wire import UsbWire


def plugged(firmware: Any, kind: str, settings: ExposureSettings, plan: ExposurePlan | None = None) -> DriverInstrument:
    clock = ManualClock()

    def open_link(device: Device[Any], port: str) -> Link | UsbLink:
        return UsbWire(firmware, clock)

    return DriverInstrument(registry.load(kind), "usb", settings, exposure=plan, open_link=open_link, clock=clock)


def lamp(step: float) -> OoiSpectrometer:
    return OoiSpectrometer(Ramp(step=step), model="usb2000plus", seed=1, speed=0.0, exact=True)


@pytest.mark.parametrize("step", [3.0, 300.0, 15_000.0])
def test_automatic_exposure_fills_the_range_whatever_the_light(step: float) -> None:
    instrument = plugged(lamp(step), "ooi", ExposureSettings(integration_ms=100.0), ExposurePlan())
    instrument.open()
    instrument.prepare()

    scan = instrument.scan()
    instrument.close()

    assert not scan.saturated.any()
    assert 0.3 < scan.raw.max() / 65_535 < 0.9
    assert scan.exposure_ms != 100.0


def test_an_interrupt_while_the_link_is_being_opened_is_not_lost() -> None:
    firmware, clock = lamp(300.0), ManualClock()

    def open_link(device: Device[Any], port: str) -> Link | UsbLink:
        instrument.interrupt()  # as another thread would, while a name is looked up
        return UsbWire(firmware, clock)

    settings = ExposureSettings(integration_ms=100.0)
    instrument = DriverInstrument(registry.load("ooi"), "usb", settings, open_link=open_link, clock=clock)

    with pytest.raises(Interrupted):
        instrument.open()
    with pytest.raises(LinkLost):
        instrument.keep_alive()


def test_without_a_plan_the_settings_are_taken_as_they_are() -> None:
    instrument = plugged(lamp(30_000.0), "ooi", ExposureSettings(integration_ms=100.0))
    instrument.open()
    instrument.prepare()

    scan = instrument.scan()
    instrument.close()

    assert scan.exposure_ms == 100.0
    assert scan.saturated.any()


def test_the_next_sample_begins_where_the_last_one_ended() -> None:
    firmware = lamp(300.0)
    instrument = plugged(firmware, "ooi", ExposureSettings(integration_ms=100.0), ExposurePlan())
    instrument.open()
    instrument.prepare()
    instrument.scan()
    first = len(firmware.meant)

    instrument.scan()
    instrument.close()

    assert len(firmware.meant) - first == 1


def test_a_laser_never_gives_more_than_the_configuration_allows_and_is_off_in_the_end() -> None:
    firmware = ObpOnUsb("ventana", Raman("polystyrene"), seed=1, speed=0.0)
    instrument = plugged(
        firmware,
        "obp",
        ExposureSettings(integration_ms=4_000.0, laser_mw=30.0, laser_unattended=True),
        ExposurePlan(budget_s=40.0),
    )
    instrument.open()
    instrument.prepare()

    scan = instrument.scan()
    instrument.close()

    log = list(firmware.laser_log)
    assert not scan.saturated.any()
    assert scan.laser_mw is not None
    assert scan.laser_mw <= 30.0
    assert log
    assert max(laser_mw for _, is_on, laser_mw in log if is_on) <= 30.0
    assert not log[-1][1]


def test_light_beyond_the_shortest_time_is_refused_and_says_what_to_do() -> None:
    instrument = plugged(lamp(3e9), "ooi", ExposureSettings(integration_ms=100.0), ExposurePlan())
    instrument.open()
    instrument.prepare()

    with pytest.raises(DeviceRefused, match="too much light") as caught:
        instrument.scan()
    instrument.close()

    assert caught.value.hint


def test_a_port_of_a_link_that_the_family_has_not_is_refused_with_those_it_has() -> None:
    instrument = DriverInstrument(registry.load("ooi"), "/dev/ttyUSB0", ScanSettings())

    with pytest.raises(BadPort, match="not reached by serial"):
        instrument.open()


@pytest.mark.parametrize("plan", [None, ExposurePlan()])
def test_a_scan_without_the_laser_leaves_it_off_and_the_next_one_has_it_again(plan: ExposurePlan | None) -> None:
    firmware = ObpOnUsb("ventana", Raman("polystyrene"), seed=1, speed=0.0)
    settings = ExposureSettings(integration_ms=100.0, repeats=2, laser_mw=50.0, laser_unattended=True)
    instrument = plugged(firmware, "obp", settings, plan)
    instrument.open()
    instrument.prepare()

    unlit = instrument.scan(lit=False)
    before = list(firmware.bench.laser_log)
    lit = instrument.scan()
    instrument.close()

    assert (before, unlit.laser_mw, unlit.dark) == ([], None, None)
    assert (unlit.exposure_ms, len(unlit.raw)) == (100.0, 2)
    assert lit.laser_mw == 50.0
    assert any(on for _, on, _ in firmware.bench.laser_log)
    assert lit.counts.max() > 2.0 * unlit.counts.max()


def test_after_a_change_of_settings_that_failed_the_next_scan_was_exposed_for_as_long_as_it_says() -> None:
    firmware, clock = CsvBoard(Ramp(step=60.0), seed=1, speed=0.0, quirks=["no-lamp"]), ManualClock()
    wire = Wire(firmware, clock)
    instrument = DriverInstrument(
        registry.load("csvserial"),
        "/dev/board",
        ExposureSettings(integration_ms=100.0),
        exposure=ExposurePlan(),
        open_link=lambda *_: wire,
        clock=clock,
    )
    instrument.open()
    instrument.prepare()
    firmware.operate("faults busy@3-5")  # the first row is dim; the board takes a longer time, but gives no row of it

    with pytest.raises(DeviceRefused, match="busy"):
        instrument.scan()
    scan = instrument.scan()
    instrument.close()

    rows = [event for event in wire.events if event["event"] == "row"]
    assert scan.exposure_ms == rows[-1]["integration_ms"]
