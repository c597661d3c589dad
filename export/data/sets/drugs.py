"""Seized drugs on four portable NIR instruments, as tables of a spreadsheet program. What each holds is not told: they
are things that a model must refuse, and pairs of instruments. A set an instrument and campaign, for their axes differ.
"""

from __future__ import annotations

import io
import re
import zipfile
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from export.data.files import read_bytes
from export.data.origin import DataSet
from export.data.spectra import Quantity, Spectra, group_numbers, scans_of
from export.errors import DataUnusable

FOLDER = "nir_illicit_drugs_kranenburg"
MAX_SHEET_BYTES = 16 << 20  # unpacked; the largest of these sheets has 3 MB
_NAMESPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_COLUMN = re.compile(r"[A-Z]+")


def load(data: Path, *, file: str, quantity: Quantity = "absorbance") -> Spectra:
    """Return the mean spectra of one sheet, in its order. Label and group are the sample's own name."""
    digests: dict[str, str] = {}
    path = data / FOLDER / file
    head, *rows = sheet(read_bytes(path, digests), path)
    try:
        axis = np.array(head[1:], dtype=np.float64)
        values = np.array([row[1:] for row in rows], dtype=np.float64)
    except ValueError as error:
        raise DataUnusable(f"{path}: {error}", hint="get the file again") from error
    labels = tuple(row[0] for row in rows)
    return Spectra(
        axis=axis,
        quantity=quantity,
        values=values,
        labels=labels,
        groups=group_numbers(labels),
        scan=scans_of(labels),
        digests=digests,
    )


def sheet(raw: bytes, path: Path) -> list[list[str]]:
    """Return the first sheet of an xlsx file: every row as wide as its first one, empty cells empty.

    Raises DataUnusable for what is no such file. ISO/IEC 29500-1, 18.3 and 18.4.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            strings = [
                "".join(text.text or "" for text in entry.iter(f"{_NAMESPACE}t"))
                for entry in _xml(archive, "xl/sharedStrings.xml").iter(f"{_NAMESPACE}si")
            ]
            rows = [_cells(row, strings) for row in _xml(archive, "xl/worksheets/sheet1.xml").iter(f"{_NAMESPACE}row")]
    except (zipfile.BadZipFile, KeyError, ElementTree.ParseError, ValueError, IndexError) as error:
        raise DataUnusable(f"{path}: no sheet can be read: {error}", hint="get the file again") from error
    width = len(rows[0]) if rows else 0
    return [(row + [""] * width)[:width] for row in rows]


def _xml(archive: zipfile.ZipFile, name: str) -> ElementTree.Element:
    if archive.getinfo(name).file_size > MAX_SHEET_BYTES:
        raise ValueError(f"{name} unpacks to more than {MAX_SHEET_BYTES >> 20} MiB")
    text = archive.read(name)
    if b"<!DOCTYPE" in text:  # spreadsheets have none; entities could grow without bound
        raise ValueError(f"{name} declares a document type")
    return ElementTree.fromstring(text)  # noqa: S314 - bounded, and without a document type


def _cells(row: ElementTree.Element, strings: list[str]) -> list[str]:
    cells: list[str] = []
    for cell in row.iter(f"{_NAMESPACE}c"):
        value = cell.find(f"{_NAMESPACE}v")
        text = "" if value is None or value.text is None else value.text
        at = _place(cell.get("r", ""))
        cells += [""] * (at + 1 - len(cells))
        cells[at] = strings[int(text)] if cell.get("t") == "s" else text
    return cells


def _place(reference: str) -> int:
    """The column of a reference such as AB12, from nought."""
    found = _COLUMN.match(reference)
    if found is None or len(found[0]) > 3:
        raise ValueError(f"{reference!r} names no cell")
    at = 0
    for letter in found[0]:
        at = at * 26 + ord(letter) - ord("A") + 1
    return at - 1


def _set(name: str, file: str, instrument: str, quantity: Quantity = "absorbance") -> DataSet:
    return DataSet(
        name=name,
        title=f"seized drugs, unlabelled, on {instrument}",
        folder=FOLDER,
        files={file: ""},
        licence="CC-BY-4.0",
        copyright="R.F. Kranenburg et al., University of Amsterdam (2022)",
        origin="doi 10.21942/uva.21252300, by way of github.com/GBeurier/nirs4all-formats, commit 0c5b650, renamed",
        paper="R.F. Kranenburg et al., Figshare, University of Amsterdam (2022), doi 10.21942/uva.21252300",
        instruments=(instrument,),
        conditions="means of several scans of a sample; names of samples pair the instruments",
        grouping="a sample",
        ships=True,
        load=partial(load, file=file, quantity=quantity),
    )


SETS = (
    _set("drugs-k-micronir", "K_Avg_MicroNIR.xlsx", "VIAVI MicroNIR 1700"),
    _set("drugs-k-neospectra", "K_Avg_NeoSpectra.xlsx", "Si-Ware NeoSpectra"),
    _set("drugs-t-micronir", "T_Avg_MicroNIR.xlsx", "VIAVI MicroNIR 1700"),
    _set("drugs-t-nirone", "T_Avg_NIRONE.xlsx", "Spectral Engines NIRone"),
    _set("drugs-p-scio", "P_Avg_Scio.xlsx", "Consumer Physics SCiO", "reflectance"),
)
