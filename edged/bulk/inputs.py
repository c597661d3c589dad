"""What a run reads: the files that are named, those in folders that are named, in an order that does not change.

A folder of millions of files is walked, never held: only the names within one folder are in memory at a time.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from edged.bulk.errors import NotThisRun, RunBroken
from edged.bulk.sources import is_journal
from edged.bulk.work import Stamp, stamp_of

MAX_DEPTH = 64  # folders in folders; a loop of mounts ends here


@dataclass(slots=True)
class Listing:
    """What lies behind one name of the command line: how many files, how many bytes, and a digest over their names,
    sizes and times. A journal may grow: only its name counts.
    """

    name: str
    files: int = 0
    size_bytes: int = 0
    journal_bytes: int = 0
    _digest: Any = field(default_factory=hashlib.sha256)

    def add(self, file: str, stamp: Stamp | None) -> None:
        """Take in the next file."""
        self.files += 1
        if is_journal(file):
            self.journal_bytes += stamp.size_bytes if stamp else 0
            stamp = None
        self.size_bytes += stamp.size_bytes if stamp else 0
        told = f"{stamp.size_bytes} {stamp.mtime_ns}" if stamp else "none"
        self._digest.update(os.fsencode(file) + b"\0" + told.encode() + b"\0")

    def document(self) -> dict[str, Any]:
        """Return it as it stands in the state of a run."""
        return {
            "name": self.name,
            "files": self.files,
            "size_bytes": self.size_bytes,
            "digest": self._digest.hexdigest(),
        }


def listings(names: Sequence[str], match: str | None) -> list[Listing]:
    """Look at all inputs once.

    Raises NotThisRun for what no run can read: an empty folder, one too deep, a pipe; RunBroken for a folder that is
    not readable now.
    """
    found = []
    for name in names:
        listing = Listing(name=name)
        for file, stamp in files_in(name, match):
            listing.add(file, stamp)
        if not listing.files:
            wanted = f" that fits {match}" if match else ""
            raise NotThisRun(f"{name}: holds no file{wanted}", hint="name another folder")
        found.append(listing)
    return found


def files_in(name: str, match: str | None) -> Iterator[tuple[str, Stamp | None]]:
    """Yield a file that is named, or those in a folder and its folders, by name; hidden ones are left out.

    match: only files of a folder whose name fits this pattern, such as *.csv. A stamp is None where there is no file.
    """
    if not Path(name).is_dir():
        yield name, _stamp(name)
        return
    for file in _walk(name, MAX_DEPTH):
        if match is None or fnmatchcase(os.path.basename(file), match):  # noqa: PTH119  (a Path for each of millions)
            yield file, _stamp(file)


def _walk(folder: str, depth: int) -> Iterator[str]:
    try:
        with os.scandir(folder) as found:
            entries = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in found)
    except OSError as error:
        raise RunBroken(
            f"{folder}: {os.strerror(error.errno or 0).lower()}", hint="make it readable for this user"
        ) from error
    for name, is_folder in entries:
        if name.startswith("."):
            continue
        path = os.path.join(folder, name)  # noqa: PTH118
        if not is_folder:
            yield path
        elif depth == 0:
            raise NotThisRun(f"{path}: lies more than {MAX_DEPTH} folders deep", hint="name a folder farther down")
        else:
            yield from _walk(path, depth - 1)


def _stamp(file: str) -> Stamp | None:
    stamp = stamp_of(file)
    if stamp is not None and stat.S_ISFIFO(stamp.mode):
        raise NotThisRun(f"{file}: is a pipe, which cannot be read twice", hint="save the spectra to a file first")
    return stamp
