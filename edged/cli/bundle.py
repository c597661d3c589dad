"""`edged bundle`: what is installed, what it holds, whether it is whole and right here, and which one judges."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click

from edged.bundle.archive import SUFFIX, Bundle, read_bundle
from edged.bundle.components import Components, largest_rate
from edged.bundle.errors import BundleError, BundleMissing
from edged.bundle.slots import Slots
from edged.cli.configuration import load_or_exit
from edged.config.load import DEFAULT_PATH
from edged.config.vocabulary import Configuration, Storage
from edged.infer.errors import InferError
from edged.infer.verdict import Preset

F = TypeVar("F", bound=Callable[..., object])
FOLDER = "bundles"  # under storage.path


def place_options(command: F) -> F:
    """Add --storage and --config: where bundles are installed."""
    command = click.option(
        "--storage",
        type=click.Path(path_type=Path, file_okay=False),
        help="Folder of the journal and the bundles; unset takes storage.path of the configuration.",
    )(command)
    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="EDGED_CONFIG",
        help=f"The configuration file.  [default: {DEFAULT_PATH} where it exists]",
    )(command)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")


def configuration_at(config: Path | None) -> Configuration | None:
    """Return the configuration, or None when none was named and there is none at the usual place."""
    if config is None and not Path(DEFAULT_PATH).exists():
        return None
    return load_or_exit(config or Path(DEFAULT_PATH))


def slots_at(storage: Path | None, config: Path | None) -> Slots:
    """Return the slots of `--storage`, else of the configuration, else of the usual place."""
    if storage is not None:
        return Slots(storage / FOLDER)
    found = configuration_at(config)
    section = found.storage if found else Storage()
    return Slots(Path(section.path) / FOLDER)


def chosen_bundle(name: str | None, storage: Path | None, config: Path | None) -> Bundle:
    """Read the bundle named: a file, an installed one, or as the daemon would choose when `name` is None."""
    if name is not None and Path(name).is_file():
        return read_bundle(name)
    if name is not None:
        return slots_at(storage, config).named(name)
    found = configuration_at(config) if storage is None else None
    if found is not None and found.bundle.path is not None:
        return read_bundle(found.bundle.path)
    return slots_at(storage, config).current()


@click.group()
def bundle() -> None:
    """List, show, verify, install, activate, roll back models.

    Exit status: 0 done, 1 not, with the reason.
    """


@bundle.command(
    "list", short_help="what is installed, and which one judges", epilog="Example: edged bundle list --json"
)
@place_options
@json_option
def list_(storage: Path | None, config: Path | None, *, as_json: bool) -> None:
    """What is installed and built in, what else the configuration names, and which one judges at which stations.

    A file that is named there has the state `file`; what is not there is `missing`, and edged doctor says why.
    """
    with _reporting(as_json=as_json):
        slots = slots_at(storage, config)
        configuration = configuration_at(config) if storage is None else None
        rows = _rows(slots, configuration)
        for row in rows:
            if as_json:
                click.echo(json.dumps(dataclasses.asdict(row)))
                continue
            idle = "  at no station" if row.state == "active" and configuration and configuration.station else ""
            at = f"  at {', '.join(row.stations)}" if row.stations else idle
            where = row.path if row.path is not None else "edged doctor"
            click.echo(f"{row.name:<40} {row.state:<10} {where}{at}")
        if not rows and not as_json:
            click.echo("nothing is installed and nothing is built in; edged bundle install FILE --activate")


@bundle.command(short_help="what a bundle holds", epilog="Example: edged bundle show powders12-1.4.0")
@click.argument("name", required=False)
@place_options
@json_option
def show(name: str | None, storage: Path | None, config: Path | None, *, as_json: bool) -> None:
    """What a bundle is: a file or an installed one; without NAME the one that judges. --json gives the manifest."""
    with _reporting(as_json=as_json):
        found = chosen_bundle(name, storage, config)
        if as_json:
            manifest = found.manifest.model_dump(mode="json", by_alias=True)
            click.echo(json.dumps({**_identity(found), "manifest": manifest}))
        else:
            click.echo(_summary(found))


@bundle.command(
    short_help="is it whole, and does it compute right here",
    epilog="Example: edged bundle verify ./powders12-1.4.0.edgebundle",
)
@click.argument("names", nargs=-1)
@place_options
@json_option
def verify(names: tuple[str, ...], storage: Path | None, config: Path | None, *, as_json: bool) -> None:
    """Check seal, digests and manifest, and that the model computes on this CPU what its builder saw."""
    failed = False
    for name in names or (None,):
        try:
            found = chosen_bundle(name, storage, config)
            differences = _prove(found)
        except (BundleError, InferError) as error:
            failed = True
            _tell(error, as_json=as_json, name=name)
            continue
        if as_json:
            named = {f"largest_{name.removesuffix('s')}_difference": value for name, value in differences.items()}
            click.echo(json.dumps({**_identity(found), "ok": True, **named}))
        else:
            click.echo(
                f"{found.file_name}: whole; {len(found.golden['spectra'])} golden vectors agree, "
                f"largest difference of {', '.join(f'{name} {value:.2g}' for name, value in differences.items())}"
            )
    if failed:
        raise SystemExit(1)


@bundle.command(
    short_help="check a file and copy it in",
    epilog="Example: edged bundle install ./powders12-1.4.0.edgebundle --activate",
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--activate", "activating", is_flag=True, help="Let it judge from the next start on.")
@place_options
@json_option
def install(file: Path, storage: Path | None, config: Path | None, *, activating: bool, as_json: bool) -> None:
    """Check a bundle, prove it on this CPU, and copy it in."""
    with _reporting(as_json=as_json):
        _prove(read_bundle(file))
        slots = slots_at(storage, config)
        found = slots.install(file)
        if activating:
            slots.activate(found.file_name)
        _done("installed and active" if activating else "installed", found, as_json=as_json)


@bundle.command(short_help="let an installed one judge", epilog="Example: edged bundle activate powders12-1.4.0")
@click.argument("name")
@place_options
@json_option
def activate(name: str, storage: Path | None, config: Path | None, *, as_json: bool) -> None:
    """Let an installed bundle judge from the next start on; the one before it can be had back with rollback."""
    with _reporting(as_json=as_json):
        slots = slots_at(storage, config)
        _prove(read_bundle(slots.find(name)))
        _done("active", slots.activate(name), as_json=as_json)


@bundle.command(short_help="let the previous one judge again", epilog="Example: edged bundle rollback")
@place_options
@json_option
def rollback(storage: Path | None, config: Path | None, *, as_json: bool) -> None:
    """Let the previous bundle judge again; a second rollback undoes the first."""
    with _reporting(as_json=as_json):
        _done("active", slots_at(storage, config).rollback(), as_json=as_json)


@dataclass(slots=True, kw_only=True)
class _Row:
    """One line of the list. path None: no file is known. stations: at which it judges, or should."""

    name: str
    state: str
    path: str | None
    stations: list[str] = field(default_factory=list)


def _rows(slots: Slots, configuration: Configuration | None) -> list[_Row]:
    """What is installed and built in, then what else should judge: files, and names of which there is none."""
    rows: dict[Path | str, _Row] = {
        entry.path.absolute(): _Row(name=entry.name, state=entry.state, path=str(entry.path))
        for entry in slots.entries()
    }
    if (gone := slots.missing()) is not None:
        rows[gone] = _Row(name=gone, state="missing", path=None)
    for station, text, path in _wanted(slots, configuration) if configuration is not None else ():
        key = text if path is None else path.absolute()
        if key not in rows:
            rows[key] = _Row(name=text, state="missing", path=None) if path is None else _file_row(path)
        rows[key].stations.append(station)
    return list(rows.values())


def _file_row(path: Path) -> _Row:
    try:
        is_there = path.is_file()
    except OSError:  # a name too long, a folder that this user may not enter
        is_there = False
    return _Row(name=path.name.removesuffix(SUFFIX), state="file" if is_there else "missing", path=str(path))


def _wanted(slots: Slots, configuration: Configuration) -> Iterator[tuple[str, str, Path | None]]:
    """Yield each station, what names its bundle, and where that lies; None: there is no bundle of that name."""
    usual, first = configuration.bundle.path, next(iter(slots.fallbacks()), None)
    for name, station in configuration.station.items():
        if station.bundle is not None:
            try:
                yield name, station.bundle, slots.path_named(station.bundle)
            except BundleMissing:
                yield name, station.bundle, None
        elif usual is not None:
            yield name, usual, Path(usual)
        elif first is not None:
            yield name, first.name, first.path


@contextmanager
def _reporting(*, as_json: bool) -> Iterator[None]:
    """Turn an expected error into one line and exit status 1."""
    try:
        yield
    except (BundleError, InferError) as error:
        _tell(error, as_json=as_json)
        raise SystemExit(1) from None


def _prove(found: Bundle) -> dict[str, float]:
    from edged.infer.alone import Alone
    from edged.infer.engine import Engine
    from edged.infer.judge import Judge
    from edged.infer.runtime import reads_from_memory

    Judge(found.manifest, found.library)  # raises where the library of compounds is no use
    proven = Engine.load(found).prove(found)
    if found.why and reads_from_memory():
        Alone.load(found).prove(range(found.manifest.logit_columns))
    return proven


def _tell(error: BundleError | InferError, *, as_json: bool, name: str | None = None) -> None:
    if as_json:
        about = {"bundle": name, "ok": False} if name else {"ok": False}
        click.echo(json.dumps({**about, "error": {"message": error.message, "hint": error.hint}}))
    else:
        click.echo(str(error), err=True)


def _done(state: str, found: Bundle, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({**_identity(found), "ok": True, "state": state}))
    else:
        click.echo(
            f"{found.file_name}: {state}" + ("; a running daemon takes it at its next start" * ("active" in state))
        )


def _identity(found: Bundle) -> dict[str, Any]:
    return {
        "name": found.manifest.name,
        "version": found.manifest.version,
        "digest": found.digest,
        "size_bytes": found.size_bytes,
        "path": str(found.path),
    }


def _summary(found: Bundle) -> str:
    manifest = found.manifest
    axis = manifest.axis
    lines = [
        f"{manifest.name} {manifest.version}    {found.path}",
        f"SHA-256     {found.digest}",
        f"measures    {manifest.technique}, {manifest.quantity}",
        f"axis        {axis.start:g} to {axis.stop:g} {axis.unit}, {axis.points} points",
        f"answers     {', '.join(manifest.procedures)}",
        f"presets     {', '.join(manifest.presets)}; unless told otherwise {manifest.default_preset}",
        f"gates       {', '.join(gate.name for gate in manifest.gates) or 'none'}",
        *([f"residuals   {manifest.residuals.name}, which verify asks first"] if manifest.residuals else []),
        f"size        {found.size_bytes / 1e6:.2f} MB, of it the model {len(found.model) / 1e6:.2f} MB unpacked",
    ]
    if manifest.classes:
        lines.append(f"classes     {len(manifest.classes)}")
    lines += [f"            {info.label:<12} {info.title}" for info in manifest.classes]
    if manifest.components is not None:
        lines += _compounds(manifest.components, manifest.default_preset)
    if manifest.amounts:
        lines.append(f"amounts     {len(manifest.amounts)}")
    for info in manifest.amounts:
        half = info.half_widths[manifest.default_preset]
        span = f"{info.lowest:g} to {info.highest:g} {info.unit}, each within {half:.3g} {info.unit}"
        lines.append(f"            {info.label:<12} {info.title}, {span}")
    return "\n".join(lines)


def _compounds(components: Components, preset: Preset) -> list[str]:
    """What may be found, from which fraction on, how often a name would be wrong, and how many negatives say so."""
    promises = [_promise(components, name) for name in components.presets]
    fitted = [name for name, point in components.presets.items() if point.confirm]
    lines = [
        *(f"{'' if place else 'false names':<12}{promise}" for place, promise in enumerate(promises)),
        f"confirms    {', '.join(fitted) or 'no preset: by the network alone'}",
        f"compounds   {len(components.compounds)}",
    ]
    for info, limit in zip(components.compounds, components.presets[preset].detection_limits, strict=True):
        found = "" if limit is None else f", found from {100 * limit:.3g} % on"
        lines.append(f"            {info.label:<12} {info.title}{found}")
    return lines


def _promise(components: Components, preset: Preset) -> str:
    """What one preset promises and of what, and the compound of which that was tried with the least success."""
    point = components.presets[preset]
    rates = [largest_rate(k, m) for k, m in zip(point.named, point.negatives, strict=True)]
    worst = rates.index(max(rates))
    return (
        f"{preset:<9} {point.false_names:g} a sample at most, of mixtures of these compounds alone; at worst "
        f"{components.compounds[worst].label}, named in {point.named[worst]:,} of {point.negatives[worst]:,} held-out "
        "samples without it"
    )
