"""USB HID of the NIRscan Nano family, seen from the instrument.

Reports of 64 bytes without a number, on interrupt endpoints 0x01 (out) and 0x81 (in), one a millisecond:

Request  FF QQ LL LL CC CC data ... | continued in the next reports without a head | up to 512 bytes of command and data
Reply    FF QQ LL LL data ...       | the same; the command is not sent back       | up to 512 bytes of data
    letters as in `_nirscan_uart`. The rest of the last report is what the buffer held before.

Faults of its own: continuation  reply  its report number MORE (2) is lost, if it has so many
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar

from firmware_sim.contract import Event, HangUp, Output, Setup, Stall, Unplugged, UsbDescriptors
from firmware_sim.devices import _nirscan_uart as uart
from firmware_sim.devices._nirscan_firmware import PROCESSING_S, REBOOT_S, NirscanFirmware
from firmware_sim.reply_line import BITS_A_BYTE, ReplyLine
from firmware_sim.sample import Tray

REPORT_BYTES = 64
HEAD_BYTES = 4
MOST_REPORTS = 9
REPORT_S = 0.001
BAUD = round(REPORT_BYTES * BITS_A_BYTE / REPORT_S)  # of a line that is as fast
IN, OUT = 0x81, 0x01
CONTINUES_WITHIN_S = 1.0
HIBERNATES_AFTER_S = 300.0
ASLEEP_S = 10.0  # ours: then somebody presses its button
LEAVES_S = 0.05  # ours: between the answer to a reset and the end of the bus
OWN_FAULTS = {"continuation": 1}
SET_REPORT, SET_IDLE = (0x21, 0x09), (0x21, 0x0A)  # HID 1.11, section 7.2

REPORT_DESCRIPTOR = bytes.fromhex(
    "06 00 ff 09 01 a1 01"  # vendor page 0xFF00, usage 1, application
    "15 00 26 ff 00 75 08 95 40 09 01 81 02"  # 64 bytes of 0 to 255 in
    "09 01 91 02 c0"  # and as many out
)
DESCRIPTORS = UsbDescriptors(
    vendor_id=0x0451,
    product_id=0x4200,
    release=0x0100,
    strings=("Texas Instruments", "Nirscan Nano", "12345678"),  # the last one on every unit
    endpoints=(IN, OUT),
    packet_bytes=REPORT_BYTES,
    hid_report=REPORT_DESCRIPTOR,
)


class HidFirmware(NirscanFirmware):
    """What both faces have in common: reports to requests, and answers to reports."""

    own_faults: ClassVar[Mapping[str, int]] = OWN_FAULTS

    def __init__(self, tray: Tray, **more: Any) -> None:
        super().__init__(tray, **more)
        self._request = b""
        self._heard_s = -math.inf
        self._buffer = bytearray(REPORT_BYTES * MOST_REPORTS)
        self._replies = 0  # since the plan of faults was given

    def operate(self, line: str) -> None:
        """As any unit; replies of a new plan of faults are counted from 1."""
        former = self.plan
        super().operate(line)
        if self.plan is not former:
            self._replies = 0

    def forget(self) -> None:
        """Forget an unfinished request."""
        self._request = b""

    def request_in(self, report: bytes, now_s: float) -> bytes | None:
        """Take one report; return the request that it completes. What makes no request is dropped without a word."""
        if now_s - self._heard_s > CONTINUES_WITHIN_S:
            self._request = b""
        self._heard_s = now_s
        self._request += report.ljust(REPORT_BYTES, b"\0")
        length = int.from_bytes(self._request[2:4], "little")
        if not uart.MIN_LENGTH <= length <= uart.MAX_LENGTH:
            self._request = b""
        if not self._request or len(self._request) < HEAD_BYTES + length:
            return None
        request, self._request = self._request[: HEAD_BYTES + length], b""
        return request

    def reports_of(self, flags: int, sequence: int, data: bytes) -> list[bytes]:
        """Return the reports of one reply, one of them missing if that is planned."""
        message = bytes((flags, sequence)) + len(data).to_bytes(2, "little") + data
        self._buffer[: len(message)] = message
        reports = [bytes(self._buffer[at : at + REPORT_BYTES]) for at in range(0, len(message), REPORT_BYTES)]
        self._replies += 1
        if fault := self.plan.strikes("continuation", self._replies):
            lost = int(fault.parameter(0, 2))
            if 2 <= lost <= len(reports):
                self._note_fault("continuation", reply=self._replies)
                del reports[lost - 1]
        return reports

    def hibernates_at(self) -> float | None:
        """Return when it falls asleep for want of a request; None for never."""
        if not self.hibernates or not self._speed or math.isinf(self._heard_s):
            return None
        return self._heard_s + self._takes(HIBERNATES_AFTER_S)

    def told_of_sleep(self) -> Event:
        """Return what to tell about falling asleep."""
        return {"event": "hibernates", "serial_number": self.serial_number}


class NirscanOnHid(HidFirmware):
    """On USB; implements `UsbFirmware`. The arguments are those of NirscanFirmware.

    Faults of transfers are not its business: each report is one transfer of what stands around it.
    """

    descriptors = DESCRIPTORS

    def __init__(self, tray: Tray, **more: Any) -> None:
        super().__init__(tray, **more)
        self._inward: deque[tuple[float, bytes]] = deque()
        self._leaves_at_s: float | None = None
        self._was_plugged = False

    def plugged(self, now_s: float) -> None:
        """Power comes; after the first time, another session of scans begins."""
        if self._was_plugged:
            super().restarts(now_s)
        self._was_plugged = True
        self._heard_s = now_s
        self._leaves_at_s = None
        self.reset(now_s)

    def reset(self, now_s: float) -> None:
        """Reports under way are gone; the firmware goes on."""
        self.forget()
        self._inward.clear()

    def restarts(self, now_s: float) -> None:
        """Leave the bus, soon; to be plugged in again is the new beginning."""
        self._leaves_at_s = now_s + LEAVES_S

    def control(self, setup: Setup, data: bytes, now_s: float) -> bytes:
        """Take a report as a host does that has no interrupt endpoint. Raises Stall for what it does not know."""
        self._raise_if_gone(now_s)
        request = (setup.request_type, setup.request)
        if request == SET_REPORT:
            self.write(OUT, data, now_s)
        elif request != SET_IDLE:
            raise Stall
        return b""

    def write(self, endpoint: int, data: bytes, now_s: float) -> None:
        """Take reports. Raises Stall on another endpoint."""
        self._raise_if_gone(now_s)
        if endpoint != OUT:
            raise Stall
        for at in range(0, len(data), REPORT_BYTES):
            if request := self.request_in(data[at : at + REPORT_BYTES], now_s):
                self._serve(request, now_s)

    def read(self, endpoint: int, limit: int, now_s: float) -> bytes | None:
        """Return the next report, None while there is none. Raises Stall on another endpoint, Unplugged."""
        if endpoint != IN:
            raise Stall
        self._raise_if_gone(now_s)
        if not self._inward or self._inward[0][0] > now_s:
            return None
        return self._inward.popleft()[1][:limit]

    def clear_halt(self, endpoint: int) -> None:
        """No endpoint ever halts."""

    def wake_at(self) -> float | None:
        """Return when a report is there to read, or a scan ends, or it leaves the bus."""
        due = self._inward[0][0] if self._inward else None
        moments = (due, super().wake_at(), self._leaves_at_s, self.hibernates_at())
        return min((moment for moment in moments if moment is not None), default=None)

    def _serve(self, request: bytes, now_s: float) -> None:
        self.wake(now_s)
        answer = self.respond(request, now_s, self._is_busy)
        if answer is None:
            return
        sequence = answer.sequence
        if self._strikes("sequence"):
            sequence = (sequence + 1) & 0xFF
        at_s = max(now_s + self._takes(PROCESSING_S), self._inward[-1][0] if self._inward else 0.0)
        for report in self.reports_of(answer.flags, sequence, answer.data):
            at_s += self._takes(REPORT_S)
            self._inward.append((at_s, report))

    def _is_busy(self) -> bool:
        return self._strikes("busy")

    def _strikes(self, name: str) -> bool:
        struck = self.plan.strikes(name, self._replies + 1) is not None
        if struck:
            self._note_fault(name, reply=self._replies + 1)
        return struck

    def _raise_if_gone(self, now_s: float) -> None:
        if self._leaves_at_s is not None and now_s >= self._leaves_at_s:
            raise Unplugged(self._takes(REBOOT_S))
        asleep_at_s = self.hibernates_at()
        if asleep_at_s is not None and now_s >= asleep_at_s:
            self._events.append(self.told_of_sleep())
            raise Unplugged(self._takes(ASLEEP_S))


class NirscanOnHidraw(HidFirmware):
    """Behind a line that stands in for a hidraw node; implements `Firmware`. Arguments as those of NirscanFirmware.

    In come 65 bytes a report, the first of them the report's number 0, as a program writes to a node; out go reports of
    64 bytes. Faults of replies strike whole messages. The line hangs up where a node would go.
    """

    def __init__(self, tray: Tray, **more: Any) -> None:
        super().__init__(tray, **more)
        self._written = b""
        self._sent = ReplyLine(self.plan, baud=BAUD, speed=self._speed, note=self._note_fault, renumbered=_renumbered)
        self._away_s: float | None = None

    def line_opened(self, now_s: float) -> None:
        """Somebody opened the node: what was under way for somebody else is not for him."""
        self._written = b""
        self._heard_s = now_s
        self.forget()
        self._sent.opened()

    def restarts(self, now_s: float) -> None:
        """Begin anew, with the node gone for as long as that takes."""
        super().restarts(now_s)
        self._away_s = self._takes(REBOOT_S)

    def receive(self, data: bytes, now_s: float) -> list[Output]:
        """Take what is written to the node; return what is read from it, with its time."""
        self.wake(now_s)
        asleep_at_s = self.hibernates_at()
        if asleep_at_s is not None and now_s >= asleep_at_s:
            self._events.append(self.told_of_sleep())
            super().restarts(now_s)
            return [HangUp(at_s=now_s, seconds=self._takes(ASLEEP_S))]
        if self._sent.plan is not self.plan:
            self._sent.plan = self.plan
        self._written += data
        outputs: list[Output] = []
        while len(self._written) > REPORT_BYTES:
            report, self._written = self._written[1 : 1 + REPORT_BYTES], self._written[1 + REPORT_BYTES :]
            if request := self.request_in(report, now_s):
                outputs += self._serve(request, now_s)
        return outputs

    def _serve(self, request: bytes, now_s: float) -> list[Output]:
        answer = self.respond(request, now_s, self._sent.is_busy)
        if answer is None:
            return []
        reports = self.reports_of(answer.flags, answer.sequence, answer.data)
        outputs = self._sent.send(b"".join(reports), now_s + self._takes(PROCESSING_S))
        if self._away_s is not None:
            outputs.append(HangUp(at_s=now_s + LEAVES_S, seconds=self._away_s))
            self._away_s = None
        return outputs


def _renumbered(reports: bytes) -> bytes:
    return reports[:1] + bytes(((reports[1] + 1) & 0xFF,)) + reports[2:]
