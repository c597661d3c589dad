"""TI DLP NIRscan Nano family (InnoSpectra NIR-M-R2), on its UART at 115200 8N1 or on USB HID.

What the firmware does with a request is in `_nirscan_firmware`; `_nirscan_uart` draws the frames and `_nirscan_hid` the
reports. Firmware has the UART only where it was built with that option.
"""

from __future__ import annotations

import math
from typing import Any

from drivers.framing import Frame, Skip
from firmware_sim.contract import Output
from firmware_sim.devices import _nirscan_uart as uart
from firmware_sim.devices._nirscan_bay import Unit
from firmware_sim.devices._nirscan_firmware import (
    CODE_UART_SUM,
    ERROR_UART,
    PROCESSING_S,
    REBOOT_S,
    UART_CODE_AT,
    NirscanFirmware,
)
from firmware_sim.devices._nirscan_hid import OWN_FAULTS, NirscanOnHid, NirscanOnHidraw
from firmware_sim.reply_line import ReplyLine
from firmware_sim.sample import Tray

__all__ = ["OWN_FAULTS", "NirscanNano", "NirscanOnHid", "NirscanOnHidraw", "Unit"]

BAUD = 115_200
STRICT_GAP_S, LENIENT_GAP_S = 0.001, 1.0


class NirscanNano(NirscanFirmware):
    """On the UART; implements `Firmware`.

    strict_gap: a pause of more than 1 ms within a request drops it, as the firmware does on a real line. The other
    arguments are those of NirscanFirmware.
    """

    chunk_bytes = 510  # 512 data bytes a message, the two of the command among them

    def __init__(self, tray: Tray, *, strict_gap: bool = False, **more: Any) -> None:
        super().__init__(tray, **more)
        self._gap_s = STRICT_GAP_S if strict_gap else LENIENT_GAP_S
        self._framer = uart.RequestFramer()
        self._line = ReplyLine(
            self.plan, baud=BAUD, speed=self._speed, note=self._note_fault, renumbered=uart.renumbered
        )

    def boot(self, now_s: float) -> None:
        """Begin anew: what was heard so far is forgotten."""
        super().boot(now_s)
        self._buffer = b""
        self._heard_s = -math.inf
        self._deaf_until_s: float = now_s

    def restarts(self, now_s: float) -> None:
        """Hear nothing until the firmware runs again."""
        super().restarts(now_s)
        self._deaf_until_s = now_s + self._takes(REBOOT_S)

    def line_opened(self, now_s: float) -> None:
        """Forget an unfinished request; the fault plan may put garbage in front of the first reply."""
        self._buffer = b""
        self._line.opened()

    def receive(self, data: bytes, now_s: float) -> list[Output]:
        """Take request bytes; return replies with the time at which each piece of them is on the line."""
        self.wake(now_s)
        if now_s < self._deaf_until_s:
            return []
        if self._line.plan is not self.plan:
            self._line.plan = self.plan
        if self._buffer and now_s - self._heard_s > self._gap_s:
            self._buffer = b""
        self._heard_s = now_s
        self._buffer += data
        outputs: list[Output] = []
        while (found := self._framer.find(self._buffer)) is not None:
            taken, self._buffer = self._buffer[: found.size_bytes], self._buffer[found.size_bytes :]
            ready_s = now_s + self._takes(PROCESSING_S) + self._line.wire_s(len(taken))
            match found:
                case Frame(payload=message):
                    if answer := self.respond(message, now_s, self._line.is_busy):
                        body = answer.command + answer.data
                        outputs += self._line.send(uart.reply(answer.flags, answer.sequence, body), ready_s)
                case Skip(reason=uart.WRONG_SUM):
                    self._errors |= ERROR_UART
                    self._codes[UART_CODE_AT] = CODE_UART_SUM
                    outputs += self._line.send(uart.STANDARD_FAILURE, ready_s)
        return outputs
