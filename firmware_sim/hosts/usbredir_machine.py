"""One virtual machine on a usbredir connection: its requests, and the transfers that a port answers.

Never waits: `hear` takes what came, `answer` answers what can be answered by now, `send` sends what is taken. Lives in
the host's thread.
"""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass

from firmware_sim.contract import Late, Setup, Stall
from firmware_sim.hosts import usbredir_wire as wire
from firmware_sim.hosts.usb_port import INWARD, Gone, UsbPort
from firmware_sim.hosts.usbredir_wire import Dialect, Kind, Malformed, Packet

READ_BYTES = 65_536
MAX_WAITING = 256  # transfers under way; a controller has a few
MAX_UNSENT_BYTES = 1 << 20  # a machine that stands still does not take what comes inward: it has to wait
CLEAR_HALT = (0x02, 1, 0)  # USB 2.0, 9.4.1: CLEAR_FEATURE of an endpoint, ENDPOINT_HALT


@dataclass(frozen=True, slots=True)
class _Read:
    """A bulk transfer inward that the machine waits for."""

    number: int
    endpoint: int
    limit: int


@dataclass(frozen=True, slots=True)
class _LateAnswer:
    """A control transfer whose answer comes later."""

    number: int
    head: tuple[int, ...]
    due_s: float
    data: bytes


class Machine:
    """The connection of one machine. address: that of the plugging in it knows of, None for none."""

    def __init__(self, connection: socket.socket, port: UsbPort) -> None:
        connection.setblocking(False)
        if connection.family == socket.AF_INET:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection = connection
        self.address: int | None = None
        self.greeted = False
        self.unsent = bytearray()
        self._port = port
        self._told = port.firmware.descriptors
        self._dialect = Dialect()
        self._reads: list[_Read] = []
        self._late: list[_LateAnswer] = []
        self._listening: set[int] = set()
        self._reports = 0
        self._send(Kind.HELLO, wire.NAME + wire.CAPABILITIES.to_bytes(4, "little"))

    @property
    def is_full(self) -> bool:
        """It does not take what it asked for."""
        return len(self.unsent) > MAX_UNSENT_BYTES

    @property
    def next_s(self) -> float | None:
        """When a late answer is due."""
        return min((late.due_s for late in self._late), default=None)

    def close(self) -> None:
        """Let go of it, as a broken wire does."""
        self.connection.close()

    def connect(self, address: int) -> None:
        """Tell it that the device is there."""
        self.address = address
        self._describe()
        self._send(Kind.CONNECT, wire.connect_body(self._told))

    def disconnect(self) -> None:
        """Tell it that the device is gone; what was under way has no answer any more."""
        self.address = None
        self._reads.clear()
        self._late.clear()
        self._listening.clear()
        self._send(Kind.DISCONNECT)

    def hear(self) -> bool:
        """Read what came and serve it; False when the machine is gone. Raises Malformed."""
        try:
            data = self.connection.recv(READ_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._dialect.feed(data)
        while (packet := self._dialect.next()) is not None:
            with contextlib.suppress(Gone):  # then no answer comes, and the host tells that the device is gone
                self._serve(packet)
        if len(self._reads) + len(self._late) > MAX_WAITING:
            raise Malformed(f"more than {MAX_WAITING} transfers under way")
        return bool(data)

    def answer(self, now_s: float) -> None:
        """Answer what can be answered by now, unless it takes nothing at present."""
        if self.address is not None and not self.is_full:
            with contextlib.suppress(Gone):
                self._answer_late(now_s)
                self._bring(self.address)
                self._report(self.address)

    def send(self) -> bool:
        """Send as much as it takes; False when it is gone."""
        try:
            if self.unsent:
                del self.unsent[: self.connection.send(self.unsent)]
        except BlockingIOError:
            pass
        except OSError:
            return False
        return True

    def _serve(self, packet: Packet) -> None:
        number = packet.number
        if packet.kind == Kind.HELLO:
            self._dialect.agree(packet)
            self.greeted = True
        elif self.address is not None:
            match packet.kind:
                case Kind.RESET:
                    self._cancel_all()
                    self._port.reset(self.address)
                case Kind.SET_CONFIGURATION | Kind.GET_CONFIGURATION:
                    wanted = packet.body[0] if packet.kind == Kind.SET_CONFIGURATION and packet.body else 1
                    if packet.kind == Kind.SET_CONFIGURATION:
                        self._describe()
                    status = wire.OK if wanted in (0, 1) else wire.STALLED
                    self._send(Kind.CONFIGURATION, bytes((status, wanted)), number)
                case Kind.SET_ALTERNATE | Kind.GET_ALTERNATE:
                    interface, alternate = (packet.body + b"\0\0")[:2]
                    status = wire.OK if interface == alternate == 0 else wire.STALLED
                    self._send(Kind.ALTERNATE, bytes((status, interface, alternate)), number)
                case Kind.LISTEN | Kind.LISTEN_NO_MORE:
                    self._listen(packet)
                case Kind.CANCEL:
                    self._cancel(number)
                case Kind.CONTROL:
                    self._control(packet, self.address)
                case Kind.BULK:
                    self._bulk(packet, self.address)
                case Kind.INTERRUPT:
                    (endpoint, _, length), data = packet.cut(wire.INTERRUPT_HEAD)
                    status = self._write(self.address, endpoint, data)
                    self._send(Kind.INTERRUPT, wire.INTERRUPT_HEAD.pack(endpoint, status, length), number)

    def _listen(self, packet: Packet) -> None:
        endpoint, begins = packet.body[0] if packet.body else 0, packet.kind == Kind.LISTEN
        there = endpoint in self._told.endpoints and bool(endpoint & INWARD)
        if begins and there:
            self._listening.add(endpoint)
        else:
            self._listening.discard(endpoint)
        status = wire.OK if there else wire.INVALID
        self._send(Kind.LISTENING, bytes((status, endpoint)), packet.number)

    def _control(self, packet: Packet, address: int) -> None:
        head, data = packet.cut(wire.CONTROL)
        _, request, request_type, _, value, index, length = head
        setup = Setup(request_type=request_type, request=request, value=value, index=index, length=length)
        try:
            if (request_type, request, value) == CLEAR_HALT:
                self._port.clear_halt(address, index & 0xFF)
            self._answer(packet.number, head, self._port.control(address, setup, data))
        except Stall:
            self._answer(packet.number, head, b"", wire.STALLED)
        except Late as late:
            self._late.append(_LateAnswer(packet.number, head, time.monotonic() + late.seconds, late.data))

    def _answer(self, number: int, head: tuple[int, ...], data: bytes, status: int = wire.OK) -> None:
        endpoint, request, request_type, _, value, index, length = head
        if status != wire.OK or request_type & INWARD:
            length = len(data)
        body = wire.CONTROL.pack(endpoint, request, request_type, status, value, index, length)
        self._send(Kind.CONTROL, body + data, number)

    def _bulk(self, packet: Packet, address: int) -> None:
        endpoint, length, data = self._dialect.bulk_asked(packet)
        if endpoint & INWARD:
            self._reads.append(_Read(packet.number, endpoint, length))
            return
        status = self._write(address, endpoint, data)
        self.unsent += self._dialect.bulk(endpoint, status, length if status == wire.OK else 0, packet.number)

    def _write(self, address: int, endpoint: int, data: bytes) -> int:
        try:
            self._port.write(address, endpoint, data)
        except Stall:
            return wire.STALLED
        return wire.OK

    def _answer_late(self, now_s: float) -> None:
        for late in [late for late in self._late if late.due_s <= now_s]:
            self._late.remove(late)
            self._answer(late.number, late.head, late.data)

    def _bring(self, address: int) -> None:
        """Answer the transfers inward, on each endpoint in their order."""
        empty: set[int] = set()
        for read in list(self._reads):
            if read.endpoint in empty:
                continue
            try:
                data = self._port.poll(address, read.endpoint, read.limit)
            except Stall:
                self._end(read, wire.STALLED)
                continue
            if data is None:
                empty.add(read.endpoint)
            else:
                self._end(read, wire.OK, data)

    def _report(self, address: int) -> None:
        """Send what comes on interrupt endpoints, unasked."""
        for endpoint in list(self._listening):
            try:
                while (data := self._port.poll(address, endpoint, self._told.packet_bytes)) is not None:
                    head = wire.INTERRUPT_HEAD.pack(endpoint, wire.OK, len(data))
                    self._send(Kind.INTERRUPT, head + data, self._reports)
                    self._reports += 1
            except Stall:
                self._listening.discard(endpoint)
                self._send(Kind.LISTENING, bytes((wire.STALLED, endpoint)))

    def _cancel(self, number: int) -> None:
        for late in [late for late in self._late if late.number == number]:
            self._late.remove(late)
            self._answer(number, late.head, b"", wire.CANCELLED)
        for read in [read for read in self._reads if read.number == number]:
            self._end(read, wire.CANCELLED)

    def _cancel_all(self) -> None:
        for number in [late.number for late in self._late] + [read.number for read in self._reads]:
            self._cancel(number)

    def _end(self, read: _Read, status: int, data: bytes = b"") -> None:
        self._reads.remove(read)
        self.unsent += self._dialect.bulk(read.endpoint, status, len(data), read.number, data)

    def _describe(self) -> None:
        self._send(Kind.INTERFACES, wire.interfaces_body(self._told))
        self._send(Kind.ENDPOINTS, wire.endpoints_body(self._told))

    def _send(self, kind: Kind, body: bytes = b"", number: int = 0) -> None:
        self.unsent += self._dialect.packet(kind, body, number)
