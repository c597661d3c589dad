"""Where bundles are installed, and which one judges. One file names the active and the previous: both change at once.

    <folder>/slots.json                        {"active": NAME or null, "previous": NAME or null}; null is DEFAULT
    <folder>/<name>-<version>.edgebundle       installed, never changed in place

Several bundles are built in. One of them, DEFAULT, judges where nothing was activated; to activate another installs it,
so that it stays what it was when edged is updated.

Every change is on disk before it is reported, and a power cut leaves the old state or the new one. Processes that
change the same folder wait for each other. Safe on any thread.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Literal

from edged.bundle.archive import SUFFIX, Bundle, bundle_from_bytes, file_bytes, read_bundle
from edged.bundle.errors import BundleDamaged, BundleError, BundleMissing, BundleUnfit, StoreUnusable

State = Literal["active", "previous", "installed", "built-in"]

DEFAULT = "powders12"  # of the built-in ones
STATE_FILE = "slots.json"
MAX_STATE_BYTES = 4096
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}-\d{1,9}\.\d{1,9}\.\d{1,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One bundle that could judge. `state` is `active` for the built-in, too, when that is the one that judges."""

    name: str
    path: Path
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pointers:
    """Names of installed bundles; None is the built-in. `written`: something was activated at least once."""

    active: str | None = None
    previous: str | None = None
    written: bool = False


class Slots:
    """The folder of installed bundles; it need not exist until something is installed. Methods raise BundleError."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)

    def entries(self) -> tuple[Entry, ...]:
        """Return what is installed and built in, sorted by name; nothing is read but names."""
        pointers = self._pointers()
        found = [Entry(name=name, path=path, state=_state(name, pointers)) for name, path in self._installed().items()]
        for shipped in built_ins():
            judges = pointers.active is None and shipped == built_in()
            found.append(Entry(name=shipped.stem, path=shipped, state="active" if judges else "built-in"))
        return tuple(sorted(found, key=lambda entry: (entry.name, entry.state)))

    def find(self, name: str) -> Path:
        """Return the path of an installed or built-in bundle named `powders12-1.4.0`, with or without the suffix."""
        name = name.removesuffix(SUFFIX)
        known = self._known()
        if name in known:
            return known[name]
        raise BundleMissing(
            f"no bundle {name[:100]!a} is installed", hint=f"installed: {', '.join(sorted(known)) or 'none'}"
        )

    def newest(self, name: str) -> Path:
        """Return the newest bundle named `powders12`, or what `find` does for a name with its version.

        A built-in one counts only where none is installed, so that an update of edged changes no model that was.
        """
        return _newest(self._installed().values(), name) or newest_built_in(name) or self.find(name)

    def path_named(self, text: str) -> Path:
        """Return the path of the bundle that somebody named: a file, else an installed or built-in one as `newest`."""
        return Path(text) if text.endswith(SUFFIX) or "/" in text else self.newest(text)

    def named(self, text: str) -> Bundle:
        """Read that bundle."""
        return read_bundle(self.path_named(text))

    def current(self) -> Bundle:
        """Read the bundle that judges: the active one, else the built-in."""
        active = self._pointers().active
        if active is not None:
            return read_bundle(self.find(active))
        shipped = built_in()
        if shipped is None:
            raise BundleMissing(
                "no bundle is installed and none is built in", hint="edged bundle install FILE --activate"
            )
        return read_bundle(shipped)

    def fallbacks(self) -> tuple[Entry, ...]:
        """Return what to try, in order: the active one, the previous one, DEFAULT; absent ones are left out."""
        order = {"active": 0, "previous": 1, "built-in": 2}
        tried = [e for e in self.entries() if e.state in order and (e.state != "built-in" or e.path == built_in())]
        return tuple(sorted(tried, key=lambda entry: order[entry.state]))

    def missing(self) -> str | None:
        """Return the name of the bundle that should judge and is not there any more, or None."""
        active = self._pointers().active
        return active if active is not None and active not in self._installed() else None

    def install(self, path: str | os.PathLike[str]) -> Bundle:
        """Check a bundle and copy it in; installing the same file again changes nothing. It does not judge yet."""
        data = file_bytes(path)
        bundle = bundle_from_bytes(data, path=Path(path))
        target = self.folder / bundle.file_name
        with self._changing():
            present = _digest_of(target)
            if present is None:
                self._write(target, data)
            elif present != bundle.digest:
                raise BundleUnfit(
                    f"{bundle.file_name} is installed already with other contents",
                    hint="give the new one a new version",
                )
        return replace(bundle, path=target)

    def activate(self, name: str) -> Bundle:
        """Make an installed bundle the one that judges, and the one before it the previous one."""
        path = self.find(name)
        bundle = self.install(path) if path in built_ins() and path != built_in() else read_bundle(path)
        with self._changing():
            pointers = self._pointers()
            target = bundle.file_name.removesuffix(SUFFIX)
            wanted = target if target in self._installed() else None
            if wanted != pointers.active or not pointers.written:
                self._point(active=wanted, previous=pointers.active)
        return bundle

    def rollback(self) -> Bundle:
        """Swap the active and the previous bundle. Raises BundleMissing when nothing was ever activated."""
        with self._changing():
            pointers = self._pointers()
            if not pointers.written:
                raise BundleMissing("there is no previous bundle", hint="edged bundle list")
            bundle = self._read_previous(pointers)
            self._point(active=pointers.previous, previous=pointers.active)
        return bundle

    def _read_previous(self, pointers: _Pointers) -> Bundle:
        if pointers.previous is not None:
            return read_bundle(self.find(pointers.previous))
        shipped = built_in()
        if shipped is None:
            raise BundleMissing("the previous bundle was the built-in, and none is built in", hint="edged bundle list")
        return read_bundle(shipped)

    def _known(self) -> dict[str, Path]:
        return {path.stem: path for path in built_ins()} | self._installed()

    def _installed(self) -> dict[str, Path]:
        try:
            paths = sorted(self.folder.glob(f"*{SUFFIX}"))
        except OSError as error:
            raise _unusable(self.folder, error) from error
        return {path.stem: path for path in paths if _NAME.fullmatch(path.stem)}

    def _pointers(self) -> _Pointers:
        path = self.folder / STATE_FILE
        try:
            with path.open("rb") as file:
                fields = json.loads(file.read(MAX_STATE_BYTES))
        except (FileNotFoundError, NotADirectoryError):
            return _Pointers()
        except OSError as error:
            raise _unusable(path, error) from error
        except (ValueError, RecursionError) as error:
            raise _broken(path) from error
        if not isinstance(fields, dict) or set(fields) != {"active", "previous"}:
            raise _broken(path)
        return _Pointers(
            active=_installed_name(fields["active"], path),
            previous=_installed_name(fields["previous"], path),
            written=True,
        )

    def _point(self, *, active: str | None, previous: str | None) -> None:
        text = json.dumps({"active": active, "previous": previous}) + "\n"
        self._write(self.folder / STATE_FILE, text.encode())

    def _write(self, target: Path, data: bytes) -> None:
        """Write a file whole and lasting, or leave what was there."""
        scratch = target.with_name(f".{target.name}.part")
        try:
            with scratch.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(target)
            _sync_folder(self.folder)
        except OSError as error:
            scratch.unlink(missing_ok=True)
            raise _unusable(target, error) from error

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the folder against other processes, making it if need be."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise _unusable(self.folder, error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def built_ins() -> tuple[Path, ...]:
    """Return the bundles that edged ships with, by name and version, the newest of DEFAULT first."""
    folder = Path(str(resources.files("edged.bundle") / "default"))
    paths = [path for path in folder.glob(f"*{SUFFIX}") if _NAME.fullmatch(path.stem)]
    newest = _newest(paths, DEFAULT)
    return tuple(sorted(paths, key=lambda path: (path != newest, path.name)))


def built_in() -> Path | None:
    """Return the bundle that judges where none was activated, or None."""
    return next(iter(built_ins()), None)


def newest_built_in(name: str) -> Path | None:
    """Return the newest version of that name that edged ships with, or None."""
    return _newest(built_ins(), name)


def _newest(paths: Iterable[Path], name: str) -> Path | None:
    versions = [path for path in paths if path.stem.rpartition("-")[0] == name]
    return max(versions, key=lambda path: _version(path.stem), default=None)


def _version(stem: str) -> tuple[int, ...]:
    return tuple(int(part) for part in stem.rpartition("-")[2].split("."))


def _digest_of(path: Path) -> str | None:
    """The digest of an installed bundle, or None when there is none or it is damaged and may be written again."""
    try:
        return read_bundle(path).digest
    except (BundleDamaged, BundleMissing):
        return None


def _state(name: str, pointers: _Pointers) -> State:
    if name == pointers.active:
        return "active"
    return "previous" if name == pointers.previous else "installed"


def _installed_name(value: object, path: Path) -> str | None:
    if value is not None and not (isinstance(value, str) and _NAME.fullmatch(value)):
        raise _broken(path)
    return value


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _broken(path: Path) -> BundleError:
    return StoreUnusable(
        f"{path}: does not name an active and a previous bundle", hint="delete it, then: edged bundle activate NAME"
    )


def _unusable(path: Path, error: OSError) -> BundleError:
    reason = (error.strerror or str(error)).lower()
    return StoreUnusable(f"{path}: {reason}", hint="run as the user of the service, or check the disk")
