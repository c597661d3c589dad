"""The commands `edged-export bank ...`: which compounds a bank knows, and how they come and go."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from edged.infer.verdict import Preset
from export.errors import ExportError

if TYPE_CHECKING:
    from export.bank.bank import Bank

BANK = click.argument("bank", type=click.Path(file_okay=False, path_type=Path))
SOURCE = click.argument("source", metavar="FROM", type=click.Path(file_okay=False, path_type=Path))
COMPOUNDS = click.argument("compounds", metavar="[COMPOUND]...", nargs=-1)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else.")


@click.group()
def bank() -> None:
    """Compounds that one graph looks for: list, add, replace, drop, set thresholds.

    BANK is a folder that a program made with bank_from and save_bank: docs/banks.md. No build leaves one yet, and its
    graph is no bundle. Each compound is kept apart; after a change the graph is made anew, and what it says of the
    other compounds stays the same to the last bit.

    Example: edged-export bank list banks/actives
    """


@bank.command(name="list")
@BANK
@JSON
def list_compounds(bank: Path, as_json: bool) -> None:
    """List the compounds of a bank, in the order of the logits, with their thresholds.

    Example: edged-export bank list banks/actives
    """
    with _told():
        from export.bank.folder import load_bank, load_graph

        found = load_bank(bank)
        size = load_graph(bank).ByteSize()
    if as_json:
        click.echo(json.dumps(_summary(found, size), sort_keys=True))
        return
    width = max(len(compound) for compound in found.compounds)
    for member in found.members:
        thresholds = ", ".join(f"{preset} {value:.4g}" for preset, value in member.thresholds.items())
        click.echo(f"{member.compound:<{width}}  {thresholds or 'no thresholds'}")
    click.echo(f"{len(found.members)} compounds, {found.words.kind}, {found.points} points, graph of {size:,} bytes")


@bank.command()
@BANK
@SOURCE
@COMPOUNDS
@JSON
def add(bank: Path, source: Path, compounds: tuple[str, ...], as_json: bool) -> None:
    """Add compounds of the bank FROM behind those of BANK; without names, all that it has.

    Example: edged-export bank add banks/actives banks/caffeine caffeine
    """
    with _told():
        found, other = _load(bank), _load(source)
        entering = found.members_of(other, compounds or other.compounds)
        _save(found.with_members(entering), bank, as_json)


@bank.command()
@BANK
@SOURCE
@COMPOUNDS
@JSON
def replace(bank: Path, source: Path, compounds: tuple[str, ...], as_json: bool) -> None:
    """Replace compounds of BANK by those of the bank FROM; without names, all that it has.

    Example: edged-export bank replace banks/actives banks/again lactose
    """
    with _told():
        found, other = _load(bank), _load(source)
        entering = found.members_of(other, compounds or other.compounds)
        _save(found.with_replaced(entering), bank, as_json)


@bank.command()
@BANK
@click.argument("compounds", metavar="COMPOUND...", nargs=-1, required=True)
@JSON
def drop(bank: Path, compounds: tuple[str, ...], as_json: bool) -> None:
    """Take compounds out of a bank. The last one stays.

    Example: edged-export bank drop banks/actives caffeine
    """
    with _told():
        _save(_load(bank).without(compounds), bank, as_json)


@bank.command()
@BANK
@click.argument("compound")
@click.argument("preset", type=click.Choice(get_args(Preset)))
@click.argument("logit", type=float)
@JSON
def threshold(bank: Path, compound: str, preset: Preset, logit: float, as_json: bool) -> None:
    """Set the least logit at which a preset names a compound. A negative LOGIT stands behind `--`.

    Example: edged-export bank threshold banks/actives caffeine balanced 2.25
    """
    with _told():
        _save(_load(bank).with_thresholds(compound, {preset: logit}), bank, as_json)


@bank.command()
@BANK
@JSON
def fuse(bank: Path, as_json: bool) -> None:
    """Make the graph of a bank anew, from the compounds that it has: bank.onnx in its folder, not a bundle.

    Example: edged-export bank fuse banks/actives
    """
    with _told():
        _save(_load(bank), bank, as_json)


@contextmanager
def _told() -> Iterator[None]:
    """Say what is wrong in one line, and leave with 1."""
    try:
        yield
    except (ExportError, OSError) as error:
        click.echo(f"edged-export: {error}", err=True)
        sys.exit(1)
    except ModuleNotFoundError as missing:
        raise SystemExit(
            f"edged-export: {missing.name} is not installed here\n"
            "    in a checkout: .venv/bin/python -m pip install -e '.[export]'"
        ) from None


def _load(folder: Path) -> Bank:
    from export.bank.folder import load_bank

    return load_bank(folder)


def _save(bank: Bank, folder: Path, as_json: bool) -> None:
    from export.bank.folder import save_bank

    graph = save_bank(bank, folder)
    size = graph.stat().st_size
    if as_json:
        click.echo(json.dumps(_summary(bank, size), sort_keys=True))
    else:
        click.echo(f"{folder}: {len(bank.members)} compounds, graph of {size:,} bytes")


def _summary(bank: Bank, size: int) -> dict[str, Any]:
    return {
        "compounds": [{"compound": m.compound, "thresholds": dict(m.thresholds)} for m in bank.members],
        "graph_bytes": size,
        "network": bank.words.model_dump(mode="json"),
        "points": bank.points,
        "input_range": bank.input_range,
    }
