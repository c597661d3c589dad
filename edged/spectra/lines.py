"""A text file as numbered lines of bounded length, read as a stream: memory does not grow with the file. Any thread."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from edged.spectra.rows import FileError

MAX_FILE_BYTES = 64 << 20  # some 30,000 spectra of 228 points as text; a larger file is split or is no file of spectra
MAX_LINE_BYTES = 2 << 20  # 65,536 axis positions of 24 characters, with room
_TEXT_CONTROLS = b"\t\n\r\x0b\x0c\x1a"
_NOT_TEXT = bytes(set(range(32)) - set(_TEXT_CONTROLS))


class Lines:
    """Numbered lines without their ends; those that are empty or begin with one # are passed over.

    A context manager that owns the open file. Raises FileError for a file that is not readable text within the limits.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = _open(path)
        self._bytes_read = 0
        self._number = 0
        self._pushed: list[tuple[int, str]] = []

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return self

    def __next__(self) -> tuple[int, str]:
        if self._pushed:
            return self._pushed.pop(0)
        while True:
            line = self._read()
            if line is None:
                raise StopIteration
            comment = line.startswith("#") and not line.startswith("##")  # two begin a JCAMP-DX label
            if line.strip(" \t,;") and not comment:
                return self._number, line

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
        try:
            raw = self._file.readline(MAX_LINE_BYTES + 1)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        if not raw:
            return None
        self._number += 1
        self._bytes_read += len(raw)
        if len(raw) > MAX_LINE_BYTES:
            raise FileError(
                f"{self.path}: line {self._number} is longer than {MAX_LINE_BYTES >> 20} MiB",
                hint="this is no table of spectra; see edged analyze --help for the layouts",
            )
        if self._bytes_read > MAX_FILE_BYTES:
            raise _too_large(self.path, self._bytes_read)
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
        return text.rstrip("\r\n\x1a")


def _open(path: Path) -> BinaryIO:
    try:
        kind = path.stat()
        _check_kind(path, kind)
        return path.open("rb")
    except FileError:
        raise
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValueError as error:  # a null character in the path
        raise FileError(f"{str(path)!a}: is not a path", hint="check the name") from error


def _check_kind(path: Path, kind: os.stat_result) -> None:
    if stat.S_ISDIR(kind.st_mode):
        raise FileError(f"{path}: is a folder", hint="name the files in it")
    if not (stat.S_ISREG(kind.st_mode) or stat.S_ISFIFO(kind.st_mode)):
        raise FileError(f"{path}: is a device or a socket, not a file", hint="save the spectra to a file first")
    if kind.st_size > MAX_FILE_BYTES:
        raise _too_large(path, kind.st_size)


def _too_large(path: Path, size: int) -> FileError:
    return FileError(
        f"{path}: {size / 1e6:.0f} MB; at most {MAX_FILE_BYTES / 1e6:.0f} MB are read from one file",
        hint="split it into smaller files",
    )


def _unreadable(path: Path, error: OSError) -> FileError:
    hints = {
        errno.ENOENT: "check the name",
        errno.EACCES: "make the file readable for this user",
        errno.ENOTDIR: "check the name",
    }
    reason = os.strerror(error.errno).lower() if error.errno else str(error)
    return FileError(f"{path}: {reason}", hint=hints.get(error.errno or 0, "check the file and the disk"))
