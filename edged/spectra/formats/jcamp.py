"""JCAMP-DX, the exchange format of IUPAC: labelled text, one spectrum a block, blocks in a file or in a LINK block.

##TITLE= ...                  begins a block
##XUNITS= 1/CM                ##YUNITS, ##XFACTOR, ##YFACTOR, ##FIRSTX, ##LASTX, ##NPOINTS
##XYDATA= (X++(Y..Y))         the table: asdf.py; or (XY..XY), pairs; also as ##XYPOINTS
##END=                        ends it
Source: JCAMP-DX 4.24, Appl. Spectrosc. 42, 151 (1988); 5.01, Pure Appl. Chem. 71, 1549 (1999).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edged.spectra.formats.asdf import DAMAGED, Table
from edged.spectra.formats.asked import Asked
from edged.spectra.formats.compose import compose
from edged.spectra.formats.lines import Lines
from edged.spectra.formats.words import axis_named, values_named
from edged.spectra.rows import FileError, Lost, Row, clean_title
from edged.spectra.spectrum import MAX_POINTS, SpectrumError

MAX_BLOCKS = 10_000  # one file; the largest libraries that are passed around hold some hundreds a file
MAX_LABEL_CHARS = 2_000
NEAR_STEPS = 0.5  # of a position printed in the table: a lost or doubled point shifts by one step
_BEGINS = re.compile(r"\s*(\$\$[^\n]*\n\s*)*##\s*[A-Z$.][^\n=]*=", re.IGNORECASE)
_KEPT = frozenset({"TITLE", "XUNITS", "YUNITS", "XFACTOR", "YFACTOR", "FIRSTX", "LASTX", "DELTAX", "NPOINTS"})
_REFUSED = {
    "PEAKTABLE": "a table of peaks, not a spectrum",
    "PEAKASSIGNMENTS": "assignments of peaks, not a spectrum",
    "RADATA": "an interferogram",
    "NTUPLES": "NTUPLES pages (complex or many-dimensional data)",
}
_HINT = "export the spectrum as XYDATA"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A decoded block. x, y: float64, factors applied, in the file's order. `labels`: as the file has them."""

    row: int
    line: int
    title: str
    labels: dict[str, str]
    x: NDArray[np.float64]
    y: NDArray[np.float64]


@dataclass(slots=True)
class _Draft:
    """A block that is being read."""

    line: int
    labels: dict[str, str] = field(default_factory=dict)
    form: str = ""
    table: Table = field(default_factory=Table)
    pairs: list[float] = field(default_factory=list)
    error: SpectrumError | None = None

    def is_empty(self) -> bool:
        return not self.form and self.error is None

    def doubt_the_end(self) -> None:
        """Note that nothing ends the block, unless its number of points will tell whether it is whole."""
        if not self.labels.get("NPOINTS"):
            self.error = self.error or SpectrumError("ends without ##END=", hint=DAMAGED)

    def take(self, number: int, line: str) -> None:
        """Take in one line of the table; after the first fault the rest is passed over."""
        if self.error is not None:
            return
        try:
            if self.form == "pairs":
                self.pairs += _pairs(number, line, len(self.pairs))
            else:
                self.table.add(number, line)
        except SpectrumError as error:
            self.error = error


def is_jcamp(head: str) -> bool:
    """Whether a file that begins so is JCAMP-DX."""
    return _BEGINS.match(head) is not None


def read_jcamp(lines: Lines, asked: Asked) -> Iterator[Row]:
    """Yield one row a block with data. Raises FileError when there is none, or too many."""
    for block in read_blocks(lines):
        if isinstance(block, Lost):
            yield block
            continue
        where = f"{lines.path}: block {block.row} (line {block.line})"
        try:
            yield _row(block, asked, where)
        except SpectrumError as error:
            message = error.message if error.message.startswith(where) else f"{where} {error.message}"
            yield Lost(row=block.row, title=block.title, error=SpectrumError(message, hint=error.hint))


def read_blocks(lines: Lines) -> Iterator[Block | Lost]:
    """Yield the blocks of a file with their numbers as they stand there, whatever they measure."""
    rows = 0
    for draft in _drafts(lines):
        rows += 1
        if rows > MAX_BLOCKS:
            raise FileError(f"{lines.path}: more than {MAX_BLOCKS} blocks", hint="split it into smaller files")
        title = clean_title(draft.labels.get("TITLE", ""))
        try:
            x, y = _finished(draft)
        except SpectrumError as error:
            where = f"{lines.path}: block {rows} (line {draft.line})"
            yield Lost(row=rows, title=title, error=SpectrumError(f"{where}: {error.message}", hint=error.hint))
        else:
            yield Block(row=rows, line=draft.line, title=title, labels=draft.labels, x=x, y=y)
    if not rows:
        raise FileError(f"{lines.path}: JCAMP-DX without data", hint=_HINT)


def _drafts(lines: Lines) -> Iterator[_Draft]:
    draft: _Draft | None = None
    in_table = False
    for number, line in lines.every():
        text = line.partition("$$")[0].strip()
        if not text.startswith("##"):
            if in_table and text and draft is not None:
                draft.take(number, text)
            continue
        label, _, value = text[2:].partition("=")
        label = re.sub(r"[\s_/-]", "", label[:100]).upper()
        value = value[:MAX_LABEL_CHARS].strip()
        in_table = False
        if label in ("TITLE", "END"):
            if draft is not None and not draft.is_empty():
                if label == "TITLE":
                    draft.doubt_the_end()
                yield draft
            draft = _Draft(line=number, labels={"TITLE": value}) if label == "TITLE" else None
            continue
        if draft is None:
            draft = _Draft(line=number)
        if label in ("XYDATA", "XYPOINTS") and not draft.form:
            in_table = True
            _open_table(draft, number, value)
        elif label in _REFUSED and draft.is_empty():
            draft.error = SpectrumError(f"holds {_REFUSED[label]}", hint=_HINT)
        elif label in _KEPT:
            draft.labels[label] = value
    if draft is not None and not draft.is_empty():
        draft.doubt_the_end()
        yield draft


def _open_table(draft: _Draft, number: int, form: str) -> None:
    bare = re.sub(r"\s", "", form).upper()
    if bare.startswith("(X++(Y"):
        draft.form = "asdf"
    elif bare.startswith("(XY"):
        draft.form = "pairs"
    else:
        draft.form = "unknown"
        draft.error = draft.error or SpectrumError(
            f"line {number}: a table of the form {clean_title(form)[:40]!r}", hint=_HINT
        )


def _pairs(number: int, line: str, before: int) -> list[float]:
    try:
        numbers = list(map(float, line.replace(",", " ").replace(";", " ").split()))
    except ValueError:
        numbers = []
    if not numbers or "_" in line or not all(map(math.isfinite, numbers)):
        raise SpectrumError(f"line {number} is no line of numbers: {clean_title(line)[:40]!r}", hint=DAMAGED)
    if before + len(numbers) > 2 * MAX_POINTS:
        raise SpectrumError(f"line {number}: more than {MAX_POINTS} points", hint="export a shorter range")
    return numbers


def _finished(draft: _Draft) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return x and y with their factors, checked against what the labels say of them."""
    if draft.error is not None:
        raise draft.error
    labels = draft.labels
    x_factor, y_factor = (_number(labels, name) or 1.0 for name in ("XFACTOR", "YFACTOR"))
    if draft.form == "pairs":
        if len(draft.pairs) % 2:
            raise SpectrumError("its last pair has no value", hint=DAMAGED)
        table = np.array(draft.pairs, dtype=np.float64).reshape(-1, 2)
        x, y = table[:, 0] * x_factor, table[:, 1] * y_factor
        _check_count(labels, len(y))
        _check_ends(labels, x)
        return x, y
    y = np.array(draft.table.values, dtype=np.float64) * y_factor
    _check_count(labels, len(y))
    x = _positions(labels, len(y))
    step = abs(x[-1] - x[0]) / max(1, len(x) - 1)
    for position in draft.table.positions:
        stands, named = x[position.index], position.x * x_factor
        rounding = position.rounding * abs(x_factor)
        near = (NEAR_STEPS * step if rounding <= NEAR_STEPS * step else 2 * rounding) + 1e-9 * abs(named)
        if abs(named - stands) > near and abs(named - x[min(position.last, len(x) - 1)]) > near:
            raise SpectrumError(
                f"line {position.line} stands at {named:g}, counting points gives {stands:g}", hint=DAMAGED
            )
    return x, y


def _check_count(labels: dict[str, str], count: int) -> None:
    named = _number(labels, "NPOINTS")
    if not count or (named is not None and named != count):
        raise SpectrumError(f"holds {count} points, ##NPOINTS= {labels.get('NPOINTS', '')[:20]}", hint=DAMAGED)


def _check_ends(labels: dict[str, str], x: NDArray[np.float64]) -> None:
    step = abs(x[-1] - x[0]) / max(1, len(x) - 1)
    for name, found in (("FIRSTX", float(x[0])), ("LASTX", float(x[-1]))):
        named = _number(labels, name)
        if named is not None and abs(named - found) > NEAR_STEPS * step:
            raise SpectrumError(f"its pairs have {found:g} where ##{name}= {named:g}", hint=DAMAGED)


def _positions(labels: dict[str, str], count: int) -> NDArray[np.float64]:
    first, last, step = (_number(labels, name) for name in ("FIRSTX", "LASTX", "DELTAX"))
    if first is not None and last is not None:
        return np.linspace(first, last, count, dtype=np.float64)
    if first is not None and step is not None:
        return first + step * np.arange(count, dtype=np.float64)
    raise SpectrumError("names no ##FIRSTX with ##LASTX or ##DELTAX", hint=DAMAGED)


def _number(labels: dict[str, str], name: str) -> float | None:
    text = labels.get(name, "")
    if not text:
        return None
    try:
        number = float(text) if "_" not in text else math.nan
    except ValueError:
        number = math.nan
    if not abs(number) < 1e15:  # positions, counts and factors of any unit are far below
        raise SpectrumError(f"##{name}= {clean_title(text)[:40]!r} is not a number", hint=DAMAGED)
    return number


def _row(block: Block, asked: Asked, where: str) -> Row:
    units = block.labels.get("XUNITS", "")
    if not units and asked.unit is None:
        raise SpectrumError("names no ##XUNITS", hint="say which: --unit nm or --unit cm-1")
    axis = axis_named(units) if units else None
    if units and axis is None:
        raise SpectrumError(f"has an axis in {clean_title(units)[:40]}", hint="only nm and 1/cm are optical axes")
    values = values_named(block.labels.get("YUNITS", ""))
    quantity = asked.quantity_named(values, where)
    return compose(
        block.x * (axis.scale if axis else 1.0),
        block.y * values.scale,
        row=block.row,
        title=block.title,
        unit=asked.unit_where_file_says(axis.unit, where) if axis else asked.unit,
        quantity=quantity,
        where=where,
    )
