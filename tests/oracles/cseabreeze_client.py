"""Another program's talk with an instrument on a serial port: `cseabreeze_client.py KIND PORT MICROSECONDS`, JSON out.

A process of its own: the compiled client holds the interpreter's lock while it waits for bytes.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from seabreeze.cseabreeze import SeaBreezeAPI

BAUD = 9_600


def main(kind: str, port: str, microseconds: int) -> dict[str, Any]:
    api = SeaBreezeAPI()
    api.add_rs232_device_location(kind.encode(), port.encode(), BAUD)
    (device,) = [device for device in api.list_devices() if device.model == kind.upper()]
    device.open()
    features = device.features
    (spectrometer,) = features["spectrometer"]
    spectrometer.set_trigger_mode(0)
    spectrometer.set_integration_time_micros(microseconds)
    told = {
        "serial_number": device.serial_number,
        "spectra": [spectrometer.get_intensities().tolist() for _ in range(3)],
        "wavelengths": spectrometer.get_wavelengths().tolist(),
        "nonlinearity": list(features["nonlinearity_coefficients"][0].get_nonlinearity_coefficients()),
        "temperatures": [list(feature.temperature_get_all()) for feature in features["temperature"]],
    }
    device.close()
    return told


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
