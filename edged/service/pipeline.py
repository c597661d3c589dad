"""From a reading to a record: counts, quality, absorbance, verdict, draft, journal. Each arrow is one function.

    Reading --counts_of--> Spectrum --assess--> Quality --counts_to_absorbance--> Spectrum --analyze--> Verdict
            --draft_of--> Draft --keep--> Record

All run on the inference thread, but `keep`, which runs on the store's.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from edged.acquire.reading import Reading
from edged.acquire.references import (
    WhiteReference,
    counts_of,
    pack_spectrum,
    require_white,
    settings_text,
    unpack_spectrum,
)
from edged.infer.analyze import Analyzer
from edged.infer.judge import Question
from edged.infer.verdict import Preset, Procedure, Verdict
from edged.service.clock import moment_of, taken_at
from edged.spectra.correct import counts_to_absorbance, counts_to_reflectance
from edged.spectra.quality import Limits, Quality, assess, reference_reasons
from edged.spectra.spectrum import Spectrum
from edged.store.journal import Journal
from edged.store.record import BundleInfo, Draft, InstrumentInfo, ReadingInfo, Record, ReferenceInfo
from edged.store.retention import Retention, require_room

SCAN = "scan"  # attachment: the device's own transfer, byte for byte
SPECTRUM = "spectrum.npz"  # attachment: the absorbance that was judged, or a white reference's counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is wanted of a station. None takes the station's own; the texts go into the record."""

    procedure: Procedure | None = None
    preset: Preset | None = None
    claimed: str | None = None
    operator: str | None = None
    lot: str | None = None
    barcode: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A draft ready to be kept, and the files that go beside it."""

    draft: Draft
    attachments: Mapping[str, bytes] = field(default_factory=dict)


def judge_reading(
    reading: Reading,
    reference: WhiteReference | None,
    analyzer: Analyzer,
    question: Question,
    *,
    asked: Asked,
    limits: Limits,
    reference_max_age_s: float,
    device: str,
    new_id: Callable[[], str],
) -> Finished:
    """Turn a sample's reading into a draft with its verdict. Raises SpectrumError, EngineFault, WrongKind."""
    began_s = time.perf_counter()
    counts = counts_of(reading.scan)
    used = _reference_info(reading, reference, max_age_s=reference_max_age_s)
    known = (
        reference_reasons(None)
        if used is None
        else reference_reasons(used.state, age_s=used.age_s, max_age_s=reference_max_age_s)
    )
    quality = assess(counts, limits=limits, known=known)
    corrected = counts
    if used is None or used.state == "mismatched" or reference is None:
        verdict = Verdict(
            procedure=question.procedure, preset=question.preset, outcome="rejected", reasons=quality.reasons
        )
        stages: dict[str, float] = {}
    else:
        corrected = _corrected(counts, reference.scaled_to(reading.scan.gain), analyzer)
        analysis = analyzer.analyze(corrected, question, measurement=quality.reasons)
        verdict, stages = analysis.verdict, analysis.timing_ms
    timing_ms = {**reading.timing_ms, **stages, "analysis": (time.perf_counter() - began_s) * 1e3}
    packed = pack_spectrum(corrected)
    draft = _draft_of(reading, packed, quality=quality, device=device, asked=asked, id_=new_id()).model_copy(
        update={
            "procedure": question.procedure,
            "preset": question.preset,
            "bundle": bundle_info(analyzer),
            "reference": used,
            "verdict": verdict,
            "timing_ms": {name: round(value, 3) for name, value in timing_ms.items()},
        }
    )
    return Finished(draft=draft, attachments={SCAN: reading.scan.blob, SPECTRUM: packed})


def white_reading(
    reading: Reading,
    *,
    asked: Asked,
    limits: Limits,
    min_reference_counts: int,
    device: str,
    new_id: Callable[[], str],
) -> Finished:
    """Turn a white tile's reading into a draft of kind `reference`. Raises Unfit when it is none."""
    counts = counts_of(reading.scan)
    require_white(counts, min_peak_counts=min_reference_counts)
    quality = assess(counts, limits=limits)
    packed = pack_spectrum(counts)
    draft = _draft_of(reading, packed, quality=quality, device=device, asked=asked, id_=new_id()).model_copy(
        update={"kind": "reference", "timing_ms": dict(reading.timing_ms)}
    )
    return Finished(draft=draft, attachments={SCAN: reading.scan.blob, SPECTRUM: packed})


def keep(journal: Journal, finished: Finished, policy: Retention) -> Record:
    """Store it for good. Raises StoreError; then nothing is stored."""
    require_room(journal, policy)
    return journal.append(finished.draft, attachments=finished.attachments)


def find_reference(journal: Journal, *, station: str, serial_number: str) -> WhiteReference | None:
    """Return the newest white reference of that instrument there, or None. Raises StoreError, SpectrumError."""
    record = journal.latest(kind="reference", station=station, serial_number=serial_number)
    if record is None or record.reading is None:
        return None
    data = journal.attachment(record.id, SPECTRUM)
    return None if data is None else reference_from(record, unpack_spectrum(data))


def reference_from(record: Record, counts: Spectrum) -> WhiteReference:
    """Return the reference that a record of kind `reference` stands for."""
    assert record.reading is not None
    assert record.instrument is not None
    return WhiteReference(
        id=record.id,
        serial_number=record.instrument.serial_number,
        settings=record.reading.settings,
        gain=float(record.reading.settings["gain"] or 1),
        counts=counts,
        moment=moment_of(record.taken_at),
    )


def bundle_info(analyzer: Analyzer) -> BundleInfo:
    """Return how the record names the model."""
    manifest = analyzer.bundle.manifest
    return BundleInfo(name=manifest.name, version=manifest.version, digest=analyzer.bundle.digest)


def _corrected(counts: Spectrum, white: Spectrum, analyzer: Analyzer) -> Spectrum:
    match analyzer.bundle.manifest.quantity:
        case "absorbance":
            return counts_to_absorbance(counts, white).spectrum
        case "reflectance":
            return counts_to_reflectance(counts, white).spectrum
        case "intensity":
            return dataclasses.replace(counts, quantity="intensity")


def _reference_info(reading: Reading, reference: WhiteReference | None, *, max_age_s: float) -> ReferenceInfo | None:
    if reference is None:
        return None
    age_s = reference.age_s(reading.moment)
    return ReferenceInfo(
        id=reference.id,
        age_s=None if age_s is None else round(age_s, 3),
        state=reference.state_for(reading.scan, reading.moment, max_age_s=max_age_s),
    )


def _draft_of(reading: Reading, packed: bytes, *, quality: Quality, device: str, asked: Asked, id_: str) -> Draft:
    scan = reading.scan
    return Draft(
        id=id_,
        device=device,
        station=reading.station,
        instrument=InstrumentInfo(
            kind=scan.identity.kind, model=scan.identity.model, serial_number=scan.identity.serial_number
        ),
        taken_at=taken_at(reading.moment),
        reading=ReadingInfo(
            scan_index=scan.scan_index,
            settings=settings_text(scan),
            environment=dataclasses.asdict(scan.environment),
            scan_sha256=hashlib.sha256(scan.blob).hexdigest(),
            spectrum_sha256=hashlib.sha256(packed).hexdigest(),
        ),
        quality=quality,
        operator=asked.operator,
        lot=asked.lot,
        barcode=asked.barcode,
        note=asked.note,
    )
