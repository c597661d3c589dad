"""`edged selftest`: measure a known material, compare it with published or certified values, keep what was found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from edged.cli.configuration import config_options, load_or_exit
from edged.cli.talk import ask_for_record

MOST_READINGS = 2  # of an instrument that gives no frames
UNITS = {"cm-1": "1/cm", "nm": "nm"}


@click.command(epilog="Example: edged selftest bench --material polystyrene")
@click.argument("station")
@config_options
@click.option("--material", help="What lies before the instrument; unset takes the station's selftest.material.")
@click.option(
    "--baseline", is_flag=True, help="With a glass: compare later ones with this one, as after a repair of the optics."
)
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
    baseline: bool,
    as_json: bool,
) -> None:
    """Test the instrument at STATION with a standard; put that before the instrument first.

    \b
    polystyrene, cyclohexane, paracetamol, ...   axis (ASTM E1840), and its correction for the session
    neon                                         pixel axis, by the lines of a lamp
    calcite                                      resolution
    srm-2241, srm-2242a, srm-2244, ...           relative intensity, against an earlier self test
    names in selftest.certificates               wavelengths of a NIR instrument; other glasses
    dark                                         dark level and noise: cover the probe

    Each tells noise and dark level as well where a scan shows them. What it found is kept, and selftest.gate says what
    a failed or missing self test means for measurements.

    Exit status: 0 passed, also with remarks, 1 failed or refused, 3 the daemon is not running,
    4 it gave no answer and the record may be there all the same, 78 bad configuration.
    """
    configuration = load_or_exit(config, assignments)
    words = {"material": material, "operator": operator, "note": note}
    request: dict[str, Any] = {"do": "selftest", "station": station, "baseline": baseline}
    request |= {name: text for name, text in words.items() if text is not None}
    record = ask_for_record(Path(configuration.control.path), request, as_json=as_json, readings=MOST_READINGS)
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
    for check in found["checks"]:
        name, verdict = check["name"].replace("_", " "), check["verdict"] or ""
        value, limit = _number(check["value"], check["unit"]), _number(check["limit"], check["unit"])
        limit = f"of {limit}" if limit else ""
        shown.append(f"  {verdict:<4}  {name:<10}  {value:>15}  {limit:<12}  {check['message']}".rstrip())
        if check["hint"]:
            shown.append(f"        {'':<10}  -> {check['hint']}")
    if found["peaks"]:
        shown.append(f"  {'table':>8}  {'found':>8}  {'corrected':>9}  {'off by':>6}   {UNITS[found['peaks_unit']]}")
    for peak in found["peaks"]:
        corrected = peak["corrected"]
        best = peak["found"] if corrected is None else corrected
        text = "" if corrected is None else f"{corrected:.1f}"
        row = f"  {peak['table']:8.1f}  {peak['found']:8.1f}  {text:>9}  {best - peak['table']:+6.1f}"
        shown.append(row + (f"   does not count: {peak['doubt'].replace('_', ' ')}" if peak["doubt"] else ""))
    shown.append(f"  record {record['id']}, seq {record['seq']}")
    return shown


def _number(value: float | None, unit: str) -> str:
    """A share is shown in per cent."""
    if value is None:
        return ""
    if not unit:
        return f"{100 * value:.3g} %"
    return f"{value:.0f} {unit}" if abs(value) >= 1_000 else f"{value:.3g} {unit}"
