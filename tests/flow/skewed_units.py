"""Program: two WP-785 XS on one mocked bus, at 1-1 and 1-2, whose memories say that their axes lie 0.4 nm further up.

That is 5 to 6 1/cm: the simulated optics are where they were. Their lasers fire without a warning or a warm-up, and
nothing has to cool down.
"""

from __future__ import annotations

import json

from firmware_sim.devices._wasatch_memory import MODELS, edited, image_of
from firmware_sim.devices.wasatch import WasatchSpectrometer
from firmware_sim.faults import FaultPlan
from firmware_sim.hosts.umockdev import serve_umockdev
from firmware_sim.scene import Raman
from firmware_sim.usb_faults import FaultyUsb

WRITTEN_NM, SKEW_NM = 797.2, 0.4


def unit(serial_number: str) -> WasatchSpectrometer:
    written = edited(
        image_of(MODELS["wp785xs"], serial_number),
        ((1, 0, "f", WRITTEN_NM + SKEW_NM), (2, 18, "B", 0), (0, 36, "B", 0)),
    )
    made = WasatchSpectrometer(Raman(), model="wp785xs", serial_number=serial_number, seed=5, speed=4, memory=written)
    made.laser.warning_delay_s = 0.0
    return made


if __name__ == "__main__":
    serve_umockdev(
        [FaultyUsb(unit(name), FaultPlan()) for name in ("WP-1", "WP-2")],
        lambda event: print(json.dumps(event), flush=True),
    )
