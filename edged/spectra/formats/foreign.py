"""Formats that are known by their first bytes and not read, and how to get at their spectra."""

from __future__ import annotations

from pathlib import Path

from edged.spectra.rows import FileError

_TEXT_OR_SPC = "export the spectra as text or SPC"
SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"\x04MNIR", "a VIAVI MicroNIR .sam file", "export the spectra as CSV with MicroNIR Pro"),
    (b"Spectral Data File", "a Thermo OMNIC file", "save it as SPC, JCAMP-DX or CSV with OMNIC"),
    (b"Spectral Exte", "a Thermo OMNIC series", "save each spectrum as SPC, JCAMP-DX or CSV with OMNIC"),
    (b"PEPE", "a PerkinElmer .sp file", "save it as JCAMP-DX or ASCII with Spectrum"),
    (b"AVS8", "an Avantes AvaSoft file", "export it as ASCII or JCAMP-DX with AvaSoft"),
    (b"ASD", "an ASD FieldSpec file", "export it as ASCII or JCAMP-DX with ViewSpec Pro"),
    (b"as7", "an ASD FieldSpec file", "export it as ASCII or JCAMP-DX with ViewSpec Pro"),
    (b"\x89HDF", "an HDF5 file", _TEXT_OR_SPC),
    (b"MATLAB", "a MATLAB file", "write the spectra as CSV"),
    (b"\x93NUMPY", "a NumPy file", "write the spectra as CSV"),
    (b"%PDF", "a PDF document", _TEXT_OR_SPC),
    (b"\xd0\xcf\x11\xe0", "an old Microsoft Office file", "save the sheet as CSV UTF-8"),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
)
_ZIPPED: tuple[tuple[bytes, str, str], ...] = (
    (b"OOI", "an Ocean Optics ProcSpec file", "save it as tab delimited text or JCAMP-DX with OceanView"),
    (b"ps_", "an Ocean Optics ProcSpec file", "save it as tab delimited text or JCAMP-DX with OceanView"),
    (b"[Content_Types].xml", "an Excel workbook", "save the sheet as CSV UTF-8"),
    (b"xl/", "an Excel workbook", "save the sheet as CSV UTF-8"),
    (b"NUMPY", "a NumPy archive", "write the spectra as CSV"),
)


def refuse_foreign(head: bytes, path: Path) -> None:
    """Raise FileError that names the format and the way out, if a file that begins so is of one of these."""
    for start, name, hint in SIGNATURES:
        if head.startswith(start):
            raise FileError(f"{path}: is {name}, which is not read", hint=hint)
    if head.startswith(b"PK\x03\x04"):
        for part, name, hint in _ZIPPED:
            if part in head:
                raise FileError(f"{path}: is {name}, which is not read", hint=hint)
        raise FileError(f"{path}: is a zip archive", hint="unpack it first")
