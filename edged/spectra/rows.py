"""What comes out of a file of spectra: one row a spectrum, found or lost, or a FileError for the file as a whole."""

from __future__ import annotations

from dataclasses import dataclass

from edged.spectra.spectrum import Spectrum, SpectrumError

MAX_TITLE = 200


class FileError(SpectrumError):
    """The file as a whole gives no spectra, or no more of them. Message and hint name file, line and column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A spectrum. `row` counts the spectra of the file from one, lost ones included."""

    row: int
    spectrum: Spectrum


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A spectrum that could not be read; the others of the file are not affected."""

    row: int
    title: str
    error: SpectrumError


Row = Found | Lost


def clean_title(text: str) -> str:
    """Return text that any terminal and any file can take, on one line."""
    return "".join(c if c.isprintable() else "?" for c in text.strip()[:MAX_TITLE])
