"""Damaged bytes from instruments for every wire parser: seeds, and a run for so many seconds in bounded memory.

`python -m tests.drivers.fuzzing PARSER SECONDS SEED` prints one JSON object, as `tests.spectra.fuzzing` does.
"""

from __future__ import annotations

import contextlib
import json
import random
import resource
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

from drivers.devices import _obp_message as obp
from drivers.devices import csvserial
from drivers.devices._nirscan_message import HidFramer, UartFramer, decode_reply
from drivers.devices._nirscan_scan import decode_scan
from drivers.devices._ooi_memory import read_memory as read_ooi_memory
from drivers.devices._ooi_message import check_frame, readings_of, status_of
from drivers.devices._ooi_models import MODELS as OOI_MODELS
from drivers.devices._ooi_models import Model
from drivers.devices._wasatch_memory import read_memory as read_wasatch_memory
from drivers.errors import DriverError, WireError
from drivers.framing import Frame, Framer, Inbox, Lines, Skip
from drivers.tpl import read_image
from firmware_sim.devices._ooi_memory import default_slots
from firmware_sim.devices._ooi_models import MODELS as OOI_SIMULATED
from firmware_sim.devices._wasatch_memory import MODELS as WASATCH_SIMULATED
from firmware_sim.devices._wasatch_memory import image_of
from tests.drivers.nirscan_bytes import scan_blob, uart_reply
from tests.spectra.fuzzing import ROOM_BYTES, _in_use, mutated

SLOT_BYTES, SLOTS = 15, 18


def frames(framer: Framer) -> Callable[[bytes], None]:
    """Return a parser that takes a stream apart and insists on progress."""

    def parse(data: bytes) -> None:
        inbox, rounds = Inbox(), 0
        while data:
            room = inbox.room(framer)
            inbox.feed(data[:room])
            data = data[room:]
            while inbox.next(framer) is not None:
                rounds += 1
        assert rounds <= 1 << 20
        assert len(inbox) <= framer.limit_bytes

    return parse


def obp_message(data: bytes) -> None:
    """What the framer takes for frames, understood."""
    framer = obp.ObpFramer()
    while data:
        match framer.find(data[: framer.limit_bytes]):
            case Frame(payload=payload, size_bytes=size):
                obp.decode(payload)
                data = data[size:]
            case Skip(size_bytes=size):
                data = data[size:]
            case _:
                return


def ooi_memory(data: bytes) -> None:
    """Slots of 15 bytes, one behind the other, for the product whose number the first two bytes are."""
    slots = {n: data[2 + n * SLOT_BYTES : 2 + (n + 1) * SLOT_BYTES].ljust(SLOT_BYTES, b"\xff") for n in range(SLOTS)}
    read_ooi_memory(slots, ooi_model(data))


def ooi_spectrum(data: bytes) -> None:
    """A transfer and a status of such a product."""
    model, body = ooi_model(data), data[2:]
    with contextlib.suppress(WireError):
        status_of(body[:16], model)
    check_frame(body, model)
    readings_of(body, model)


def ooi_model(data: bytes) -> Model:
    """Return the model of a product number, or any."""
    number = int.from_bytes(data[:2], "little")
    return OOI_MODELS.get(number) or list(OOI_MODELS.values())[number % len(OOI_MODELS)]


def wasatch_memory(data: bytes) -> None:
    """Eight pages of 64 bytes, of a silicon and of an InGaAs unit."""
    data = data[:512].ljust(512, b"\xff")
    pages = [data[at : at + 64] for at in range(0, 512, 64)]
    for ingaas in (False, True):
        read_wasatch_memory(pages, ingaas=ingaas)


def csvserial_lines(data: bytes) -> None:
    """The lines of a header, and rows."""
    bodies = [csvserial.body_of(line, checked=False) for line in data.split(b"\n")]
    told = (body[1:].partition(b" ") for body in bodies if body.startswith(b"#"))
    board = csvserial.board_from({key.decode("latin-1"): value for key, _, value in told}, checked=False)
    for body in bodies:
        if body and not body.startswith(b"#"):
            csvserial.row_from(body, board)


PARSERS: dict[str, Callable[[bytes], object]] = {
    "nirscan_uart": frames(UartFramer()),
    "nirscan_hid": frames(HidFramer()),
    "nirscan_message": decode_reply,
    "nirscan_scan": decode_scan,
    "tpl": read_image,
    "obp_frames": frames(obp.ObpFramer()),
    "obp_message": obp_message,
    "ooi_memory": ooi_memory,
    "ooi_spectrum": ooi_spectrum,
    "wasatch_memory": wasatch_memory,
    "csvserial": csvserial_lines,
    "lines": frames(Lines()),
}


def made_seeds() -> dict[str, list[bytes]]:
    """Return good bytes of each kind."""
    memories, spectra = [], []
    for made in OOI_SIMULATED.values():
        slots, product = default_slots(made, made.serial_number), made.product_id.to_bytes(2, "little")
        memories.append(
            product + b"".join(slots.get(n, b"\xff" * SLOT_BYTES).ljust(SLOT_BYTES, b"\0") for n in range(SLOTS))
        )
        size = OOI_MODELS[made.product_id].transfer_bytes
        spectra.append(product + bytes(size - 1) + (b"\x69" if OOI_MODELS[made.product_id].has_sync else b"\0"))
    reply = uart_reply(0x0216, bytes(28))
    message = obp.encode(0x101100, bytes(2048), flags=1)
    return {
        "nirscan_uart": [reply, reply * 5],
        "nirscan_hid": [(b"\xc0\1\x1c\0" + bytes(28)).ljust(64, b"\7"), b"\xc0\2\0\2" + scan_blob()[:572]],
        "nirscan_message": [reply[8:-4]],
        "nirscan_scan": [scan_blob()],
        "tpl": [scan_blob()],
        "obp_frames": [message, message * 3, obp.encode(0x100, b"STS", flags=1, md5=True)],
        "obp_message": [message, obp.encode(0x100, b"STS", flags=1, md5=True)],
        "ooi_memory": memories,
        "ooi_spectrum": spectra,
        "wasatch_memory": [image_of(model, "WP-01234") for model in WASATCH_SIMULATED.values()],
        "csvserial": [
            b"#edged-csv 1\n#serial 42\n#nm 34e1,350,360,370,380,390,400,410\n#full-scale 9\n#end\n1,2,3,4,5,6,7,8,\n",
            b"#serial 42\n#nm-of 8 314.05 2.68 -1.08e-3\n#integration-ms 1 500\n#numbered\n9;1;2;3;4;5;6;7;8*A7CC",
        ],
        "lines": [b"N1 000123\n" * 9],
    }


def check(parser: str, data: bytes) -> str:
    """Run a parser and return how it ended. Whatever else it does is its fault."""
    try:
        PARSERS[parser](data)
    except DriverError:
        return "refused"
    return "taken"


def run(parser: str, seconds: float, seed: int) -> dict[str, Any]:
    """Feed a parser for so long; return counts, the slowest case and the growth of memory."""
    warnings.simplefilter("error")
    rng, begun, sources = random.Random(seed), time.monotonic(), made_seeds()[parser]
    for data in sources:
        check(parser, data)
    limit = _in_use() + ROOM_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    start_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cases, slowest_s, outcomes = 0, 0.0, {"taken": 0, "refused": 0}
    while time.monotonic() - begun < seconds:
        data = mutated(rng.choice(sources), rng) if rng.random() < 0.97 else rng.randbytes(rng.randrange(5000))
        before = time.monotonic()
        try:
            outcomes[check(parser, data)] += 1
        except BaseException:
            sys.stderr.write(f"seed {seed}, case {cases}: {data[:2000]!r}\n")
            raise
        slowest_s = max(slowest_s, time.monotonic() - before)
        cases += 1
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start_kib) / 1024
    return {"parser": parser, "cases": cases, "slowest_s": slowest_s, "grown_mb": grown_mb, **outcomes}


if __name__ == "__main__":
    name, length_s, number = sys.argv[1:]
    sys.stdout.write(json.dumps(run(name, float(length_s), int(number))) + "\n")
