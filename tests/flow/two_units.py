"""Program: two NIRQuests on one mocked bus, at 1-1 and 1-2, as `edged-sim ooi --usb` has one."""

from __future__ import annotations

import json

from firmware_sim.devices.ooi import OoiSpectrometer
from firmware_sim.faults import FaultPlan
from firmware_sim.hosts.umockdev import serve_umockdev
from firmware_sim.scene import Ramp
from firmware_sim.usb_faults import FaultyUsb

if __name__ == "__main__":
    units = [OoiSpectrometer(Ramp(), serial_number=name, speed=0) for name in ("NQ1", "NQ2")]
    serve_umockdev([FaultyUsb(unit, FaultPlan()) for unit in units], lambda event: print(json.dumps(event), flush=True))
