"""`edged measure`: one reading and one verdict from the running daemon."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import click

from edged.cli.configuration import config_options, load_or_exit
from edged.cli.talk import ask_for_record
from edged.infer.verdict import Verdict, Why

CURES = {
    "reference_missing": "put the white tile on the window, then: edged measure {station} --reference",
    "dark_missing": "cover the probe, then: edged measure {station} --dark",
    "dark_mismatched": "cover the probe, then: edged measure {station} --dark",
}


@click.command(epilog="Example: edged measure bench --lot A17 --operator kl")
@click.argument("station")
@config_options
@click.option(
    "--reference", is_flag=True, help="Take the white reference instead: put the white tile on the window first."
)
@click.option("--dark", is_flag=True, help="Take the dark reference of a detector array: cover the probe first.")
@click.option(
    "--procedure",
    type=click.Choice(["identify", "verify", "components", "quantify"]),
    help="What is asked; unset takes the station's, or verify with --claimed.",
)
@click.option("--claimed", metavar="LABEL", help="Verify that the sample is this.")
@click.option(
    "--preset", type=click.Choice(["screen", "balanced", "confirm"]), help="Operating point; unset takes the station's."
)
@click.option("--operator", help="Who measures; goes into the record, as the next three do.")
@click.option("--lot", help="Lot or batch of the sample.")
@click.option("--barcode", help="What the scanner read.")
@click.option("--note", help="Anything worth keeping.")
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    help="Write the spectrum to this file too: .csv, .jdx (JCAMP-DX) or .spc.",
)
@click.option("--explain", is_flag=True, help="Say too on which bands of the spectrum the verdict rests.")
@click.option(
    "--plot",
    "picture",
    metavar="FILE.svg",
    type=click.Path(path_type=Path),
    help="With --explain: draw spectrum, bands and references.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the record as one JSON object.")
def measure(
    station: str,
    config: Path,
    assignments: tuple[str, ...],
    procedure: str | None,
    claimed: str | None,
    preset: str | None,
    operator: str | None,
    lot: str | None,
    barcode: str | None,
    note: str | None,
    save: Path | None,
    picture: Path | None,
    *,
    reference: bool,
    dark: bool,
    explain: bool,
    as_json: bool,
) -> None:
    """Measure once at STATION and print the verdict, which is then in the journal.

    Exit status: 0 a record was written (whatever its verdict), 1 refused, 3 the daemon is not running,
    4 it gave no answer and the record may be there all the same, 78 bad configuration.
    """
    if reference and dark:
        raise click.UsageError("--reference and --dark exclude each other")
    if (reference or dark) and (procedure or claimed or preset or lot or barcode):
        raise click.UsageError(f"--{'dark' if dark else 'reference'} takes only --operator and --note")
    if explain and (reference or dark):
        raise click.UsageError("--explain is for verdicts: a reference has none")
    if save is not None:
        require_free(save)
    if picture is not None:
        from edged.cli.picture import require_free_picture

        if not explain:
            raise click.UsageError("--plot draws what --explain finds: give both")
        require_free_picture(picture)
    configuration = load_or_exit(config, assignments)
    words = {
        "procedure": procedure,
        "claimed": claimed,
        "preset": preset,
        "operator": operator,
        "lot": lot,
        "barcode": barcode,
        "note": note,
    }
    verb = "reference" if reference else "dark" if dark else "measure"
    request: dict[str, Any] = {"do": verb, "station": station}
    request |= {name: text for name, text in words.items() if text is not None}
    if explain:
        request["explain"] = True
    record = ask_for_record(Path(configuration.control.path), request, as_json=as_json)
    if as_json:
        click.echo(json.dumps(record))
    else:
        for line in lines(record):
            click.echo(line)
    if save is not None:
        save_spectrum(record, Path(configuration.storage.path), save)
    if picture is not None:
        draw(record, Path(configuration.storage.path), picture)


def require_free(path: Path) -> None:
    """Raise UsageError before any light is spent when the file cannot be written in the end."""
    from edged.spectra.write import SUFFIXES

    if path.suffix.lower() not in SUFFIXES:
        raise click.UsageError(f"--save {path}: the suffix names no format; there are {', '.join(SUFFIXES)}")
    if path.exists():
        raise click.UsageError(f"--save {path}: exists already; choose another name, or remove it first")
    if not path.absolute().parent.is_dir():
        raise click.UsageError(f"--save {path}: there is no folder {path.parent}; make it first")


def save_spectrum(record: dict[str, Any], folder: Path, path: Path) -> None:
    """Write the spectrum that was judged, as the journal keeps it; exit 1 when that fails, the record stays."""
    from edged.acquire.references import unpack_spectrum
    from edged.service.pipeline import SPECTRUM
    from edged.spectra.spectrum import SpectrumError
    from edged.spectra.write import write_spectrum
    from edged.store.errors import StoreError
    from edged.store.journal import JOURNAL_FILE, Journal

    journal = folder / JOURNAL_FILE
    title = " ".join(text for text in (record["lot"], record["barcode"], record["id"]) if text)
    try:
        with Journal.open(journal, read_only=True) as opened:
            data = opened.attachment(record["id"], SPECTRUM)
        if data is None:
            raise SpectrumError(f"{journal}: the spectrum of {record['id']} is not kept any more")
        write_spectrum(path, dataclasses.replace(unpack_spectrum(data), title=title))
    except (StoreError, SpectrumError) as error:
        click.echo(
            f"edged: the record is safe, but {error.message}" + (f"\n       {error.hint}" if error.hint else ""),
            err=True,
        )
        raise SystemExit(1) from None
    click.echo(f"{path}: written", err=True)


def draw(record: dict[str, Any], folder: Path, path: Path) -> None:
    """Draw what the verdict rests on; exit 1 when that fails, the record stays."""
    from edged.cli.why import draw_record
    from edged.store.errors import StoreError
    from edged.store.journal import JOURNAL_FILE, Journal
    from edged.store.record import Record

    if not record["why"]:
        click.echo("edged: nothing to draw: the verdict names no class and no compound", err=True)
        raise SystemExit(1)
    try:
        with Journal.open(folder / JOURNAL_FILE, read_only=True) as opened:
            draw_record(opened, Record.model_validate(record), path)
    except StoreError as error:
        click.echo(f"edged: the record is safe, but {error}", err=True)
        raise SystemExit(1) from None
    click.echo(f"{path}: written", err=True)


def lines(record: dict[str, Any]) -> list[str]:
    """Put a record into a few lines for the one who stands at the bench."""
    shown = []
    verdict = record["verdict"]
    if verdict is None:
        what = "dark" if record["kind"] == "dark" else "white"
        shown.append(f"{what} reference taken, peak {record['quality']['peak_counts']} counts")
        shown += [f"  {reason['message']}" for reason in record["quality"]["reasons"]]
    else:
        text = verdict["outcome"].replace("_", " ")
        if verdict["label"]:
            text += f": {'not ' if verdict['outcome'] == 'fail' else ''}{verdict['label']}"
            if verdict["title"] and verdict["title"] != verdict["label"]:
                text += f" ({verdict['title']})"
        if verdict["amounts"]:
            text += f": {Verdict.model_validate(verdict).amounts_in_words()} (preset {verdict['preset']})"
        if verdict["components"]:
            text += f": {Verdict.model_validate(verdict).components_in_words()} (preset {verdict['preset']})"
        if verdict["probability"] is not None:
            text += f", probability {verdict['probability']:.3f} (preset {verdict['preset']})"
        if verdict["p_value"] is not None:
            text += f", p-value {verdict['p_value']:.3f}"
        shown.append(text)
        if (rest := verdict["unexplained"]) and verdict["components"]:
            shown.append(f"  unexplained rest {rest['value']:.3g}, allowed is {rest['limit']:.3g}")
        mixed = verdict["procedure"] == "components"
        if len(verdict["candidates"]) > 1 or (verdict["candidates"] and (mixed or verdict["outcome"] == "fail")):
            shown.append(
                f"  could {'hold' if mixed else 'be'} "
                + ", ".join(f"{c['label']} {c['probability']:.3f}" for c in verdict["candidates"])
            )
        for reason in verdict["reasons"]:
            shown.append(f"  {reason['message']}")
            if reason["code"] in CURES:
                shown.append("  " + CURES[reason["code"]].format(station=record["station"]))
    shown += [f"  {why.label} rests on {why.in_words()}" for why in map(Why.model_validate, record.get("why", ()))]
    shown.append(f"  record {record['id']}, seq {record['seq']}")
    return shown
