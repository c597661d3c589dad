"""Program: tells whether it hears uevents, then, for each line, waits for one and tells whether something changed."""

from __future__ import annotations

import json
import select
import sys
from pathlib import Path

from drivers.hotplug import Hotplug

PATIENCE_S = 10.0

if __name__ == "__main__":
    plugs = Hotplug(bus=Path("/nowhere"))  # so that only the socket can tell
    print(json.dumps({"listens": plugs.handle is not None}), flush=True)
    handle = plugs.handle
    assert handle is not None
    for _ in sys.stdin:
        changed = False
        while not changed and select.select([handle], [], [], PATIENCE_S)[0]:
            changed = plugs.changed()
        print(json.dumps({"changed": changed}), flush=True)
    plugs.close()
