"""`edged measure`: one reading and one verdict from the running daemon."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from edged.cli.configuration import config_options, load_or_exit
from edged.cli.talk import ask_daemon

CURES = {
    "reference_missing": "put the white tile on the window, then: edged measure {station} --reference",
    "dark_missing": "cover the probe, then: edged measure {station} --dark",
    "dark_mismatched": "cover the probe, then: edged measure {station} --dark",
}
WITHIN_S = 120.0  # eight triggers may be waiting before this one


@click.command(epilog="Example: edged measure bench --lot A17 --operator kl")
@click.argument("station")
@config_options
@click.option(
    "--reference", is_flag=True, help="Take the white reference instead: put the white tile on the window first."
)
@click.option("--dark", is_flag=True, help="Take the dark reference of a detector array: cover the probe first.")
@click.option("--claimed", metavar="LABEL", help="Verify that the sample is this.")
@click.option("--operator", help="Who measures; goes into the record, as the next three do.")
@click.option("--lot", help="Lot or batch of the sample.")
@click.option("--barcode", help="What the scanner read.")
@click.option("--note", help="Anything worth keeping.")
@click.option("--json", "as_json", is_flag=True, help="Print the record as one JSON object.")
def measure(
    station: str,
    config: Path,
    assignments: tuple[str, ...],
    claimed: str | None,
    operator: str | None,
    lot: str | None,
    barcode: str | None,
    note: str | None,
    *,
    reference: bool,
    dark: bool,
    as_json: bool,
) -> None:
    """Measure once at STATION and print the verdict, which is then in the journal.

    Exit status: 0 a record was written (whatever its verdict), 1 refused, 3 the daemon is not running,
    78 bad configuration.
    """
    if reference and dark:
        raise click.UsageError("--reference and --dark exclude each other")
    if (reference or dark) and (claimed or lot or barcode):
        raise click.UsageError(f"--{'dark' if dark else 'reference'} takes only --operator and --note")
    configuration = load_or_exit(config, assignments)
    words = {"claimed": claimed, "operator": operator, "lot": lot, "barcode": barcode, "note": note}
    verb = "reference" if reference else "dark" if dark else "measure"
    request = {"do": verb, "station": station}
    request |= {name: text for name, text in words.items() if text is not None}
    record = ask_daemon(Path(configuration.control.path), request, within_s=WITHIN_S, as_json=as_json)
    if as_json:
        click.echo(json.dumps(record))
    else:
        for line in lines(record):
            click.echo(line)


def lines(record: dict[str, Any]) -> list[str]:
    """Put a record into a few lines for the one who stands at the bench."""
    shown = []
    verdict = record["verdict"]
    if verdict is None:
        what = "dark" if record["kind"] == "dark" else "white"
        shown.append(f"{what} reference taken, peak {record['quality']['peak_counts']} counts")
    else:
        text = verdict["outcome"].replace("_", " ")
        if verdict["label"]:
            text += f": {'not ' if verdict['outcome'] == 'fail' else ''}{verdict['label']}"
            if verdict["title"] and verdict["title"] != verdict["label"]:
                text += f" ({verdict['title']})"
        if verdict["probability"] is not None:
            text += f", probability {verdict['probability']:.3f} (preset {verdict['preset']})"
        shown.append(text)
        if len(verdict["candidates"]) > 1 or (verdict["candidates"] and verdict["outcome"] == "fail"):
            shown.append(
                "  could be " + ", ".join(f"{c['label']} {c['probability']:.3f}" for c in verdict["candidates"])
            )
        for reason in verdict["reasons"]:
            shown.append(f"  {reason['message']}")
            if reason["code"] in CURES:
                shown.append("  " + CURES[reason["code"]].format(station=record["station"]))
    shown.append(f"  record {record['id']}, seq {record['seq']}")
    return shown
