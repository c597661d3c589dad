"""What OBP needs of its links: a baud rate that a conversation sets, and USB reads that end with the answer."""

from __future__ import annotations

import os
import termios
from array import array
from collections.abc import Iterator

import pytest

from drivers import registry
from drivers.contract import Conversation, ExposureSettings, SetBaud
from drivers.errors import LinkLost
from drivers.links.memory import MemoryLink
from drivers.links.serial import SerialLink
from drivers.links.usb import UsbPipeLink
from drivers.session import Session
from firmware_sim.devices.obp import ObpOnUsb
from firmware_sim.hosts.pyusb_backend import SimulatedUsb
from firmware_sim.scene import Ramp

SPEEDS = {9_600: termios.B9600, 57_600: termios.B57600, 115_200: termios.B115200}


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    master, slave = os.openpty()
    yield master, slave
    for handle in (master, slave):
        os.close(handle)


def at(baud: int) -> Conversation[None]:
    yield SetBaud(baud=baud)


def test_a_conversation_sets_the_rate_of_a_serial_port(terminal: tuple[int, int]):
    master, slave = terminal
    with Session(SerialLink.open(os.ttyname(slave))) as session:
        for baud, speed in SPEEDS.items():
            session.perform(at(baud))
            assert termios.tcgetattr(master)[4:6] == [speed, speed]


def test_a_port_that_has_gone_has_no_rate():
    master, slave = os.openpty()
    link = SerialLink.open(os.ttyname(slave))
    os.close(slave)
    os.close(master)

    with Session(link) as session, pytest.raises(LinkLost, match="57600 baud"):
        session.perform(at(57_600))


def test_a_link_without_a_rate_takes_no_notice():
    ours, theirs = MemoryLink.pair()
    with Session(ours) as session:
        session.perform(at(9_600))
    theirs.close()


class Watching(SimulatedUsb):
    """Notes how many bytes each read asks for."""

    asked: list[int]

    def bulk_read(self, dev_handle: object, ep: int, intf: int, buff: array[int], timeout: int) -> int:
        self.asked.append(len(buff))
        return super().bulk_read(dev_handle, ep, intf, buff, timeout)  # type: ignore[arg-type]


def test_no_read_waits_for_a_packet_that_an_answer_of_whole_packets_does_not_have():
    """An STS sends 64 or 2112 bytes in packets of 64, and nothing after the last one."""
    device, settings = registry.load("obp").over("usb"), ExposureSettings(integration_ms=1.0)
    bus = Watching(ObpOnUsb("sts-nir", Ramp(), speed=0.0))
    assert device.usb is not None
    with Session(UsbPipeLink.open(device.usb, backend=lambda: bus)) as session:
        bus.asked = []
        unit = session.perform(device.open())
        session.perform(device.configure(unit, settings))
        bus.asked = []
        session.perform(device.scan(unit, settings))

    assert bus.asked == [2112, 64]
