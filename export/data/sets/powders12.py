"""Twelve powder formulations of acetaminophen, ascorbic acid and lactose on a handheld NIR, 100 scans each; and four
ternary mixtures of the same compounds, which a model of the twelve must refuse."""

from __future__ import annotations

import re
from pathlib import Path

from export.data.files import numbers, read_rows
from export.data.origin import NOTRE_DAME_PAPER, DataSet, on_github
from export.data.spectra import Spectra, group_numbers, scans_of
from export.errors import DataUnusable

FOLDER = "nir_pharma_powders_notredame"
SCANS_A_FILLING = 10
_REPOSITORY = "aawotund/Combined-machine-learning-and-linear-regression-analysis-of-NIR-spectra-..."
_COMMIT, _TERNARY_COMMIT = "ae6c6de25a7e45c4c77d5b36f516bda8676416e8", "7f742164ca90c9880211f96a5dd3f93c1b36b655"
_NAMES = {"AC": "acetaminophen", "AA": "ascorbic acid", "LA": "lactose"}
_TERNARY_NAMES = {"Acetaminophen": "acetaminophen", "Ascorbic": "ascorbic acid", "Lactose": "lactose"}
_TERNARY = re.compile(r"(?:\d\d(?:Acetaminophen|Ascorbic|Lactose)){3}")
_TERNARY_PART = re.compile(r"(\d\d)([A-Z][a-z]+)")
_WHOLE, _THRICE_33 = 100, 99  # what the percentages of a ternary add up to
_LABEL = re.compile(r"(?P<parts>100|\d{4})(?P<codes>(?:AC|AA|LA){1,2})")


def load(data: Path) -> Spectra:
    """Return the 1,200 scans of 12 formulations, in the order of the file. A group is a filling of ten scans."""
    folder = data / FOLDER
    digests: dict[str, str] = {}
    rows = read_rows(folder / "RawNIRData.csv", digests)
    labels = tuple(row[0].strip() for row in read_rows(folder / "ClassRef.csv", digests)[1:])
    table = numbers(rows[1:], folder / "RawNIRData.csv")
    if table.shape[1] != len(labels) + 1:
        raise DataUnusable(f"{folder}: {table.shape[1] - 1} spectra and {len(labels)} labels")
    scan = scans_of(labels)
    return Spectra(
        axis=table[:, 0].copy(),
        values=table[:, 1:].T.copy(),
        labels=labels,
        groups=group_numbers(list(zip(labels, (scan // SCANS_A_FILLING).tolist(), strict=True))),
        scan=scan,
        titles={label: title(label) for label in dict.fromkeys(labels)},
        digests=digests,
        contents={label: composition(label) for label in dict.fromkeys(labels)},
    )


def load_ternaries(data: Path) -> Spectra:
    """Return the 400 scans of four ternary mixtures: the hardest thing to refuse."""
    path = data / FOLDER / "ternary_samples.csv"
    digests: dict[str, str] = {}
    rows = read_rows(path, digests)
    points = len(rows[0]) - 2  # the last two columns are label and name
    labels = tuple(row[points + 1] for row in rows[1:])
    scan = scans_of(labels)
    return Spectra(
        axis=numbers([rows[0][:points]], path)[0],
        values=numbers([row[:points] for row in rows[1:]], path),
        labels=labels,
        groups=group_numbers(list(zip(labels, (scan // SCANS_A_FILLING).tolist(), strict=True))),
        scan=scan,
        digests=digests,
        contents={label: ternary_composition(label) for label in dict.fromkeys(labels)},
    )


def title(label: str) -> str:
    """Return a title for people: `1090ACAA` is 10 % acetaminophen and 90 % ascorbic acid by weight.

    The order of the shares is that of the compounds: the source's SampleInfo.csv gives 1090ACAA a mole ratio of 0.1148
    acetaminophen, which is 10 % by weight.
    """
    shares = _percentages(label)
    if len(shares) == 1:
        return next(iter(shares)).capitalize()
    return ", ".join(f"{name} {share} %" for name, share in shares.items()).capitalize()


def composition(label: str) -> dict[str, float]:
    """Return the mass fraction of each compound that a label of the twelve names. Raises DataUnusable."""
    return {name: share / 100 for name, share in _percentages(label).items()}


def ternary_composition(label: str) -> dict[str, float]:
    """Return the mass fractions that the name of a ternary states; 33, 33 and 33 are thirds. Raises DataUnusable."""
    found = _TERNARY_PART.findall(label) if _TERNARY.fullmatch(label) else []
    parts = {_TERNARY_NAMES[name]: int(share) for share, name in found}
    total = sum(parts.values())
    if len(parts) != len(_TERNARY_NAMES) or total not in (_WHOLE, _THRICE_33):
        raise DataUnusable(f"ternary {label!r} is not of the form 60Ascorbic10Acetaminophen30Lactose, together 100")
    return {name: share / total for name, share in parts.items()}


def _percentages(label: str) -> dict[str, int]:
    match = _LABEL.fullmatch(label)
    if match is None:
        raise DataUnusable(f"class {label!r} is not of the form 1090ACAA or 100LA")
    parts, codes = match["parts"], [match["codes"][i : i + 2] for i in range(0, len(match["codes"]), 2)]
    shares = (100,) if parts == "100" else (int(parts[:2]), int(parts[2:]))
    return {_NAMES[code]: share for code, share in zip(codes, shares, strict=True)}


SET = DataSet(
    name="powders12",
    title="twelve powder formulations of acetaminophen, ascorbic acid and lactose",
    folder=FOLDER,
    files={name: on_github(_REPOSITORY, _COMMIT, f"R-PLAYING/{name}") for name in ("RawNIRData.csv", "ClassRef.csv")},
    licence="MIT",
    copyright="Copyright (c) 2021 Olatunde",
    origin="github.com/aawotund, repository Combined-machine-learning-and-linear-regression-analysis-of-NIR-spectra-"
    "..., commit ae6c6de",
    paper=NOTRE_DAME_PAPER,
    instruments=("InnoSpectra NIR-M-R2 (TI DLP NIRscan Nano family), 228 points, 900.8 to 1701.0 nm",),
    conditions="one instrument and one preparation a class; other sessions and units are only simulated",
    grouping="a filling of ten contiguous scans",
    ships=True,
    load=load,
)
TERNARIES = SET.other(
    name="powders-ternary",
    title="four ternary mixtures of the compounds of powders12",
    load=load_ternaries,
    files={
        "ternary_samples.csv": on_github(_REPOSITORY, _TERNARY_COMMIT, "Manuscript code_CNN/Data/ternary_samples.csv")
    },
)
