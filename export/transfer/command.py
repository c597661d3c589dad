"""The commands `edged-export transfer ...`: fit a correction between two instruments, show one, measure what it is
worth."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, get_args

import click
from rich.console import Console
from rich.table import Table

from edged.spectra.spectrum import AxisUnit, Quantity, SpectrumError
from export.errors import ExportError

if TYPE_CHECKING:
    from export.transfer.correction import Judged, Method

METHODS = ("auto", "slope-bias", "shift", "pds", "ds")


@click.group()
def transfer() -> None:
    """Let one instrument's model serve another.

    Example: edged-export transfer fit master.csv slave.csv --out unit-7.json
    """


@transfer.command()
@click.argument("master", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("slave", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--method", type=click.Choice(METHODS), default="auto", show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The correction's file.")
@click.option("--from", "from_", metavar="SERIAL", help="The slave's serial number.  [default: its file's name]")
@click.option("--to", metavar="SERIAL", help="The master's serial number.  [default: its file's name]")
@click.option("--technique", type=click.Choice(["nir", "raman"]), default="nir", show_default=True)
@click.option("--unit", type=click.Choice(get_args(AxisUnit)), help="Of both axes.  [default: what the files say]")
@click.option("--quantity", type=click.Choice(get_args(Quantity)), default="absorbance", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else.")
def fit(
    master: Path,
    slave: Path,
    method: Method,
    out: Path,
    from_: str | None,
    to: str | None,
    technique: Any,
    unit: AxisUnit | None,
    quantity: Quantity,
    as_json: bool,
) -> None:
    """Fit a correction from the same samples, measured on both instruments: MASTER has the model, SLAVE shall use it.

    The files are paired by title where every row has one of its own, else row by row. Settings, and with `auto` the
    kind of correction, are chosen by cross validation on these samples.

    Example: edged-export transfer fit master.csv slave.csv --out unit-7.json
    """
    from export.transfer.correction import choose, fit_transfer, read_pairs

    try:
        pairs = read_pairs(master, slave, unit=unit, quantity=quantity)
        found, judged = fit_transfer(
            pairs,
            method,
            from_instrument=from_ or slave.stem,
            to_instrument=to or master.stem,
            technique=technique,
        )
        out.write_text(found.to_json(), encoding="utf-8")
    except ExportError as error:
        _fail(error.message, error.hint, as_json)
    except OSError as error:
        _fail(f"{out}: {(error.strerror or str(error)).lower()}", "name another file with --out", as_json)
    best = choose(judged)
    if as_json:
        rows = [
            {"method": j.candidate.method, "settings": j.candidate.settings, "shape": j.shape, "rms": j.rms}
            for j in judged
        ]
        click.echo(json.dumps({"file": str(out), "correction": found.describe(), "tried": rows}, sort_keys=True))
        return
    _print_judged(judged, best)
    click.echo(f"{out}: {found.describe()}")


@transfer.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else.")
def show(file: Path, as_json: bool) -> None:
    """Check a correction's file as the daemon does, and say what it is.

    Example: edged-export transfer show unit-7.json
    """
    from edged.spectra.transfer import load_transfer

    try:
        found = load_transfer(file)
    except SpectrumError as error:
        _fail(error.message, error.hint, as_json)
    facts = {
        "correction": found.describe(),
        "technique": found.technique,
        "quantity": found.quantity,
        "axis": f"{len(found.axis)} points, {found.axis[0]:g} to {found.axis[-1]:g} {found.axis_unit}",
        "standards": f"{len(found.standards)}: " + ", ".join(found.standards),
        **found.provenance,
        "sha256": found.digest,
    }
    if as_json:
        click.echo(json.dumps(facts))
        return
    width = max(map(len, facts))
    for name, text in facts.items():
        click.echo(f"{name:<{width}}  {text}")


@transfer.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    envvar="EDGED_DATA",
    default=Path("../shared/data"),
    show_default="$EDGED_DATA or ../shared/data",
    help="Folder of public spectra.",
)
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True)
@click.option("--seeds", type=click.IntRange(2, 1000), default=10, show_default=True, help="Random choices a count.")
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path), help="Draw what is left, as a PNG.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else.")
def evaluate(data: Path, seed: int, seeds: int, plot: Path | None, as_json: bool) -> None:
    """Measure corrections on public data: what the master's model is worth on another instrument.

    Example: edged-export transfer evaluate --data ../shared/data
    """
    from rich.progress import Progress

    from export.transfer.study import markdown, study

    console = Console(stderr=True)
    try:
        with Progress(console=console, transient=True, disable=as_json or not console.is_terminal) as bar:
            task = bar.add_task("", total=None)
            result = study(
                data,
                lambda what, done, total: bar.update(task, description=what, completed=done, total=total),
                seed=seed,
                seeds=seeds,
            )
        if plot:
            from export.transfer.plot import differences

            plot.write_bytes(differences(data))
    except ExportError as error:
        _fail(error.message, error.hint, as_json)
    except OSError as error:
        _fail(f"{plot}: {(error.strerror or str(error)).lower()}", "name another file with --plot", as_json)
    click.echo(json.dumps(result, sort_keys=True) if as_json else markdown(result))


def _print_judged(judged: list[Judged], best: Judged) -> None:
    """One row for no correction, one for the best of each kind, the chosen one in bold."""
    table = Table("method", "settings", "RMS difference", "of shape, x 1000", title="cross-validated on the standards")
    shown: dict[str, Judged] = {}
    for one in judged:
        name = one.candidate.method
        shown[name] = min(shown.get(name, one), one, key=lambda j: j.shape)
    for one in shown.values():
        table.add_row(
            one.candidate.method,
            one.candidate.settings,
            f"{one.rms:.5f}",
            f"{one.shape * 1000:.4f}",
            style="bold" if one is best else "",
        )
    Console().print(table)


def _fail(message: str, hint: str, as_json: bool) -> NoReturn:
    if as_json:
        click.echo(json.dumps({"error": message, "hint": hint}))
    click.echo(f"edged-export: {message}" + (f" ({hint})" if hint else ""), err=True)
    sys.exit(1)
