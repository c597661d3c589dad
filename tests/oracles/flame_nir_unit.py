"""Program: one Flame-NIR without noise on a mocked bus, which tells each spectrum that it sends."""

from __future__ import annotations

import json

from firmware_sim.contract import Event
from firmware_sim.devices.ooi import OoiSpectrometer
from firmware_sim.hosts.umockdev import serve_umockdev
from firmware_sim.scene import Ramp

if __name__ == "__main__":
    unit = OoiSpectrometer(Ramp(), model="flame-nir", speed=0, exact=True)

    def tell(event: Event) -> None:
        told = dict(event) | ({"readings": unit.meant[-1].tolist()} if event["event"] == "spectrum" else {})
        print(json.dumps(told), flush=True)

    serve_umockdev([unit], tell)
