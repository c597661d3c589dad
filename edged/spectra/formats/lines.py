"""A text file as numbered lines of bounded length, read as a stream: memory does not grow with the file. Any thread."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader, FileIO
from pathlib import Path

from edged.spectra.formats import source
from edged.spectra.rows import FileError

MAX_LINE_BYTES = 2 << 20  # 65,536 axis positions of 24 characters, with room
PASSED_OVER = " \t,;"  # a line of nothing else is an empty one
LINE_END = "\r\n\x1a"
_TEXT_CONTROLS = b"\t\n\r\x0b\x0c\x1a"
_NOT_TEXT = bytes(set(range(32)) - set(_TEXT_CONTROLS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A part of a table with one spectrum a line: bytes `start` to `end`, which are where lines begin.

    lines_before, rows_before: how many lines, and how many spectra, stand before it in the file.
    """

    start: int
    end: int
    lines_before: int
    rows_before: int


class Lines:
    """Numbered lines of an open file without their ends.

    Iterating passes over those that are empty or begin with one #; `every()` gives them all, and does not know what
    `peek` has seen. Raises FileError for a file that is not text within the limits.
    """

    def __init__(self, file: BufferedReader[FileIO], path: Path) -> None:
        self.path = path
        self._file = file
        self._bytes_read = 0
        self._number = 0
        self._pushed: list[tuple[int, str]] = []
        self._bytes_wanted: int | None = None

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return self

    def __next__(self) -> tuple[int, str]:
        if self._pushed:
            return self._pushed.pop(0)
        while True:
            line = self._read()
            if line is None:
                raise StopIteration
            if line.strip(PASSED_OVER) and not line.startswith("#"):
                return self._number, line

    def every(self) -> Iterator[tuple[int, str]]:
        """Yield the lines to come, empty ones and comments included."""
        while (line := self._read()) is not None:
            yield self._number, line

    def go_to(self, stretch: Stretch) -> None:
        """Give the lines of a stretch from here on, and then no more."""
        try:
            self._file.seek(stretch.start)
        except OSError as error:
            raise source.unreadable(self.path, error) from error
        self._pushed.clear()
        self._number = stretch.lines_before
        self._bytes_read, self._bytes_wanted = 0, stretch.end - stretch.start

    def peek(self, count: int) -> list[tuple[int, str]]:
        """Return up to `count` of the lines to come without taking them."""
        while len(self._pushed) < count:
            pushed, self._pushed = self._pushed, []
            try:
                line = next(self)
            except StopIteration:
                return pushed
            finally:
                self._pushed = pushed
            self._pushed.append(line)
        return self._pushed[:count]

    def _read(self) -> str | None:
        if self._bytes_wanted is not None and self._bytes_read >= self._bytes_wanted:
            return None
        try:
            raw = self._file.readline(MAX_LINE_BYTES + 1)
        except OSError as error:
            raise source.unreadable(self.path, error) from error
        if not raw:
            return None
        self._number += 1
        self._bytes_read += len(raw)
        if len(raw) > MAX_LINE_BYTES:
            raise FileError(
                f"{self.path}: line {self._number} is longer than {MAX_LINE_BYTES >> 20} MiB",
                hint="this is no table of spectra; see edged analyze --help for the layouts",
            )
        if self._bytes_read > source.MAX_FILE_BYTES:
            raise source.too_large(self.path, self._bytes_read)
        if self._number == 1:
            if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise FileError(f"{self.path}: is UTF-16 text", hint="save it as CSV UTF-8")
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        if len(raw.translate(None, _NOT_TEXT)) != len(raw):
            raise FileError(
                f"{self.path}: line {self._number} holds binary data",
                hint="export the spectra as CSV with the instrument's own program",
            )
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = raw.decode("latin-1")  # a degree sign from an older program; numbers are the same in both
        return text.rstrip(LINE_END)
