"""Clients by others against our simulated OBP instruments: they find what was meant, and our driver finds the same."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.contract import ExposureSettings, Medium, RawScan
from firmware_sim.contract import Deliver
from firmware_sim.devices.obp import ObpOnLine, ObpOnUsb
from firmware_sim.hosts.pyusb_backend import SimulatedUsb
from tests.contract.obp_ends import instrument, scans_of
from tests.oracles.hooks import pyseabreeze_sees

CLIENT = Path(__file__).with_name("cseabreeze_client.py")
CLIENT_WITHIN_S = 30.0
EXPOSURE_US = 30_000
SETTINGS = ExposureSettings(integration_ms=EXPOSURE_US / 1000)


def exact(model: str, medium: Medium) -> Any:
    """One whose spectra are all alike: what two clients read at different times can be compared."""
    return instrument(model, medium, ideal=True, speed=0.0, serial_number="STS-S12345")


@contextmanager
def pyseabreeze_device(firmware: ObpOnUsb) -> Iterator[Any]:
    """The only device on the bus, opened by pyseabreeze."""
    from seabreeze.pyseabreeze.devices import SeaBreezeDevice
    from seabreeze.pyseabreeze.transport import USBTransport

    with pyseabreeze_sees(SimulatedUsb(firmware)) as backend:
        (handle,) = USBTransport.list_devices(pyusb_backend=backend)
        device = SeaBreezeDevice(handle)
        device.open()
        try:
            yield device
        finally:
            device.close()
            handle.pyusb_device.reset()


def ours(firmware: Any, medium: Medium) -> RawScan:
    (scan,) = scans_of(firmware, medium, SETTINGS)
    return scan


@pytest.mark.parametrize("model", ["sts-nir", "spark", "qe-pro", "ventana", "hdx"])
def test_pyseabreeze_reads_over_usb_what_was_meant_and_so_do_we_to_the_last_bit(model: str):
    firmware = exact(model, "usb")
    with pyseabreeze_device(firmware) as device:
        serial_number = device.serial_number
        spectrometer = device.f.spectrometer
        spectrometer.set_trigger_mode(0)
        spectrometer.set_integration_time_micros(EXPOSURE_US)
        spectra, meant = [], []
        for _ in range(3):
            spectra.append(spectrometer.get_intensities())
            meant.append(firmware.meant[-1])
        wavelengths = spectrometer.get_wavelengths()
    scan = ours(firmware, "usb")

    assert serial_number == "STS-S12345" == scan.identity.serial_number
    np.testing.assert_array_equal(spectra, meant)
    np.testing.assert_array_equal(scan.counts, spectra[-1])
    np.testing.assert_array_equal(scan.axis, wavelengths)
    if model != "ventana":  # dark, without its laser
        assert np.ptp(scan.counts) > 100


def test_pyseabreeze_sets_and_reads_the_cooler_of_a_qe_pro():
    from seabreeze.pyseabreeze.features.thermoelectric import ThermoElectricFeatureOBP

    firmware = exact("qe-pro", "usb")
    with pyseabreeze_device(firmware) as device:
        cooler = ThermoElectricFeatureOBP(device._transport.protocol, 0)
        cooler.set_temperature_setpoint_degrees_celsius(-12.5)
        cooler.enable_tec(True)
        warm_c = cooler.read_temperature_degrees_celsius()

    assert (firmware.bench.settings.cold_c, firmware.bench.settings.cooler_on) == (-12.5, True)
    assert warm_c == pytest.approx(25.0, abs=1.0)


@contextmanager
def listening(firmware: ObpOnLine) -> Iterator[int]:
    """The instrument's own socket, for one client; yields its port."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            firmware.line_opened(time.monotonic())
            while data := connection.recv(4096):
                for output in firmware.receive(data, time.monotonic()):
                    assert isinstance(output, Deliver)
                    connection.sendall(output.data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(CLIENT_WITHIN_S)
        server = threading.Thread(target=serve)
        server.start()
        try:
            yield listener.getsockname()[1]
        finally:
            server.join(CLIENT_WITHIN_S)


@pytest.mark.parametrize(("name", "model"), [("FX", "fx"), ("HDX", "hdx")])
def test_pyseabreeze_reads_over_a_socket_what_was_meant_and_so_do_we_to_the_last_bit(name: str, model: str):
    from seabreeze.pyseabreeze.devices import SeaBreezeDevice
    from seabreeze.pyseabreeze.transport import IPv4Transport, IPv4TransportHandle

    firmware = exact(model, "tcp")
    with listening(firmware) as port:
        IPv4Transport.register_model(name, ipv4_address="127.0.0.1", ipv4_port=port)
        handle = IPv4TransportHandle("127.0.0.1", port)
        handle.socket.close()  # it opens another one
        device = SeaBreezeDevice(handle)
        device.open()
        spectrometer = device.f.spectrometer
        spectrometer.set_integration_time_micros(EXPOSURE_US)
        spectra = [spectrometer.get_intensities() for _ in range(3)]
        wavelengths = spectrometer.get_wavelengths()
        handle.socket.close()
        device.close()
        del IPv4Transport.devices_ip_port["127.0.0.1", port]
    meant = list(firmware.meant)
    firmware.boot(0.0)
    scan = ours(firmware, "tcp")

    assert device.serial_number == scan.identity.serial_number
    np.testing.assert_array_equal(spectra, meant[-3:])
    np.testing.assert_array_equal(scan.counts, spectra[-1])
    np.testing.assert_array_equal(scan.axis, wavelengths)


def served(kind: str, firmware: ObpOnLine, microseconds: int) -> dict[str, Any]:
    """Run the compiled client on a terminal with this instrument behind it; return what it says."""
    master, slave = os.openpty()
    try:
        tty.setraw(master)
        tty.setraw(slave)
        command = [sys.executable, str(CLIENT), kind, os.ttyname(slave), str(microseconds)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
            firmware.line_opened(time.monotonic())
            deadline_s = time.monotonic() + CLIENT_WITHIN_S
            while client.poll() is None and time.monotonic() < deadline_s:
                answer(firmware, master)
            if client.poll() is None:
                client.kill()
            said, complained = client.communicate()
    finally:
        os.close(slave)
        os.close(master)
    assert client.returncode == 0, complained
    told: dict[str, Any] = json.loads(said)
    return told


def answer(firmware: ObpOnLine, master: int) -> None:
    """Hand over what came within a moment, and what goes back."""
    if not select.select([master], [], [], 0.01)[0]:
        return
    for output in firmware.receive(os.read(master, 4096), time.monotonic()):
        assert isinstance(output, Deliver)
        os.write(master, output.data)


@pytest.mark.parametrize(("kind", "model"), [("STS", "sts-nir"), ("Spark", "spark"), ("QE-PRO", "qe-pro")])
def test_cseabreeze_reads_over_a_serial_line_what_was_meant_and_so_do_we(kind: str, model: str):
    firmware = exact(model, "serial")
    told = served(kind, firmware, EXPOSURE_US)
    meant, theirs_us = list(firmware.meant), firmware.bench.settings.integration_us
    firmware.boot(0.0)  # our clock starts afresh, and so does the instrument
    scan = ours(firmware, "serial")

    assert told["serial_number"] == "STS-S12345"
    assert theirs_us == EXPOSURE_US
    np.testing.assert_array_equal(told["spectra"], meant[-3:])
    np.testing.assert_array_equal(scan.counts, told["spectra"][-1])
    np.testing.assert_allclose(scan.axis, told["wavelengths"], rtol=1e-15)
    assert scan.calibration.nonlinearity == pytest.approx(told["nonlinearity"], rel=1e-7)
    for temperatures in told["temperatures"]:  # of the models that it asks
        assert temperatures == pytest.approx([25.5, 0.0, 33.5], abs=0.5)
