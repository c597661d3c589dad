"""The composition root: rooms put together into one daemon. asyncio supervises, threads block.

Threads: the loop's (main); one a station (`st-<name>`), owning its port; `infer`, owning the model; `store`, owning the
journal; and the broker connection's own. Between them only calls through bounded queues.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from drivers.registry import load as load_device
from edged import __version__
from edged.acquire.instrument import DriverInstrument
from edged.acquire.lifecycle import State
from edged.acquire.station import Station, StationPlan, StationStatus
from edged.acquire.worker import Worker
from edged.config.vocabulary import Configuration, StationConfig
from edged.publish.commands import Command, CommandRefused
from edged.publish.mqtt import Publisher
from edged.publish.payloads import Health as HealthPayload
from edged.service import tell
from edged.service.clock import BoardClock
from edged.service.control import (
    ControlServer,
    LookRequest,
    MeasureRequest,
    ReferenceRequest,
    Refusal,
    RenewRequest,
    Request,
    SelfTestRequest,
    StatusRequest,
)
from edged.service.drift import DriftWatch
from edged.service.health import Health
from edged.service.look import Lookout
from edged.service.measure import EXPECTED, Measuring, UnknownStation, refused
from edged.service.memory import give_back
from edged.service.notify import Notifier
from edged.service.pipeline import Asked
from edged.service.plugs import watch_plugs
from edged.service.schedule import keep_measured, keep_tested
from edged.service.settings import drift_rules, exposure_plan, mqtt_settings, path_or_none, retention, scan_within_s
from edged.service.supervise import keep_running
from edged.service.threads import ModelThread, StoreThread
from edged.service.watch import watch
from edged.store.identity import Uuid7
from edged.store.record import Record

log = logging.getLogger(__name__)

STATIONS_STOP_S = 2.5  # these four add up to less than the 5 s that an orderly stop may take
RECORDS_STOP_S = 0.5  # and what the stations leave of theirs, which is most of it as a rule
PUBLISHER_STOP_S = 1.2
CONTROL_STOP_S = 0.2
STATUS_LOOK_S = 1.0


class Daemon:
    """Made from a valid configuration; `run` lives until SIGTERM or SIGINT."""

    def __init__(self, configuration: Configuration, *, environ: Mapping[str, str]) -> None:
        self.configuration = configuration
        self._clock = BoardClock()
        self._began = self._clock.now()
        self._notifier = Notifier(environ)
        self._health = Health(time.monotonic)
        self._new_id = Uuid7()
        self._policy = retention(configuration)
        self._stop = asyncio.Event()
        self._store = StoreThread(Path(configuration.storage.path))
        self._model = ModelThread()
        self._told: dict[str, object] = {}  # by station: what the broker was last told of it
        self._station_workers = {name: Worker(f"st-{name}", size=4) for name in configuration.station}
        self._stations = {name: self._station(name, config) for name, config in configuration.station.items()}
        self._measuring = Measuring(
            device=configuration.device,
            preset=configuration.bundle.preset,
            stations={name: (self._stations[name], config) for name, config in configuration.station.items()},
            model=self._model,
            store=self._store,
            policy=self._policy,
            new_id=self._new_id,
            clock=time.monotonic,
            on_record=self._recorded,
        )
        self._drift = DriftWatch(
            rules=drift_rules(configuration.drift),
            device=configuration.device,
            stations=list(configuration.station),
            model=self._model,
            store=self._store,
            health=self._health,
            now=self._clock.now,
            new_id=self._new_id,
            on_record=self._recorded,
        )
        self._control = ControlServer(Path(configuration.control.path), self._controlled)
        self._publisher = self._make_publisher(environ) if configuration.mqtt.enabled else None
        self._lookout = Lookout(
            configuration=configuration,
            stations=self._stations,
            measuring=self._measuring,
            model=self._model,
            store=self._store,
            policy=self._policy,
            publisher=self._publisher,
            health=self._health,
            notifier=self._notifier,
            clock=self._clock,
            began=self._began,
            new_id=self._new_id,
            on_record=self._recorded,
        )

    async def run(self) -> bool:
        """Live until a signal; true when all could be stopped in order. Raises StoreError or OSError at start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        try:
            await self._store.open()
            await self._control.start()
            own = {name: config.bundle for name, config in self.configuration.station.items()}
            storage = Path(self.configuration.storage.path)
            await self._model.load(path_or_none(self.configuration.bundle.path), storage, own)
            give_back()
            async with asyncio.TaskGroup() as group:
                await self._live(group)
        finally:
            in_order = await self._end()
        return in_order

    async def _live(self, group: asyncio.TaskGroup) -> None:
        stations = [self._supervised(group, f"station {name}", station.run) for name, station in self._stations.items()]
        triggers = []
        for name, config in self.configuration.station.items():
            if config.interval_s is not None:
                part = functools.partial(
                    keep_measured, self._stations[name], self._measuring, interval_s=config.interval_s, name=name
                )
                triggers.append(self._supervised(group, f"interval {name}", part))
            if config.selftest.interval_h is not None:
                testing = functools.partial(
                    keep_tested, self._stations[name], self._measuring, now=self._clock.now, name=name
                )
                triggers.append(self._supervised(group, f"self test {name}", testing))
        others = [
            self._supervised(group, "watch", lambda: watch(self._workers(), self._notifier, self._health)),
            self._supervised(group, "look", self._lookout.run),
            self._supervised(group, "plugs", lambda: watch_plugs(self._plugged)),
        ]
        if self.configuration.drift.enabled:
            others.append(self._supervised(group, "drift", self._drift.run))
        publishing = self._supervised(group, "publisher", self._publisher.run) if self._publisher else None
        self._notifier.ready()
        names = ", ".join(self._stations) or "none"
        log.info("edged %s ready site=%s stations=%s", __version__, self.configuration.site, names)
        await self._stop.wait()
        self._notifier.stopping()
        log.info("stopping")
        records_by_s = asyncio.get_running_loop().time() + STATIONS_STOP_S + RECORDS_STOP_S
        await _cancelled(triggers, CONTROL_STOP_S)
        await _cancelled(stations, STATIONS_STOP_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(records_by_s):
                await self._measuring.until_idle()
        if self._publisher is not None and publishing is not None:
            self._publisher.stop()
            await asyncio.wait({publishing}, timeout=PUBLISHER_STOP_S)
            await _cancelled([publishing], CONTROL_STOP_S)
        await _cancelled(others, CONTROL_STOP_S)

    async def _end(self) -> bool:
        await self._control.stop()
        stopped = [await worker.stop(CONTROL_STOP_S) for worker in self._station_workers.values()]
        stopped += [await self._model.close(), await self._store.close()]
        self._notifier.close()
        if not all(stopped):
            log.error("a thread did not end in time")
        return all(stopped)

    def _supervised(
        self, group: asyncio.TaskGroup, name: str, part: Callable[[], Coroutine[Any, Any, object]]
    ) -> asyncio.Task[None]:
        return group.create_task(
            keep_running(name, part, on_failure=self._part_failed, is_stopping=self._stop.is_set), name=name
        )

    def _workers(self) -> list[Worker]:
        return [self._store.worker, self._model.worker, *self._station_workers.values()]

    def _station(self, name: str, config: StationConfig) -> Station:
        device = load_device(config.kind)
        overrides = config.settings.model_dump(exclude_none=True)
        settings = replace(device.default_settings, **overrides)
        instrument = DriverInstrument(
            device,
            config.port,
            settings,
            exposure=exposure_plan(config.exposure),
        )
        plan = StationPlan(name=name, kind=config.kind, port=config.port, serial_number=config.serial_number)
        plan = replace(plan, scan_within_s=scan_within_s(settings, config.exposure))
        return Station(
            plan,
            instrument,
            self._station_workers[name],
            now=self._clock.now,
            clock=time.monotonic,
            on_change=self._station_changed,
        )

    def _make_publisher(self, environ: Mapping[str, str]) -> Publisher:
        return Publisher(
            mqtt_settings(self.configuration, environ, stop_within_s=PUBLISHER_STOP_S),
            store=self._store,
            on_command=self._commanded,
            describe=lambda: tell.description(self.configuration, list(self._stations.values())),
            health=self._health_payload,
            bundle=lambda: tell.bundle_report(self._model),
        )

    def _recorded(self, record: Record) -> None:
        self._drift.notify()
        if self._publisher is not None:
            self._publisher.notify()
        if record.verdict is not None:
            log.debug("station=%s record=%s outcome=%s", record.station, record.id, record.verdict.outcome)

    def _part_failed(self, name: str, count: int) -> None:
        self._health.set("task_restarts", stands=True, subject=name, detail=f"{count} times")

    def _station_changed(self, status: StationStatus) -> None:
        for state, code in ((State.ABSENT, "station_absent"), (State.PARKED, "station_parked")):
            detail = f"{status.message} ({status.hint})" if status.hint else status.message
            self._health.set(code, stands=status.state is state, subject=status.name, detail=detail)
        told = (status.state in (State.READY, State.MEASURING), status.identity, status.message)
        if self._publisher is not None and self._told.get(status.name) != told:  # a measurement changes none of them
            self._told[status.name] = told
            self._publisher.refresh()

    def _plugged(self) -> None:
        """Something was plugged in or out: whoever misses an instrument looks now."""
        for station in self._stations.values():
            if station.status.state in (State.ABSENT, State.PARKED):
                station.look_again()

    def _health_payload(self) -> HealthPayload:
        return tell.health_payload(
            self._health.warnings(),
            list(self._stations.values()),
            self._lookout.store_look,
            uptime_s=time.monotonic() - self._began.monotonic_s,
            to_disk_ms=self._measuring.to_disk_ms,
        )

    async def _controlled(self, request: Request) -> dict[str, Any]:
        """Carry out a request of the control socket."""
        try:
            match request:
                case StatusRequest():
                    return await self._status()
                case MeasureRequest():
                    asked = Asked(**request.model_dump(exclude={"do", "station"}))
                    return _as_json(await self._measuring.sample(request.station, asked))
                case ReferenceRequest():
                    asked = Asked(operator=request.operator, note=request.note)
                    take = self._measuring.white if request.do == "reference" else self._measuring.dark
                    return _as_json(await take(request.station, asked))
                case SelfTestRequest():
                    asked = Asked(operator=request.operator, note=request.note)
                    material, baseline = request.material, request.baseline
                    return _as_json(await self._measuring.selftest(request.station, material, asked, baseline=baseline))
                case RenewRequest():
                    return _as_json(await self._renew(request))
                case LookRequest():
                    if request.station not in self._stations:
                        raise UnknownStation(request.station, list(self._stations))
                    self._stations[request.station].look_again()
                    return {}
        except EXPECTED as error:
            why = refused(error)
            raise Refusal(why.code, why.message, hint=why.hint) from error

    async def _renew(self, request: RenewRequest) -> Record:
        if request.station not in self._stations:
            raise UnknownStation(request.station, list(self._stations))
        if not self.configuration.drift.enabled:
            raise Refusal("drift_off", "drift.enabled is false, so nothing was learned", hint="set it and restart")
        asked = Asked(operator=request.operator, note=request.note)
        identity = self._stations[request.station].status.identity
        return await self._drift.renew(request.station, identity, request.product, asked)

    async def _commanded(self, command: Command) -> dict[str, Any]:
        """Carry out a command from the broker."""
        wish = command.request
        try:
            if command.verb == "status":
                return {"health": self._health_payload().model_dump(mode="json", by_alias=True)}
            assert wish.station is not None
            asked = Asked(**wish.model_dump(exclude={"station", "request_id", "material"}))
            match command.verb:
                case "measure":
                    record = await self._measuring.sample(wish.station, asked)
                case "reference":
                    record = await self._measuring.white(wish.station, asked)
                case "dark":
                    record = await self._measuring.dark(wish.station, asked)
                case "selftest":
                    record = await self._measuring.selftest(wish.station, wish.material, asked)
            return {"record": _as_json(record)}
        except EXPECTED as error:
            why = refused(error)
            raise CommandRefused(why.code, why.message, hint=why.hint) from error

    async def _status(self) -> dict[str, Any]:
        now = self._clock.now()
        with contextlib.suppress(TimeoutError):  # a store that hangs must not keep us from telling so
            async with asyncio.timeout(STATUS_LOOK_S):
                await self._lookout.look_at_store()
                for name in self._stations:
                    await self._lookout.look_at_reference(name, now)
        ailments = self._health.warnings()
        stations = []
        for name, station in self._stations.items():
            status = station.status
            serial_number = status.identity.serial_number if status.identity else None
            stations.append(
                tell.station_document(
                    station.plan,
                    status,
                    self.configuration.station[name],
                    self._model.own.get(name),
                    self._measuring.known_reference(name, serial_number) if serial_number else None,
                    self._measuring.known_selftests(name, serial_number) if serial_number else {},
                    self._measuring.latest.get(name),
                    self._measuring.to_disk_ms.get(name),
                    now,
                )
                | {"drift": self._drift.documents.get(name, [])}
            )
        return {
            "site": self.configuration.site,
            "device": self.configuration.device,
            "version": __version__,
            "pid": os.getpid(),
            "uptime_s": round(now.monotonic_s - self._began.monotonic_s, 1),
            "state": tell.overall(ailments),
            "clock": "synced" if now.synced else "unsynced",
            "stations": stations,
            "bundle": tell.bundle_document(self._model.usual),
            "broker": tell.broker_document(
                self.configuration, self._publisher.state if self._publisher is not None else None
            ),
            "journal": {
                "path": str(self._store.path),
                "records": self._lookout.store_look.records,
                "to_send": self._lookout.store_look.to_send,
                "free_bytes": self._lookout.store_look.free_bytes,
            },
            "warnings": [tell.ailment_document(a, now) for a in ailments],
        }


def _as_json(record: Record) -> dict[str, Any]:
    return record.model_dump(mode="json", by_alias=True)


async def _cancelled(tasks: list[asyncio.Task[None]], within_s: float) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=within_s)
