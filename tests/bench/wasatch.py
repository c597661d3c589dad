"""Spectra of simulated Wasatch units that take no time: our driver next to Wasatch.PY, in turns.

Both read through pyusb, from simulators of one seed on the same kind of bus. Theirs is asked by `get_spectrum`, its
shortest way to one; a scan of ours is a record with axis, flags and the original bytes. The simulator's own time is in
the rate, and taken off the CPU time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import numpy as np
import usb.core

from drivers import registry
from drivers.contract import ExposureSettings
from drivers.links.usb import UsbPipeLink
from drivers.session import Session
from firmware_sim.contract import Setup
from firmware_sim.devices.wasatch import WasatchSpectrometer
from firmware_sim.hosts.pyusb_backend import SimulatedUsb
from firmware_sim.scene import Ramp
from tests.bench.subject import Subject
from tests.bench.table import Row
from tests.bench.timing import quartile, turns
from tests.oracles.hooks import wasatch_sees

EXPOSURE_MS = 10
PEER = "Wasatch.PY 2.5.2"


class _Timed(WasatchSpectrometer):
    """Knows how much CPU time it has used."""

    used_s = 0.0

    def control(self, setup: Setup, data: bytes, now_s: float) -> bytes:
        began_s = time.process_time()
        answer = super().control(setup, data, now_s)
        self.used_s += time.process_time() - began_s
        return answer

    def read(self, endpoint: int, limit: int, now_s: float) -> bytes | None:
        began_s = time.process_time()
        answer = super().read(endpoint, limit, now_s)
        self.used_s += time.process_time() - began_s
        return answer


def wasatch(subject: Subject) -> Iterator[Row]:
    """An FX2 board with its two pipes, and an ARM board."""
    for model, name in (("wp785x2048", "WP X, 2048 pixels"), ("wp785xs", "WP XS, 1024 pixels")):
        for frames in (10, 1):
            walls: dict[str, list[float]] = {"ours": [], "theirs": []}
            with ExitStack() as stack:
                calls = {
                    "ours": _timed(*_ours(model, frames, stack), walls["ours"]),
                    "theirs": _timed(*_theirs(model, frames, stack), walls["theirs"]),
                }
                cpus = turns(calls, rounds=subject.scale.scans)
            each = f"{name}, scans of {frames}" if frames > 1 else f"{name}, single spectra"
            yield Row(
                bench="wasatch",
                what=f"{each} over simulated USB",
                ours=frames / quartile(walls["ours"]),
                other=frames / quartile(walls["theirs"]),
                against=PEER,
                unit="spectra/s",
                more_is_better=True,
            )
            yield Row(
                bench="wasatch",
                what=f"{each}, CPU of one",
                ours=quartile(cpus["ours"]) / frames * 1e3,
                other=quartile(cpus["theirs"]) / frames * 1e3,
                against=PEER,
                unit="ms",
            )


def _ours(model: str, frames: int, stack: ExitStack) -> tuple[_Timed, Callable[[], object]]:
    device, firmware = registry.load("wasatch"), _Timed(Ramp(), model=model, speed=0.0, exact=True)
    bus = SimulatedUsb(firmware)
    assert device.usb is not None
    session = stack.enter_context(Session(UsbPipeLink.open(device.usb, backend=lambda: bus)))
    settings = ExposureSettings(integration_ms=EXPOSURE_MS, repeats=frames)
    unit = session.perform(device.open())
    session.perform(device.configure(unit, settings))
    stack.callback(lambda: session.perform(device.close()))
    return firmware, lambda: session.perform(device.scan(unit, settings))


def _theirs(model: str, frames: int, stack: ExitStack) -> tuple[_Timed, Callable[[], object]]:
    from wasatch.DeviceID import DeviceID  # not WasatchBus, whose import opens a socket for good
    from wasatch.WasatchDevice import WasatchDevice

    firmware = _Timed(Ramp(), model=model, speed=0.0, exact=True)
    bus = SimulatedUsb(firmware)
    stack.enter_context(wasatch_sees(bus))
    device = WasatchDevice(DeviceID(usb.core.find(backend=bus)))
    assert device.connect().data
    stack.callback(device.disconnect)
    device.hardware.set_integration_time_ms(EXPOSURE_MS)
    spectra = device.hardware.get_spectrum
    return firmware, lambda: np.mean([spectra().data for _ in range(frames)], axis=0)


def _timed(firmware: _Timed, call: Callable[[], object], walls: list[float]) -> Callable[[], float]:
    """Return a call that notes its time on the clock, and returns its CPU time without the simulator's."""

    def timed() -> float:
        used_s, began_s, cpu_s = firmware.used_s, time.perf_counter(), time.process_time()
        call()
        spent_s = time.process_time() - cpu_s - (firmware.used_s - used_s)
        walls.append(time.perf_counter() - began_s)
        return spent_s

    return timed
