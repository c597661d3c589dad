"""Explanations at the terminal: what `--explain` and `--plot` ask for, and where their pictures go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from edged.bulk.answers import Answer
from edged.cli.picture import svg
from edged.infer.analyze import Analyzer
from edged.infer.errors import InferError
from edged.infer.why import unpack_curves
from edged.spectra.write import WriteError
from edged.store.errors import StoreError
from edged.store.journal import Journal
from edged.store.record import Record


def check_explained(*, explain: bool, pictures: Path | None, out: Path | None) -> None:
    """Raise UsageError for options that do not go together."""
    if pictures is not None and not explain:
        raise click.UsageError("--plot draws what --explain finds: give both")
    if explain and out is not None:
        raise click.UsageError("--explain asks the graph some hundred times a spectrum: not with --out")


def explained(answers: Iterator[Answer], analyzer: Analyzer, pictures: Path | None) -> Iterator[Answer]:
    """Yield the answers, those that name a class or a compound with why; a picture that fails is told after its own."""
    for answer in answers:
        if answer.analysis is None or answer.spectrum is None:
            yield answer
            continue
        try:
            found = analyzer.explain(answer.spectrum, answer.analysis.verdict)
        except InferError as error:
            yield answer
            yield Answer(file=answer.file, row=answer.row, title=answer.title, error=error)
            continue
        yield replace(answer, why=() if found is None else found.why)
        if pictures is None or found is None:
            continue
        title = f"{answer.row} {answer.title or Path(answer.file).name}"
        try:
            _write(pictures / f"{Path(answer.file).stem}_{answer.row}.svg", svg(found.why, found.curves, title=title))
        except WriteError as error:
            yield Answer(file=answer.file, row=answer.row, title=answer.title, error=error)


def draw_record(journal: Journal, record: Record, target: Path) -> None:
    """Draw what is kept beside a record. Raises StoreError where there is nothing to draw, or no room for it."""
    from edged.service.pipeline import CURVES

    kept = journal.attachment(record.id, CURVES) if CURVES in record.attachments else None
    if kept is None:
        dropped = CURVES in record.attachments
        raise StoreError(
            f"{journal.path}: record {record.id} has no picture: "
            + ("retention has dropped its curves" if dropped else "it was not explained"),
            hint="" if dropped else "measure with --explain, or set explain = true at the station",
        )
    try:
        curves = unpack_curves(kept)
    except ValueError as error:
        raise StoreError(f"{journal.path}: record {record.id}: {error}") from error
    if len(curves.relevance) != len(record.why):
        raise StoreError(f"{journal.path}: record {record.id}: its curves are of other targets")
    outcome = record.verdict.outcome.replace("_", " ") if record.verdict else record.kind
    name = " ".join(text for text in (record.lot, record.barcode, record.id) if text)
    try:
        _write(target, svg(record.why, curves, title=f"{name}: {outcome}"))
    except WriteError as error:
        raise StoreError(error.message, hint=error.hint) from error


def _write(target: Path, text: str) -> None:
    try:
        with target.open("x", encoding="utf-8") as out:
            out.write(text)
    except OSError as error:
        raise WriteError(f"{target}: {error.strerror or error}", hint="give another place, or make room") from error
