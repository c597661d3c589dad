"""Spectra over USB from simulated Ocean instruments that take no time: our driver next to pyseabreeze, in turns.

Both read through pyusb, from the same simulator, whose own time is taken off the CPU time and not off the rate. A scan
of ours is the mean of its spectra, so pyseabreeze's are averaged too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import numpy as np

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
        for frames in (10, 1):
            walls: dict[str, list[float]] = {"ours": [], "theirs": []}
            with ExitStack() as stack:
                calls = {
                    who: _timed(make, model, frames, stack, walls[who])
                    for who, make in (("ours", _ours), ("theirs", _theirs))
                }
                cpus = turns(calls, rounds=subject.scale.scans * 10 // frames)
            each = f"{name}, scans of {frames}" if frames > 1 else f"{name}, single spectra"
            yield Row(
                bench="obp",
                what=each,
                ours=frames / quartile(walls["ours"]),
                other=frames / quartile(walls["theirs"]),
                against=PEER,
                unit="spectra/s",
                more_is_better=True,
            )
            yield Row(
                bench="obp",
                what=f"{each}: CPU of the client",
                ours=quartile(cpus["ours"]) / frames * 1e3,
                other=quartile(cpus["theirs"]) / frames * 1e3,
                against=PEER,
                unit="ms",
            )


def _ours(simulated: _Timed, frames: int, stack: ExitStack) -> Callable[[], object]:
    device = registry.load("obp").over("usb")
    bus = SimulatedUsb(simulated)
    assert device.usb is not None
    session = stack.enter_context(Session(UsbPipeLink.open(device.usb, backend=lambda: bus)))
    settings = ExposureSettings(integration_ms=EXPOSURE_US / 1000, repeats=frames)
    unit = session.perform(device.open())
    session.perform(device.configure(unit, settings))
    stack.callback(lambda: session.perform(device.close()))
    return lambda: session.perform(device.scan(unit, settings))


def _theirs(simulated: _Timed, frames: int, stack: ExitStack) -> Callable[[], object]:
    from seabreeze.pyseabreeze.devices import SeaBreezeDevice
    from seabreeze.pyseabreeze.transport import USBTransport

    backend = stack.enter_context(pyseabreeze_sees(SimulatedUsb(simulated)))
    (handle,) = USBTransport.list_devices(pyusb_backend=backend)
    device = SeaBreezeDevice(handle)
    device.open()
    stack.callback(device.close)
    spectrometer = device.f.spectrometer
    spectrometer.set_integration_time_micros(EXPOSURE_US)
    if frames == 1:
        return spectrometer.get_intensities  # type: ignore[no-any-return]
    return lambda: np.mean([spectrometer.get_intensities() for _ in range(frames)], axis=0)


def _timed(
    make: Callable[[_Timed, int, ExitStack], Callable[[], object]],
    model: str,
    frames: int,
    stack: ExitStack,
    walls: list[float],
) -> Callable[[], float]:
    simulated = _Timed(model, Ramp(), speed=0.0, ideal=True)
    call = make(simulated, frames, stack)

    def timed() -> float:
        simulated.used_s = 0.0
        began_s, cpu_s = time.perf_counter(), time.process_time()
        call()
        cpu_s = time.process_time() - cpu_s
        walls.append(time.perf_counter() - began_s)
        return cpu_s - simulated.used_s

    return timed
