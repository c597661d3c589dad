"""labels.csv of a user's folder: which file, or which spectrum of it, is what. Every mistake is found with its line."""

from __future__ import annotations

import csv
import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from export.data.finding import Finding, refuse, some, warn

NAME = "labels.csv"
MAX_BYTES = 16 << 20  # some 200,000 lines
MAX_LABEL, MAX_TITLE = 64, 200  # characters; what a bundle's manifest holds
COLUMNS = ("file", "label", "row", "group", "instrument", "amount", "title")
_AMOUNT = re.compile(r"amount(?:[\s_(\[/,]+(?P<unit>[^)\]]+?)[)\]]?)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One line. row: of which spectrum of the file, its number from 1 or its title; empty for all of them."""

    line: int
    file: str
    label: str
    row: str = ""
    group: str = ""
    instrument: str = ""
    amount: float | None = None
    title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """What labels.csv says. amount_unit: from the name of its column, as in amount_mg."""

    rows: tuple[Label, ...]
    has: frozenset[str]
    amount_unit: str = ""
    findings: tuple[Finding, ...] = ()


def read_labels(path: Path) -> Labels:
    """Read labels.csv, its columns in any order, told apart by commas, semicolons or tabs. Raises nothing."""
    try:
        raw = path.read_bytes()
        if len(raw) > MAX_BYTES:
            return _refused(f"{path}: larger than {MAX_BYTES >> 20} MiB", "split the folder")
        lines = raw.decode("utf-8-sig").splitlines()
    except OSError as error:
        return _refused(
            f"{path}: {(error.strerror or str(error)).lower()}",
            f"a folder of spectra has a file {NAME} with the columns file and label",
        )
    except UnicodeDecodeError:
        return _refused(f"{path}: not UTF-8 text", "save it as CSV UTF-8")
    if not lines:
        return _refused(f"{path}: is empty", "its first line names the columns: file,label,group")
    delimiter = max(",;\t", key=lines[0].count)
    try:
        table = list(csv.reader(lines, delimiter=delimiter))
    except csv.Error as error:
        return _refused(f"{path}: {error}", "save it again as CSV")
    columns, unit, findings = _columns(table[0], path)
    if any(finding.level == "refuse" for finding in findings):
        return Labels(rows=(), has=frozenset(), findings=tuple(findings))
    rows: list[Label] = []
    for number, cells in enumerate(table[1:], 2):
        told = {name: cells[at].strip() if at < len(cells) else "" for name, at in columns.items()}
        if any(told.values()):
            row = _row(told, number, path, decimal_comma=delimiter != ",")
            if isinstance(row, Finding):
                findings.append(row)
            else:
                rows.append(row)
    return Labels(
        rows=tuple(rows), has=frozenset(columns), amount_unit=unit, findings=(*findings, *_disputes(rows, path))
    )


def _refused(message: str, hint: str) -> Labels:
    return Labels(rows=(), has=frozenset(), findings=(refuse(message, hint),))


def _columns(head: Sequence[str], path: Path) -> tuple[dict[str, int], str, list[Finding]]:
    """Where each column stands, the unit of the amounts, and what is wrong with the head."""
    columns: dict[str, int] = {}
    unit, findings = "", []
    for at, cell in enumerate(head):
        name = cell.strip().lower()
        if match := _AMOUNT.fullmatch(cell.strip()):  # the unit as it is written: mM is no mm
            name, unit = "amount", (match["unit"] or "").strip()
        if name not in COLUMNS:
            near = difflib.get_close_matches(name, COLUMNS, n=1)
            findings.append(
                warn(
                    f"{path}: line 1: nothing is made of the column {cell.strip()!r}",
                    f"did you mean {near[0]}?" if near else f"columns: {', '.join(COLUMNS)}",
                )
            )
        elif name in columns:
            findings.append(refuse(f"{path}: line 1: two columns {name}", "keep one of them"))
        columns.setdefault(name, at)
    columns = {name: at for name, at in columns.items() if name in COLUMNS}
    missing = [name for name in ("file", "label") if name not in columns]
    if missing:
        findings.append(
            refuse(f"{path}: line 1: no column {' and no column '.join(missing)}", "line 1 names the columns")
        )
    if "amount" in columns and not unit:
        findings.append(warn(f"{path}: line 1: the amounts have no unit", "call the column amount_mg, for example"))
    return columns, unit, findings


def _row(told: Mapping[str, str], number: int, path: Path, *, decimal_comma: bool) -> Label | Finding:
    where = f"{path}: line {number}"
    file, label = told["file"].replace("\\", "/"), told["label"]
    if not file:
        return refuse(f"{where}: names no file", "each line begins with what it speaks of")
    place = PurePosixPath(file)
    if place.is_absolute() or ".." in place.parts or "\0" in file:
        return refuse(f"{where}: {file!r} is not below the folder", "name files by their path from the folder on")
    if not label:
        return refuse(f"{where}: {file} has no label", "say what it is, or take the line and the file out")
    if len(label) > MAX_LABEL or not label.isprintable():
        return refuse(f"{where}: a label of {len(label)} characters", f"at most {MAX_LABEL}; put the rest into title")
    if len(told.get("title", "")) > MAX_TITLE:
        return refuse(f"{where}: a title of {len(told['title'])} characters", f"at most {MAX_TITLE}")
    amount = None
    if text := told.get("amount", ""):
        try:
            amount = float(text.replace(",", ".") if decimal_comma else text)
        except ValueError:
            amount = math.nan
        if not math.isfinite(amount):
            return refuse(f"{where}: the amount {text!r} is no number", "a number, without its unit")
    elif "amount" in told:
        return refuse(f"{where}: {file} has no amount", "fill it in, or take the line and the file out")
    words = {name: told.get(name, "") for name in ("row", "group", "instrument", "title")}
    if "group" in told and not words["group"]:
        return refuse(f"{where}: {file} has no group", "the preparation, batch or day that it belongs to")
    return Label(line=number, file=place.as_posix(), label=label, amount=amount, **words)


def _disputes(rows: Sequence[Label], path: Path) -> list[Finding]:
    """Lines that contradict each other: a spectrum told twice, two titles of one label."""
    findings: list[Finding] = []
    told: dict[tuple[str, str], int] = {}
    titles: dict[str, tuple[str, int]] = {}
    for row in rows:
        first = told.setdefault((row.file, row.row), row.line)
        if first != row.line:
            findings.append(
                refuse(f"{path}: line {row.line}: {row.file} is in line {first} already", "keep one of them")
            )
        if not row.title:
            continue
        title, line = titles.setdefault(row.label, (row.title, row.line))
        if title != row.title:
            findings.append(
                refuse(
                    f"{path}: line {row.line}: {row.label!r} is titled {row.title!r}, in line {line} {title!r}",
                    "one title a label",
                )
            )
    mixed = [name for name in {row.file for row in rows if row.row} if (name, "") in told]
    if mixed:
        findings.append(
            refuse(
                f"{path}: labelled as a whole and row by row: {some(sorted(mixed))}", "fill in the column row, or none"
            )
        )
    return findings
