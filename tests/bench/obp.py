"""Spectra over USB from simulated Ocean instruments that take no time: our driver next to pyseabreeze, in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from drivers import registry
from drivers.contract import ExposureSettings
from drivers.links.usb import UsbPipeLink
from drivers.session import Session
from firmware_sim.devices.obp import ObpOnUsb
from firmware_sim.hosts.pyusb_backend import SimulatedUsb
from firmware_sim.scene import Ramp
from tests.bench.subject import Subject
from tests.bench.table import Row
from tests.bench.timing import quartile, turns
from tests.oracles.hooks import pyseabreeze_sees

EXPOSURE_US = 10_000
FRAMES = 10  # a scan; pyseabreeze is asked as often
PEER = "pyseabreeze 2.11"


def obp(subject: Subject) -> Iterator[Row]:
    """Both read the same instrument's spectra, each through its own pyusb device. The simulator's time is in both."""
    for model, name in (("sts-nir", "STS"), ("qe-pro", "QE Pro")):
        with ExitStack() as stack:
            calls = {"ours": _ours(model, stack), "theirs": _theirs(model, stack)}
            times = turns({who: _timed(call) for who, call in calls.items()}, rounds=subject.scale.scans)
        ours_s, theirs_s = (quartile(times[who]) / FRAMES for who in ("ours", "theirs"))
        yield Row(
            bench="obp",
            what=f"spectra of a {name} over simulated USB",
            ours=1 / ours_s,
            other=1 / theirs_s,
            against=PEER,
            unit="spectra/s",
            more_is_better=True,
        )
        yield Row(
            bench="obp",
            what=f"a {name} spectrum, CPU with simulator",
            ours=ours_s * 1e3,
            other=theirs_s * 1e3,
            against=PEER,
            unit="ms",
        )


def _instrument(model: str) -> ObpOnUsb:
    return ObpOnUsb(model, Ramp(), speed=0.0, ideal=True)


def _ours(model: str, stack: ExitStack) -> Callable[[], object]:
    device = registry.load("obp").over("usb")
    bus = SimulatedUsb(_instrument(model))
    assert device.usb is not None
    session = stack.enter_context(Session(UsbPipeLink.open(device.usb, backend=lambda: bus)))
    settings = ExposureSettings(integration_ms=EXPOSURE_US / 1000, repeats=FRAMES)
    unit = session.perform(device.open())
    session.perform(device.configure(unit, settings))
    stack.callback(lambda: session.perform(device.close()))
    return lambda: session.perform(device.scan(unit, settings))


def _theirs(model: str, stack: ExitStack) -> Callable[[], object]:
    from seabreeze.pyseabreeze.devices import SeaBreezeDevice
    from seabreeze.pyseabreeze.transport import USBTransport

    backend = stack.enter_context(pyseabreeze_sees(SimulatedUsb(_instrument(model))))
    (handle,) = USBTransport.list_devices(pyusb_backend=backend)
    device = SeaBreezeDevice(handle)
    device.open()
    stack.callback(device.close)
    spectrometer = device.f.spectrometer
    spectrometer.set_integration_time_micros(EXPOSURE_US)
    return lambda: [spectrometer.get_intensities() for _ in range(FRAMES)]


def _timed(call: Callable[[], object]) -> Callable[[], float]:
    def timed() -> float:
        began_s = time.process_time()
        call()
        return time.process_time() - began_s

    return timed
