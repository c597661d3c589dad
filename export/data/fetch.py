"""Sets of spectra from where they are published, into a cache: for people with a network. The SHA-256 of every file is
known before it is asked for, so that it matters neither who sends it nor what happens on the way.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from export.data.files import known_sums
from export.data.origin import DataSet
from export.errors import NotFetched
from export.progress import Report

MAX_FILE_BYTES = 32 << 20  # the largest published file has 2.5 MB; a server without end fills no disk
TIMEOUT_S = 30.0  # without a byte


def cache_folder() -> Path:
    """Return where fetched sets are kept: below XDG_CACHE_HOME, else below ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edged" / "data"


def place_of(found: DataSet, data: Path) -> Path:
    """Return the folder to read a set from: `data`, or the cache where only that has the set's folder."""
    cache = cache_folder()
    return cache if not (data / found.folder).is_dir() and (cache / found.folder).is_dir() else data


def fetch(found: DataSet, cache: Path, report: Report, *, mirror: str = "") -> list[Path]:
    """Fetch the files of a set that are not in the cache, and return the paths of all.

    mirror: the address of a copy of the whole data folder, which serves those sets too that are had by hand.
    Raises NotFetched. What was cut or is another file leaves nothing behind.
    """
    try:
        import pooch
    except ModuleNotFoundError as error:
        raise NotFetched("pooch is not installed here", hint="pip install 'edged[export]'") from error
    if not (found.fetchable or mirror):
        by_hand = ", ".join(name for name, address in found.files.items() if not address)
        raise NotFetched(
            f"{found.name}: published in another form only: {by_hand}",
            hint=f"it was made from {found.origin}; copy the folder {found.folder} from someone who has it, or give "
            "its address with --mirror",
        )
    sums = known_sums()
    places = {f"{found.folder}/{name}": address for name, address in found.files.items()}
    if mirror:
        places = {place: f"{mirror.rstrip('/')}/{quote(place)}" for place in places}
    logging.getLogger("pooch").setLevel(logging.WARNING)
    store = pooch.create(
        path=cache, base_url="", registry={place: f"sha256:{sums[place]}" for place in places}, urls=places
    )
    paths = []
    for done, (place, address) in enumerate(places.items()):
        report(place, done, len(places))
        try:
            paths.append(Path(store.fetch(place, downloader=_bounded)))
        except ValueError as error:
            raise NotFetched(
                f"{address}: what came is not the published file: its SHA-256 is another",
                hint="try again; a proxy that answers with a page of its own does this",
            ) from error
        except OSError as error:  # of requests too
            raise NotFetched(
                f"{address}: {_reason(error)}", hint="check the network, or copy the folder by hand and name it: --data"
            ) from error
    report("done", len(places), len(places))
    return paths


def _bounded(url: str, output: Any, store: Any) -> None:
    """Download to a path, no more than MAX_FILE_BYTES."""
    from pooch import HTTPDownloader

    with Path(output).open("wb") as file:
        HTTPDownloader(timeout=TIMEOUT_S, chunk_size=64 << 10)(url, _Bounded(file), store)


class _Bounded:
    """A file to which no more than MAX_FILE_BYTES are written."""

    def __init__(self, file: Any) -> None:
        self._file, self._left = file, MAX_FILE_BYTES

    def write(self, chunk: bytes) -> None:
        self._left -= len(chunk)
        if self._left < 0:
            raise OSError(f"sends more than {MAX_FILE_BYTES >> 20} MiB")
        self._file.write(chunk)

    def flush(self) -> None:
        self._file.flush()


def _reason(error: OSError) -> str:
    """What happened, in one line: the innermost cause that has words."""
    found: BaseException | None = error
    text = ""
    while found is not None:
        text = str(found).strip() or text
        found = found.__cause__ or found.__context__
    return text.splitlines()[0] if text else type(error).__name__
