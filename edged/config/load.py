"""From files, drop-ins, environment and flags to one `Configuration`, or to every mistake at once.

Later sources win key by key: `edged.toml`, then `edged.toml.d/*.toml` in the order of their names, then `EDGED_*`
variables (`EDGED_MQTT__HOST`), then `KEY=VALUE` flags (`mqtt.host=broker`). Nothing is ever written.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from drivers.links.ports import BadPort, device_at
from drivers.registry import kinds
from drivers.registry import load as load_device
from edged.config.lines import KeyPath, key_lines
from edged.config.problems import ConfigurationError, Problem
from edged.config.vocabulary import NAME_PATTERN, Configuration, ScanOverrides
from edged.mistakes import mistake, shown
from edged.spectra.spectrum import SpectrumError
from edged.spectra.standards.known import standards
from edged.spectra.transfer import load_transfer

DEFAULT_PATH = Path("/etc/edged/edged.toml")
MAX_FILE_BYTES = 1 << 20  # a thousand stations take a fifth of it; bounds a mistaken path to a big file
PREFIX = "EDGED_"
SHOWN_CHARACTERS = 80  # of what was found
ANY_UNIT = ("usb", "hid")  # ports that mean the only unit of the family


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A valid configuration and the sources it came from, the first being the weakest."""

    configuration: Configuration
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origin:
    """Where a key was written."""

    source: str
    line: int | None = None
    rank: int = 0


@dataclass(slots=True)
class _Merged:
    """All sources laid over one another, with the origin of every key."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[KeyPath, _Origin] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def load(path: Path, *, environ: Mapping[str, str], flags: Sequence[str] = ()) -> Loaded:
    """Read all sources and return the configuration. Raises ConfigurationError with all problems."""
    merged = _Merged()
    files = [path, *sorted(path.with_name(path.name + ".d").glob("*.toml"))]
    for file in files:
        _add_file(merged, file)
    _add_assignments(merged, _from_environment(environ))
    all_read = not merged.problems
    _add_assignments(merged, _from_flags(merged, flags))
    configuration: Configuration | None = None
    if all_read:  # with a source unread, its keys would be called missing
        try:
            configuration = Configuration.model_validate(merged.values)
        except ValidationError as error:
            merged.problems += [_explain(merged, detail) for detail in error.errors(include_url=False)]
        merged.problems += _across_stations(merged)
    if merged.problems or configuration is None:
        raise ConfigurationError(_in_reading_order(merged))
    return Loaded(configuration=configuration, sources=tuple(merged.sources))


def _add_file(merged: _Merged, file: Path) -> None:
    name = str(file)
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise ValueError(f"larger than {MAX_FILE_BYTES} bytes; this is hardly a configuration")
        text = data.decode("utf-8").replace("\r\n", "\n")
        values = tomllib.loads(text)
        lines = key_lines(text)
    except OSError as error:
        merged.problems.append(
            Problem(
                source=name,
                line=None,
                key="",
                message=f"cannot be read: {(error.strerror or str(error)).lower()}",
                suggestion="name another with --config or EDGED_CONFIG; edged/config/example.toml shows every key",
            )
        )
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        merged.problems.append(Problem(source=name, line=line, key="", message="is not UTF-8 text"))
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+), column (\d+)", str(error))
        line = int(found.group(1)) if found else text.count("\n") + 1
        merged.problems.append(Problem(source=name, line=line, key="", message=f"TOML syntax: {error}"))
    except (ValueError, RecursionError) as error:
        merged.problems.append(Problem(source=name, line=None, key="", message=str(error)))
    else:
        rank = len(merged.sources)
        merged.sources.append(name)
        _overlay(merged, values, (), lambda key: _Origin(source=name, line=_line_of(lines, key), rank=rank))


def _overlay(merged: _Merged, values: dict[str, Any], at: KeyPath, origin: typing.Callable[[KeyPath], _Origin]) -> None:
    target: Any = merged.values
    for part in at:
        target = target[part]
    for key, value in values.items():
        path = (*at, key)
        if isinstance(value, dict):
            if not isinstance(target.get(key), dict):
                target[key] = {}
            merged.origins.setdefault(path, origin(path))
            _overlay(merged, value, path, origin)
        else:
            target[key] = value
            merged.origins[path] = origin(path)


def _line_of(lines: Mapping[KeyPath, int], path: KeyPath) -> int | None:
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path)


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[KeyPath, str, _Origin]]:
    """Our variables: those with `__` in them, and top-level values. Others with our prefix are no settings."""
    for name, text in sorted(environ.items()):
        if not name.startswith(PREFIX):
            continue
        path = tuple(name.removeprefix(PREFIX).lower().split("__"))
        if len(path) > 1 or path[0] in ("site", "device"):
            yield path, text, _Origin(source=name, rank=1_000)


def _from_flags(merged: _Merged, flags: Sequence[str]) -> Iterator[tuple[KeyPath, str, _Origin]]:
    for flag in flags:
        key, separator, text = flag.partition("=")
        if not separator or not key:
            merged.problems.append(
                Problem(source=f"--set {flag}", line=None, key="", message="is not KEY=VALUE, such as mqtt.host=broker")
            )
        else:
            yield tuple(key.split(".")), text, _Origin(source=f"--set {flag}", rank=1_001)


def _add_assignments(merged: _Merged, assignments: Iterator[tuple[KeyPath, str, _Origin]]) -> None:
    for path, text, origin in assignments:
        value: Any = text if _wants_text(path) else _toml_value(text)
        for part in reversed(path):
            value = {part: value}
        _overlay(merged, value, (), _always(origin))
        merged.sources.append(origin.source)


def _always(origin: _Origin) -> typing.Callable[[KeyPath], _Origin]:
    return lambda _: origin


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}\n")["value"] if "\n" not in text else text
    except tomllib.TOMLDecodeError:
        return text


def _wants_text(path: KeyPath) -> bool:
    model = _model_at(path[:-1])
    if model is None or path[-1] not in model.model_fields:
        return False
    return _is_textual(model.model_fields[str(path[-1])].annotation)


def _is_textual(annotation: Any) -> bool:
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return all(isinstance(a, str) for a in typing.get_args(annotation))
    if origin is typing.Annotated:
        return _is_textual(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return all(_is_textual(a) for a in typing.get_args(annotation) if a is not type(None))
    return annotation is str


def _model_at(path: Sequence[str | int]) -> type[BaseModel] | None:
    """The table that a path leads to, or None when it leads to a value or nowhere."""
    model: Any = Configuration
    for part in path:
        if isinstance(model, type) and issubclass(model, BaseModel):
            model = model.model_fields[str(part)].annotation if part in model.model_fields else None
        elif typing.get_origin(model) is dict:
            model = typing.get_args(model)[1]
        else:
            return None
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None


def _explain(merged: _Merged, detail: ErrorDetails) -> Problem:
    path = tuple(part for part in detail["loc"] if part != "[key]")
    origin = _origin_of(merged, path)
    key = ".".join(str(part) for part in path)
    table = _model_at(path[:-1])
    found = mistake(detail, table.model_fields if table is not None else ())
    message, allowed = found.message, found.allowed
    match detail["type"]:
        case "missing":
            allowed = _described(table, path)
        case "string_pattern_mismatch" if detail.get("ctx", {}).get("pattern") == NAME_PATTERN:
            message = "is not a name"
            allowed = "1 to 32 lower-case letters, digits, - and _, beginning with a letter or digit"
        case "model_type" | "dict_type":
            message, allowed = "is not a table", f"a table, written [{key}]"
    return Problem(
        source=origin.source,
        line=origin.line,
        key=key,
        message=message,
        found=_shown(detail["input"]) if found.is_shown else "",
        allowed=allowed,
        suggestion=found.suggestion,
    )


def _described(table: type[BaseModel] | None, path: KeyPath) -> str:
    if table is None or path[-1] not in table.model_fields:
        return ""
    return table.model_fields[str(path[-1])].description or ""


def _shown(value: object) -> str:
    return shown(value, SHOWN_CHARACTERS)


def _origin_of(merged: _Merged, path: KeyPath) -> _Origin:
    while path:
        if path in merged.origins:
            return merged.origins[path]
        path = path[:-1]
    return _Origin(source=merged.sources[0], line=1)


def _across_stations(merged: _Merged) -> list[Problem]:
    """Faults that no station shows alone: an unknown device family, and one port or instrument claimed twice."""
    stations = merged.values.get("station")
    if not isinstance(stations, dict):
        return []
    problems = []
    owners: dict[tuple[str, str], str] = {}
    for name, station in stations.items():
        if not isinstance(station, dict):
            continue
        kind = station.get("kind")
        if isinstance(kind, str) and kind not in kinds():
            close = difflib.get_close_matches(kind, kinds(), n=1, cutoff=0.5)
            problems.append(
                _at(
                    merged,
                    ("station", name, "kind"),
                    message="no such device family",
                    found=_shown(kind),
                    allowed=", ".join(kinds()),
                    suggestion=f"did you mean {close[0]}?" if close else "",
                )
            )
        else:
            problems += _unlike_the_family(merged, name, station)
        for key in ("port", "serial_number"):
            value = station.get(key)
            claim = f"the only {kind}" if value in ANY_UNIT else value  # of another family it is another instrument
            owner = owners.setdefault((key, claim), name) if isinstance(claim, str) else name
            if owner != name:
                problems.append(
                    _at(
                        merged,
                        ("station", name, key),
                        message=f"already belongs to station {owner}",
                        found=_shown(value),
                        allowed="one station a port and an instrument",
                    )
                )
    return problems


def _unlike_the_family(merged: _Merged, name: str, station: Mapping[str, object]) -> list[Problem]:
    """Faults of a port or of settings that only the device family can see."""
    kind, port, settings = station.get("kind"), station.get("port"), station.get("settings")
    if not isinstance(kind, str):
        return []
    device = load_device(kind)
    problems = []
    if isinstance(port, str):
        try:
            device_at(device, port)
        except BadPort as error:
            problems.append(
                _at(merged, ("station", name, "port"), message=error.message, found=_shown(port), allowed=error.hint)
            )
    transfer = station.get("transfer")
    if isinstance(transfer, str):
        try:
            load_transfer(transfer)
        except SpectrumError as error:
            problems.append(
                _at(
                    merged,
                    ("station", name, "transfer"),
                    message=error.message,
                    found=_shown(transfer),
                    allowed="",
                    suggestion=error.hint,
                )
            )
    problems += _standards_problems(merged, name, station.get("selftest"))
    known = {field.name for field in dataclasses.fields(device.default_settings)}
    asked = settings if isinstance(settings, dict) else {}
    unlike = [key for key in asked if key in ScanOverrides.model_fields and key not in known]
    problems += [
        _at(
            merged,
            ("station", name, "settings", key),
            message=f"{kind} has no such setting",
            found=_shown(key),
            allowed=", ".join(sorted(known & set(ScanOverrides.model_fields))),
        )
        for key in unlike
    ]
    return problems


def _standards_problems(merged: _Merged, name: str, selftest: object) -> list[Problem]:
    """Faults of a self test that only the standards themselves show."""
    if not isinstance(selftest, dict):
        return []
    certificates, material = selftest.get("certificates"), selftest.get("material")
    try:
        known = standards(certificates if isinstance(certificates, str) else None)
    except SpectrumError as error:
        path = ("station", name, "selftest", "certificates")
        found = _shown(certificates)
        return [_at(merged, path, message=error.message, found=found, allowed="", suggestion=error.hint)]
    if not isinstance(material, str) or material in known:
        return []
    close = difflib.get_close_matches(material, known, n=1, cutoff=0.5)
    return [
        _at(
            merged,
            ("station", name, "selftest", "material"),
            message="no such standard",
            found=_shown(material),
            allowed=", ".join(known),
            suggestion=f"did you mean {close[0]}?" if close else "",
        )
    ]


def _at(merged: _Merged, path: KeyPath, *, message: str, found: str, allowed: str, suggestion: str = "") -> Problem:
    origin = _origin_of(merged, path)
    return Problem(
        source=origin.source,
        line=origin.line,
        key=".".join(str(part) for part in path),
        message=message,
        found=found,
        allowed=allowed,
        suggestion=suggestion,
    )


def _in_reading_order(merged: _Merged) -> list[Problem]:
    rank = {source: position for position, source in enumerate(merged.sources)}
    return sorted(merged.problems, key=lambda p: (rank.get(p.source, len(rank)), p.line or 0, p.key))
