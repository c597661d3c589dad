"""`edged analyze`: spectra from files to verdicts, the way the daemon takes from spectrum to verdict."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import click

from edged.bulk.answers import Answer, answers, line
from edged.bulk.sources import read_source
from edged.bundle.errors import BundleError
from edged.cli.bundle import chosen_bundle, place_options
from edged.cli.why import check_explained, explained
from edged.infer.analyze import Analyzer
from edged.infer.errors import InferError, NotOffered
from edged.infer.judge import Question
from edged.infer.verdict import Preset, Procedure, Verdict, Why
from edged.infer.why import require_explained
from edged.spectra.spectrum import AxisUnit, Quantity, Spectrum, SpectrumError
from edged.spectra.write import Format, WriteError, write_spectrum

WIDE = 160  # columns of a table that goes into a file or a pipe
ROOMY = 100  # columns from which on long names have room beside the reasons


@click.command(epilog="Example: edged analyze powders.csv --json")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--bundle", "bundle_name", metavar="FILE|NAME", help="The model; unset takes the one that the daemon would."
)
@click.option(
    "--procedure",
    type=click.Choice(["identify", "verify", "components", "quantify"]),
    help="What is asked; unset takes identify, or what the model answers instead.",
)
@click.option("--claimed", metavar="LABEL", help="With --procedure verify: the class that the samples should be.")
@click.option("--preset", type=click.Choice(["screen", "balanced", "confirm"]), help="Unset takes the model's own.")
@click.option(
    "--unit", type=click.Choice(["nm", "cm-1"]), help="Of the axis; unset takes what the file says or looks like."
)
@click.option(
    "--quantity",
    type=click.Choice(["absorbance", "reflectance", "intensity"]),
    help="What the values are; unset takes what the file says, else what the model wants.",
)
@click.option(
    "--save", "folder", metavar="FOLDER", type=click.Path(path_type=Path), help="Save each spectrum that is read there."
)
@click.option("--format", "format_", type=click.Choice(["csv", "jdx", "spc"]), help="Of --save; unset is csv.")
@click.option("--explain", is_flag=True, help="Say too on which bands of the spectrum each answer rests.")
@click.option(
    "--plot",
    "pictures",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="With --explain: draw each there, as NAME_ROW.svg.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a spectrum, one a line; with --out a sum.")
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Judge by the million into FILE, .jsonl or .csv, on all cores; what was stopped goes on.",
)
@click.option("--match", metavar="PATTERN", help="With --out: of a folder only files of such a name, as '*.csv'.")
@click.option("--workers", type=click.IntRange(1, 1024), help="With --out: processes.  [default: one a core]")
@click.option("--dask", metavar="ADDRESS", help="With --out: on the workers of this Dask scheduler instead.")
@place_options
def analyze(
    files: tuple[Path, ...],
    bundle_name: str | None,
    procedure: Procedure | None,
    claimed: str | None,
    preset: Preset | None,
    unit: AxisUnit | None,
    quantity: Quantity | None,
    folder: Path | None,
    format_: Format | None,
    pictures: Path | None,
    storage: Path | None,
    config: Path | None,
    out: Path | None,
    match: str | None,
    workers: int | None,
    dask: str | None,
    *,
    explain: bool,
    as_json: bool,
) -> None:
    """Judge the spectra in FILES; no daemon, no device. A file is known by its contents, not by its name.

    \b
    CSV with comma, semicolon (decimal comma allowed) or tab:
      wide          first row: axis positions; then one spectrum a row, with a name before its values or without
      column-wise   axis in the first column; then one spectrum a column, with a row of names or without
    JCAMP-DX, all ASDF forms and many blocks; SPC, new and old; Bruker OPUS; Renishaw WDF
    As saved by the programs for:
      DLP NIRscan and InnoSpectra, Wasatch (ENLIGHTEN csv), Ocean (OceanView and SpectraSuite txt),
      B&W Tek (BWSpec txt), HORIBA (LabSpec txt), Renishaw (WiRE txt), SCiO (csv)

    \b
    Of a Raman shift what lies below zero is left out.
    Of a daemon's journal.db the results are read, each with what was found of its measurement.
    With --explain each answer comes with the bands that it rests on: docs/explain.md.
    With --save each spectrum goes to FOLDER as NAME_ROW.csv, .jdx or .spc; an existing file is kept, and told.

    \b
    With --out FILES may be folders, and a table with one spectrum a row of any length. FILE appears when all is judged;
    FILE.run beside it tells of what. After a stop, of whatever kind, the same command goes on: docs/archive.md.

    Exit status: 0 every spectrum got a verdict, whatever it is; 1 some could not be read, judged or saved; 2 wrong
    usage, or --out FILE is of something else; 3 a run with --out broke, 130 it was stopped: the same command goes on.
    """
    _check_usage(out=out, folder=folder, match=match, workers=workers, dask=dask)
    check_explained(explain=explain, pictures=pictures, out=out)
    if format_ is not None and folder is None:
        raise click.UsageError("--format says how to --save: name the folder")
    for option, made in (("--save", folder), ("--plot", pictures)):
        if made is not None:
            _make_folder(option, made)
    save = partial(_save, folder, format_ or "csv") if folder is not None else None
    try:
        analyzer = Analyzer(chosen_bundle(bundle_name, storage, config))
        asked = analyzer.question(procedure=procedure, preset=preset, claimed=claimed)
        if explain:
            require_explained(asked.procedure)
    except NotOffered as error:
        raise click.UsageError(str(error)) from error
    except (BundleError, InferError) as error:
        if as_json:
            click.echo(json.dumps({"file": None, "row": None, "error": _error(error)}))
        else:
            click.echo(str(error), err=True)
        raise SystemExit(1) from None
    if out is not None:
        from edged.cli.archive import analyze_archive

        status = analyze_archive(
            files,
            out,
            analyzer.bundle,
            asked,
            unit=unit,
            quantity=quantity,
            match=match,
            workers=workers,
            dask=dask,
            as_json=as_json,
        )
        raise SystemExit(status)
    found = _answers(files, analyzer, asked, save, unit=unit, quantity=quantity)
    if explain:
        found = explained(found, analyzer, pictures)
    complete = _print_json(found) if as_json else _print_table(found, analyzer, asked)
    raise SystemExit(0 if complete else 1)


def _make_folder(option: str, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.UsageError(f"{option} {folder}: {os.strerror(error.errno or 0).lower()}") from error


def _check_usage(
    *, out: Path | None, folder: Path | None, match: str | None, workers: int | None, dask: str | None
) -> None:
    if out is None:
        for option, value in (("--match", match), ("--workers", workers), ("--dask", dask)):
            if value is not None:
                raise click.UsageError(f"{option} is for runs with --out FILE")
    elif folder is not None:
        raise click.UsageError("--save and --out do not go together: leave one out")
    if workers is not None and dask is not None:
        raise click.UsageError("--workers are processes here, --dask is a cluster: leave one out")


def _answers(
    files: Iterable[Path],
    analyzer: Analyzer,
    asked: Question,
    save: Callable[[Path, int, Spectrum], None] | None,
    *,
    unit: AxisUnit | None,
    quantity: Quantity | None,
) -> Iterator[Answer]:
    """Yield one answer a spectrum; one that was judged and could not be saved has two."""
    assumed = analyzer.bundle.manifest.quantity
    rows = (row for file in files for row in read_source(str(file), unit=unit, quantity=quantity, assumed=assumed))
    for answer in answers(rows, analyzer, asked):
        yield answer
        if save is None or answer.spectrum is None or answer.row is None:
            continue
        try:
            save(Path(answer.file), answer.row, answer.spectrum)
        except WriteError as error:
            yield Answer(file=answer.file, row=answer.row, title=answer.title, error=error)


def _save(folder: Path, kind: Format, file: Path, row: int, spectrum: Spectrum) -> None:
    write_spectrum(folder / f"{file.stem}_{row}.{kind}", spectrum, kind)


def _print_json(answers: Iterator[Answer]) -> bool:
    complete = True
    out = sys.stdout  # click.echo flushes each line: 1,200 writes for one
    for answer in answers:
        complete = complete and answer.error is None
        out.write(line(answer, "jsonl"))
    out.flush()
    return complete


def _print_table(answers: Iterator[Answer], analyzer: Analyzer, asked: Question) -> bool:
    """Print the verdicts as a table, and what failed as lines on stderr."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else WIDE)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), collapse_padding=True)
    table.add_column("spectrum", no_wrap=True, max_width=22 if console.width >= ROOMY else 14)
    table.add_column("outcome", no_wrap=True)
    told = {"quantify": "amount", "components": "holds"}.get(asked.procedure, "label")
    table.add_column(told, no_wrap=asked.procedure != "components")
    table.add_column("p", no_wrap=True)
    table.add_column("why")
    counts: Counter[str] = Counter()
    rows: list[tuple[Answer, tuple[str, str, str, str]]] = []
    for answer in answers:
        if answer.analysis is None:
            assert answer.error is not None
            counts["error"] += 1
            click.echo(_complaint(answer, answer.error), err=True)
            continue
        verdict = answer.analysis.verdict
        counts[verdict.outcome] += 1
        rows.append((answer, _said(verdict, answer.why or ())))
    titles = Counter(answer.title for answer, _ in rows)
    for answer, said in rows:
        name = answer.title if answer.title and titles[answer.title] == 1 else Path(answer.file).name
        table.add_row(*(Text(cell) for cell in (f"{answer.row} {name}", *said)))
    if table.rows:
        console.print(table)
    manifest = analyzer.bundle.manifest
    shares = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    console.print(Text(f"{shares}; {manifest.name} {manifest.version}, {asked.procedure}, {asked.preset}"))
    return not counts["error"]


def _complaint(answer: Answer, error: SpectrumError | InferError) -> str:
    """Say what failed and where; errors of reading name file and line themselves."""
    text = error.message if isinstance(error, SpectrumError) else f"{answer.file}: row {answer.row}: {error.message}"
    return f"{text} ({error.hint})" if error.hint else text


def _said(verdict: Verdict, explained: tuple[Why, ...]) -> tuple[str, str, str, str]:
    probability = f"{verdict.probability:.3f}" if verdict.probability is not None else ""
    why = [reason.message for reason in verdict.reasons]
    if verdict.p_value is not None and "residual_too_large" not in {reason.code for reason in verdict.reasons}:
        why.append(f"fits as scans of its class do, p-value {verdict.p_value:.3f}")
    if verdict.unexplained is not None and verdict.outcome == "resolved":
        why.append(f"unexplained rest {verdict.unexplained.value:.3g}, allowed is {verdict.unexplained.limit:.3g}")
    if verdict.candidates and (verdict.label is None or verdict.outcome == "fail"):
        why.append(
            f"it may {'hold' if verdict.procedure == 'components' else 'be'} "
            + ", ".join(f"{c.label} {c.probability:.3f}" for c in verdict.candidates)
        )
    why += [f"{one.label} rests on {one.in_words()}" for one in explained]
    return verdict.outcome, verdict.label or verdict.told_in_words(), probability, "; ".join(why)


def _error(error: SpectrumError | InferError | BundleError) -> dict[str, str]:
    return {"message": error.message, "hint": error.hint}
