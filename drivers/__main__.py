"""`python -m drivers KIND PORT`: one instrument, without daemon or configuration, to see what its driver makes of it.

Opens, configures, scans, and says what came, or the error and its hint with exit status 1. `--record FILE` keeps every
byte of it as `drivers.links.replay` reads it: a recording of a real unit is a test.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from drivers import registry
from drivers.contract import Device, ExposureSettings, RawScan, Unit
from drivers.errors import DriverError
from drivers.links.ports import device_at, open_port
from drivers.session import Session
from drivers.trace import RecordTrace


def main(words: list[str] | None = None) -> int:
    """Do what the command line says, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m drivers", description=(__doc__ or "").split("\n\n", 1)[1])
    parser.add_argument("kind", metavar="KIND", help=f"one of {', '.join(registry.kinds())}")
    parser.add_argument("port", metavar="PORT", help="/dev/serial/by-id/..., usb, usb:1-2.4, hid, tcp:HOST:PORT")
    parser.add_argument("--scans", type=int, default=1, help="how many (1)")
    parser.add_argument("--integration-ms", type=float, help="exposure of one frame, for a detector array")
    parser.add_argument("--record", type=Path, metavar="FILE", help="keep every byte that is sent and received")
    asked = parser.parse_args(words)
    try:
        with contextlib.ExitStack() as stack:
            record = None
            if asked.record is not None:
                record = RecordTrace(stack.enter_context(asked.record.open("w", encoding="utf-8")))
            device = device_at(registry.load(asked.kind), asked.port)
            session = stack.enter_context(Session(open_port(device, asked.port), trace=record))
            _live(device, session, asked.scans, asked.integration_ms)
    except (DriverError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _live(device: Device[Any], session: Session, scans: int, integration_ms: float | None) -> None:
    settings = device.default_settings
    if integration_ms is not None and isinstance(settings, ExposureSettings):
        settings = replace(settings, integration_ms=integration_ms)
    try:
        unit: Unit = session.perform(device.open())
        _say(f"{unit.identity.kind}: {unit.identity.model}, serial number {unit.identity.serial_number}")
        for note in unit.notes:
            _say(f"note: {note}")
        session.perform(device.configure(unit, settings))
        for number in range(1, scans + 1):
            began_s = time.monotonic()
            scan = session.perform(device.scan(unit, settings))
            _say(f"scan {number}: {_words_for(scan)}, {time.monotonic() - began_s:.2f} s")
    finally:
        with contextlib.suppress(DriverError):
            session.perform(device.close(), interruptible=False)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _words_for(scan: RawScan) -> str:
    ends = f"{scan.axis[0]:.1f} to {scan.axis[-1]:.1f} {scan.axis_unit}"
    counts = f"counts {scan.counts.min():.0f} to {scan.counts.max():.0f}"
    return f"{len(scan.counts)} values, {ends}, {counts}, {int(scan.saturated.sum())} saturated"


if __name__ == "__main__":
    sys.exit(main())
