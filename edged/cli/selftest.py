"""`edged selftest`: measure a known material, compare its peaks with the published table, keep what was found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from edged.cli.configuration import config_options, load_or_exit
from edged.cli.talk import ask_daemon

WITHIN_S = 120.0  # eight triggers may be waiting before this one


@click.command(epilog="Example: edged selftest bench --material polystyrene")
@click.argument("station")
@config_options
@click.option("--material", help="What lies before the instrument; unset takes the station's selftest.material.")
@click.option("--operator", help="Who measures; goes into the record.")
@click.option("--note", help="Anything worth keeping.")
@click.option("--json", "as_json", is_flag=True, help="Print the record as one JSON object.")
def selftest(
    station: str,
    config: Path,
    assignments: tuple[str, ...],
    material: str | None,
    operator: str | None,
    note: str | None,
    *,
    as_json: bool,
) -> None:
    """Check the axis of the instrument at STATION on a standard, and correct it for the session.

    Put the material before the instrument first. The peaks are compared with ASTM E1840 (Raman) or the lines of a lamp;
    the correction that they support holds until the next self test, and selftest.gate says what a failed one means.

    Exit status: 0 passed, also with remarks, 1 failed or refused, 3 the daemon is not running, 78 bad configuration.
    """
    configuration = load_or_exit(config, assignments)
    words = {"material": material, "operator": operator, "note": note}
    request = {"do": "selftest", "station": station}
    request |= {name: text for name, text in words.items() if text is not None}
    record = ask_daemon(Path(configuration.control.path), request, within_s=WITHIN_S, as_json=as_json)
    if as_json:
        click.echo(json.dumps(record))
    else:
        for line in lines(record):
            click.echo(line)
    if record["selftest"]["verdict"] == "fail":
        raise SystemExit(1)


def lines(record: dict[str, Any]) -> list[str]:
    """Put a record of a self test into a table for the one who stands at the bench."""
    found = record["selftest"]
    instrument = record["instrument"]
    shown = [f"{found['material']} on {instrument['model']} {instrument['serial_number']}: {found['verdict']}"]
    if found["peaks"]:
        shown.append(f"  {'table':>8}  {'found':>8}  {'corrected':>9}  {'off by':>6}   1/cm")
    for peak in found["peaks"]:
        corrected = peak["corrected"]
        best = peak["found"] if corrected is None else corrected
        text = "" if corrected is None else f"{corrected:.1f}"
        row = f"  {peak['table']:8.1f}  {peak['found']:8.1f}  {text:>9}  {best - peak['table']:+6.1f}"
        shown.append(row + (f"   does not count: {peak['doubt'].replace('_', ' ')}" if peak["doubt"] else ""))
    before, after = found["max_deviation_before"], found["max_deviation_after"]
    if before is not None and after is not None:
        shown.append(f"  largest deviation {before:.1f} 1/cm, {after:.1f} with the session's correction")
    numbers = (
        ("clearest band", "width_cm1", "1/cm wide"),
        ("noise", "frame_noise", "counts a frame"),
        ("dark level", "dark_level", "counts"),
    )
    told = [f"{name} {found[key]:.1f} {unit}" for name, key, unit in numbers if found[key] is not None]
    shown += [f"  {', '.join(told)}"] if told else []
    shown += [f"  {reason}" for reason in found["reasons"]]
    shown.append(f"  record {record['id']}, seq {record['seq']}")
    return shown
