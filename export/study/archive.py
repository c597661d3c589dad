"""Outcomes kept beside the page that shows them: one JSON object a line, gzipped to equal bytes for equal outcomes.

A page can so be written anew, and a study continued elsewhere, without measuring again what is known.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from export.errors import DataUnusable
from export.study.study import OutcomeT, Result

SUFFIX = ".outcomes.jsonl.gz"


def read_outcomes(path: Path, kind: type[OutcomeT]) -> dict[str, OutcomeT]:
    """Return outcomes by the digest of their cell; none where there is no file. Raises DataUnusable."""
    if not path.exists():
        return {}
    try:
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        found = [kind.model_validate_json(line) for line in lines]
    except (OSError, EOFError, UnicodeDecodeError, ValidationError) as error:
        raise DataUnusable(
            f"{path}: no outcomes of a study: {str(error).splitlines()[0]}", hint="delete it to measure anew"
        ) from error
    return {outcome.cell.digest(): outcome for outcome in found}


def write_outcomes(path: Path, outcomes: Iterable[Result]) -> None:
    """Write outcomes in the order given."""
    text = "".join(outcome.model_dump_json() + "\n" for outcome in outcomes)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
