"""Program: `serve_bench.py SERIAL...` hangs bench instruments on a mocked bus, as `edged-sim KIND --usb` does."""

from __future__ import annotations

import json
import sys

from firmware_sim.faults import FaultPlan
from firmware_sim.hosts.umockdev import serve_umockdev
from firmware_sim.usb_faults import FaultyUsb
from tests.firmware_sim.usb_bench import Bench

if __name__ == "__main__":
    units = [FaultyUsb(Bench(serial), FaultPlan()) for serial in sys.argv[1:] or ["BENCH01"]]
    serve_umockdev(units, lambda event: print(json.dumps(event), flush=True))
