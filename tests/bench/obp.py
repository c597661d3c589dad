"""Spectra over USB from simulated Ocean instruments that take no time: our driver next to pyseabreeze, in turns.

Both read through pyusb, from the same simulator, whose own time is taken off the CPU time and not off the rate.
"""

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


class _Timed(ObpOnUsb):
    """Knows how much CPU time it has used to answer."""

    used_s = 0.0

    def write(self, endpoint: int, data: bytes, now_s: float) -> None:
        began_s = time.process_time()
        super().write(endpoint, data, now_s)
        self.used_s += time.process_time() - began_s


def obp(subject: Subject) -> Iterator[Row]:
    """Ours checks lengths, checksums, limits and counts on the way, pyseabreeze the length only."""
    for model, name in (("sts-nir", "STS"), ("qe-pro", "QE Pro")):
        walls: dict[str, list[float]] = {"ours": [], "theirs": []}
        with ExitStack() as stack:
            calls = {
                who: _timed(make, model, stack, walls[who]) for who, make in (("ours", _ours), ("theirs", _theirs))
            }
            cpus = turns(calls, rounds=subject.scale.scans)
        ours_s, theirs_s = (quartile(walls[who]) / FRAMES for who in ("ours", "theirs"))
        yield Row(
            bench="obp",
            what=f"{name} spectra through simulated USB",
            ours=1 / ours_s,
            other=1 / theirs_s,
            against=PEER,
            unit="spectra/s",
            more_is_better=True,
        )
        ours_s, theirs_s = (quartile(cpus[who]) / FRAMES for who in ("ours", "theirs"))
        yield Row(
            bench="obp",
            what=f"a {name} spectrum, CPU of the driver and pyusb",
            ours=ours_s * 1e6,
            other=theirs_s * 1e6,
            against=PEER,
            unit="us",
        )


def _ours(simulated: _Timed, stack: ExitStack) -> Callable[[], object]:
    device = registry.load("obp").over("usb")
    bus = SimulatedUsb(simulated)
    assert device.usb is not None
    session = stack.enter_context(Session(UsbPipeLink.open(device.usb, backend=lambda: bus)))
    settings = ExposureSettings(integration_ms=EXPOSURE_US / 1000, repeats=FRAMES)
    unit = session.perform(device.open())
    session.perform(device.configure(unit, settings))
    stack.callback(lambda: session.perform(device.close()))
    return lambda: session.perform(device.scan(unit, settings))


def _theirs(simulated: _Timed, stack: ExitStack) -> Callable[[], object]:
    from seabreeze.pyseabreeze.devices import SeaBreezeDevice
    from seabreeze.pyseabreeze.transport import USBTransport

    backend = stack.enter_context(pyseabreeze_sees(SimulatedUsb(simulated)))
    (handle,) = USBTransport.list_devices(pyusb_backend=backend)
    device = SeaBreezeDevice(handle)
    device.open()
    stack.callback(device.close)
    spectrometer = device.f.spectrometer
    spectrometer.set_integration_time_micros(EXPOSURE_US)
    return lambda: [spectrometer.get_intensities() for _ in range(FRAMES)]


def _timed(
    make: Callable[[_Timed, ExitStack], Callable[[], object]], model: str, stack: ExitStack, walls: list[float]
) -> Callable[[], float]:
    simulated = _Timed(model, Ramp(), speed=0.0, ideal=True)
    call = make(simulated, stack)

    def timed() -> float:
        simulated.used_s = 0.0
        began_s, cpu_s = time.perf_counter(), time.process_time()
        call()
        cpu_s = time.process_time() - cpu_s
        walls.append(time.perf_counter() - began_s)
        return cpu_s - simulated.used_s

    return timed
