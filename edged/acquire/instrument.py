"""One instrument on one port, through its driver: each thing a station does to it is one blocking call."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from drivers.contract import Device, Environment, Identity, Link, RawScan, ScanSettings
from drivers.errors import DriverError, LinkLost
from drivers.links.serial import SerialLink
from drivers.session import Session


class DriverInstrument:
    """Implements `edged.acquire.station.Instrument` with a device file and a session."""

    def __init__(
        self,
        device: Device,
        port: str,
        settings: ScanSettings,
        *,
        open_link: Callable[[str], Link] = SerialLink.open,
    ) -> None:
        self._device = device
        self._port = port
        self._settings = settings
        self._open_link = open_link
        self._session: Session | None = None
        self._known = False  # only a device that has said who it is gets its light switched off: others are not ours

    def open(self) -> Identity:
        """Open the link, make the light source safe, ask who is there."""
        self.close()
        self._session = Session(self._open_link(self._port))
        identity = self._session.perform(self._device.open())
        self._known = True
        return identity

    def prepare(self) -> None:
        """Make the settings current."""
        self._opened().perform(self._device.configure(self._settings))

    def scan(self) -> RawScan:
        """Measure once."""
        return self._opened().perform(self._device.scan(self._settings))

    def keep_alive(self) -> Environment:
        """Read temperatures and the like."""
        return self._opened().perform(self._device.environment())

    def close(self) -> None:
        """Switch the light off if the device is known and still listens; close. Never raises."""
        session, self._session = self._session, None
        if session is None:
            return
        if self._known:
            with contextlib.suppress(DriverError):
                session.perform(self._device.close(), interruptible=False)
        self._known = False
        session.close()

    def interrupt(self) -> None:
        """From any thread: make the call under way return soon."""
        session = self._session
        if session is not None:
            session.interrupt()

    def _opened(self) -> Session:
        if self._session is None:
            raise LinkLost(f"{self._port}: not open")
        return self._session
