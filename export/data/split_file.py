"""The split of a recipe as a file: which spectra learn and which test, each with the SHA-256 of its values.

    # edged split 1
    # source: powders12                         set or folder
    # rule: {"kind": "blocks", ...}             as in the recipe, with its seed
    # development: 960 spectra, SHA-256 ...     as the manifest of a bundle states it
    row  spectrum  class  group  part  use  sha256
    1    100AC, scan 1  100AC  0  0  learn  ...

Head, then tab-separated columns, UTF-8. A SHA-256 is that of `values_digest`: float64, little-endian, row after row, on
the axis on which the spectra were read.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from export.data.spectra import Spectra
from export.data.split import values_digest
from export.errors import DataUnusable

SPLIT_FILE = "split.tsv"  # in the work folder of a build
FIRST = "# edged split 1"
COLUMNS = ("row", "spectrum", "class", "group", "part", "use", "sha256")
DIGESTS = ("development", "test", "all")  # of the head: told last, for a row tells more
MAX_BYTES = 64 * 2**20  # half a million spectra; a larger file is none of ours
Use = Literal["learn", "test", "fractions", "tried", "unused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitTable:
    """What the file says. head: by key, in order. rows: of texts, as `COLUMNS`."""

    head: Mapping[str, str]
    rows: tuple[tuple[str, ...], ...]

    def text(self) -> str:
        """Return the file: equal tables give equal bytes."""
        out = io.StringIO()
        out.write(f"{FIRST}\n" + "".join(f"# {key}: {value}\n" for key, value in self.head.items()))
        csv.writer(out, delimiter="\t", lineterminator="\n").writerows((COLUMNS, *self.rows))
        return out.getvalue()

    def write(self, path: Path) -> None:
        """Write the file. Raises DataUnusable where that cannot be."""
        try:
            path.write_text(self.text(), encoding="utf-8", newline="")
        except OSError as error:
            raise DataUnusable(f"{path}: {(error.strerror or str(error)).lower()}") from error


def split_table(
    spectra: Spectra,
    *,
    source: str,
    below: str = "",
    rule: Any,
    test: NDArray[np.bool_],
    uses: Sequence[Use],
    parts: Sequence[int | None],
    others: Mapping[str, Sequence[str]],
    more: Mapping[str, str] | None = None,
) -> SplitTable:
    """Return how spectra are split.

    below: the folder of the spectra, left out of their names: the file is the same wherever a command runs. rule: the
    recipe's own words. test [n]: which spectra are held out of everything. uses [n]. parts [n]: which part each belongs
    to, None where to none. others: what other sets, whole, are used for. more: what else the head tells.
    """
    sides = {
        "development": np.flatnonzero(~test),
        "test": np.flatnonzero(test),
        "all": np.arange(len(test)),
    }
    head = {
        "source": " ".join(source.split()),
        "rule": json.dumps(rule),
        **(more or {}),
        "other sets": "; ".join(f"{use} {', '.join(names)}" for use, names in others.items() if names) or "none",
        **{side: f"{len(rows)} spectra, SHA-256 {values_digest(spectra, rows)}" for side, rows in sides.items()},
    }
    rows = tuple(
        (
            str(row + 1),
            spectra.place(row).removeprefix(f"{below}/"),
            spectra.labels[row],
            str(spectra.groups[row]),
            "" if parts[row] is None else str(parts[row]),
            uses[row],
            values_digest(spectra, np.array([row])),
        )
        for row in range(len(spectra.labels))
    )
    return SplitTable(head=head, rows=rows)


def read_split(path: Path) -> SplitTable:
    """Read such a file. Raises DataUnusable for what is none."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataUnusable(f"{path}: larger than {MAX_BYTES} bytes: no split file")
        lines = path.read_bytes().decode("utf-8").split("\n")  # a label may hold a carriage return
    except OSError as error:
        raise DataUnusable(f"{path}: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise DataUnusable(f"{path}: not UTF-8 text: no split file") from error
    if lines[0] != FIRST:
        raise DataUnusable(f"{path}: does not begin with {FIRST!r}", hint="edged-export data split writes such files")
    count = next((number for number, line in enumerate(lines) if not line.startswith("# ")), len(lines))
    head = {key: value for key, _, value in (line[2:].partition(": ") for line in lines[1:count])}
    try:
        table = [tuple(row) for row in csv.reader(io.StringIO("\n".join(lines[count:]), newline=""), delimiter="\t")]
    except csv.Error as error:
        raise DataUnusable(f"{path}: {error}", hint="write it anew") from error
    if not table or table[0] != COLUMNS or any(len(row) != len(COLUMNS) for row in table):
        raise DataUnusable(f"{path}: the columns are not {', '.join(COLUMNS)}", hint="write it anew")
    return SplitTable(head=head, rows=tuple(table[1:]))


def first_difference(kept: SplitTable, today: SplitTable) -> str | None:
    """Say where a file differs first from what is made today; None where it is the same."""
    keys = [key for key in dict.fromkeys([*today.head, *kept.head]) if key not in DIGESTS]
    for key in keys:
        if kept.head.get(key) != today.head.get(key):
            return _differs(key, kept.head.get(key, "nothing"), today.head.get(key, "nothing"))
    for was, now in zip(kept.rows, today.rows, strict=False):
        for column, one, other in zip(COLUMNS, was, now, strict=True):
            if one != other:
                values = column == "sha256"
                return f"row {now[0]}, {now[1]}: " + ("other values" if values else _differs(column, one, other))
    if len(kept.rows) != len(today.rows):
        return _differs("spectra", str(len(kept.rows)), str(len(today.rows)))
    for key in DIGESTS:
        if kept.head.get(key) != today.head.get(key):
            return _differs(key, kept.head.get(key, "nothing"), today.head.get(key, "nothing"))
    return None


def _differs(what: str, kept: str, today: str) -> str:
    return f"{what}: {kept or 'none'} in the file, {today or 'none'} today"
