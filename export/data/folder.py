"""A user's own spectra: a folder of files in any format that edged reads, with a labels.csv; or one table whose rows
are titled with their labels.

All that is wrong is found at once, with file and row. Numbers are never repaired: axes that differ are brought onto one
by interpolation where they overlap, and this is said.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edged.spectra.files import read_spectra
from edged.spectra.rows import Lost
from edged.spectra.spectrum import Spectrum, SpectrumError
from export.data.common_axis import onto_one_axis
from export.data.finding import Finding, raise_refusals, refuse, some
from export.data.labels import NAME, Label, Labels, read_labels
from export.data.spectra import AxisUnit, Quantity, Spectra, group_numbers, scans_of

MAX_VALUES = 50_000_000  # of all spectra together: 400 MB as float64
QUANTITIES: tuple[Quantity, ...] = ("absorbance", "reflectance", "intensity")
NO_SPECTRA = (".toml", ".md", ".txt~", ".html", ".pdf", ".docx", ".xlsx", ".png", ".jpg")  # what else people keep


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a folder holds, and what is wrong with it. spectra: None where they cannot be put together."""

    spectra: Spectra | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """One spectrum with what is told of it."""

    spectrum: Spectrum
    label: Label
    place: str


def read_folder(path: Path, *, unit: AxisUnit | None = None, quantity: Quantity | None = None) -> Spectra:
    """Return the spectra of a folder, or of one table. Raises DataUnusable that lists every reason.

    unit, quantity: what they are; None takes what the files say.
    """
    found = survey(path, unit=unit, quantity=quantity)
    raise_refusals(str(path), found.findings)
    assert found.spectra is not None
    return found.spectra


def survey(path: Path, *, unit: AxisUnit | None = None, quantity: Quantity | None = None) -> Survey:
    """Read as `read_folder` does, and return all that is found instead of raising."""
    if path.is_file():
        labels, folder, files = Labels(rows=(), has=frozenset()), path.parent, [path.name]
    else:
        labels, folder = read_labels(path / NAME), path
        files = list(dict.fromkeys(row.file for row in labels.rows))
    told_of: dict[str, list[Label]] = defaultdict(list)
    for row in labels.rows:
        told_of[row.file].append(row)
    findings = list(labels.findings)
    reads: list[_Read] = []
    digests: dict[str, str] = {}
    values = 0
    for name in files:
        try:
            for read in _file(folder / name, told_of[name], unit, quantity):
                if isinstance(read, Finding):
                    findings.append(read)
                else:
                    reads.append(read)
                    values += len(read.spectrum.values)
            with (folder / name).open("rb") as file:
                digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
        except SpectrumError as error:
            findings.append(refuse(error.message, error.hint))
        except OSError as error:
            findings.append(refuse(f"{folder / name}: {(error.strerror or str(error)).lower()}", "check the file"))
        if values > MAX_VALUES:
            findings.append(refuse(f"{path}: more than {MAX_VALUES} values", "leave spectra out, or average repeats"))
            break
    if path.is_dir() and labels.rows:
        findings += _unlabelled(folder, files)
    if not reads:
        return Survey(spectra=None, findings=(*findings, *([] if findings else [refuse(f"{path}: holds no spectra")])))
    return _composed(reads, labels, digests, findings)


def _file(path: Path, told: list[Label], unit: AxisUnit | None, quantity: Quantity | None) -> Iterable[_Read | Finding]:
    """Each spectrum of a file with its label, or what is wrong with it. Raises SpectrumError, OSError for the file."""
    wanted = {row.row: row for row in told}
    seen: set[str] = set()
    rows = list(read_spectra(path, unit=unit, quantity=quantity))
    for row in rows:
        if isinstance(row, Lost):
            seen |= {str(row.row), row.title}
            yield refuse(row.error.message, row.error.hint)
            continue
        spectrum, place = row.spectrum, str(path) if len(rows) == 1 else f"{path}: row {row.row}"
        if spectrum.quantity not in QUANTITIES:
            yield refuse(f"{place}: holds {spectrum.quantity}", "counts are read with --quantity intensity")
            continue
        key = next((key for key in ("", str(row.row), spectrum.title) if key in wanted), None)
        if not told:
            label = spectrum.title
            if not label:
                yield refuse(f"{place}: has no title to be its label", f"or put the file into a folder with a {NAME}")
                continue
            yield _Read(spectrum=spectrum, label=Label(line=0, file=path.name, label=label), place=place)
        elif key is None:
            yield refuse(f"{place}: is not in {NAME}", f"add a line with row {row.row}, or take the spectrum out")
        else:
            seen.add(key)
            yield _Read(spectrum=spectrum, label=wanted[key], place=place)
    for key in wanted.keys() - seen - {""}:
        yield refuse(
            f"{NAME}: line {wanted[key].line}: {path} has no row {key!r}", "rows count from 1, or bear a title"
        )


def _unlabelled(folder: Path, files: list[str]) -> list[Finding]:
    """Files of the folder that look like the labelled ones and are not in labels.csv."""
    suffixes = {Path(name).suffix.lower() for name in files} - set(NO_SPECTRA)
    known = {*files, NAME}
    left = sorted(
        name
        for path in folder.rglob("*")
        if path.is_file()
        and not path.name.startswith(".")
        and path.suffix.lower() in suffixes
        and (name := path.relative_to(folder).as_posix()) not in known
    )
    if not left:
        return []
    what = "1 file is" if len(left) == 1 else f"{len(left)} files are"
    return [refuse(f"{folder}: {what} not in {NAME}: {some(left)}", "add a line for each, or move them away")]


def _composed(reads: list[_Read], labels: Labels, digests: dict[str, str], findings: list[Finding]) -> Survey:
    quantities = {read.spectrum.quantity: read.place for read in reads}
    if len(quantities) > 1:
        shown = ", ".join(f"{name} ({place})" for name, place in quantities.items())
        findings.append(refuse(f"values of several kinds: {shown}", "export all as one of them, or say which to take"))
    common, wrong = onto_one_axis([read.spectrum for read in reads], [read.place for read in reads])
    findings += wrong
    if common is None or len(quantities) > 1:
        return Survey(spectra=None, findings=tuple(findings))
    told = [read.label for read in reads]
    names = tuple(row.label for row in told)
    spectra = Spectra(
        axis=common.axis,
        axis_unit=reads[0].spectrum.axis_unit,
        quantity=next(quantity for quantity in QUANTITIES if quantity in quantities),
        values=common.values,
        labels=names,
        groups=group_numbers([row.group if "group" in labels.has else place for place, row in enumerate(told)]),
        scan=scans_of(names),
        titles={row.label: row.title for row in told if row.title},
        amounts=np.array([row.amount for row in told], dtype=np.float64) if "amount" in labels.has else None,
        amount_unit=labels.amount_unit,
        instruments=tuple(row.instrument for row in told) if "instrument" in labels.has else (),
        places=tuple(read.place for read in reads),
        remarks=common.remarks,
        digests=digests,
    )
    return Survey(spectra=spectra, findings=tuple(findings))
