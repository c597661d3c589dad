"""Acme N1 handheld NIR, firmware 1.x, USB serial at 115200 8N1. Invented: copy this file and replace all of it.

Written from the drawing in the instrument's guide, not from the driver. Lines of text that end with LF; what the
instrument says carries a blank and the CRC-16/XMODEM of all before that blank. Quirks, by name:

    blank  its memory was never programmed
"""

from __future__ import annotations

import binascii
from collections import deque
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from firmware_sim.array import ArrayDetector, ArrayFacts
from firmware_sim.contract import Event, OperatorError, Output
from firmware_sim.faults import FaultPlan, FaultPlanError
from firmware_sim.reply_line import ReplyLine
from firmware_sim.scene import Scene

# Facts
QUIRKS = ("blank",)
PIXELS = 128
AXIS_NM = np.linspace(900.0, 1700.0, PIXELS)
FACTS = ArrayFacts(pixels=PIXELS)
LONGEST_MS = 9999
BAUD = 115_200
UNKNOWN = "ERR 1"
BUSY = "ERR 2"
MOST_INPUT_BYTES = 64  # of a command whose end was lost
MEANT_FRAMES = 64


class AcmeN1:
    """Implements `Firmware`. `speed` divides all durations, 0 = nothing takes time. `meant`: the counts it sent."""

    def __init__(
        self,
        scene: Scene,
        *,
        serial_number: str = "000123",
        seed: int = 0,
        speed: float = 1.0,
        faults: FaultPlan | None = None,
        quirks: Collection[str] = (),
    ) -> None:
        if not (len(serial_number) == 6 and serial_number.isascii() and serial_number.isdigit()):
            raise OperatorError(f"serial number {serial_number!r}: the instrument has 6 digits")
        self.serial_number = serial_number
        self.meant: deque[NDArray[np.int32]] = deque(maxlen=MEANT_FRAMES)
        self._scene = scene
        self._quirks = frozenset(quirks)
        self._seed = seed
        self._speed = speed
        self._detector = ArrayDetector(FACTS, seed=seed)
        self._line = ReplyLine(
            faults or FaultPlan(seed=seed), baud=BAUD, speed=speed, note=self._note, renumbered=lambda reply: reply
        )
        self._events: list[Event] = []
        self._scans = 0
        self._lit = False
        self._integration_ms = 10
        self._input = b""

    def line_opened(self, now_s: float) -> None:
        """Forget an unfinished command."""
        self._input = b""
        self._line.opened()

    def wake_at(self) -> float | None:
        """Nothing happens by itself."""
        return None

    def wake(self, now_s: float) -> None:
        """Nothing happens by itself."""

    def receive(self, data: bytes, now_s: float) -> list[Output]:
        """Take commands; return answers with their time."""
        outputs: list[Output] = []
        *commands, self._input = (self._input + data).split(b"\n")
        self._input = self._input[-MOST_INPUT_BYTES:]
        for command in commands:
            words = command.decode("ascii", errors="replace").split(" ")
            takes_ms = self._integration_ms if words == ["M"] else 0
            body = (BUSY if self._line.is_busy() else self._answer(words)).encode("ascii")
            ready_s = now_s + (takes_ms / 1000 / self._speed if self._speed else 0.0)
            outputs += self._line.send(body + b" %04X\n" % binascii.crc_hqx(body, 0), ready_s)
        return outputs

    def take_events(self) -> list[Event]:
        """Return scans and faults since the last call."""
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
                    self._line.plan = FaultPlan.parse(rest, seed=self._seed)
                except FaultPlanError as error:
                    raise OperatorError(str(error)) from error
            case _:
                raise OperatorError(f"{line.strip()!r}: say sample NAME, faults PLAN, hangup [SECONDS] or quit")

    def _answer(self, words: list[str]) -> str:
        match words:
            case ["I"]:
                return "N1 ffffff" if "blank" in self._quirks else f"N1 {self.serial_number}"
            case ["M"]:
                return self._scanned()
            case ["L", "0" | "1" as on]:
                self._lit = on == "1"
                return f"OK L {on}"
            case ["G", time] if time.isascii() and time.isdigit() and 1 <= int(time[:5]) <= LONGEST_MS:
                self._integration_ms = int(time[:5])
                return f"OK G {time}"
        return UNKNOWN

    def _scanned(self) -> str:
        light = self._scene.light(AXIS_NM, laser_mw=0.0, laser_nm=None) if self._lit else np.zeros(PIXELS)
        counts = self._detector.expose(
            light, integration_s=self._integration_ms / 1000, detector_c=25.0, frame=self._scans
        )
        self._scans += 1
        self.meant.append(counts)
        self._scene.used()
        self._events.append({"event": "scan", "serial_number": self.serial_number, "scan_index": self._scans})
        return " ".join(map(str, [self._scans, 250, *counts.tolist()]))

    def _note(self, name: str, **where: int) -> None:
        self._events.append({"event": "fault", "serial_number": self.serial_number, "fault": name, **where})
