"""The page docs/results/bank-int8.md from what `tests.bench.bank_int8` measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from export.page import Code, Heading, Page, Part, Table, Text

if TYPE_CHECKING:
    from tests.bench.bank_int8 import Compared, Told

PLANNED: Final = 4  # banks: two libraries, two sizes of member
SAME_SETS: Final = 0.995  # of spectra, the same names: what is asked of a quantised classifier
F1_POINTS: Final = 0.005  # that int8 may cost
QUESTION = """
What do banks that have learned, not random ones, lose in int8? Three real powders, taught as the study `components`
teaches them (mixtures made of every other filling by *A1, one instrument*), and 24 of the 368 compounds of a SYNTHETIC
Raman library, which no instrument has seen, taught as the study `library` teaches them. Each network becomes a bank as
a build makes one: ranges of its maps from 2,048 made mixtures, weights of seven bits, one fused graph. Network and
graph are asked about the same spectra, none of which is of a scan that taught."""
HOW = """
Error: root mean square of the difference of logits, in the deviation of the logits of a compound, middle of the
compounds, as in [bank-speed](bank-speed.md); largest: of one logit, in the same unit. Same answers: of each compound in
each spectrum, at limits chosen for float. Limits: the least logits with which each compound is named in at most
{powders:.2g} % (powders) or {library:.2g} % (library, one false name a sample of all 368) of held-out made mixtures
without it. A build chooses limits on what the int8 graph says: *own limits*."""
SETS: Final = ("float", "int8, limits of float", "int8, own limits")


def page(found: Sequence[Compared]) -> str:
    """Return the page as Markdown."""
    from export.study.components import FALSE_NAMES
    from export.study.library.banks import TARGETS

    rates = {"powders": 100 * FALSE_NAMES / 3, "library": 100 * TARGETS["screen"] / 368}
    lacking = f"**{len(found)} of {PLANNED} banks are measured: those below.**"
    parts: list[Part] = [
        *([Text(lacking)] if len(found) < PLANNED else []),
        Text(" ".join(QUESTION.split())),
        Text(" ".join(HOW.format(**rates).split())),
        Text("Written by"),
        Code("python -m tests.bench.bank_int8"),
        Heading("What becomes of logits and answers"),
        _logits(found),
        Heading("What becomes of names"),
        _names(found),
        Heading("In one sentence"),
        Text(_verdict(found)),
    ]
    return Page(title="The bank of compounds: what int8 costs one that has learned", parts=tuple(parts)).markdown()


def _logits(found: Sequence[Compared]) -> Table:
    header = ["bank", "compounds", "numbers a compound", "taught, s of CPU", "tried on", "spectra", "error, %",
              "largest, %", "same answers, %", "same sets, %"]  # fmt: skip
    rows = [
        (
            each.name,
            str(each.compounds),
            f"{each.parameters:,}",
            f"{each.seconds:.0f}",
            told.tried_on,
            f"{told.spectra:,}",
            f"{100 * told.error:.2g}",
            f"{100 * told.largest:.2g}",
            f"{100 * told.same_answers:.2f}",
            f"{100 * told.same_sets:.2f}",
        )
        for each, told in _all(found)
    ]
    return Table(header, rows)


def _names(found: Sequence[Compared]) -> Table:
    rows = [
        (f"{each.name}, {told.tried_on}", way, *_rates(rates))
        for each, told in _all(found)
        for way, rates in zip(SETS, (told.float_, told.int8, told.int8_own), strict=True)
    ]
    return Table(["bank", "graph", "F1, %", "precision, %", "recall, %", "exact sets, %", "false names a sample"], rows)


def _rates(found: Mapping[str, float]) -> tuple[str, ...]:
    shares = tuple(f"{100 * found[name]:.2f}" for name in ("f1", "precision", "recall", "exact"))
    return (*shares, f"{found['false_names']:.4f}")


def _verdict(found: Sequence[Compared]) -> str:
    every = [told for _, told in _all(found)]
    same = min(told.same_sets for told in every)
    lost = max(max(told.float_["f1"] - way["f1"] for way in (told.int8, told.int8_own)) for told in every)
    more = max(told.int8_own["false_names"] - told.float_["false_names"] for told in every)
    return (
        f"Same sets of names: {100 * same:.2f} % in the worst row; {100 * SAME_SETS:g} % are asked of bundles that "
        f"name one class: {_met(same >= SAME_SETS)}. F1: {100 * lost:.2f} points lost in the worst row, "
        f"{100 * F1_POINTS:g} allowed: {_met(lost <= F1_POINTS)}. False names a sample with own limits: at most "
        f"{more:+.4f} against float."
    )


def _met(kept: bool) -> str:
    return "**met**" if kept else "**missed**"


def _all(found: Sequence[Compared]) -> list[tuple[Compared, Told]]:
    return [(each, told) for each in found for told in each.told]
