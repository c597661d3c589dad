"""Rows become answers in their order, and no row waits for many others."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from edged.bulk.answers import COLUMNS, MOST_WAITING, Answer, answers, head, line
from edged.bulk.cells import harmless
from edged.bulk.sources import Read
from edged.bundle.archive import bundle_from_bytes
from edged.infer.analyze import Analysis, Analyzer
from edged.infer.verdict import Candidate, Component, Estimate, Verdict
from edged.spectra.rows import Found, Lost
from edged.spectra.spectrum import Spectrum, SpectrumError
from tests.bundle.tiny import AXIS_NM, tiny_bytes

READABLE = Spectrum(axis=AXIS_NM.copy(), values=np.eye(8, dtype=np.float32)[0], axis_unit="nm", quantity="absorbance")


def rows(read: list[int], *, readable_every: int) -> Iterator[Read]:
    """Rows without end, nearly all of them broken; `read` tells how many were taken."""
    number = 0
    while True:
        number += 1
        read.append(number)
        if number % readable_every == 0:
            yield "a.csv", Found(row=number, spectrum=READABLE), ()
        else:
            yield "a.csv", Lost(row=number, title="", error=SpectrumError("broken")), ()


@pytest.mark.parametrize("readable_every", [1, 2, 50, 10**9])
def test_a_row_is_answered_before_many_more_are_read(readable_every: int) -> None:
    analyzer, read = Analyzer(bundle_from_bytes(tiny_bytes())), list[int]()
    told = answers(rows(read, readable_every=readable_every), analyzer, analyzer.question())

    for expected in range(1, 1000):
        answer = next(told)
        assert answer.row == expected
        assert (answer.analysis is not None) == (expected % readable_every == 0)
        assert len(read) - expected < MOST_WAITING == 128


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_text_of_a_bundle_or_a_file_is_run_by_a_spreadsheet(start: str) -> None:
    """Labels and titles are the builder's own words, and a file's name and row titles anybody's."""
    name = f"{start}cmd|' /C calc'!A0"
    share: dict[str, Any] = {"label": name, "title": name, "score": 0.5, "visible": 0.5}
    verdict = Verdict(
        procedure="components",
        preset="balanced",
        outcome="resolved",
        label=name,
        title=name,
        amounts=(
            Estimate(label=name, title=name, unit="mg", value=-3.0, low=-4.0, high=-2.0),
            Estimate(label="b", title="b", unit="mg", value=-3.0, low=-4.0, high=-2.0),
        ),
        components=(Component(**share),),
        candidates=(Candidate(label=name, title=name, probability=0.5),),
        probability=0.5,
    )
    analysis = Analysis(verdict=verdict, probabilities=None, timing_ms={})
    answer = Answer(file=name, row=1, title=name, spectrum=READABLE, analysis=analysis)
    broken = Answer(file=name, row=2, title=name, error=SpectrumError(name))

    text = head("csv") + line(answer, "csv") + line(broken, "csv")
    found = list(csv.DictReader(io.StringIO(text, newline="")))

    for column in ("file", "title", "label", "class", "amounts", "components", "candidates"):
        assert found[0][column].startswith("'" + start), column
    assert (found[0]["probability"], found[1]["error"]) == ("0.5", "'" + name)
    assert tuple(found[0]) == COLUMNS


def test_numbers_and_harmless_texts_stay_as_they_are() -> None:
    for cell in (-1.5, 0, None, True, "", "lactose", "3 - 2 = 1"):
        assert harmless(cell) is cell
