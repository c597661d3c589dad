"""Another program's talk with the only Ocean instrument on USB: `cseabreeze_usb_client.py MICROSECONDS`, JSON out."""

from __future__ import annotations

import json
import sys
from typing import Any

from seabreeze.cseabreeze import SeaBreezeAPI

SPECTRA = 3  # the first was begun before the integration time was set


def main(microseconds: int) -> dict[str, Any]:
    (device,) = SeaBreezeAPI().list_devices()
    device.open()
    features = device.features
    (spectrometer,) = features["spectrometer"]
    spectrometer.set_trigger_mode(0)
    spectrometer.set_integration_time_micros(microseconds)
    told = {
        "model": device.model,
        "serial_number": device.serial_number,
        "spectra": [spectrometer.get_intensities().tolist() for _ in range(SPECTRA)],
        "wavelengths": spectrometer.get_wavelengths().tolist(),
        "nonlinearity": list(features["nonlinearity_coefficients"][0].get_nonlinearity_coefficients()),
    }
    device.close()
    return told


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
