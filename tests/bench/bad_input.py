"""Bad spectra to learn from, through the real commands: what is said, how soon, and that nothing is left behind.

`python -m tests.bench.bad_input` spoils a folder of real powders in one way after another and writes
docs/results/bad-input.md.
"""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click
import numpy as np
from numpy.typing import NDArray

from export.data.catalogue import load_set
from export.page import Code, Page, Part, Table, Text
from tests.bench.subject import REPOSITORY

CLASSES, FILLINGS, SCANS = ("100AC", "100LA", "100AA"), 4, 5  # of each class; of the ten scans of a filling
TOLD = re.compile(r"^(?:STOP|note) +", re.MULTILINE)
LONGEST = 170  # characters of a message that the page shows
Lines = list[dict[str, str]]
Wanted = Literal["stops", "told"]


class Powders:
    """A folder of real scans, one file each, and its labels.csv."""

    def __init__(self, path: Path, data: Path) -> None:
        self.path = path
        spectra = load_set("powders12", data)
        self.axis, labels = spectra.axis, np.array(spectra.labels)
        path.mkdir(parents=True)
        self.lines: Lines = []
        for label in CLASSES:
            rows = np.flatnonzero(labels == label)
            for number in range(FILLINGS * SCANS):
                row = rows[10 * (number // SCANS) + number % SCANS]
                name = f"{label}-{number:02d}.csv"
                self.write(name, spectra.values[row])
                self.lines.append({"file": name, "label": label, "group": f"{label} {number // SCANS}"})
        self.tell()

    def write(
        self,
        name: str,
        values: NDArray[np.floating],
        *,
        axis: NDArray[np.float64] | None = None,
        head: str = "Wavelength (nm),Absorbance",
        form: str = "%.8g",
    ) -> None:
        """Write one scan."""
        table = np.c_[self.axis if axis is None else axis, values]
        np.savetxt(self.path / name, table, delimiter=",", header=head, comments="", fmt=["%.8g", form])

    def read(self, name: str) -> NDArray[np.float64]:
        """The values of one scan."""
        found: NDArray[np.float64] = np.loadtxt(self.path / name, delimiter=",", skiprows=1)[:, 1]
        return found

    def tell(self, change: Callable[[dict[str, str]], dict[str, str] | None] = dict) -> None:
        """Write labels.csv anew, each line changed or left out; files without a line go too."""
        self.lines = [told for line in self.lines if (told := change(line)) is not None]
        with (self.path / "labels.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(self.lines[0]))
            writer.writeheader()
            writer.writerows(self.lines)

    def keep(self, wanted: Callable[[dict[str, str]], bool]) -> None:
        """Take out the other scans, with their files."""
        for line in self.lines:
            if not wanted(line):
                (self.path / line["file"]).unlink()
        self.tell(lambda line: line if wanted(line) else None)


def _of(line: dict[str, str], label: str) -> bool:
    return line["label"] == label


def no_label(of: Powders) -> None:
    """A row of labels.csv without a label."""
    of.tell(lambda line: line | {"label": ""} if line["file"] == "100AC-03.csv" else line)


def not_listed(of: Powders) -> None:
    """A file that labels.csv does not name."""
    of.tell(lambda line: None if line["file"] == "100AA-19.csv" else line)


def no_file(of: Powders) -> None:
    """A line whose file is not there."""
    (of.path / "100AA-03.csv").unlink()


def one_class(of: Powders) -> None:
    """One class only."""
    of.keep(lambda line: _of(line, "100AC"))


def three_spectra(of: Powders) -> None:
    """Three spectra a class."""
    of.keep(lambda line: int(line["file"][6:8]) % SCANS == 0 and int(line["file"][6:8]) < 3 * SCANS)


def copy_across(of: Powders) -> None:
    """A scan once more under another filling, at another gain and level."""
    of.write("100LA-18.csv", 1.5 * of.read("100LA-02.csv") + 0.2)


def copy_rounded(of: Powders) -> None:
    """A scan once more under another filling, with three decimals."""
    of.write("100LA-18.csv", of.read("100LA-02.csv"), form="%.3f")


def two_labels(of: Powders) -> None:
    """One scan under two labels."""
    of.write("100AA-07.csv", of.read("100LA-02.csv"))


def copy_beside(of: Powders) -> None:
    """A scan twice in one filling."""
    of.write("100LA-03.csv", of.read("100LA-02.csv"))


def units(of: Powders) -> None:
    """Axes in nm and in 1/cm."""
    name = "100AA-07.csv"
    of.write(name, of.read(name)[::-1], axis=1e7 / of.axis[::-1], head="Wavenumber (cm-1),Absorbance")


def little_overlap(of: Powders) -> None:
    """An axis with less than half in common."""
    of.write("100AA-07.csv", of.read("100AA-07.csv"), axis=of.axis + 700)


def slightly_other_axis(of: Powders) -> None:
    """An axis that differs by 1 nm."""
    of.write("100AA-07.csv", of.read("100AA-07.csv"), axis=of.axis + 1.0)


def descending(of: Powders) -> None:
    """A descending axis."""
    of.write("100AA-07.csv", of.read("100AA-07.csv")[::-1], axis=of.axis[::-1])


def not_a_number(of: Powders) -> None:
    """A value that is NaN."""
    values = of.read("100AA-07.csv")
    values[10] = np.nan
    of.write("100AA-07.csv", values)


def flat(of: Powders) -> None:
    """A flat spectrum."""
    of.write("100AA-07.csv", np.full(len(of.axis), 0.7))


def counts(of: Powders) -> None:
    """Counts among absorbance."""
    of.write("100AA-07.csv", np.round(20_000 * 10 ** -of.read("100AA-07.csv")))


def clipped(of: Powders) -> None:
    """A spectrum that is cut off at the top."""
    values = of.read("100AA-07.csv")
    of.write("100AA-07.csv", np.minimum(values, np.quantile(values, 0.9)))


def written_otherwise(of: Powders) -> None:
    """A label written in two ways."""
    of.tell(lambda line: line | {"label": "100la"} if line["group"] == "100LA 0" else line)


def misprint(of: Powders) -> None:
    """A rare label that is nearly another."""
    unbalanced(of)
    names = {"100AC": "ascorbic acid", "100AA": "ascorbic acids"}
    of.tell(lambda line: line | {"label": names.get(line["label"], line["label"])})


def no_groups(of: Powders) -> None:
    """No groups."""
    of.tell(lambda line: {"file": line["file"], "label": line["label"]})


def one_group(of: Powders) -> None:
    """A class of one preparation."""
    of.tell(lambda line: line | {"group": "one"} if _of(line, "100AA") else line)


def three_groups(of: Powders) -> None:
    """Three preparations a class, and a library search to be tuned."""
    of.keep(lambda line: not line["group"].endswith("3"))


def unbalanced(of: Powders) -> None:
    """Five times fewer of one class."""
    of.keep(lambda line: not _of(line, "100AA") or line["file"][6:8] in ("00", "05", "10", "15", "16"))


SPOILT: Mapping[Callable[[Powders], None], tuple[Wanted, str]] = {  # what is to happen, and what is to be said
    no_label: ("stops", "has no label"),
    not_listed: ("stops", "not in labels.csv"),
    no_file: ("stops", "no such file"),
    one_class: ("stops", "one class"),
    three_spectra: ("stops", "fewer than 5 spectra"),
    copy_across: ("stops", "the same scan on both sides of the split"),
    copy_rounded: ("told", "the same scan with other digits"),
    two_labels: ("stops", "one scan under two labels"),
    copy_beside: ("told", "the same scan twice"),
    units: ("stops", "axes of several units"),
    little_overlap: ("stops", "begins at"),
    slightly_other_axis: ("told", "an axis of its own"),
    descending: ("stops", "descends"),
    not_a_number: ("stops", "is not a finite number"),
    flat: ("stops", "flat"),
    counts: ("stops", "no absorbance"),
    clipped: ("told", "clipped"),
    written_otherwise: ("stops", "differ by case or blanks only"),
    misprint: ("told", "may be a misprint"),
    no_groups: ("told", "groups are missing"),
    one_group: ("told", "both sides of the split"),
    three_groups: ("told", "learns from one preparation"),
    unbalanced: ("told", "few spectra"),
}
BUILD_SAYS: Mapping[Callable[[Powders], None], str] = {  # where the recipe says more than check knows
    three_groups: "chooses its settings",
    one_group: "all spectra of one group",  # it was made for groups
    units: "too little in common",  # it says what the unit is
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command did. seconds: until it ended, or had told what there was to tell and began to train."""

    status: int | None
    seconds: float
    text: str


def commanded(*words: str, until: str = "") -> Said:
    """Run `edged-export`; stop it once it says `until`, which stands for hours. status: None where it was stopped."""
    started, lines = time.monotonic(), []
    process = subprocess.Popen(
        [sys.executable, "-m", "export.main", *words],
        cwd=REPOSITORY,
        env={**os.environ, "COLUMNS": "1000"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process, process.stdout:
        for line in process.stdout:
            lines.append(line)
            if until and until in line:
                seconds = time.monotonic() - started
                os.killpg(process.pid, signal.SIGKILL)
                return Said(status=None, seconds=seconds, text="".join(lines))
    return Said(status=process.returncode, seconds=time.monotonic() - started, text="".join(lines))


def tried(spoil: Callable[[Powders], None], folder: Path, data: Path) -> tuple[list[str], bool]:
    """Return a row of the table, and whether all went as it is to."""
    wanted, reason = SPOILT[spoil]
    path, work = folder / "mine", folder / "work"
    of = Powders(path, data)
    text = commanded("recipe", str(path)).text
    recipe = folder / "my.toml"
    if spoil is three_groups:
        spoil(of)
        text = commanded("recipe", str(path)).text
        text = re.sub(r"\[network\].*?(?=\n\[)", '[network]\nkind = "library"\n', text, flags=re.DOTALL)
    recipe.write_text(_without_notes(text).replace(str(path), "mine"))
    if spoil is not three_groups:
        spoil(of)
    checked = commanded("data", "check", str(path))
    stops_build = wanted == "stops" or spoil in BUILD_SAYS
    built = commanded("build", str(recipe), "--work", str(work), until="" if stops_build else reason)
    left = "nothing" if not work.exists() else "**a work folder**" if stops_build else "–"
    right = (checked.status == 1) == (wanted == "stops") and reason in checked.text
    right = right and (built.status not in (0, None)) == stops_build and BUILD_SAYS.get(spoil, reason) in built.text
    right = right and (left == "nothing" or not stops_build)
    says = next((line for line in checked.text.splitlines() if reason in line), "nothing of the kind")
    says = TOLD.sub("", says).replace(f"{path}{os.sep}", "").replace(str(path), "the folder").replace("|", "/")
    row = [
        (spoil.__doc__ or "").rstrip("."),
        "refused" if checked.status else "told" if reason in checked.text else "**not told**",
        f"{checked.status} in {checked.seconds:.1f} s",
        "told, trains" if built.status is None else f"{built.status} in {built.seconds:.1f} s",
        left,
        "yes" if right else "**no**",
        f"`{says if len(says) <= LONGEST else says[:LONGEST] + ' ...'}`",
    ]
    return row, right


def _without_notes(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not TOLD.match(line)) + "\n"


def page_of(rows: list[list[str]], wrong: int) -> Page:
    """The page."""
    seen = [float(found) for row in rows for cell in row[2:4] for found in re.findall(r"in ([\d.]+) s", cell)]
    verdict = "All go as is wanted." if not wrong else f"**{wrong} of {len(rows)} do not go as is wanted.**"
    parts: list[Part] = [
        Text(" ".join(OPENING.split())),
        Text(f"{len(rows)} ways, at most {max(seen):.0f} s until told. {verdict} Written by"),
        Code("python -m tests.bench.bad_input"),
        Table(["what is wrong", "check", "exit status", "build", "left behind", "as wanted", "what check says"], rows),
    ]
    return Page(title="Bad spectra to learn from", parts=tuple(parts))


OPENING = f"""
{len(CLASSES) * FILLINGS * SCANS} real scans of three powders (`powders12`: {FILLINGS} fillings of {SCANS} scans
each), one file a scan, with labels.csv, from which `edged-export recipe` made a recipe while all was well. Then one
thing is spoilt, and `edged-export data check` and `edged-export build` run as a user would run them. What stops is
told with its reason and ends with 1, before anything is trained and with no work folder; what is only told lets the
build go on, which is broken off here as soon as it has said so. Seconds are of the clock, with others at work on the
machine, and mostly those that torch takes to load."""


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Folder of public spectra.  [default: $EDGED_DATA]")
@click.option("--out", type=click.Path(path_type=Path), default=REPOSITORY / "docs" / "results")
@click.option("--only", metavar="TEXT", help="Only what holds this in its description; no page is written.")
def main(data: Path | None, out: Path, only: str | None) -> None:
    """Spoil a folder in every way and write the page.

    Example: python -m tests.bench.bad_input
    """
    folder = data or Path(os.environ.get("EDGED_DATA") or REPOSITORY.parent / "shared" / "data")
    rows, wrong = [], 0
    for spoil in SPOILT:
        if only is not None and only not in (spoil.__doc__ or ""):
            continue
        with tempfile.TemporaryDirectory(prefix="edged-bad-") as scratch:
            row, right = tried(spoil, Path(scratch), folder)
        click.echo(" | ".join(row))
        rows.append(row)
        wrong += not right
    if only is None:
        page_of(rows, wrong).write(out, "bad-input")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
