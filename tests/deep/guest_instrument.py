"""Program: `guest_instrument.py KIND SERIAL SOCKET`: one simulated instrument that says what it means to send.

As `edged-sim KIND --usbredir`, but each spectrum's event has the numbers that a client should find.
"""

from __future__ import annotations

import hashlib
import json
import sys

from firmware_sim.contract import Event, UsbFirmware
from firmware_sim.devices.nirscan import NirscanOnHid, Unit
from firmware_sim.devices.ooi import OoiSpectrometer
from firmware_sim.devices.wasatch import WasatchSpectrometer
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
            return NirscanOnHid(Tray(Products(["100AC"]), white=0, seed=SEED), unit=Unit(serial_number=serial_number))
    raise AssertionError(kind)


if __name__ == "__main__":
    kind, serial_number, address = sys.argv[1:]
    firmware = instrument(kind, serial_number)

    def tell(event: Event) -> None:
        if event["event"] == "spectrum":
            event["meant"] = firmware.meant[-1].tolist()  # type: ignore[attr-defined]
        elif event["event"] == "scan":
            event["image"] = hashlib.sha256(firmware._bay._image).hexdigest()  # type: ignore[attr-defined]
        print(json.dumps(event), flush=True)

    serve_usbredir(firmware, address, tell)
