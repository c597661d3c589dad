"""Self tests from readings to records, and back from the journal: the state of an instrument, the response of a glass.

`selftest_reading` runs on the inference thread, what reads the journal on the store's.
"""

from __future__ import annotations

import dataclasses
import io
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from drivers.contract import RawScan, ScanSettings
from edged.acquire.errors import Unfit
from edged.acquire.gate import SelfTestState
from edged.acquire.reading import Reading
from edged.acquire.references import pack_spectrum
from edged.service.clock import moment_of
from edged.service.pipeline import SCAN, SPECTRUM, Asked, Finished, References, Rules, dark_corrected, draft_of
from edged.spectra.correct import counts_to_absorbance
from edged.spectra.quality import Quality, assess
from edged.spectra.spectrum import Spectrum, SpectrumError
from edged.spectra.standards.certificates import Certificate
from edged.spectra.standards.correction import AxisCorrection
from edged.spectra.standards.known import Standard
from edged.store.errors import StoreDamaged
from edged.store.journal import Journal
from edged.store.record import AxisCorrectionInfo, CheckInfo, PeakInfo, Record, SelfTestInfo

if TYPE_CHECKING:  # loaded by the first self test: most instruments of a NIR line never have one
    from edged.acquire.selftest import SelfTestResult
    from edged.spectra.standards.intensity import Response

log = logging.getLogger(__name__)

SCAN_2 = "scan-2"  # attachment: the second scan of an instrument that gives no frames
RESPONSE = "response.npz"  # attachment: a glass that later ones are compared with; retention leaves it
MOST_LOOKED_AT = 10_000  # self tests; one an hour for a year, which is as far as a gate looks back
MAX_RESPONSE_BYTES = 1 << 20  # 65,536 factors


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """The response that a glass is compared with, and the id of the self test that it is from."""

    id: str
    response: Response


def standard_named(name: str | None, known: Mapping[str, Standard]) -> Standard:
    """Return a standard by its name. Raises Unfit that lists what there is."""
    if name is None:
        raise Unfit("no material is named", hint="edged selftest STATION --material polystyrene, or selftest.material")
    if name not in known:
        raise Unfit(
            f"no standard {name[:64]!r}; there are {', '.join(known)}",
            hint="a NIR wavelength standard needs the values of its certificate: selftest.certificates",
        )
    return known[name]


def wants_two(scan: RawScan, standard: Standard) -> bool:
    """Whether a second scan is needed to see the noise: a scanning instrument gives no frames."""
    return isinstance(scan.settings, ScanSettings) and standard.subject in ("wavelength", "dark")


def selftest_reading(
    readings: Sequence[Reading],
    references: References,
    standard: Standard,
    *,
    stored: Stored | None,
    asked: Asked,
    rules: Rules,
    device: str,
    new_id: Callable[[], str],
) -> Finished:
    """Turn the readings of a standard into a draft of kind `selftest`. Raises Unfit when they tell nothing."""
    from edged.acquire.selftest import Evidence, run_selftest

    reading = readings[0]
    if len({one.scan.identity.serial_number for one in readings}) > 1:
        raise Unfit("the instrument was changed during the self test", hint="ask again")
    counts, dark_reasons = dark_corrected(reading, references.dark, max_age_s=rules.reference_max_age_s)
    absorbances: tuple[Spectrum, ...] = ()
    if standard.subject == "wavelength":
        absorbances = tuple(found for one in readings if (found := _absorbance(one, references, rules)) is not None)
    result = run_selftest(
        standard,
        Evidence(
            scans=tuple(one.scan for one in readings),
            counts=counts,
            absorbances=absorbances,
            stored=stored.response if stored is not None else None,
        ),
        rules.selftest_limits,
    )
    if standard.subject in ("dark", "lamp"):  # limits of light, and of a dark level below it, have nothing to say here
        peak = round(float(result.spectrum.values.max()))
        quality = Quality(fit=True, peak_counts=peak, saturated_points=int(reading.scan.saturated.sum()))
    else:
        quality = assess(counts.spectrum, limits=rules.limits, known=dark_reasons)
    packed = pack_spectrum(result.spectrum)
    info = selftest_info(result).model_copy(update={"compared_with": stored.id if stored is not None else None})
    draft = draft_of(reading, counts, packed, quality=quality, device=device, asked=asked, id_=new_id()).model_copy(
        update={"kind": "selftest", "selftest": info, "timing_ms": dict(reading.timing_ms)}
    )
    attachments = {SCAN: reading.scan.blob, SPECTRUM: packed}
    if len(readings) > 1:
        attachments[SCAN_2] = readings[1].scan.blob
    if stored is None and result.response is not None and result.verdict != "fail":
        attachments[RESPONSE] = pack_response(result.response)
    return Finished(draft=draft, attachments=attachments)


def selftest_info(result: SelfTestResult) -> SelfTestInfo:
    """Return what a record keeps of a self test."""
    correction = result.correction
    return SelfTestInfo(
        material=result.material,
        subject=result.subject,
        verdict=result.verdict,
        checks=tuple(CheckInfo(**dataclasses.asdict(check)) for check in result.checks),
        peaks=tuple(PeakInfo(**dataclasses.asdict(place)) for place in result.places),
        peaks_unit=result.places_unit,
        covered=result.covered,
        max_deviation_before=result.before,
        max_deviation_after=result.after,
        correction=None if correction is None else AxisCorrectionInfo(**dataclasses.asdict(correction)),
    )


def selftest_from(record: Record) -> SelfTestState:
    """Return the state that a record of kind `selftest` stands for."""
    info = record.selftest
    assert info is not None
    correction = info.correction
    return SelfTestState(
        subject=info.subject,
        material=info.material,
        verdict=info.verdict,
        moment=moment_of(record.taken_at),
        correction=None if correction is None else AxisCorrection(**correction.model_dump()),
        problem=next((check.message for check in info.checks if check.verdict == "fail"), ""),
    )


def find_response(journal: Journal, *, station: str, serial_number: str, standard: Standard) -> Stored | None:
    """Return the response of that instrument there that a glass is compared with, or None. Raises StoreError.

    One by another certificate is none: its factors would differ by what the certificates do.
    """
    held = journal.newest(
        kind="selftest", station=station, serial_number=serial_number, limit=MOST_LOOKED_AT, holding=RESPONSE
    )
    for seq in held:
        try:
            record = journal.record(seq)
        except StoreDamaged as error:  # of whatever material: one before it may be the one
            log.error("station=%s a response is passed over: %s", station, error)
            continue
        if record.selftest is None or record.selftest.material != standard.name:
            continue
        try:
            data = journal.attachment(record.id, RESPONSE)
            if data is None:
                continue
            response = unpack_response(data)
        except (StoreDamaged, SpectrumError) as error:
            log.error("station=%s the response of record=%d cannot be read: %s", station, seq, error)
            return None
        same = isinstance(standard.values, Certificate) and standard.values.name == response.certificate
        return Stored(id=record.id, response=response) if same else None
    return None


def pack_response(response: Response) -> bytes:
    """Return the bytes of a .npz (axis, factors, certificate). Equal responses give equal bytes."""
    file = io.BytesIO()
    np.savez(file, axis=response.axis, factors=response.factors, certificate=np.array(response.certificate))
    return file.getvalue()


def unpack_response(data: bytes) -> Response:
    """Read back what `pack_response` wrote. Raises SpectrumError for anything else."""
    from edged.spectra.standards.intensity import Response

    if len(data) > MAX_RESPONSE_BYTES:
        raise SpectrumError(f"{len(data)} bytes are no stored response; at most {MAX_RESPONSE_BYTES}")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            return Response(
                axis=file["axis"].astype(np.float64),
                factors=file["factors"].astype(np.float64),
                certificate=str(file["certificate"])[:128],
            )
    except Exception as error:  # what numpy and zipfile raise on damaged bytes is not listed anywhere
        raise SpectrumError(f"not a stored response: {error}") from error


def _absorbance(reading: Reading, references: References, rules: Rules) -> Spectrum | None:
    """Return the absorbance against the white reference, None where none fits or there is no dark level."""
    counts, _ = dark_corrected(reading, references.dark, max_age_s=rules.reference_max_age_s)
    white, scan = references.white, reading.scan
    if white is None or not counts.has_dark or counts.spectrum.axis_unit != "nm":
        return None
    max_age_s = rules.reference_max_age_s
    if white.state_for(scan, counts.spectrum, reading.moment, max_age_s=max_age_s) == "mismatched":
        return None
    return counts_to_absorbance(counts.spectrum, white.scaled_to(scan)).spectrum
