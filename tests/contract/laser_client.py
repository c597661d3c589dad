"""Program: measures with the laser of the only Wasatch unit on the bus, once for every line at standard input.

Says `{"event": "ready"}` when it is open and configured, and `{"event": "scan", ...}` after each measurement.
"""

from __future__ import annotations

import json
import sys

from drivers.contract import ExposureSettings
from drivers.devices.wasatch import DEVICE, USB
from drivers.links.usb import UsbPipeLink
from drivers.session import Session

SETTINGS = ExposureSettings(integration_ms=500.0, laser_mw=40.0)


def tell(event: str, **what: object) -> None:
    print(json.dumps({"event": event, **what}), flush=True)


def main() -> None:
    with Session(UsbPipeLink.open(USB)) as session:
        unit = session.perform(DEVICE.open())
        session.perform(DEVICE.configure(unit, SETTINGS))
        tell("ready", watchdog_s=unit.course.watchdog_s)
        for _ in sys.stdin:
            scan = session.perform(DEVICE.scan(unit, SETTINGS))
            tell("scan", laser_mw=scan.laser_mw, brightest=int(scan.raw.max()))
        session.perform(DEVICE.close())


if __name__ == "__main__":
    main()
