"""Ocean instruments that speak the Ocean Binary Protocol, on a serial line, a socket or USB.

Frames are in `_obp_frame`, what the firmware does with a message in `_obp_firmware`, detector and laser in
`_obp_bench`, models in `_obp_models`; here are the two faces. Quirks, by name:

    echo         what the host sends comes back first, as on a half-open adapter (serial)
    version      answers carry header version 0x1200
    no-md5       answers have no checksum, whatever the host asks for
    refuses-md5  requests with a checksum are refused
    double       spectra have twice the length
    slow         a spectrum takes ten times as long as it should
    blank        calibration memory is all ones
    restarts     in the middle of the third spectrum the firmware starts afresh, once
    no-laser     a Ventana without a laser
    interlock    the laser does not come on
    stuck-laser  the laser does not go off

Fault of its own, counted by requests to switch the laser off: off_refused (with error MORE, 13: internal; it stays on).
"""

from __future__ import annotations

from collections import deque
from typing import Any

from firmware_sim.contract import Deliver, Output, Setup, Stall, UsbDescriptors
from firmware_sim.devices import _obp_frame as frames
from firmware_sim.devices._obp_firmware import OWN_FAULTS, ObpFirmware
from firmware_sim.devices._obp_models import OCEAN
from firmware_sim.reply_line import ReplyLine
from firmware_sim.scene import Scene

__all__ = ["NETWORK_BAUD", "OWN_FAULTS", "ObpOnLine", "ObpOnUsb"]

NETWORK_BAUD = 100_000_000  # of a model with a socket of its own
MAX_TRANSFER_BYTES = 4096


class ObpOnLine(ObpFirmware):
    """On a serial line, or a socket; implements `Firmware`. The arguments are those of ObpFirmware."""

    def __init__(self, model: str, scene: Scene, **more: Any) -> None:
        super().__init__(model, scene, **more)
        self._host_baud: int | None = None
        self._replies = ReplyLine(
            self.plan, baud=self.baud, speed=self.speed, note=self.note_fault, renumbered=frames.renumbered
        )

    def line_opened(self, now_s: float) -> None:
        """Forget an unfinished request."""
        self.forget()
        self._replies.opened()

    def line_speed(self, baud: int) -> None:
        """The host talks at this rate: at another than ours, nobody understands anybody."""
        self._host_baud = baud

    def wake_at(self) -> float | None:
        """Nothing happens by itself."""
        return None

    def receive(self, data: bytes, now_s: float) -> list[Output]:
        """Take request bytes; return what leaves, with its time."""
        if self._host_baud not in (None, self.baud):
            return []
        if self._replies.plan is not self.plan:
            self._replies.plan = self.plan
        outputs: list[Output] = [Deliver(at_s=now_s, data=data)] if "echo" in self.quirks else []
        for message in self.requests(data, now_s):
            for at_s, answer in self.serve(message, now_s + self._replies.wire_s(len(message))):
                outputs += self._replies.send(answer, at_s)
            self.baud = self.next_baud or self.baud  # the acknowledgement has its time, at the old rate
            self.next_baud = None
            self._replies.baud = self.baud
        return outputs


class ObpOnUsb(ObpFirmware):
    """On USB; implements `UsbFirmware`. The arguments are those of ObpFirmware."""

    def __init__(self, model: str, scene: Scene, **more: Any) -> None:
        super().__init__(model, scene, **more)
        self.descriptors = UsbDescriptors(
            vendor_id=OCEAN,
            product_id=self.model.product_id,
            release=0x0110,
            strings=("Ocean Optics", self.model.name, self.serial_number),
            endpoints=tuple(address for pipe in self.model.pipes for address in pipe),
            packet_bytes=self.model.packet_bytes,
        )
        self._inward: dict[int, deque[tuple[float, bytes]]] = {inward: deque() for _, inward in self.model.pipes}
        self._unread: dict[int, bytes] = {}

    def plugged(self, now_s: float) -> None:
        """Power comes."""
        self.boot(now_s)
        self.reset(now_s)

    def reset(self, now_s: float) -> None:
        """What lies on the pipes is gone; the firmware goes on."""
        self.forget()
        self._unread.clear()
        for queue in self._inward.values():
            queue.clear()

    def control(self, setup: Setup, data: bytes, now_s: float) -> bytes:
        """Refuse: there are no requests of its own."""
        raise Stall

    def write(self, endpoint: int, data: bytes, now_s: float) -> None:
        """Take one transfer of request bytes."""
        inward = dict(self.model.pipes).get(endpoint)
        if inward is None or len(data) > MAX_TRANSFER_BYTES:
            raise Stall
        for message in self.requests(data, now_s):
            for at_s, answer in self.serve(message, now_s):
                self._inward[inward].append((at_s, answer + bytes(-len(answer) % self.model.padded)))

    def read(self, endpoint: int, limit: int, now_s: float) -> bytes | None:
        """Return the next answer, or the rest of one, or None while there is none."""
        data = self._unread.pop(endpoint, b"")
        if not data:
            queue = self._inward.get(endpoint)
            if not queue or queue[0][0] > now_s:
                return None
            data = queue.popleft()[1]
        if data[limit:]:
            self._unread[endpoint] = data[limit:]
        return data[:limit]

    def clear_halt(self, endpoint: int) -> None:
        """No endpoint ever halts."""

    def wake_at(self) -> float | None:
        """Return when the next answer lies on a pipe."""
        return min((queue[0][0] for queue in self._inward.values() if queue), default=None)
