"""Program: a USB link in a process of its own, which obeys lines `METHOD ARGUMENT...` and tells JSON of each.

`nobody` first gives up all rights, as a service user has none. Bytes travel as text.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time

from usb.backend import libusb1

from drivers.contract import Control, Conversation, Receive, UsbIds
from drivers.errors import DriverError, Interrupted
from drivers.framing import Exactly
from drivers.links.usb import UsbPipeLink
from drivers.session import Session

NOBODY = 65534
OUT, IN = 0x01, 0x82
IDS = UsbIds(ids=((0x1209, 0x5EC7),))

link: UsbPipeLink | None = None


def obey(verb: str, words: list[str]) -> object:
    global link
    if verb == "nobody":
        libusb1.get_backend()  # the library and its names are found while everything can be read
        if os.getuid() == 0:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        return None
    if verb == "open":
        link = UsbPipeLink.open(IDS, words[0] if words else "")
        return [link.name, list(link.in_endpoints)]
    assert link is not None
    match verb:
        case "close":
            link.close()
        case "write":
            link.write_to(OUT, " ".join(words).encode(), 1.0)
        case "read":
            return link.read_from(IN, int(words[0]), float(words[1])).decode()
        case "serial":
            return link.control(Control(request_type=0xC0, request=1, length=64)).decode()
        case "note":
            link.control(Control(request_type=0x40, request=2, data=words[0].encode()))
            return link.control(Control(request_type=0xC0, request=3, length=64)).decode()
        case "refused":
            return link.control(Control(request_type=0xC0, request=0x77, length=4)).decode()
        case "clear":
            link.clear_halts()
        case "interrupted":
            wait_for_nothing(link, float(words[0]))
    return None


def wait_for_nothing(opened: UsbPipeLink, stop_after_s: float) -> None:
    """Wait for an answer that never comes, as a station does, and be stopped by another thread."""
    session = Session(opened)

    def listen() -> Conversation[None]:
        yield Receive(framer=Exactly(size_bytes=8), within_s=20.0, endpoint=IN)

    timer = threading.Timer(stop_after_s, session.interrupt)
    timer.start()
    try:
        session.perform(listen())
    finally:
        timer.join()


if __name__ == "__main__":
    for line in sys.stdin:
        verb, *words = line.split()
        started = time.monotonic()
        said: dict[str, object] = {}
        try:
            said["result"] = obey(verb, words)
        except (DriverError, Interrupted) as error:
            said |= {
                "error": type(error).__name__,
                "message": getattr(error, "message", str(error)),
                "hint": getattr(error, "hint", ""),
            }
        print(json.dumps(said | {"seconds": time.monotonic() - started}), flush=True)
