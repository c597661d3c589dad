"""Another program's talk with an STS on a serial port: `python cseabreeze_client.py PORT BAUD MICROSECONDS`, JSON out.

A process of its own: the compiled client holds the interpreter's lock while it waits for bytes.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from seabreeze.cseabreeze import SeaBreezeAPI


def main(port: str, baud: int, microseconds: int) -> dict[str, Any]:
    api = SeaBreezeAPI()
    api.add_rs232_device_location(b"STS", port.encode(), baud)
    (device,) = [device for device in api.list_devices() if device.model == "STS"]
    device.open()
    features = device.features
    (spectrometer,) = features["spectrometer"]
    spectrometer.set_trigger_mode(0)
    spectrometer.set_integration_time_micros(microseconds)
    spectra = [spectrometer.get_intensities().tolist() for _ in range(3)]
    told = {
        "serial_number": device.serial_number,
        "wavelengths": spectrometer.get_wavelengths().tolist(),
        "spectra": spectra,
        "nonlinearity": list(features["nonlinearity_coefficients"][0].get_nonlinearity_coefficients()),
        "temperatures": list(features["temperature"][0].temperature_get_all()),
    }
    device.close()
    return told


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
