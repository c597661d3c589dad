"""A simulated Flame-NIR before cseabreeze, the maker's compiled client, over an unmodified libusb; and our driver.

pyseabreeze does not know this model. The client is a process of its own under umockdev, and opens the unit once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from drivers import registry
from drivers.contract import ExposureSettings, RawScan
from drivers.devices.ooi import OoiUnit
from drivers.links.usb import UsbPipeLink
from drivers.session import Session
from firmware_sim.devices.ooi import OoiSpectrometer
from firmware_sim.hosts.pyusb_backend import SimulatedUsb
from firmware_sim.scene import Ramp
from tests.drivers.talking import DEADLINE_S, talking

INTEGRATION_MS = 73.0  # not what it powers on with


@pytest.fixture(scope="module")
def theirs() -> dict[str, Any]:
    """What the client says, and the readings of the last spectrum as the simulator meant them."""
    if shutil.which("umockdev-wrapper") is None:
        pytest.skip("umockdev is not installed: .ci/set-up test")
    client = [sys.executable, "-m", "tests.oracles.cseabreeze_usb_client", str(round(INTEGRATION_MS * 1000))]
    with talking(sys.executable, "-m", "tests.oracles.flame_nir_unit") as unit:
        environment = {**os.environ, "UMOCKDEV_DIR": unit.event("ready")["umockdev_dir"]}
        ran = subprocess.run(
            ["umockdev-wrapper", *client], env=environment, capture_output=True, text=True, timeout=DEADLINE_S
        )
        assert ran.returncode == 0, ran.stderr
        told: dict[str, Any] = json.loads(ran.stdout)
        spectra = [unit.event("spectrum") for _ in told["spectra"]]
    return told | {"events": spectra}


@pytest.fixture(scope="module")
def ours() -> tuple[OoiUnit, RawScan]:
    device = registry.load("ooi")
    bus = SimulatedUsb(OoiSpectrometer(Ramp(), model="flame-nir", speed=0.0, exact=True))
    settings = ExposureSettings(integration_ms=INTEGRATION_MS)
    assert device.usb is not None
    with Session(UsbPipeLink.open(device.usb, backend=lambda: bus)) as session:
        unit = session.perform(device.open())
        session.perform(device.configure(unit, settings))
        return unit, session.perform(device.scan(unit, settings))


def test_cseabreeze_knows_a_flame_nir_and_sets_its_integration_time(theirs: dict[str, Any]):
    assert (theirs["model"], theirs["serial_number"]) == ("FLAME-NIR", "FLNIR0042")
    assert [event["integration_ms"] for event in theirs["events"][1:]] == [INTEGRATION_MS] * 2


def test_cseabreeze_reads_the_spectrum_that_was_meant_pixel_for_pixel(theirs: dict[str, Any]):
    scale = OoiSpectrometer(Ramp(), model="flame-nir").scale

    for spectrum, event in zip(theirs["spectra"], theirs["events"], strict=True):
        np.testing.assert_allclose(spectrum, np.array(event["readings"]) * scale, rtol=1e-12)
    assert np.ptp(theirs["spectra"][-1]) > 1_000


def test_our_driver_has_the_axis_the_counts_and_the_calibration_of_cseabreeze(
    theirs: dict[str, Any], ours: tuple[OoiUnit, RawScan]
):
    unit, scan = ours

    np.testing.assert_allclose(scan.axis, theirs["wavelengths"], rtol=1e-12)
    np.testing.assert_array_equal(scan.raw[0], theirs["events"][-1]["readings"])
    np.testing.assert_allclose(scan.counts, theirs["spectra"][-1], rtol=1e-12)
    assert list(unit.calibration.nonlinearity) == pytest.approx(theirs["nonlinearity"], rel=1e-12)
    assert unit.identity.serial_number == theirs["serial_number"]
