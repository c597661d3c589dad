"""One instrument on one port, through its driver: each thing a station does to it is one blocking call."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from drivers.clock import Clock
from drivers.contract import Device, Environment, ExposureSettings, Identity, Link, RawScan, Settings, Unit, UsbLink
from drivers.errors import DriverError, Interrupted, LaserAlarm, LinkLost
from drivers.links.ports import device_at, open_port
from drivers.session import Session
from edged.acquire.exposure import ExposurePlan, expose

log = logging.getLogger(__name__)


class DriverInstrument:
    """Implements `edged.acquire.station.Instrument` with a device file and a session."""

    def __init__(
        self,
        device: Device[Any],
        port: str,
        settings: Settings,
        *,
        exposure: ExposurePlan | None = None,
        open_link: Callable[[Device[Any], str], Link | UsbLink] = open_port,
        clock: Clock | None = None,
    ) -> None:
        self._device = device
        self._port = port
        self._settings = settings
        self._exposure = exposure
        self._open_link = open_link
        self._clock = clock
        self._current: ExposureSettings | None = None  # what it was told last, None: nobody knows
        self._session: Session | None = None
        self._unwanted = threading.Event()  # an interrupt while the link is being opened has no session to go to
        self._unit: Unit | None = None  # only who said who it is gets its light switched off

    def open(self) -> Identity:
        """Open the link, make the light source safe, ask who is there."""
        self.close()
        self._unwanted.clear()
        self._device = device_at(self._device, self._port)
        self._session = Session(self._open_link(self._device, self._port), clock=self._clock)
        if self._unwanted.is_set():
            self.close()
            raise Interrupted("stopped on request")
        unit: Unit = self._session.perform(self._device.open())
        self._unit = unit
        return unit.identity

    def prepare(self) -> None:
        """Make the settings current."""
        session, unit = self._opened()
        self._current = None
        session.perform(self._device.configure(unit, self._settings))
        self._current = self._settings if isinstance(self._settings, ExposureSettings) else None

    def scan(self, *, lit: bool = True) -> RawScan:
        """Measure once, with the exposure that the sample needs if that is wanted.

        lit False: the laser stays off, if there is one, and the exposure is the configured one.
        """
        session, unit = self._opened()
        settings, limits = self._settings, unit.limits
        if not isinstance(settings, ExposureSettings):
            return session.perform(self._device.scan(unit, settings))

        def measure(asked: ExposureSettings) -> RawScan:
            if asked != self._current:
                self._current = None  # one that fails may have told half of it
                session.perform(self._device.configure(unit, asked))
                self._current = asked
            return session.perform(self._device.scan(unit, asked))

        if not lit and settings.laser_mw is not None:
            return measure(replace(settings, laser_mw=None))
        if self._exposure is None or limits is None:
            return measure(settings)
        last = self._current or settings
        start = replace(settings, integration_ms=last.integration_ms)
        return expose(measure, start, limits, self._exposure).scan

    def keep_alive(self) -> Environment:
        """Read temperatures and the like."""
        session, unit = self._opened()
        return session.perform(self._device.environment(unit))

    def close(self) -> None:
        """Switch the light off if the device is known and still listens; close. Never raises."""
        session, self._session = self._session, None
        if session is None:
            return
        if self._unit is not None:
            try:
                session.perform(self._device.close(), interruptible=False)
            except LaserAlarm as alarm:
                log.critical("port=%s %s", self._port, alarm)
            except DriverError:  # the link may be gone; what can be done for the light was done
                log.debug("port=%s not closed in words", self._port, exc_info=True)
        self._unit = None
        session.close()

    def interrupt(self) -> None:
        """From any thread: make the call under way return soon."""
        self._unwanted.set()
        session = self._session
        if session is not None:
            session.interrupt()

    def _opened(self) -> tuple[Session, Unit]:
        if self._session is None or self._unit is None:
            raise LinkLost(f"{self._port}: not open")
        return self._session, self._unit
