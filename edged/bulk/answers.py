"""From the rows of files to answers, and from an answer to the line that tells it. The order of the rows is kept.

Whoever judges spectra of files goes this way: one file at a terminal, or millions on a cluster.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from edged.bulk.cells import harmless
from edged.bulk.sources import Read
from edged.infer.analyze import Analysis, Analyzer
from edged.infer.batches import SIZES
from edged.infer.errors import InferError
from edged.infer.judge import Question
from edged.infer.verdict import Reason, Verdict, Why
from edged.spectra.rows import Found, Row
from edged.spectra.spectrum import Spectrum, SpectrumError

Form = Literal["jsonl", "csv"]

COLUMNS = (
    "file",
    "row",
    "title",
    "digest",
    "outcome",
    "label",
    "class",
    "probability",
    "p_value",
    "amounts",
    "components",
    "candidates",
    "reasons",
    "error",
)
MOST_WAITING = 4 * max(SIZES)  # rows read ahead: where most are broken, they are told all the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of one spectrum; `row` is None for a file that gave none, or no more.

    Exactly one of `analysis` and `error` is set. spectrum: as it was read, None where it could not be. measurement:
    what was found of it when it was taken, where that is known. why: where it was asked for.
    """

    file: str
    row: int | None
    title: str
    spectrum: Spectrum | None = None
    measurement: tuple[Reason, ...] = ()
    analysis: Analysis | None = None
    error: SpectrumError | InferError | None = None
    why: tuple[Why, ...] | None = None


def answers(rows: Iterable[Read], analyzer: Analyzer, asked: Question) -> Iterator[Answer]:
    """Yield one answer a row, in order. At most MOST_WAITING rows are read ahead, and their spectra judged together."""
    waiting: list[Answer] = []
    spectra = 0
    for file, row, measurement in rows:
        waiting.append(_unanswered(file, row, measurement))
        spectra += waiting[-1].spectrum is not None
        if spectra == max(SIZES) or len(waiting) == MOST_WAITING:
            yield from _answered(waiting, analyzer, asked)
            waiting, spectra = [], 0
    yield from _answered(waiting, analyzer, asked)


def digest_of(spectrum: Spectrum) -> str:
    """Return what tells one spectrum from another, in whatever file it lies, as 64 hex digits.

    It is the SHA-256 over the axis as little-endian float64, the values as little-endian float32, and the words for
    unit and quantity with a blank between, such as "nm absorbance".
    """
    digest = hashlib.sha256(spectrum.axis.astype("<f8", copy=False).tobytes())
    digest.update(spectrum.values.astype("<f4", copy=False).tobytes())
    digest.update(f"{spectrum.axis_unit} {spectrum.quantity}".encode())
    return digest.hexdigest()


def document(answer: Answer) -> dict[str, Any]:
    """Return the answer as a JSON object. It holds nothing of the time or the place at which it was found."""
    told: dict[str, Any] = {"file": answer.file, "row": answer.row}
    if answer.error is not None:
        return told | {"error": {"message": answer.error.message, "hint": answer.error.hint}}
    assert answer.analysis is not None
    assert answer.spectrum is not None
    told |= {
        "title": answer.title,
        "digest": digest_of(answer.spectrum),
        "verdict": answer.analysis.verdict.model_dump(mode="json"),
        "probabilities": answer.analysis.probabilities,
    }
    if answer.analysis.residual is not None:
        told["residual"] = answer.analysis.residual.as_json()
    return told if answer.why is None else told | {"why": [one.model_dump(mode="json") for one in answer.why]}


def line(answer: Answer, form: Form) -> str:
    """Return the answer as one line of a file, its end included."""
    if form == "jsonl":
        return json.dumps(document(answer)) + "\n"
    return _csv_line(_cells(answer))


def head(form: Form) -> str:
    """Return what stands at the top of a file of answers."""
    return "" if form == "jsonl" else _csv_line(COLUMNS)


def _unanswered(file: str, row: Row | SpectrumError, measurement: tuple[Reason, ...]) -> Answer:
    match row:
        case Found():
            spectrum = row.spectrum
            return Answer(file=file, row=row.row, title=spectrum.title, spectrum=spectrum, measurement=measurement)
        case SpectrumError():
            return Answer(file=file, row=None, title="", error=row)
        case _:
            return Answer(file=file, row=row.row, title=row.title, error=row.error)


def _answered(waiting: list[Answer], analyzer: Analyzer, asked: Question) -> Iterator[Answer]:
    measured = [(answer.spectrum, answer.measurement) for answer in waiting if answer.spectrum is not None]
    judged = iter(analyzer.analyze_many(measured, asked))
    for answer in waiting:
        if answer.spectrum is None:
            yield answer
            continue
        found = next(judged)
        yield replace(answer, analysis=found) if isinstance(found, Analysis) else replace(answer, error=found)


def _cells(answer: Answer) -> list[object]:
    place = [answer.file, answer.row, answer.title]
    if answer.error is not None:
        return [*place, *[None] * (len(COLUMNS) - len(place) - 1), answer.error.message]
    assert answer.analysis is not None
    assert answer.spectrum is not None
    return [*place, digest_of(answer.spectrum), *_of_verdict(answer.analysis.verdict), None]


def _of_verdict(verdict: Verdict) -> list[object]:
    return [
        verdict.outcome,
        verdict.label,
        verdict.title,
        verdict.probability,
        verdict.p_value,
        verdict.amounts_in_words(),
        verdict.components_in_words(),
        "; ".join(f"{found.label} {found.probability:.4g}" for found in verdict.candidates),
        " ".join(reason.code for reason in verdict.reasons),
    ]


def _csv_line(cells: Iterable[object]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([harmless(cell) for cell in cells])  # so that both are quoted
    return out.getvalue().removesuffix("\r\n") + "\n"
