"""Program: `guest_instrument.py KIND SERIAL ADDRESS`: one simulated instrument that says what it means to send.

As `edged-sim KIND --usbredir ADDRESS`, but the event of each spectrum has the numbers that a client should find, or the
digest of its image. `uart` is a NIRscan on a network socket, for a machine that has it behind a serial adapter.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from typing import Any

from firmware_sim.contract import Event, UsbFirmware
from firmware_sim.devices.nirscan import NirscanNano, NirscanOnHid, Unit
from firmware_sim.devices.ooi import OoiSpectrometer
from firmware_sim.devices.wasatch import WasatchSpectrometer
from firmware_sim.hosts.stream import StreamHost
from firmware_sim.hosts.tcp import TcpLine
from firmware_sim.hosts.usbredir import serve_usbredir
from firmware_sim.sample import Products, Tray
from firmware_sim.scene import Raman, lamp_with

SEED = 11
SPEED = 8.0  # nobody has to wait a quarter of a minute for a detector to cool


def instrument(kind: str, serial_number: str) -> UsbFirmware:
    match kind:
        case "ooi":
            scene = lamp_with(Products(["100AC"]), white=0, seed=SEED)
            return OoiSpectrometer(scene, model="nirquest512", serial_number=serial_number, seed=SEED, speed=SPEED)
        case "wasatch":
            return WasatchSpectrometer(Raman(), model="wp785xs", serial_number=serial_number, seed=SEED, speed=SPEED)
        case "nirscan":
            return NirscanOnHid(tray(), unit=Unit(serial_number=serial_number), seed=SEED)
    raise AssertionError(kind)


def tray() -> Tray:
    return Tray(Products(["100AC"]), white=0, seed=SEED)


def telling(firmware: Any) -> Callable[[Event], None]:
    def tell(event: Event) -> None:
        if event["event"] == "spectrum":
            event["meant"] = firmware.meant[-1].tolist()
        elif event["event"] == "scan":
            event["image"] = hashlib.sha256(firmware._bay._image).hexdigest()
        print(json.dumps(event), flush=True)

    return tell


if __name__ == "__main__":
    kind, serial_number, address = sys.argv[1:]
    if kind == "uart":
        nano = NirscanNano(tray(), unit=Unit(serial_number=serial_number), seed=SEED, speed=SPEED)
        StreamHost(nano, TcpLine(int(address)), telling(nano)).serve()
    else:
        firmware = instrument(kind, serial_number)
        serve_usbredir(firmware, address, telling(firmware))
