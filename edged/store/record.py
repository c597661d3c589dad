"""The record: what we keep and send. Its JSON Schema is generated from these classes and published."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from edged.infer.verdict import MAX_TARGETS, Model, Preset, Procedure, Verdict, Why
from edged.monitor.words import Cause, DriftEvent, SignalName
from edged.spectra.quality import Quality as Quality
from edged.spectra.standards.outcome import CheckName, CheckVerdict, Subject

SCHEMA = "edged.record/1"
DriftChart = Literal["cusum", "white", "ewma", "zones"]  # a word once stored stays readable; charts come and go
SPECTRUM = "spectrum.npz"  # attachment: what was judged, or a white reference's counts


class InstrumentInfo(Model):
    """The unit that measured."""

    kind: str
    model: str
    serial_number: str


def _wall(text: str) -> str:
    """Records are read back from disks that fail: what is no time with a zone is found there, not where it is used."""
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("no zone")
    return text


class TakenAt(Model):
    """When light met the detector. Order is by (boot_id, seq): `wall` may be wrong while clock is unsynced."""

    wall: Annotated[str, AfterValidator(_wall)] = Field(description="UTC, RFC 3339 with milliseconds")
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


class CheckInfo(Model):
    """One check of a self test. verdict: null where there is no limit to judge by, and the value is only told.

    unit: of value and limit; empty for a share.
    """

    name: CheckName
    verdict: CheckVerdict | None
    value: float | None
    unit: str
    limit: float | None
    message: str
    hint: str = Field(default="", description="what to do")


class PeakInfo(Model):
    """One published position, and where the instrument saw it. doubt: why it does not count, null if it does."""

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
    """What a self test found. Its verdict is the worst of its checks; `warn` also when its own was not judged.

    covered: the first and last published position that was checked; outside, nothing is known. compared_with: the id of
    the self test whose response (attachment `response.npz`) a glass was compared with.
    """

    material: str
    subject: Subject = Field(description="what the material tells: the latest self test of each subject counts")
    verdict: CheckVerdict
    checks: tuple[CheckInfo, ...]
    peaks: tuple[PeakInfo, ...] = ()
    peaks_unit: Literal["cm-1", "nm"] | None = None
    covered: tuple[float, float] | None = None
    max_deviation_before: float | None = Field(default=None, description="of the peaks, as the axis came; 1/cm or nm")
    max_deviation_after: float | None = Field(default=None, description="the same with the correction")
    correction: AxisCorrectionInfo | None = None
    compared_with: str | None = None


class DriftInfo(Model):
    """What monitoring found, or what was done about it.

    event: `baseline` when a product has been learned, `began` and `ended` of an alarm, `renewed` when somebody ordered
    to learn anew. product: its label; null: the instrument as a whole, or every product there.
    """

    event: DriftEvent
    product: str | None = None
    cause: Cause | None = Field(default=None, description="what drifted")
    signal: SignalName | None = Field(default=None, description="what showed it first")
    chart: DriftChart | None = Field(default=None, description="`ewma` and `zones`: of records of former versions only")
    value: float | None = Field(default=None, description="of the chart; `white`: of the change, in per cent")
    limit: float | None = None
    since_seq: int | None = Field(default=None, description="the first record after the change, as the CUSUM dates it")
    since: str | None = Field(default=None, description="when that was taken; UTC, RFC 3339")
    at_seq: int | None = Field(default=None, description="the record that showed it")
    readings: int | None = Field(default=None, description="from the change to there; `baseline`: learned from")
    batch: int | None = Field(default=None, description="readings averaged before they are charted")
    changes: dict[SignalName, float] = Field(default_factory=dict, description="mean since the change")
    units: dict[SignalName, str] = Field(default_factory=dict, description="of changes")
    message: str
    hint: str = Field(default="", description="what to do")


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
    `selftest` what a self test found, `clock` a correction written when the wall clock became synced, `drift` what the
    monitoring of instruments and products found.
    """

    kind: Literal["result", "reference", "dark", "selftest", "clock", "drift"] = "result"
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
    why: Annotated[
        tuple[Why, ...],
        Field(max_length=MAX_TARGETS, description="where it was asked for: the bands that the verdict rests on"),
    ] = ()
    selftest: SelfTestInfo | None = None
    drift: DriftInfo | None = None
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
