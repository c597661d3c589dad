"""Spectra of simulated Ocean units of the legacy protocol that take no time: our driver next to pyseabreeze, in turns.

Both read through pyusb, from simulators on the same kind of bus. Their seeds differ: a processor that has just made
one's noise is 4 us quicker with the same noise for the other. A scan of ours is the mean of its spectra, so
pyseabreeze's are averaged too. The simulator's own time is in the rate, and taken off the CPU time.
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
from firmware_sim.devices.ooi import OoiSpectrometer
from firmware_sim.hosts.pyusb_backend import SimulatedUsb
from firmware_sim.scene import Ramp
from tests.bench.subject import Subject
from tests.bench.table import Row
from tests.bench.timing import quartile, turns
from tests.oracles.hooks import pyseabreeze_sees

EXPOSURE_US = 10_000
PEER = "pyseabreeze 2.11"


class _Timed(OoiSpectrometer):
    """Knows how much CPU time it has used."""

    used_s = 0.0

    def write(self, endpoint: int, data: bytes, now_s: float) -> None:
        began_s = time.process_time()
        super().write(endpoint, data, now_s)
        self.used_s += time.process_time() - began_s

    def read(self, endpoint: int, limit: int, now_s: float) -> bytes | None:
        began_s = time.process_time()
        answer = super().read(endpoint, limit, now_s)
        self.used_s += time.process_time() - began_s
        return answer


def ooi(subject: Subject) -> Iterator[Row]:
    """Of a scan of one spectrum ours makes a record too: axis, flags of saturation, temperature, the original bytes."""
    for model, name in (("nirquest512", "NIRQuest512"), ("usb2000plus", "USB2000+")):
        for frames in (10, 1):
            walls: dict[str, list[float]] = {}
            with ExitStack() as stack:
                calls = {
                    "ours": _timed(*_ours(model, frames, stack), walls.setdefault("ours", [])),
                    "theirs": _timed(*_theirs(model, frames, stack), walls.setdefault("theirs", [])),
                }
                cpus = turns(calls, rounds=subject.scale.scans * 10 // frames)
            each = f"{name}, scans of {frames}" if frames > 1 else f"{name}, single spectra"
            yield Row(
                bench="ooi",
                what=each,
                ours=frames / quartile(walls["ours"]),
                other=frames / quartile(walls["theirs"]),
                against=PEER,
                unit="spectra/s",
                more_is_better=True,
            )
            yield Row(
                bench="ooi",
                what=f"{each}: CPU of the client",
                ours=max(0.0, quartile(cpus["ours"])) / frames * 1e3,
                other=max(1e-9, quartile(cpus["theirs"])) / frames * 1e3,
                against=PEER,
                unit="ms",
            )


def _ours(model: str, frames: int, stack: ExitStack) -> tuple[_Timed, Callable[[], object]]:
    firmware = _Timed(Ramp(), model=model, seed=1, speed=0.0)
    bus, device = SimulatedUsb(firmware), registry.load("ooi")
    assert device.usb is not None
    session = stack.enter_context(Session(UsbPipeLink.open(device.usb, backend=lambda: bus)))
    settings = ExposureSettings(integration_ms=EXPOSURE_US / 1000, repeats=frames)
    unit = session.perform(device.open())
    session.perform(device.configure(unit, settings))
    stack.callback(lambda: session.perform(device.close()))
    return firmware, lambda: session.perform(device.scan(unit, settings))


def _theirs(model: str, frames: int, stack: ExitStack) -> tuple[_Timed, Callable[[], object]]:
    from seabreeze.pyseabreeze.devices import SeaBreezeDevice
    from seabreeze.pyseabreeze.transport import USBTransport

    firmware = _Timed(Ramp(), model=model, seed=2, speed=0.0)
    backend = stack.enter_context(pyseabreeze_sees(SimulatedUsb(firmware)))
    (handle,) = USBTransport.list_devices(pyusb_backend=backend)
    device = SeaBreezeDevice(handle)
    device.open()
    stack.callback(device.close)
    spectrometer = device.f.spectrometer
    spectrometer.set_integration_time_micros(EXPOSURE_US)
    if frames == 1:
        return firmware, spectrometer.get_intensities
    return firmware, lambda: np.mean([spectrometer.get_intensities() for _ in range(frames)], axis=0)


def _timed(firmware: _Timed, call: Callable[[], object], walls: list[float]) -> Callable[[], float]:
    def timed() -> float:
        theirs_s, cpu_s, wall_s = firmware.used_s, time.process_time(), time.perf_counter()
        call()
        walls.append(time.perf_counter() - wall_s)
        return time.process_time() - cpu_s - (firmware.used_s - theirs_s)

    return timed
