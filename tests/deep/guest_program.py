"""Program: inside the guest, in place of the daemon: obeys lines at standard input, answers each with a line of JSON.

units                                 instruments that are plugged in
ports                                 serial ports of adapters
open NAME KIND PORT                   open an instrument and identify it
scan NAME INTEGRATION_MS REPEATS      measure; 0 0: with the settings of the family
close NAME
watch                                 listen for plugs
changed SECONDS                       wait until the system tells of one; look again at what it is
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from drivers import registry
from drivers.contract import ExposureSettings, RawScan, Settings, Unit
from drivers.discover import serial_ports, usb_units
from drivers.errors import DriverError
from drivers.hotplug import Hotplug
from drivers.links.ports import device_at, open_port
from drivers.session import Session

opened: dict[str, tuple[Any, Session, Unit]] = {}
watching: list[Hotplug] = []


def obey(verb: str, words: list[str]) -> object:
    match verb:
        case "who":
            return {"uid": os.getuid(), "groups": sorted(os.getgroups()), "kernel": os.uname().release}
        case "units":
            families = [registry.load(kind) for kind in registry.kinds()]
            return [asdict(unit) | owner_of(unit.path) for unit in usb_units(families)]
        case "ports":
            return [asdict(port) | owner_of(port.path) for port in serial_ports() if port.vid is not None]
        case "open":
            name, kind, port = words
            device = device_at(registry.load(kind), port)
            session = Session(open_port(device, port))
            unit = session.perform(device.open())
            opened[name] = device, session, unit
            return {"link": session.link.name, **asdict(unit.identity)}
        case "scan":
            device, session, unit = opened[words[0]]
            settings: Settings = device.default_settings
            if float(words[1]):
                settings = ExposureSettings(integration_ms=float(words[1]), repeats=int(words[2]))
            session.perform(device.configure(unit, settings))
            return told(session.perform(device.scan(unit, settings)))
        case "close":
            _, session, _ = opened.pop(words[0])
            session.close()
            return None
        case "watch":
            watching.append(Hotplug())
            return watching[0].changed()
        case "changed":
            assert watching[0].handle is not None, "the kernel's events are refused"
            ready, _, _ = select.select([watching[0].handle], [], [], float(words[0]))
            return bool(ready) and watching[0].changed()
    raise AssertionError(verb)


def told(scan: RawScan) -> dict[str, object]:
    return {
        "raw": scan.raw.tolist(),
        "axis": [float(scan.axis[0]), float(scan.axis[-1])],
        "serial_number": scan.identity.serial_number,
        "blob": hashlib.sha256(scan.blob).hexdigest(),
    }


def owner_of(path: str | None) -> dict[str, object]:
    if path is None:
        return {}
    node = Path(path)
    return {"mode": f"{node.stat().st_mode & 0o777:o}", "owner": [node.owner(), node.group()]}


if __name__ == "__main__":
    print(json.dumps({"began_s": time.monotonic()}), flush=True)
    for line in sys.stdin:
        verb, *arguments = line.split()
        started = time.monotonic()
        said: dict[str, object] = {}
        try:
            said["result"] = obey(verb, arguments)
        except DriverError as error:
            said |= {"error": type(error).__name__, "message": error.message, "hint": error.hint}
        print(json.dumps(said | {"seconds": round(time.monotonic() - started, 3)}), flush=True)
