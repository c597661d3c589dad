"""Files of samples that simulators play: those that come with them, and those that `edged-export twin` made."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import TypeVar
from zipfile import BadZipFile

from firmware_sim.contract import OperatorError

Kept = TypeVar("Kept")
DAMAGED = (ValueError, KeyError, TypeError, AttributeError, EOFError, BadZipFile)


def named(name: str, load: Callable[[Path], Kept], *, folder: str, what: str) -> Kept:
    """Read one that comes with the simulator. Raises OperatorError when none has that name."""
    known = {path.stem: path for path in sorted(Path(str(resources.files("firmware_sim") / folder)).glob("*.npz"))}
    if name not in known:
        raise OperatorError(f"no {what} {name!r}; there are {', '.join(known)}")
    return load(known[name])


def from_file(where: str, load: Callable[[Path], Kept], fits: Callable[[Kept], bool], *, what: str, of: str) -> Kept:
    """Read somebody's own. fits: whether its arrays are of each other's size. Raises OperatorError."""
    try:
        kept = load(Path(where))
    except OSError as error:
        raise OperatorError(f"{where}: {(error.strerror or str(error)).lower()}") from error
    except DAMAGED as error:
        raise OperatorError(f"{where}: holds no {what}; edged-export twin makes one of {of} spectra") from error
    if not fits(kept):
        raise OperatorError(f"{where}: its spectra do not fit its axis and labels; make it again")
    return kept
