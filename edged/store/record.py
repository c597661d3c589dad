"""The record: what we keep and send. Its JSON Schema is generated from these classes and published."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edged.infer.verdict import Model, Preset, Procedure, Verdict
from edged.spectra.quality import Quality as Quality

SCHEMA = "edged.record/1"


class InstrumentInfo(Model):
    """The unit that measured."""

    kind: str
    model: str
    serial_number: str


class TakenAt(Model):
    """When light met the detector. Order is by (boot_id, seq): `wall` may be wrong while clock is unsynced."""

    wall: str = Field(description="UTC, RFC 3339 with milliseconds")
    monotonic_s: float
    boot_id: str
    clock: Literal["synced", "unsynced"]


class BundleInfo(Model):
    """The model that judged."""

    name: str
    version: str
    digest: str


class ReferenceInfo(Model):
    """The white reference used for this reading."""

    id: str
    age_s: float | None = Field(
        description="null when nobody knows: taken in another boot, and one of the clocks was not synced"
    )
    state: Literal["fresh", "stale", "mismatched"]


class PeakInfo(Model):
    """One published position, and where the instrument saw it, 1/cm. doubt: why it does not count, null if it does."""

    table: float
    found: float
    corrected: float | None = None
    doubt: str | None = None


class AxisCorrectionInfo(Model):
    """The correction of the axis that holds until the next self test; its formula: `edged.spectra.standards`."""

    coefficients: tuple[float, ...]
    first: float
    last: float
    material: str
    peaks: int
    residual: float
    cross_validated: float


class SelfTestInfo(Model):
    """What a self test found. Deviations are found - table in 1/cm, before and after the correction.

    width_cm1: full width at half maximum of the clearest band. frame_noise, dark_level: counts of one frame and of the
    median pixel without light; null where there was one frame only, or no dark one.
    """

    material: str
    verdict: Literal["pass", "warn", "fail"]
    reasons: tuple[str, ...] = ()
    peaks: tuple[PeakInfo, ...] = ()
    max_deviation_before: float | None = None
    max_deviation_after: float | None = None
    width_cm1: float | None = None
    frame_noise: float | None = None
    dark_level: float | None = None
    correction: AxisCorrectionInfo | None = None


class ReadingInfo(Model):
    """How it was measured, and the digests of what is stored beside the record."""

    scan_index: int | None = Field(description="the instrument's own count; null where it does not count")
    settings: dict[str, bool | float | int | str | None]
    environment: dict[str, float | int | None]
    corrections: tuple[str, ...] = Field(
        default=(), description="what was done to the counts, in order: name/version and with what"
    )
    scan_sha256: str
    spectrum_sha256: str


class Draft(Model):
    """A record before the journal gives it its place in the chain.

    kind: `result` is a verdict about a sample, `reference` a white and `dark` a dark reference that was taken,
    `selftest` what a self test found, `clock` a correction written when the wall clock became synced.
    """

    kind: Literal["result", "reference", "dark", "selftest", "clock"] = "result"
    id: str
    device: str
    station: str | None = None
    instrument: InstrumentInfo | None = None
    taken_at: TakenAt
    procedure: Procedure | None = None
    preset: Preset | None = None
    bundle: BundleInfo | None = None
    reading: ReadingInfo | None = None
    reference: ReferenceInfo | None = None
    quality: Quality | None = None
    verdict: Verdict | None = None
    selftest: SelfTestInfo | None = None
    operator: str | None = None
    lot: str | None = None
    barcode: str | None = None
    note: str | None = None
    timing_ms: dict[str, float] = Field(default_factory=dict)


class Record(Draft):
    """A stored record. `hash` is SHA-256 over the canonical JSON of all other fields, `prev_hash` included.

    What canonical means, and how to verify a chain without our code: `edged.store.journal`.
    """

    schema_: Literal["edged.record/1"] = Field(default="edged.record/1", alias="schema")
    seq: int
    attachments: dict[str, str] = Field(
        default_factory=dict, description="SHA-256, in lower-case hex, of each file stored beside the record, by name"
    )
    prev_hash: str
    hash: str
