"""Program: `serve_redir.py ADDRESS [PLAN] [--hid]` offers a bench instrument to a virtual machine."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

from firmware_sim.contract import OperatorError
from firmware_sim.faults import FaultPlan
from firmware_sim.hosts.usbredir import serve_usbredir
from firmware_sim.usb_faults import FaultyUsb
from tests.firmware_sim.usb_bench import Bench

if __name__ == "__main__":
    address, *more = (word for word in sys.argv[1:] if word != "--hid")
    bench = Bench()
    if "--hid" in sys.argv:
        bench.descriptors = replace(bench.descriptors, hid_report=b"\x06\x00\xff", packet_bytes=64)
    try:
        serve_usbredir(
            FaultyUsb(bench, FaultPlan.parse(more[0] if more else "")),
            address,
            lambda event: print(json.dumps(event), flush=True),
        )
    except OperatorError as error:
        sys.exit(str(error))
