"""Device families by name: the file's name in `drivers.devices` is the kind. Files that begin with _ are no devices."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from typing import Any

from drivers import devices
from drivers.contract import Device
from drivers.errors import Park


class UnknownKind(Park, LookupError):
    """No device file has this name. `kind` is what was asked for, `known` what there is."""

    def __init__(self, kind: str, known: tuple[str, ...]) -> None:
        near = difflib.get_close_matches(kind.lower(), known, n=1)
        suggestion = f"did you mean {near[0]}? " if near else ""
        super().__init__(f"no device kind {kind!r}", hint=f"{suggestion}known kinds: {', '.join(known)}")
        self.kind = kind
        self.known = known


def kinds() -> tuple[str, ...]:
    """Return every kind, sorted. Imports none of them."""
    names = (module.name for module in pkgutil.iter_modules(devices.__path__))
    return tuple(sorted(name for name in names if not name.startswith("_")))


def load(kind: str) -> Device[Any]:
    """Import one device file and return its DEVICE, which holds no state. Raises UnknownKind."""
    known = kinds()
    if kind not in known:
        raise UnknownKind(kind, known)
    device: Device[Any] = importlib.import_module(f"{devices.__name__}.{kind}").DEVICE
    if device.kind != kind:
        raise TypeError(f"drivers/devices/{kind}.py exports a device of kind {device.kind!r}")
    return device
