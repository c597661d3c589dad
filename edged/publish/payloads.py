"""What we say on MQTT besides records, and what we accept: closed pydantic models, whose JSON Schemas are published."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from edged.infer.verdict import Model, Preset, Procedure

Verb = Literal["measure", "reference", "dark", "selftest", "status"]
VERBS: tuple[Verb, ...] = ("measure", "reference", "dark", "selftest", "status")
ShortText = Annotated[str, StringConstraints(max_length=128)]


class Status(Model):
    """Whether the daemon is there. The broker itself sends the last one (`lost`) when the daemon falls silent."""

    schema_: Literal["edged.status/1"] = Field(default="edged.status/1", alias="schema")
    state: Literal["online", "offline"]
    reason: Literal["connected", "stopped", "lost"]
    since: str = Field(description="UTC, RFC 3339: when this connection began; for `stopped`, when it ended")
    version: str = Field(description="version of edged")
    historical_through_seq: int = Field(
        default=0,
        description="records up to this seq were stored before this connection began; any that arrive now are late",
    )


class StationInfo(Model):
    """A place where an instrument is plugged in."""

    name: str
    kind: str
    title: str = ""
    model: str | None = None
    serial_number: str | None = None
    procedure: Procedure
    preset: Preset


class Description(Model):
    """What this device is and can do."""

    schema_: Literal["edged.description/1"] = Field(default="edged.description/1", alias="schema")
    version: str
    stations: tuple[StationInfo, ...] = ()
    verbs: tuple[Verb, ...] = VERBS
    schemas: dict[str, str] = Field(default_factory=dict, description="topic -> name and edition of its payload")


class JudgingBundle(Model):
    """A model that judges at present; all fields None when there is none."""

    name: str | None = None
    version: str | None = None
    digest: str | None = None
    procedures: tuple[Procedure, ...] = Field(default=(), description="what it answers")
    labels: tuple[str, ...] = Field(default=(), description="the classes that it tells apart")
    amounts: tuple[str, ...] = Field(default=(), description="labels of the amounts that it quantifies")
    compounds: tuple[str, ...] = Field(default=(), description="the compounds that it finds in a mixture")


class BundleReport(JudgingBundle):
    """The model that judges wherever a station has none of its own, and those of stations that have."""

    schema_: Literal["edged.bundle-report/1"] = Field(default="edged.bundle-report/1", alias="schema")
    stations: dict[str, JudgingBundle] = Field(
        default_factory=dict, description="by station, of those that have a model of their own"
    )


class StationHealth(Model):
    """How one station does. `reason` says why it is not ready."""

    name: str
    state: str
    reason: str = ""


class Health(Model):
    """How the daemon does, sent at a fixed interval."""

    schema_: Literal["edged.health/1"] = Field(default="edged.health/1", alias="schema")
    state: Literal["well", "degraded", "unwell"]
    uptime_s: float
    stations: tuple[StationHealth, ...] = ()
    outbox_depth: int = 0
    free_bytes: int | None = None
    warnings: tuple[str, ...] = Field(default=(), description="codes of the alerts that hold at present")
    metrics: dict[str, float] = Field(default_factory=dict)


class Alert(Model):
    """Something a human should know. Sent when it begins (`active`) and when it ends."""

    schema_: Literal["edged.alert/1"] = Field(default="edged.alert/1", alias="schema")
    code: str
    severity: Literal["info", "warning", "error"]
    active: bool
    text: str
    hint: str = ""
    station: str | None = None
    since: str = Field(description="UTC, RFC 3339")


class AuditHead(Model):
    """The end of the hash chain. Whoever keeps it can tell later whether the journal's tail was cut off."""

    schema_: Literal["edged.head/1"] = Field(default="edged.head/1", alias="schema")
    seq: int
    hash: str


class CommandRequest(Model):
    """The payload of a command. Every verb but `status` needs `station`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    station: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    operator: ShortText | None = None
    lot: ShortText | None = None
    barcode: Annotated[str, StringConstraints(max_length=256)] | None = None
    note: Annotated[str, StringConstraints(max_length=1000)] | None = None
    procedure: Procedure | None = Field(default=None, description="what is asked; default: the station's")
    claimed: Annotated[str, StringConstraints(max_length=64)] | None = Field(
        default=None, description="for procedure `verify`: the label that the sample is said to be"
    )
    preset: Preset | None = Field(default=None, description="operating point; default: the station's")
    explain: bool | None = Field(
        default=None, description="for `measure`: say too which bands the verdict rests on; default: the station's"
    )
    material: Annotated[str, StringConstraints(max_length=64)] | None = Field(
        default=None, description="for `selftest`: what is measured, such as polystyrene; default: the station's"
    )
    request_id: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = Field(
        default=None, description="comes back in the reply; the same one again is not carried out twice"
    )


class CommandFailure(Model):
    """Why a command was not carried out."""

    code: str
    message: str
    hint: str = ""


class CommandReply(Model):
    """The answer to a command: `result` when it was carried out, else `error`."""

    schema_: Literal["edged.reply/1"] = Field(default="edged.reply/1", alias="schema")
    verb: str
    request_id: str | None = None
    ok: bool
    result: dict[str, Any] | None = Field(
        default=None, description="`status`: {health: ...}; every other verb: {record: the stored record}"
    )
    error: CommandFailure | None = None


def to_json(payload: Model) -> bytes:
    """Return the bytes that go on the wire."""
    return payload.model_dump_json(by_alias=True).encode()
