"""Driver and simulator were written apart from the same facts: they have to agree on images and wavelengths."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from drivers import registry
from drivers.clock import ManualClock
from drivers.contract import ScanSettings
from drivers.devices._nirscan_scan import decode_scan, encode_configuration
from drivers.errors import BadSettings
from drivers.session import Session
from firmware_sim.devices import _nirscan_scan as scanning
from firmware_sim.devices import _nirscan_tpl as tpl
from tests.contract.far_ends import Wire, nirscan
from tests.drivers.nirscan_bytes import UNIT

DEVICE = registry.load("nirscan")
GOLDEN_BLOB_SHA256 = "569d70c9edffeb744c734987fbe3ba919427cc72cf6d8bf73895fd8e51950f6a"


def test_the_golden_scan_of_the_simulators_encoder_goes_through_the_drivers_parser():
    readings = [1000 if at % 25 == 24 else 1000 + 10 * (at - at // 25) for at in range(237)]
    blob = tpl.scan_image(
        tpl.ScanData(
            name="edged test",
            when=(26, 11, 21, 6, 1, 40, 7),
            system_c=31.25,
            detector_c=29.5,
            humidity_percent=42.1,
            lamp_photodiode=1234,
            scan_index=77,
            coefficients=tpl.Coefficients(
                shift=(-2.74909, 0.0278162, -0.0000681733), pixel_to_nm=(1784.902664, -0.874372, -0.000278)
            ),
            serial_number="6100023",
            gain=16,
            configuration=tpl.Configuration(index=8, serial_number="6100023"),
            adc=tuple(readings),
        )
    )
    scan = decode_scan(blob)

    assert hashlib.sha256(blob).hexdigest() == GOLDEN_BLOB_SHA256
    assert scan.counts.tolist() == [10 * k for k in range(228)]
    assert [scan.axis_nm[0], scan.axis_nm[-1]] == pytest.approx([901.543160, 1700.718537], abs=5e-6)


def test_a_configuration_of_the_driver_is_the_simulators():
    settings = ScanSettings(name="Column 1", start_nm=950, end_nm=1650, points=300, width_px=7, repeats=2)

    assert tpl.configuration_from(encode_configuration(settings, "6100023")) == tpl.Configuration(
        index=8,
        serial_number="6100023",
        name="Column 1",
        start_nm=950,
        end_nm=1650,
        width_px=7,
        patterns=300,
        repeats=2,
    )


@pytest.mark.parametrize(
    "settings",
    [
        ScanSettings(),
        ScanSettings(points=25, repeats=1),
        ScanSettings(points=239, width_px=7, repeats=1),
        ScanSettings(points=240, width_px=2, repeats=1),
        ScanSettings(points=241, repeats=3, gain=16),
        ScanSettings(start_nm=1000, end_nm=1300, points=200, width_px=52, repeats=1, gain=1),
        ScanSettings(points=480, repeats=1),
    ],
    ids=str,
)
def test_any_settings_give_the_wavelengths_that_the_simulator_looked_at(settings: ScanSettings):
    clock = ManualClock()
    firmware = nirscan("")
    with Session(Wire(firmware, clock), clock=clock) as session:
        session.perform(DEVICE.open())
        session.perform(DEVICE.configure(UNIT, settings))
        scan = session.perform(DEVICE.scan(UNIT, settings))

    configuration = tpl.Configuration(
        start_nm=round(settings.start_nm),
        end_nm=round(settings.end_nm),
        width_px=settings.width_px,
        patterns=settings.points,
        repeats=settings.repeats,
    )
    expected_nm = scanning.pattern_nm(configuration, firmware.unit.coefficients.pixel_to_nm)
    np.testing.assert_allclose(scan.axis, expected_nm, rtol=0, atol=1e-9)
    assert len(scan.counts) == settings.points
    assert settings.gain in (None, scan.gain)


def test_points_closer_than_the_mirrors_are_refused_by_name():
    settings = replace(DEVICE.default_settings, points=600, start_nm=1300.0, repeats=1)
    clock = ManualClock()
    with Session(Wire(nirscan(""), clock), clock=clock) as session:
        session.perform(DEVICE.open())
        session.perform(DEVICE.configure(UNIT, settings))
        with pytest.raises(BadSettings, match="closer than the mirrors"):
            session.perform(DEVICE.scan(UNIT, settings))


def test_a_unit_that_lost_its_settings_is_opened_anew_rather_than_believed():
    clock = ManualClock()
    first, second = DEVICE.default_settings, replace(DEVICE.default_settings, points=100)
    with Session(Wire(nirscan(""), clock), clock=clock) as session:
        session.perform(DEVICE.open())
        session.perform(DEVICE.configure(UNIT, first))
        with pytest.raises(Exception, match="other settings than asked") as caught:
            session.perform(DEVICE.scan(UNIT, second))
    assert type(caught.value).__name__ == "Reopen"
