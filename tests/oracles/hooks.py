"""Third-party clients of USB spectrometers, pointed at instruments that are simulated in this process."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import usb.backend
import usb.backend.libusb0

from firmware_sim.hosts.pyusb_backend import SimulatedUsb

SEABREEZE_BACKEND = "edged_simulated"  # what `seabreeze.use("pyseabreeze", pyusb_backend=...)` is told
SEABREEZE_MODULE = f"usb.backend.{SEABREEZE_BACKEND}"


@contextmanager
def pyseabreeze_sees(bus: SimulatedUsb) -> Iterator[str]:
    """Let pyseabreeze find these instruments under the name that it is told, which is yielded.

    It looks the backend up as a module of `usb.backend`, and tells backends apart by the module of the object.
    """
    from seabreeze.pyseabreeze import transport

    module = ModuleType(SEABREEZE_MODULE)
    module.get_backend = lambda: bus  # type: ignore[attr-defined]
    bus.__module__ = SEABREEZE_MODULE
    sys.modules[SEABREEZE_MODULE] = module
    setattr(usb.backend, SEABREEZE_BACKEND, module)
    transport._pyusb_backend_instances.pop(SEABREEZE_BACKEND, None)
    try:
        yield SEABREEZE_BACKEND
    finally:
        transport._pyusb_backend_instances.pop(SEABREEZE_BACKEND, None)
        delattr(usb.backend, SEABREEZE_BACKEND)
        del sys.modules[SEABREEZE_MODULE]


@contextmanager
def wasatch_sees(bus: SimulatedUsb) -> Iterator[None]:
    """Let Wasatch.PY find these instruments: on Linux its finder and its device both ask for libusb 0."""
    former = usb.backend.libusb0.get_backend
    usb.backend.libusb0.get_backend = lambda find_library=None: bus
    try:
        yield
    finally:
        usb.backend.libusb0.get_backend = former
