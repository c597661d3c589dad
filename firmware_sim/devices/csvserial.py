"""A board of a maker's own with an InGaAs array of 256 pixels and a lamp, that prints "CSV over serial", version 1.

Written from docs/csv-over-serial.md. It prints when it is asked. Quirks, by name, as sketches have them:

    plain       no checksums                     crlf        lines end with CR LF, as println makes them
    trailing    a comma behind the last number   semicolons  between numbers
    decimals    counts as 1023.00                unnumbered  rows begin with the first pixel
    polynomial  "#nm-of" instead of "#nm"        talks       messages to its maker between the lines
    resets      restarts when its port is opened, is deaf for two seconds, and prints its header by itself
    fixed       it chooses its integration time  no-lamp     its light comes from outside
    no-axis     "#nm" is missing                 no-serial   "#serial" is missing
    streams     prints rows by itself, one exposure after the other, of up to a minute

Faults of its own, counted in rows: short_row  the last number is missing · repeated  the row before comes once more
"""

from __future__ import annotations

import binascii
import math
from collections import deque
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from firmware_sim.array import ArrayDetector, ArrayFacts
from firmware_sim.contract import Deliver, Event, OperatorError, Output
from firmware_sim.faults import FaultPlan, FaultPlanError
from firmware_sim.reply_line import ReplyLine
from firmware_sim.scene import Scene

QUIRKS = (
    "plain", "crlf", "trailing", "semicolons", "decimals", "unnumbered", "polynomial", "talks", "resets", "fixed",
    "no-lamp", "no-axis", "no-serial", "streams",
)  # fmt: skip
ROW_FAULTS = {"short_row": 0, "repeated": 0}
MODEL = "maker's InGaAs board"
PIXELS = 256
NM_OF_PIXEL = (893.1, 3.1875, -1.5e-4)  # of pixel 1 to 256: 896.3 to 1699.3 nm
FACTS = ArrayFacts(pixels=PIXELS)
DETECTOR_C = 25.0
INTEGRATION_MS, STREAMED_MS = (1.0, 2000.0), (1.0, 60_000.0)
FIXED_MS = 50.0
LOOP_S = 0.02  # of a sketch that streams, at least: also where nothing takes time
BAUD = 115_200
BOOT_S = 2.0
MOST_INPUT_BYTES = 128
MEANT_FRAMES = 64


class CsvBoard:
    """Implements `Firmware`. `speed` divides all durations, 0 = nothing takes time. `meant`: the counts of its rows.

    fixed_ms: what one that chooses its integration time has chosen.
    """

    def __init__(
        self,
        scene: Scene,
        *,
        serial_number: str = "SIM0001",
        seed: int = 0,
        speed: float = 1.0,
        faults: FaultPlan | None = None,
        quirks: Collection[str] = (),
        fixed_ms: float = FIXED_MS,
    ) -> None:
        if unknown := set(quirks) - set(QUIRKS):
            raise OperatorError(f"no quirk {', '.join(sorted(unknown))}; there are {', '.join(QUIRKS)}")
        if not (0 < len(serial_number) <= 32 and serial_number.isascii() and serial_number.isprintable()):
            raise OperatorError(f"serial number {serial_number!r}: 1 to 32 printable ASCII characters")
        self.serial_number = serial_number
        self.meant: deque[NDArray[np.int32]] = deque(maxlen=MEANT_FRAMES)
        self._scene = scene
        self._quirks = frozenset(quirks)
        self._seed = seed
        self._speed = speed
        self._detector = ArrayDetector(FACTS, seed=seed)
        pixel = np.arange(1.0, PIXELS + 1)
        self.axis_nm = NM_OF_PIXEL[0] + NM_OF_PIXEL[1] * pixel + NM_OF_PIXEL[2] * pixel**2
        self._events: list[Event] = []
        self._line = ReplyLine(
            faults or FaultPlan(seed=seed), baud=BAUD, speed=speed, note=self._note, renumbered=lambda reply: reply
        )
        self._rows = 0  # since the plan of faults was given
        self._frames = 0
        self._lit = False
        self._limits_ms = STREAMED_MS if "streams" in self._quirks else INTEGRATION_MS
        self._integration_ms = fixed_ms if "fixed" in self._quirks else 100.0
        self._under_way_ms, self._row_at_s = self._integration_ms, math.inf  # of one that streams
        self._input = b""
        self._deaf_until_s = 0.0
        self._has_said = True

    def line_opened(self, now_s: float) -> None:
        """Forget an unfinished command; some boards restart."""
        self._input = b""
        self._line.opened()
        if "resets" in self._quirks:
            self._lit = False
            self._deaf_until_s = now_s + self._takes_s(BOOT_S * 1000)
            self._has_said = False
        self._expose(max(now_s, self._deaf_until_s))

    def wake_at(self) -> float | None:
        """Return when the next row is there, of a board that streams."""
        return self._row_at_s if "streams" in self._quirks else None

    def wake(self, now_s: float) -> None:
        """Nothing happens by itself but rows."""

    def unasked(self, now_s: float) -> list[Output]:
        """Return the rows that were exposed by now, of a board that streams."""
        outputs: list[Output] = []
        while "streams" in self._quirks and self._row_at_s <= now_s:
            printed = self._line.send(self._row(self._under_way_ms), self._row_at_s)
            outputs += printed
            self._expose(printed[-1].at_s if printed else self._row_at_s)
        return outputs

    def _expose(self, now_s: float) -> None:
        """Begin the next row; a change of the integration time comes too late for it."""
        self._under_way_ms = self._integration_ms
        self._row_at_s = now_s + max(LOOP_S, self._takes_s(self._under_way_ms))

    def _takes_s(self, milliseconds: float) -> float:
        return milliseconds / 1000 / self._speed if self._speed else 0.0

    def receive(self, data: bytes, now_s: float) -> list[Output]:
        """Take commands; return what is printed, with its time."""
        outputs: list[Output] = []
        if not self._has_said:
            self._has_said = True
            outputs.append(Deliver(at_s=self._deaf_until_s, data=self._header()))
        if now_s < self._deaf_until_s:
            return outputs
        *lines, self._input = (self._input + data).split(b"\n")
        self._input = self._input[-MOST_INPUT_BYTES:]
        for line in lines:
            printed, takes_ms = self._answer(line.strip())
            if printed:
                outputs += self._line.send(printed, now_s + self._takes_s(takes_ms))
        return outputs

    def take_events(self) -> list[Event]:
        """Return rows and faults since the last call."""
        events, self._events = self._events, []
        return events

    def operate(self, line: str) -> None:
        """`sample NAME`, `faults PLAN`. Raises OperatorError."""
        verb, _, rest = line.strip().partition(" ")
        match verb:
            case "sample":
                self._scene.place(rest.strip())
            case "faults":
                try:
                    self._line.plan = FaultPlan.parse(rest, seed=self._seed, own=ROW_FAULTS)
                except FaultPlanError as error:
                    raise OperatorError(str(error)) from error
                self._rows = 0
            case _:
                raise OperatorError(f"{line.strip()!r}: say sample NAME, faults PLAN, hangup [SECONDS] or quit")

    def _answer(self, line: bytes) -> tuple[bytes, float]:
        """Return what is printed, and after how many ms."""
        command, star, told = line.partition(b"*")
        if star and told.upper() != b"%04X" % binascii.crc_hqx(command, 0):
            return self._printed("#error checksum"), 0.0
        if not star and "plain" not in self._quirks and command not in (b"?", b"l 0"):
            return self._printed("#error checksum"), 0.0
        if self._line.is_busy():
            return self._printed("#error busy"), 0.0
        word, _, argument = command.decode("ascii", errors="replace").partition(" ")
        match word:
            case "?":
                return self._header(), 0.0
            case "m" if "streams" not in self._quirks:
                return self._row(self._integration_ms), self._integration_ms
            case "l" if argument in ("0", "1") and "no-lamp" not in self._quirks:
                self._lit = argument == "1"
                return self._printed(f"#ok l {argument}"), 0.0
            case "t" if "fixed" not in self._quirks:
                return self._printed(self._set_time(argument)), 0.0
            case "":
                return b"", 0.0
        return self._printed(f"#error no command {word}"), 0.0

    def _set_time(self, argument: str) -> str:
        try:
            asked_ms = float(argument)
        except ValueError:
            return "#error no time"
        low, high = self._limits_ms
        if not low <= asked_ms <= high:
            return f"#error {low:g} to {high:g} ms"
        self._integration_ms = asked_ms
        return f"#ok t {argument}"

    def _header(self) -> bytes:
        quirks = self._quirks
        lines = ["#edged-csv 1", f"#model {MODEL}"]
        if "no-serial" not in quirks:
            lines.append(f"#serial {self.serial_number}")
        if "polynomial" in quirks:
            lines.append(f"#nm-of {PIXELS} {' '.join(map(repr, NM_OF_PIXEL))}")
        elif "no-axis" not in quirks:
            lines.append("#nm " + self._joined([f"{nm:.2f}" for nm in self.axis_nm]))
        lines.append(f"#full-scale {FACTS.full_scale}")
        low, high = self._limits_ms
        fixed = "fixed" in quirks
        lines.append(f"#integration-ms {self._integration_ms:g}" if fixed else f"#integration-ms {low:g} {high:g}")
        if "no-lamp" not in quirks:
            lines.append("#lamp")
        if "unnumbered" not in quirks:
            lines.append("#numbered")
        if "streams" not in quirks:
            lines.append("#asked")
        return b"".join(self._printed(line) for line in (*lines, "#end"))

    def _row(self, integration_ms: float) -> bytes:
        self._rows += 1
        has_light = self._lit or "no-lamp" in self._quirks
        if self._strikes("repeated") and self.meant:
            counts = self.meant[-1]
        else:
            light = self._scene.light(self.axis_nm, laser_mw=0.0, laser_nm=None)
            counts = self._detector.expose(
                light if has_light else np.zeros(PIXELS),
                integration_s=integration_ms / 1000,
                detector_c=DETECTOR_C,
                frame=self._frames,
            )
            self._frames += 1
            self.meant.append(counts)
            if has_light:
                self._scene.used()
            self._events.append(
                {
                    "event": "row",
                    "serial_number": self.serial_number,
                    "row": self._frames,
                    "integration_ms": integration_ms,
                }
            )
        cells = [f"{count}.00" if "decimals" in self._quirks else str(count) for count in counts.tolist()]
        if self._strikes("short_row"):
            cells.pop()
        number = [] if "unnumbered" in self._quirks else [str(self._frames)]
        talk = b"free memory: 312\r\n" if "talks" in self._quirks and "plain" in self._quirks else b""
        return talk + self._printed(self._joined([*number, *cells]))

    def _joined(self, cells: list[str]) -> str:
        between = ";" if "semicolons" in self._quirks else ","
        return between.join(cells) + (between if "trailing" in self._quirks else "")

    def _printed(self, line: str) -> bytes:
        body = line.encode("ascii")
        if "plain" not in self._quirks:
            body += b"*%04X" % binascii.crc_hqx(body, 0)
        return body + (b"\r\n" if "crlf" in self._quirks else b"\n")

    def _strikes(self, name: str) -> bool:
        struck = self._line.plan.strikes(name, self._rows) is not None
        if struck:
            self._note(name, row=self._rows)
        return struck

    def _note(self, name: str, **where: int) -> None:
        self._events.append({"event": "fault", "serial_number": self.serial_number, "fault": name, **where})
