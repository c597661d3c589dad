"""A file from outside, opened: a regular file or a pipe, of bounded size, looked at before it is read. Any thread."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader, FileIO
from pathlib import Path

from edged.spectra.rows import FileError

MAX_FILE_BYTES = 64 << 20  # some 30,000 spectra of 228 points as text; a larger file is split or is no file of spectra
MAX_ARCHIVE_BYTES = 1 << 40  # of a table that is read stretch by stretch: half a billion spectra, days on any machine
MAX_BINARY_BYTES = 16 << 20  # these are held whole: 4 million values, or 1,000 spectra of 4,096 points
HEAD_BYTES = 2048


def open_source(path: Path, *, max_bytes: int | None = None) -> BufferedReader[FileIO]:
    """Open a file for reading. Raises FileError for what is no file, cannot be read, or is too large.

    max_bytes: None takes MAX_FILE_BYTES.
    """
    try:
        kind = path.stat()
        _check_kind(path, kind, MAX_FILE_BYTES if max_bytes is None else max_bytes)
        return BufferedReader(FileIO(path), buffer_size=64 << 10)
    except FileError:
        raise
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError as error:  # a null character in the path
        raise FileError(f"{str(path)!a}: is not a path", hint="check the name") from error


def head_of(file: BufferedReader[FileIO], path: Path) -> bytes:
    """Return the first HEAD_BYTES of an open file without taking them; of a pipe, what has come so far."""
    try:
        return file.peek(HEAD_BYTES)[:HEAD_BYTES]
    except OSError as error:
        raise unreadable(path, error) from error


def read_whole(file: BufferedReader[FileIO], path: Path) -> bytes:
    """Return all bytes of an open file. Raises FileError beyond MAX_BINARY_BYTES."""
    try:
        data = file.read(MAX_BINARY_BYTES + 1)
    except OSError as error:
        raise unreadable(path, error) from error
    if len(data) > MAX_BINARY_BYTES:
        raise FileError(
            f"{path}: larger than {MAX_BINARY_BYTES >> 20} MiB, the most that is read of a binary file",
            hint="export fewer spectra to one file",
        )
    return data


def too_large(path: Path, size: int, max_bytes: int | None = None) -> FileError:
    """Return the error for a file beyond `max_bytes`; None is MAX_FILE_BYTES."""
    most = MAX_FILE_BYTES if max_bytes is None else max_bytes
    return FileError(
        f"{path}: {size / 1e6:.0f} MB; at most {most / 1e6:.0f} MB are read from one file",
        hint="split it into smaller files",
    )


def unreadable(path: Path, error: OSError) -> FileError:
    """Return the error for what the operating system said of a file."""
    hints = {
        errno.ENOENT: "check the name",
        errno.EACCES: "make the file readable for this user",
        errno.ENOTDIR: "check the name",
    }
    reason = os.strerror(error.errno).lower() if error.errno else str(error)
    return FileError(f"{path}: {reason}", hint=hints.get(error.errno or 0, "check the file and the disk"))


def _check_kind(path: Path, kind: os.stat_result, max_bytes: int) -> None:
    if stat.S_ISDIR(kind.st_mode):
        raise FileError(f"{path}: is a folder", hint="name the files in it")
    if not (stat.S_ISREG(kind.st_mode) or stat.S_ISFIFO(kind.st_mode)):
        raise FileError(f"{path}: is a device or a socket, not a file", hint="save the spectra to a file first")
    if kind.st_size > max_bytes:
        raise too_large(path, kind.st_size, max_bytes)
