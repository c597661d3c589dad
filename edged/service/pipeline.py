"""From a reading to a record: counts, quality, absorbance, verdict, draft, journal. Each arrow is one function.

    Reading --counts_of--> Spectrum --assess--> Quality --counts_to_absorbance--> Spectrum --analyze--> Verdict
            --draft_of--> Draft --keep--> Record

All run on the inference thread, but `keep`, which runs on the store's.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from drivers.contract import ExposureSettings, RawScan, ScanSettings
from edged.acquire.check import SelfTestLimits
from edged.acquire.counts import Counts, counts_of
from edged.acquire.errors import Unfit
from edged.acquire.gate import Gate, SelfTests, corrected_axis, gate_reasons, usable_correction
from edged.acquire.reading import Reading
from edged.acquire.references import (
    Reference,
    Role,
    dark_counts,
    pack_spectrum,
    require_dark,
    require_white,
    settings_text,
)
from edged.infer.analyze import Analyzer
from edged.infer.errors import InferError
from edged.infer.judge import Question
from edged.infer.verdict import Preset, Procedure, Reason, Verdict, Why
from edged.service.clock import moment_of, taken_at
from edged.spectra.correct import counts_to_absorbance, counts_to_reflectance
from edged.spectra.corrections.chain import Applied
from edged.spectra.quality import Limits, Quality, assess, dark_reasons_for, reference_reasons
from edged.spectra.spectrum import Spectrum, SpectrumError
from edged.spectra.standards.known import Standard, standards
from edged.spectra.transfer import Transfer, apply_transfer
from edged.store.journal import Journal
from edged.store.record import SPECTRUM as SPECTRUM
from edged.store.record import (
    BundleInfo,
    Draft,
    InstrumentInfo,
    ReadingInfo,
    Record,
    ReferenceInfo,
)
from edged.store.retention import Retention, require_room

log = logging.getLogger(__name__)

MUCH_LIGHT = 2.0  # times more or less than at the white reference before; a lamp loses some per cent a year

SCAN = "scan"  # attachment: the device's own transfer, byte for byte
KIND_OF: Mapping[Role, Literal["reference", "dark"]] = {"white": "reference", "dark": "dark"}
Kept = Literal["white", "dark", "selftest"]
CURVES = "why.npz"  # attachment: what an explanation is drawn from
RESIDUAL = "residual.npz"  # attachment: what the components that fit leave, where that is too much


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
    explain: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """What is kept of an instrument to read its scans against.

    damaged: what the journal holds and cannot be used, with what is wrong with it and what to do.
    """

    white: Reference | None = None
    dark: Reference | None = None
    selftests: SelfTests = field(default_factory=dict)
    damaged: Mapping[Kept, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the configuration of a station demands of its measurements."""

    limits: Limits = field(default_factory=Limits)
    reference_max_age_s: float = 14_400.0
    gate: Gate = field(default_factory=Gate)
    standards: Mapping[str, Standard] = field(default_factory=standards)
    selftest_limits: SelfTestLimits = field(default_factory=SelfTestLimits)
    transfer: Transfer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A draft ready to be kept, and the files that go beside it."""

    draft: Draft
    attachments: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """What a verdict rests on, and the curves behind it as they are kept; empty and None where it is not explained."""

    why: tuple[Why, ...] = ()
    curves: bytes | None = None


_UNEXPLAINED = Explained()


def judge_reading(
    reading: Reading,
    references: References,
    analyzer: Analyzer,
    question: Question,
    *,
    asked: Asked,
    rules: Rules,
    device: str,
    new_id: Callable[[], str],
    explain: bool = False,
) -> Finished:
    """Turn a sample's reading into a draft with its verdict. Raises SpectrumError, EngineFault, WrongKind.

    explain: say too what the verdict rests on; not of amounts.
    """
    began_s = time.perf_counter()
    max_age_s = rules.reference_max_age_s
    counts, dark_reasons = dark_corrected(reading, references.dark, max_age_s=max_age_s)
    gate = gate_reasons(rules.gate, references.selftests, reading.moment)
    why: Explained = _UNEXPLAINED
    wants_white = analyzer.bundle.manifest.quantity != "intensity"
    white = references.white if wants_white else None
    used = _reference_info(reading, white, counts.spectrum, max_age_s=max_age_s)
    known: tuple[Reason, ...] = ()
    if wants_white and used is None:
        known = reference_reasons(None)
    elif used is not None:
        known = reference_reasons(used.state, age_s=used.age_s, max_age_s=max_age_s)
    quality = assess(counts.spectrum, limits=rules.limits, known=(*dark_reasons, *known, *gate))
    corrected = counts.spectrum
    if wants_white and (white is None or used is None or used.state == "mismatched"):
        verdict = Verdict(
            procedure=question.procedure, preset=question.preset, outcome="rejected", reasons=quality.reasons
        )
        stages: dict[str, float] = {}
        residual = None
    else:
        corrected = _corrected(
            reading.scan, corrected, white.scaled_to(reading.scan) if white is not None else None, analyzer
        )
        corrected, counts = _alike(reading, corrected, counts, references.selftests, rules)
        analysis = analyzer.analyze(corrected, question, measurement=quality.reasons)
        verdict, stages, residual = analysis.verdict, analysis.timing_ms, analysis.residual
        if explain:
            explained_s = time.perf_counter()
            why = _why(analyzer, corrected, verdict)
            stages = {**stages, "explain": (time.perf_counter() - explained_s) * 1e3}
    timing_ms = {**reading.timing_ms, **stages, "analysis": (time.perf_counter() - began_s) * 1e3}
    packed = pack_spectrum(corrected)
    draft = draft_of(reading, counts, packed, quality=quality, device=device, asked=asked, id_=new_id()).model_copy(
        update={
            "procedure": question.procedure,
            "preset": question.preset,
            "bundle": bundle_info(analyzer),
            "reference": used,
            "verdict": verdict,
            "why": why.why,
            "timing_ms": {name: round(value, 3) for name, value in timing_ms.items()},
        }
    )
    attachments = {SCAN: reading.scan.blob, SPECTRUM: packed}
    if residual is not None:
        attachments[RESIDUAL] = residual.packed()
    if why.curves is not None:
        attachments[CURVES] = why.curves
    return Finished(draft=draft, attachments=attachments)


def _why(analyzer: Analyzer, spectrum: Spectrum, verdict: Verdict) -> Explained:
    """What the verdict rests on; an explanation that cannot be had must not cost the verdict."""
    try:
        found = analyzer.explain(spectrum, verdict)
        return _UNEXPLAINED if found is None else Explained(why=found.why, curves=found.curves.packed())
    except InferError as error:
        log.warning("verdict not explained: %s", error)
    except Exception:  # the boundary to what is only told beside the verdict: its bug must not lose a measurement
        log.exception("verdict not explained")
    return _UNEXPLAINED


def white_reading(
    reading: Reading,
    dark: Reference | None,
    *,
    before: Reference | None,
    asked: Asked,
    rules: Rules,
    min_reference_counts: int,
    device: str,
    new_id: Callable[[], str],
) -> Finished:
    """Turn a white tile's reading into a draft of kind `reference`. Raises Unfit when it is none.

    before: the white reference that it takes the place of; much less light than then is told, as nobody but who stands
    there knows whether the tile is missing or the lamp old.
    """
    counts, dark_reasons = dark_corrected(reading, dark, max_age_s=rules.reference_max_age_s)
    if not counts.has_dark:
        raise Unfit(
            f"{dark_reasons[0].message}, so the white reference would hold the detector's own level",
            hint=f"cover the probe, then: edged measure {reading.station} --dark",
        )
    require_white(counts.spectrum, min_peak_counts=min_reference_counts)
    known = (*dark_reasons, *_changed_light(reading, counts.spectrum, before))
    quality = assess(counts.spectrum, limits=rules.limits, known=known)
    return _reference_draft(reading, counts, quality, kind="reference", asked=asked, device=device, new_id=new_id)


def _changed_light(reading: Reading, counts: Spectrum, before: Reference | None) -> tuple[Reason, ...]:
    scan = reading.scan
    if before is None or before.state_for(scan, counts, reading.moment, max_age_s=math.inf) == "mismatched":
        return ()
    then = float(np.median(before.scaled_to(scan).values))
    now = float(np.median(counts.values))
    if then <= 0.0 or 1.0 / MUCH_LIGHT <= now / then <= MUCH_LIGHT:
        return ()
    told = f"{100 * (1 - now / then):.0f} % less" if now < then else f"{now / then:.1f} times the"
    message = f"{told} light {'than' if now < then else 'of'} the white reference before: is the tile there, and clean?"
    return (Reason(code="reference_changed", message=message, value=now / then),)


def dark_reading(reading: Reading, *, asked: Asked, device: str, new_id: Callable[[], str]) -> Finished:
    """Turn a reading without light into a draft of kind `dark`. Raises Unfit when it is none."""
    counts = Counts(spectrum=dark_counts(reading.scan))
    if isinstance(reading.scan.settings, ScanSettings):
        raise Unfit(f"a {reading.scan.identity.kind} takes its dark level off by itself", hint="leave --dark out")
    require_dark(counts.spectrum)
    peak = round(float(counts.spectrum.values.max()))
    quality = Quality(fit=True, peak_counts=peak, saturated_points=int(reading.scan.saturated.sum()))
    return _reference_draft(reading, counts, quality, kind="dark", asked=asked, device=device, new_id=new_id)


def dark_corrected(reading: Reading, dark: Reference | None, *, max_age_s: float) -> tuple[Counts, tuple[Reason, ...]]:
    """Return the corrected counts, and what is doubtful about the dark level that was taken off them."""
    scan = reading.scan
    own = counts_of(scan)
    if own.has_dark:
        return own, ()
    state = None if dark is None else dark.state_for(scan, own.spectrum, reading.moment, max_age_s=max_age_s)
    if dark is None or state == "mismatched":
        return own, dark_reasons_for(state)
    age_s = dark.moment.age_s(reading.moment)
    return counts_of(scan, dark), dark_reasons_for(state, age_s=age_s, max_age_s=max_age_s)


def _reference_draft(
    reading: Reading,
    counts: Counts,
    quality: Quality,
    *,
    kind: Literal["reference", "dark"],
    asked: Asked,
    device: str,
    new_id: Callable[[], str],
) -> Finished:
    packed = pack_spectrum(counts.spectrum)
    draft = draft_of(reading, counts, packed, quality=quality, device=device, asked=asked, id_=new_id()).model_copy(
        update={"kind": kind, "timing_ms": dict(reading.timing_ms)}
    )
    return Finished(draft=draft, attachments={SCAN: reading.scan.blob, SPECTRUM: packed})


def keep(journal: Journal, finished: Finished, policy: Retention) -> Record:
    """Store it for good. Raises StoreError; then nothing is stored."""
    require_room(journal, policy)
    return journal.append(finished.draft, attachments=finished.attachments)


def reference_from(record: Record, counts: Spectrum) -> Reference:
    """Return the reference that a record of kind `reference` or `dark` stands for."""
    assert record.reading is not None
    assert record.instrument is not None
    return Reference(
        role="dark" if record.kind == "dark" else "white",
        id=record.id,
        serial_number=record.instrument.serial_number,
        settings=record.reading.settings,
        gain=float(record.reading.settings["gain"] or 1),
        counts=counts,
        moment=moment_of(record.taken_at),
        detector_c=record.reading.environment.get("detector_c"),
    )


def bundle_info(analyzer: Analyzer) -> BundleInfo:
    """Return how the record names the model."""
    manifest = analyzer.bundle.manifest
    return BundleInfo(name=manifest.name, version=manifest.version, digest=analyzer.bundle.digest)


def _corrected(scan: RawScan, counts: Spectrum, white: Spectrum | None, analyzer: Analyzer) -> Spectrum:
    match analyzer.bundle.manifest.quantity:
        case "intensity":
            per = _exposure(scan) if analyzer.bundle.manifest.technique == "nir" else 1.0
            return dataclasses.replace(counts, values=counts.values / np.float32(per), quantity="intensity")
        case "absorbance":
            assert white is not None
            return counts_to_absorbance(counts, white).spectrum
        case "reflectance":
            assert white is not None
            return counts_to_reflectance(counts, white).spectrum


def _exposure(scan: RawScan) -> float:
    """What a detector array counted for: ms of integration times gain. A scanning instrument's own programs save its
    counts as they are, and so are they judged.
    """
    return scan.settings.integration_ms * scan.gain if isinstance(scan.settings, ExposureSettings) else 1.0


def _alike(
    reading: Reading, spectrum: Spectrum, counts: Counts, selftests: SelfTests, rules: Rules
) -> tuple[Spectrum, Counts]:
    """Make the spectrum one of the instrument that the model knows: the session's axis, then the transfer."""
    done = counts.applied
    correction = usable_correction(selftests, reading.moment, max_age_s=rules.gate.max_age_s)
    if correction is not None and spectrum.axis_unit == "cm-1":
        spectrum = corrected_axis(spectrum, correction)
        done = (*done, Applied(name="axis", version=1, detail=f"{correction.form}, {correction.material}"))
    if rules.transfer is not None:
        here, fitted = reading.scan.identity.serial_number, rules.transfer.from_instrument
        if here != fitted:
            raise SpectrumError(
                f"the transfer was fitted for instrument {fitted}, this one is {here}",
                hint=f"fit one for {here}, or remove station.{reading.station}.transfer",
            )
        spectrum = apply_transfer(spectrum, rules.transfer)
        done = (*done, Applied(name="transfer", version=1, detail=rules.transfer.describe()))
    return spectrum, dataclasses.replace(counts, applied=done)


def _reference_info(
    reading: Reading, reference: Reference | None, counts: Spectrum, *, max_age_s: float
) -> ReferenceInfo | None:
    if reference is None:
        return None
    age_s = reference.moment.age_s(reading.moment)
    return ReferenceInfo(
        id=reference.id,
        age_s=None if age_s is None else round(age_s, 3),
        state=reference.state_for(reading.scan, counts, reading.moment, max_age_s=max_age_s),
    )


def draft_of(
    reading: Reading, counts: Counts, packed: bytes, *, quality: Quality, device: str, asked: Asked, id_: str
) -> Draft:
    """Return what the record of any reading holds. packed: the spectrum, as it is stored beside it."""
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
            corrections=counts.corrections,
            scan_sha256=hashlib.sha256(scan.blob).hexdigest(),
            spectrum_sha256=hashlib.sha256(packed).hexdigest(),
        ),
        quality=quality,
        operator=asked.operator,
        lot=asked.lot,
        barcode=asked.barcode,
        note=asked.note,
    )
