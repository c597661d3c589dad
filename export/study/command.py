"""The command `edged-export evaluate`: measure a study and write its page."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from export.errors import ExportError
from export.processes import dask_workers, processes
from export.progress import bar

RESULTS = Path("docs/results")


@click.command()
@click.argument("name", metavar="STUDY")
@click.option("--data", type=click.Path(path_type=Path), help="Folder of public spectra.  [default: $EDGED_DATA]")
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS, show_default=True, help="Where the page goes.")
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    default=Path("build/studies"),
    show_default=True,
    help="Where outcomes are kept while the study runs.",
)
@click.option("--workers", type=click.IntRange(1, 256), help="Processes.  [default: one a core]")
@click.option("--dask", metavar="ADDRESS", help="Measure on the workers of this Dask scheduler instead.")
@click.option("--only", metavar="TEXT", help="Only models whose name holds this.")
@click.option("--minutes", type=click.FloatRange(min=0.0, min_open=True), help="Stop after that; a later run goes on.")
@click.option("--fresh", is_flag=True, help="Measure anew, whatever is known.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end, and nothing else.")
def evaluate(name: str, as_json: bool, **options: Any) -> None:
    """Measure a study on public spectra and write its page; what is known already is not measured again.

    Example: edged-export evaluate tablets
    """
    from export.study.catalogue import STUDIES, WHOLE

    console = Console(stderr=as_json, quiet=as_json)
    try:
        if name not in (*STUDIES, *WHOLE):
            raise ExportError(f"no study is named {name!r}", hint=f"one of: {', '.join((*STUDIES, *WHOLE))}")
        told = (_evaluate_whole if name in WHOLE else _evaluate)(name, console, **options)
    except ExportError as error:
        if as_json:
            click.echo(json.dumps({"error": error.message, "hint": error.hint}))
        click.echo(f"edged-export: {error}", err=True)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps(told, sort_keys=True))
    else:
        for key, value in told.items():
            console.print(f"{key}: {value}", highlight=False)


def _evaluate(
    name: str,
    console: Console,
    *,
    data: Path | None,
    out: Path,
    work: Path,
    workers: int | None,
    dask: str | None,
    only: str | None,
    minutes: float | None,
    fresh: bool,
) -> dict[str, Any]:
    from export.study.archive import SUFFIX, read_outcomes, write_outcomes
    from export.study.catalogue import STUDIES
    from export.study.run import run

    study, folder = STUDIES[name](), _folder(data)
    cells = [cell for cell in study.cells if only is None or only in cell.name]
    if not cells:
        raise ExportError(f"no model of {name} has {only!r} in its name", hint="leave --only out to measure all")
    archive = out / f"{name}{SUFFIX}"
    known = read_outcomes(archive, study.kind)
    if fresh:
        for digest in (cell.digest() for cell in cells):
            known.pop(digest, None)
            (work / name / f"{digest}.json").unlink(missing_ok=True)
    at_work = processes(workers or len(os.sched_getaffinity(0))) if dask is None else dask_workers(dask)
    with at_work as executor, bar(console, name) as progress:
        measured = run(
            cells,
            measure=study.measure,
            kind=study.kind,
            data=folder,
            folder=work / name,
            known=known,
            executor=executor,
            progress=progress,
            minutes=minutes,
        )
    known |= {outcome.cell.digest(): outcome for outcome in measured}
    outcomes = [known[d] for cell in study.cells if (d := cell.digest()) in known]
    out.mkdir(parents=True, exist_ok=True)
    write_outcomes(archive, outcomes)
    told: dict[str, Any] = {"study": name, "cells": len(study.cells), "measured": len(outcomes)}
    if not outcomes:
        return told | {"page": "not written: nothing is measured"}
    return told | {"page": [str(path) for path in study.page(outcomes, folder).write(out, name)]}


def _evaluate_whole(
    name: str, console: Console, *, data: Path | None, out: Path, only: str | None, minutes: float | None, **_: Any
) -> dict[str, Any]:
    """A study without cells, on one core, from its beginning each time."""
    from export.study.catalogue import WHOLE

    if only is not None or minutes is not None:
        raise ExportError(f"{name} is measured in one piece", hint="leave --only and --minutes out")
    with bar(console, name) as progress:
        page = WHOLE[name](_folder(data), progress)
    out.mkdir(parents=True, exist_ok=True)
    return {"study": name, "page": [str(path) for path in page.write(out, name)]}


def _folder(data: Path | None) -> Path:
    return data or Path(os.environ.get("EDGED_DATA") or "../shared/data")
