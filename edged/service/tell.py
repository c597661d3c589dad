"""What the daemon tells of itself: one document for `edged status`, and the payloads that the publisher sends."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from edged import __version__
from edged.acquire.gate import SelfTests, SelfTestState, objection
from edged.acquire.lifecycle import State
from edged.acquire.reading import Moment
from edged.acquire.references import Reference
from edged.acquire.station import OPEN_WITHIN_S, Station, StationPlan, StationStatus
from edged.config.vocabulary import Configuration, StationConfig
from edged.infer.analyze import Analyzer
from edged.publish.mqtt import PublisherState
from edged.publish.payloads import BundleReport, Description, JudgingBundle, StationHealth, StationInfo
from edged.publish.payloads import Health as HealthPayload
from edged.service.health import Ailment
from edged.service.threads import INFER_WITHIN_S, STORE_WITHIN_S, Loaded, ModelThread
from edged.store.record import Record

Overall = Literal["well", "degraded", "unwell"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLook:
    """The store as it was at the last look."""

    records: int = 0
    to_send: int = 0
    free_bytes: int | None = None
    has_room: bool = True


def overall(ailments: list[Ailment]) -> Overall:
    """Unwell with a fault, degraded with a warning, else well."""
    if any(a.severity == "fault" for a in ailments):
        return "unwell"
    return "degraded" if ailments else "well"


def answers_within_s(plan: StationPlan, status: StationStatus) -> float:
    """Return how long whoever asks for one reading now may have to wait for the record: what stands before it, the
    scan, and the model and the disk at their slowest.
    """
    before = status.waiting + (status.state is State.MEASURING)
    opening_s = OPEN_WITHIN_S if status.state is State.OPENING else 0.0
    return round(opening_s + (before + 1) * plan.scan_within_s + INFER_WITHIN_S + STORE_WITHIN_S, 1)


def station_document(
    plan: StationPlan,
    status: StationStatus,
    config: StationConfig,
    own: Loaded | None,
    reference: Reference | None,
    selftests: SelfTests,
    latest: Record | None,
    to_disk_ms: float | None,
    now: Moment,
) -> dict[str, Any]:
    """One station, for `edged status --json`. own: its model, None where it is the usual one."""
    identity = status.identity
    shown: dict[str, Any] = {
        "name": status.name,
        "kind": status.kind,
        "port": status.port,
        "state": status.state.value,
        "for_s": round(now.monotonic_s - status.since_s, 1),
        "message": status.message,
        "hint": status.hint,
        "failures": status.failures,
        "waiting": status.waiting,
        "answers_within_s": answers_within_s(plan, status),
        "procedure": config.procedure,
        "trigger": config.trigger,
        "bundle": None if own is None else bundle_document(own),
        "instrument": None,
        "environment": dataclasses.asdict(status.environment) if status.environment else None,
        "reference": None,
        "selftests": [_selftest_document(state, config, now) for state in selftests.values()],
        "latest": None,
    }
    if identity is not None:
        shown["instrument"] = {
            "model": identity.model,
            "serial_number": identity.serial_number,
            "versions": dict(identity.versions),
        }
    if reference is not None:
        age_s = reference.moment.age_s(now)
        shown["reference"] = {
            "id": reference.id,
            "age_s": None if age_s is None else round(age_s, 1),
            "is_fresh": age_s is not None and age_s <= config.reference_max_age_s,
        }
    if latest is not None:
        shown["latest"] = {
            "id": latest.id,
            "kind": latest.kind,
            "wall": latest.taken_at.wall,
            "outcome": latest.verdict.outcome if latest.verdict else None,
            "label": latest.verdict.label if latest.verdict else None,
            "probability": latest.verdict.probability if latest.verdict else None,
            "amounts": latest.verdict.amounts_in_words() if latest.verdict else "",
            "components": latest.verdict.components_in_words() if latest.verdict else "",
            "to_disk_ms": None if to_disk_ms is None else round(to_disk_ms, 3),
        }
    return shown


def _selftest_document(state: SelfTestState, config: StationConfig, now: Moment) -> dict[str, Any]:
    age_s = state.moment.age_s(now)
    return {
        "subject": state.subject,
        "material": state.material,
        "verdict": state.verdict,
        "age_s": None if age_s is None else round(age_s, 1),
        "holds": objection(state.subject, state, now, config.selftest.max_age_h * 3600.0) is None,
        "is_corrected": state.correction is not None,
    }


def bundle_document(loaded: Loaded) -> dict[str, Any]:
    """A model, for `edged status --json`."""
    analyzer = loaded.analyzer
    if analyzer is None:
        return {"name": None, "problem": loaded.problem or "each station has one of its own"}
    manifest = analyzer.bundle.manifest
    return {
        "name": manifest.name,
        "version": manifest.version,
        "digest": analyzer.bundle.digest,
        "classes": len(manifest.classes),
        "amounts": len(manifest.amounts),
        "compounds": len(manifest.compounds),
        "path": str(analyzer.bundle.path) if analyzer.bundle.path else None,
        "problem": "",
    }


def broker_document(configuration: Configuration, state: PublisherState | None) -> dict[str, Any]:
    """The broker, for `edged status --json`."""
    mqtt = configuration.mqtt
    shown: dict[str, Any] = {"enabled": mqtt.enabled, "host": mqtt.host, "port": mqtt.port}
    if state is not None:
        shown |= {"connected": state.connected, "protocol": state.protocol, "sent": state.sent, "error": state.error}
        shown["refused"] = state.refused
    return shown


def ailment_document(ailment: Ailment, now: Moment) -> dict[str, Any]:
    """One warning, for `edged status --json`."""
    return {
        "code": ailment.code,
        "severity": ailment.severity,
        "subject": ailment.subject,
        "text": ailment.text,
        "detail": ailment.detail,
        "for_s": round(now.monotonic_s - ailment.since_s, 1),
    }


def description(configuration: Configuration, stations: list[Station]) -> Description:
    """What this device is, for the broker."""
    infos = []
    for station in stations:
        config = configuration.station[station.plan.name]
        identity = station.status.identity
        infos.append(
            StationInfo(
                name=station.plan.name,
                kind=config.kind,
                model=identity.model if identity else None,
                serial_number=identity.serial_number if identity else None,
                procedure=config.procedure,
                preset=config.preset or configuration.bundle.preset,
            )
        )
    return Description(version=__version__, stations=tuple(infos))


def bundle_report(model: ModelThread) -> BundleReport:
    """The models, for the broker."""
    own = {name: JudgingBundle(**_reported(loaded.analyzer)) for name, loaded in model.own.items()}
    return BundleReport(**_reported(model.analyzer), stations=own)


def _reported(analyzer: Analyzer | None) -> dict[str, Any]:
    if analyzer is None:
        return {}
    manifest = analyzer.bundle.manifest
    return {
        "name": manifest.name,
        "version": manifest.version,
        "digest": analyzer.bundle.digest,
        "procedures": manifest.procedures,
        "labels": tuple(c.label for c in manifest.classes),
        "amounts": tuple(a.label for a in manifest.amounts),
        "compounds": tuple(c.label for c in manifest.compounds),
    }


def health_payload(
    ailments: list[Ailment], stations: list[Station], look: StoreLook, *, uptime_s: float, to_disk_ms: dict[str, float]
) -> HealthPayload:
    """How the daemon does, for the broker."""
    return HealthPayload(
        state=overall(ailments),
        uptime_s=round(uptime_s, 1),
        stations=tuple(
            StationHealth(name=s.plan.name, state=s.status.state.value, reason=s.status.message) for s in stations
        ),
        outbox_depth=look.to_send,
        free_bytes=look.free_bytes,
        warnings=tuple(dict.fromkeys(a.code for a in ailments)),
        metrics={f"to_disk_ms.{name}": round(value, 3) for name, value in to_disk_ms.items()},
    )


def one_line(stations: list[Station], look: StoreLook, state: PublisherState | None, ailments: list[Ailment]) -> str:
    """One line for `systemctl status`."""
    ready = sum(s.status.state.value in ("ready", "measuring") for s in stations)
    broker = "no broker configured" if state is None else "broker connected" if state.connected else "broker away"
    text = f"{overall(ailments)}: {ready} of {len(stations)} stations ready, {broker}, {look.to_send} records to send"
    return f"{text}; {ailments[0].code} {ailments[0].subject}".rstrip() if ailments else text
