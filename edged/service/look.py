"""What nobody asks for is looked at every few seconds: disk, clock, references, broker. What changed is said, once."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import NoReturn

from edged.acquire.reading import Moment
from edged.acquire.station import Station
from edged.config.vocabulary import Configuration
from edged.publish.mqtt import Publisher
from edged.publish.payloads import Alert
from edged.service import tell
from edged.service.clock import BoardClock, moment_of, taken_at
from edged.service.drifting import readable
from edged.service.health import Ailment, Health
from edged.service.measure import Measuring
from edged.service.notify import Notifier
from edged.service.threads import ModelThread, StoreThread
from edged.store.errors import StoreDamaged, StoreError
from edged.store.journal import Journal
from edged.store.record import Draft, Record
from edged.store.retention import Retention, apply, room

log = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0
TIDY_EVERY_S = 3_600.0  # how often retention lets old attachments go


class Lookout:
    """Run `run` as one task. `store_look` is the store as last seen."""

    def __init__(
        self,
        *,
        configuration: Configuration,
        stations: Mapping[str, Station],
        measuring: Measuring,
        model: ModelThread,
        store: StoreThread,
        policy: Retention,
        publisher: Publisher | None,
        health: Health,
        notifier: Notifier,
        clock: BoardClock,
        began: Moment,
        new_id: Callable[[], str],
        on_record: Callable[[Record], None],
    ) -> None:
        self._configuration = configuration
        self._stations = stations
        self._measuring = measuring
        self._model = model
        self._store = store
        self._policy = policy
        self._publisher = publisher
        self._health = health
        self._notifier = notifier
        self._clock = clock
        self._began = began
        self._new_id = new_id
        self._on_record = on_record
        self._shown: dict[tuple[str, str], Ailment] = {}
        self.store_look = tell.StoreLook()

    async def run(self) -> NoReturn:
        """Disk, clock, references and broker, every few seconds; what changed is said."""
        tidied_s = -TIDY_EVERY_S
        doubtful = await self._doubtful() if self._began.synced else self._began
        while True:
            await self.look_at_store()
            now = self._clock.now()
            if now.synced and doubtful is not None and await self._record_clock(now, doubtful):
                doubtful = None
            self._health.set("clock_unsynced", stands=not now.synced)
            if self._publisher is not None:
                state = self._publisher.state
                self._health.set("broker_away", stands=not state.connected, detail=state.error)
                self._health.set("records_refused", stands=bool(state.refused), detail=state.refused)
            self._health.set("bundle_unusable", stands=bool(self._model.problem), detail=self._model.problem)
            for name, own in self._model.own.items():
                self._health.set("bundle_unusable", stands=own.analyzer is None, subject=name, detail=own.problem)
            for name in self._stations:
                await self.look_at_reference(name, now)
            self._say_what_changed(now)
            if time.monotonic() - tidied_s >= TIDY_EVERY_S:
                await self.tidy(now)
                tidied_s = time.monotonic()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look_at_store(self) -> None:
        """Renew `store_look`."""
        try:
            self.store_look = await self._store(self._look_into)
        except StoreError as error:
            self._health.set("store_fails", stands=True, detail=str(error))
        else:
            self._health.set("store_fails", stands=False)
            self._health.set("disk_low", stands=not self.store_look.has_room)

    def _look_into(self, journal: Journal) -> tell.StoreLook:
        """On the store's thread."""
        space = room(journal, self._policy)
        head = journal.head()
        return tell.StoreLook(
            records=head.seq if head else 0,
            to_send=journal.outbox.depth(),
            free_bytes=space.free_bytes,
            has_room=space.is_enough,
        )

    async def look_at_reference(self, name: str, now: Moment) -> None:
        """Say in health whether a station's white reference is there and fresh, and whether its self tests hold."""
        status = self._stations[name].status
        if status.identity is None:
            return
        try:
            kept = await self._measuring.references(name, status.identity.serial_number)
        except StoreDamaged as error:  # not one record, but what tells where they are
            self._health.set("store_fails", stands=True, subject=name, detail=str(error))
            return
        except StoreError:
            return  # `store_fails` of the whole device says so
        self._health.set("store_fails", stands=False, subject=name)
        damaged = "; ".join(kept.damaged.values())
        self._health.set("record_damaged", stands=bool(damaged), subject=name, detail=damaged)
        config, analyzer, reference = self._configuration.station[name], self._model.at(name).analyzer, kept.white
        wants_white = analyzer is not None and analyzer.bundle.manifest.quantity != "intensity"
        await self._look_at_selftests(name, status.identity.serial_number, now)
        age_s = reference.moment.age_s(now) if reference else None
        limit_s = config.reference_max_age_s
        self._health.set("reference_missing", stands=wants_white and reference is None, subject=name)
        self._health.set(
            "reference_stale",
            stands=wants_white and reference is not None and (age_s is None or age_s > limit_s),
            subject=name,
            detail="its age is unknown: the clock was not synced" if age_s is None else f"{age_s / 60:.0f} min old",
        )

    async def _look_at_selftests(self, name: str, serial_number: str, now: Moment) -> None:
        found = await self._measuring.standing(name, serial_number, now)
        config = self._configuration.station[name].selftest
        expected = config.gate != "off" or config.interval_h is not None
        due = "; ".join(one.brief for one in found.due)
        failed = "; ".join(one.brief for one in found.failed)
        self._health.set("selftest_due", stands=expected and bool(due), subject=name, detail=due)
        self._health.set("selftest_failed", stands=bool(failed), subject=name, detail=failed)

    async def tidy(self, now: Moment) -> None:
        """Let retention work; by age only when the time is known, for what it drops does not come back."""
        policy = self._policy if now.synced else replace(self._policy, max_age_days=None)
        today = datetime.fromtimestamp(now.wall_s, UTC)
        try:
            while dropped := (await self._store(lambda journal: apply(journal, policy, now=today))).attachments:
                log.info("retention dropped attachments=%d", dropped)
        except StoreError as error:
            log.warning("retention has to wait: %s", error)

    async def _doubtful(self) -> Moment | None:
        """Return the moment of the last record, if a daemon before us wrote it in this boot with an unsynced clock."""
        try:
            last = await self._store(lambda journal: next(readable(journal, newest_first=True), None))
        except StoreError:
            return None  # `store_fails` will say so
        moment = moment_of(last.taken_at) if last else self._began
        return moment if moment.boot_id == self._began.boot_id and not moment.synced else None

    async def _record_clock(self, now: Moment, doubtful: Moment) -> bool:
        """Write the correction: what boot_id and monotonic time mean in wall time, from now on known."""
        step_s = (now.wall_s - now.monotonic_s) - (doubtful.wall_s - doubtful.monotonic_s)
        draft = Draft(
            kind="clock",
            id=self._new_id(),
            device=self._configuration.device,
            taken_at=taken_at(now),
            note=f"clock synced; wall times of this boot before now are {step_s:+.3f} s off",
        )
        try:
            self._on_record(await self._store(lambda journal: journal.append(draft)))
        except StoreError as error:
            log.warning("the clock's correction cannot be stored yet: %s", error)
            return False
        log.info("clock synced step_s=%.3f", step_s)
        return True

    def _say_what_changed(self, now: Moment) -> None:
        ailments = self._health.warnings()
        current = {(a.code, a.subject): a for a in ailments}
        for key in current.keys() ^ self._shown.keys():
            active = key in current
            ailment = current[key] if active else self._shown[key]
            level = logging.WARNING if active else logging.INFO
            subject = f" subject={ailment.subject}" if ailment.subject else ""
            log.log(level, "%s%s %s", ailment.code, subject, (ailment.detail or ailment.text) if active else "is over")
            if self._publisher is not None:
                self._publisher.alert(alert_of(ailment, active=active, now=now, stations=self._stations))
        self._shown = current
        state = self._publisher.state if self._publisher else None
        self._notifier.status(tell.one_line(list(self._stations.values()), self.store_look, state, ailments))


def alert_of(ailment: Ailment, *, active: bool, now: Moment, stations: Mapping[str, Station]) -> Alert:
    """Return what is sent when a condition begins or ends: of a station under its name, else with the part's before."""
    since_s = now.wall_s - (now.monotonic_s - ailment.since_s)
    since = Moment(wall_s=since_s, monotonic_s=ailment.since_s, boot_id=now.boot_id, synced=now.synced)
    of_station = ailment.subject in stations
    part = f"{ailment.subject}: " if ailment.subject and not of_station else ""
    return Alert(
        code=ailment.code,
        severity="error" if ailment.severity == "fault" else "warning",
        active=active,
        text=part + (ailment.detail or ailment.text),
        hint=ailment.text if ailment.detail else "",
        station=ailment.subject if of_station else None,
        since=taken_at(since).wall,
    )
