"""The commands `edged-export data ...`: which spectra there are, what is known of them, and whether a model can be made
of them; and `edged-export recipe`, which writes a first recipe for a user's own."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from export.errors import ExportError

if TYPE_CHECKING:
    from export.components.job import ComponentsJob
    from export.data.spectra import AxisUnit, Quantity
    from export.job import Job

DATA = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of public spectra.  [default: $EDGED_DATA or ../shared/data]",
)
MARKS = {"refuse": "STOP", "warn": "note"}
UNIT = click.option(
    "--unit", type=click.Choice(["nm", "cm-1"]), help="Of the axis; unset takes what the files say or look like."
)
QUANTITY = click.option(
    "--quantity",
    type=click.Choice(["absorbance", "reflectance", "intensity"]),
    help="What the values are, counts being intensity; unset takes what the files say, else absorbance.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else.")


@click.group()
def data() -> None:
    """Public spectra and your own: list, fetch, check.

    Example: edged-export data check my-spectra
    """


@data.command(name="list")
@DATA
@JSON
def list_sets(data: Path | None, as_json: bool) -> None:
    """List the public sets, and which of them are here.

    Example: edged-export data list
    """
    from export.data.catalogue import SETS

    rows: list[dict[str, Any]] = [
        {
            "name": found.name,
            "title": found.title,
            "licence": found.licence,
            "ships": found.ships,
            "here": _here(found, data),
            "fetchable": found.fetchable,
        }
        for found in SETS.values()
    ]
    if as_json:
        click.echo(json.dumps({"sets": rows}))
        return
    table = Table("set", "what", "here", "can be fetched", "ships")
    for row in rows:
        table.add_row(
            row["name"],
            row["title"],
            row["here"] or "-",
            *("yes" if row[key] else "no" for key in ("fetchable", "ships")),
        )
    Console().print(table)


@data.command()
@click.argument("name", metavar="SET")
@DATA
@JSON
def show(name: str, data: Path | None, as_json: bool) -> None:
    """Tell what is known of a set: whose it is, what may be done with it, and where its files come from.

    Example: edged-export data show powders12
    """
    from export.data.catalogue import known_set, load_set

    with _told(as_json):
        found = known_set(name)
        facts: dict[str, Any] = {
            key: getattr(found, key)
            for key in (
                "name",
                "title",
                "licence",
                "copyright",
                "origin",
                "paper",
                "instruments",
                "conditions",
                "grouping",
                "ships",
            )
        }
        facts |= {"here": _here(found, data), "files": {f"{found.folder}/{n}": url for n, url in found.files.items()}}
        if facts["here"]:
            spectra = load_set(name, _folder(data))
            axis = f"{len(spectra.axis)} points, {spectra.axis[0]:g} to {spectra.axis[-1]:g} {spectra.axis_unit}"
            facts |= {"spectra": len(spectra.labels), "quantity": spectra.quantity, "axis": axis}
            facts |= {"classes": dict(Counter(spectra.labels)), "groups": len(set(spectra.groups.tolist()))}
    if as_json:
        click.echo(json.dumps(facts))
        return
    width = max(map(len, facts))
    for key, value in facts.items():
        for line, text in enumerate(_lines(value)):
            click.echo(f"{'' if line else key:<{width}}  {text}")


@data.command()
@click.argument("name", metavar="SET")
@click.option("--mirror", default="", metavar="URL", help="A server with a copy of the whole data folder.")
@click.option("--into", type=click.Path(path_type=Path), help="Where to keep it.  [default: ~/.cache/edged/data]")
@JSON
def fetch(name: str, mirror: str, into: Path | None, as_json: bool) -> None:
    """Fetch a public set from where it is published; what came is compared with the known SHA-256.

    Example: edged-export data fetch powders12
    """
    from export.data.catalogue import known_set
    from export.data.fetch import cache_folder, fetch
    from export.progress import bar

    console = Console(stderr=as_json, quiet=as_json)
    with _told(as_json), bar(console, name) as report:
        found = known_set(name)
        paths = fetch(found, into or cache_folder(), report, mirror=mirror)
    told = {"set": name, "files": len(paths), "folder": str((into or cache_folder()) / found.folder)}
    click.echo(json.dumps(told) if as_json else f"{name}: {told['files']} files in {told['folder']}")


@data.command()
@click.argument("what", metavar="FOLDER|SET")
@UNIT
@QUANTITY
@DATA
@JSON
def check(what: str, unit: AxisUnit | None, quantity: Quantity | None, data: Path | None, as_json: bool) -> None:
    """Say whether a model can be made of a folder of spectra, one table, or a public set: all reasons at once.

    Ends with 1 where there is a reason to stop, with 0 where there is none.

    Example: edged-export data check my-spectra
    """
    from export.data.check import examine
    from export.data.folder import survey
    from export.data.split import default_split

    told: dict[str, Any] = {"checked": what}
    with _told(as_json):
        if Path(what).exists():
            surveyed = survey(Path(what), unit=unit, quantity=quantity)
            spectra, findings = surveyed.spectra, list(surveyed.findings)
        else:
            spectra, findings = _public(what, data), []
        if spectra is not None:
            split = default_split(spectra)
            findings += examine(spectra, split, naming=spectra.amounts is None or len(spectra.classes) > 1)
            told |= {
                "spectra": len(spectra.labels),
                "classes": dict(Counter(spectra.labels)),
                "groups": len(set(spectra.groups.tolist())),
                "axis": f"{spectra.axis[0]:g} to {spectra.axis[-1]:g} {spectra.axis_unit}, {len(spectra.axis)} points",
                "quantity": spectra.quantity,
                "split": split.model_dump(mode="json"),
            }
    findings.sort(key=lambda finding: finding.level != "refuse")
    refused = sum(finding.level == "refuse" for finding in findings)
    if as_json:
        rows = [{"level": f.level, "message": f.message, "hint": f.hint} for f in findings]
        click.echo(json.dumps({**told, "findings": rows, "usable": not refused}))
    else:
        if "spectra" in told:
            click.echo(
                f"{what}: {told['spectra']} spectra of {len(told['classes'])} classes in {told['groups']} groups"
            )
            click.echo(f"  {told['quantity']}, {told['axis']}")
        for finding in findings:
            click.echo(f"{MARKS[finding.level]}  {finding}")
        counted = f"{refused} to stop, {len(findings) - refused} to know"
        click.echo(counted if findings else "nothing speaks against it")
    sys.exit(1 if refused else 0)


@data.command()
@click.argument("recipe")
@click.option("--out", type=click.Path(path_type=Path), help="Write the split to this file.")
@click.option("--check", type=click.Path(path_type=Path), help="Compare this file with the split of today.")
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True, help="That of the build.")
@DATA
@JSON
def split(recipe: str, out: Path | None, check: Path | None, seed: int, data: Path | None, as_json: bool) -> None:
    """Write which spectra learn and which test, each with its SHA-256; or say whether a file of before still holds.

    RECIPE is the name of one that comes with edged, or the path of a TOML file. With --check it ends with 1 where
    today's data and recipe give another split, and names the first difference.

    Example: edged-export data split powders12 --out split.tsv
    """
    if (out is None) == (check is None):
        raise click.UsageError("--out FILE or --check FILE: one of them")
    told: dict[str, Any]
    with _told(as_json):
        from export.data.split_file import first_difference, read_split

        kept = None if check is None else read_split(check)
        table = _job(recipe, _folder(data), seed).split_table()
        if kept is not None:
            difference = first_difference(kept, table)
            told = {"file": str(check), "same": difference is None, "difference": difference}
            said = f"{check}: {'the same split today' if difference is None else difference}"
        elif out is not None:
            difference = None
            table.write(out)
            told = {"file": str(out), "spectra": len(table.rows), **table.head}
            said = (
                f"{out}: {len(table.rows)} spectra, development {table.head['development']}, test {table.head['test']}"
            )
    click.echo(json.dumps(told) if as_json else said)
    sys.exit(0 if difference is None else 1)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--name", help="Of the bundle: lower case letters, digits, hyphens.  [default: that of the folder]")
@UNIT
@QUANTITY
def recipe(folder: Path, name: str | None, unit: AxisUnit | None, quantity: Quantity | None) -> None:
    """Write a recipe for a folder of spectra, or for one table, to standard output: sensible values, to be changed.

    Save it beside the folder: it names the folder by its path from the recipe on.

    Example: edged-export recipe my-spectra > my.toml
    """
    from export.data.check import examine
    from export.data.first_recipe import first_recipe
    from export.data.folder import read_folder
    from export.data.split import default_split

    with _told(as_json=False):
        spectra = read_folder(folder, unit=unit, quantity=quantity)
        for finding in examine(spectra, default_split(spectra)):
            click.echo(f"{MARKS[finding.level]}  {finding}", err=True)
        text = first_recipe(spectra, folder, name=name)
    click.echo(text, nl=False)


def _job(recipe: str, data: Path, seed: int) -> Job | ComponentsJob:
    """Return the job of a recipe of either kind, to be asked and not to be run. Raises RecipeError; ExportError where
    the toolchain is not installed."""
    try:
        from export.components.job import ComponentsJob
        from export.components.recipe import is_for_components, load_components_recipe
        from export.job import Job
        from export.recipe import load_recipe
    except ModuleNotFoundError as missing:
        raise ExportError(f"{missing.name} is not installed here", hint="install the extra `export`") from missing
    beside = Path(recipe).parent
    if is_for_components(recipe):
        words = load_components_recipe(recipe)
        return ComponentsJob(recipe=words, data=data, work=Path(), seed=seed, quick=False, beside=beside)
    return Job(recipe=load_recipe(recipe), data=data, work=Path(), seed=seed, quick=False, beside=beside)


def _folder(data: Path | None) -> Path:
    return data or Path(os.environ.get("EDGED_DATA") or "../shared/data")


def _here(found: Any, data: Path | None) -> str:
    """The folder that holds all files of a set, or nothing."""
    from export.data.fetch import place_of

    folder = place_of(found, _folder(data)) / found.folder
    return str(folder) if all((folder / name).is_file() for name in found.files) else ""


def _public(name: str, data: Path | None) -> Any:
    from export.data.catalogue import SETS, load_set

    if name not in SETS:
        raise ExportError(
            f"{name}: no such folder or table, and no public set", hint="edged-export data list names the sets"
        )
    return load_set(name, _folder(data))


def _lines(value: Any) -> Iterator[str]:
    match value:
        case dict():
            yield from (f"{key}  {inner or 'by hand'}" for key, inner in value.items())
        case list() | tuple():
            yield from map(str, value)
        case bool():
            yield "yes" if value else "no"
        case _:
            yield str(value) or "-"


@contextmanager
def _told(as_json: bool) -> Iterator[None]:
    """Tell an error as every command here does, and end with 1."""
    try:
        yield
    except ExportError as error:
        if as_json:
            click.echo(json.dumps({"error": error.message, "hint": error.hint}))
        click.echo(f"edged-export: {error}", err=True)
        sys.exit(1)
