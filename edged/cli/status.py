"""`edged status`: one screen about the running daemon."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from edged.cli.configuration import config_options, load_or_exit
from edged.cli.talk import ask_daemon

WITHIN_S = 5.0


@click.command(epilog="Example: edged status --json")
@config_options
@click.option("--json", "as_json", is_flag=True, help="Print the whole document as one JSON object.")
def status(config: Path, assignments: tuple[str, ...], *, as_json: bool) -> None:
    """Show how the running daemon does.

    Exit status: 0 well or degraded by warnings, 1 unwell, 3 not running, 78 bad configuration.
    """
    configuration = load_or_exit(config, assignments)
    document = ask_daemon(Path(configuration.control.path), {"do": "status"}, within_s=WITHIN_S, as_json=as_json)
    if as_json:
        click.echo(json.dumps(document, indent=2))
    else:
        for line in screen(document):
            click.echo(line)
    if document["state"] == "unwell":
        raise SystemExit(1)


def screen(document: dict[str, Any]) -> list[str]:
    """Return the lines of the screen."""
    journal, bundle = document["journal"], document["bundle"]
    model = f"{bundle['name']} {bundle['version']}" if bundle["name"] else bundle["problem"]
    where, up, pid = f"{document['site']}/{document['device']}", duration(document["uptime_s"]), document["pid"]
    lines = [
        f"{where}: {document['state']}, up {up}, edged {document['version']}, pid {pid}",
        f"  model    {model}",
        f"  broker   {_broker(document['broker'])}, {journal['to_send']} records to send",
        f"  journal  {journal['records']} records in {journal['path']}{_free(journal['free_bytes'])}",
        f"  clock    {document['clock']}",
    ]
    for station in document["stations"]:
        lines += _station(station)
    if not document["stations"]:
        lines.append("  no station is configured")
    for warning in document["warnings"]:
        subject = f" {warning['subject']}:" if warning["subject"] else ""
        detail = f" [{warning['detail']}]" if warning["detail"] else ""
        lines.append(f"  {warning['severity']}:{subject} {warning['text']}{detail}")
    return lines


def duration(seconds: float) -> str:
    """Say a length of time in the unit that fits."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def drift_in_brief(products: list[dict[str, Any]]) -> str:
    """Say how many products are in alarm, steady and still to be learned."""
    words = {"alarm": "in alarm", "steady": "steady", "learning": "being learned"}
    counts = {text: sum(product["state"] == state for product in products) for state, text in words.items()}
    return "products " + ", ".join(f"{count} {text}" for text, count in counts.items() if count)


def _station(station: dict[str, Any]) -> list[str]:
    instrument = station["instrument"]
    who = f"{instrument['model']} {instrument['serial_number']}" if instrument else station["kind"]
    since = f"{station['state']} for {duration(station['for_s'])}"
    how = f"{station['procedure']} {'on command' if station['trigger'] == 'manual' else 'at an interval'}"
    lines = [f"  {station['name']}: {since}, {how}", f"      {who} on {station['port']}"]
    if own := station["bundle"]:
        lines.append(f"      model {own['name']} {own['version']}" if own["name"] else f"      model {own['problem']}")
    if station["message"]:
        lines.append(f"      {station['message']}" + (f" ({station['hint']})" if station["hint"] else ""))
    if station["reference"]:
        age_s, fresh = station["reference"]["age_s"], station["reference"]["is_fresh"]
        age = "of unknown age" if age_s is None else f"{duration(age_s)} old"
        lines.append(f"      white reference {age}{'' if fresh else ', stale'}")
    for test in station["selftests"]:
        age = "of unknown age" if test["age_s"] is None else f"{duration(test['age_s'])} old"
        use = ", the axis is corrected by it" if test["is_corrected"] and test["holds"] else ""
        old = "" if test["holds"] or test["verdict"] == "fail" else ", does not hold any more"
        lines.append(f"      self test with {test['material']}: {test['verdict']}, {age}{use}{old}")
    if station["drift"]:
        lines.append(f"      drift: {drift_in_brief(station['drift'])}")
    if latest := station["latest"]:
        verdict = (latest["outcome"] or latest["kind"]).replace("_", " ")
        verdict += f" {latest['label'] or latest['amounts'] or latest['components']}".rstrip()
        sure = f" {latest['probability']:.3f}" if latest["probability"] is not None else ""
        lines.append(f"      latest {verdict}{sure} at {latest['wall']}")
    return lines


def _broker(broker: dict[str, Any]) -> str:
    if not broker["enabled"]:
        return "none configured"
    where = f"{broker['host']}:{broker['port']}"
    if broker["connected"]:
        return f"{where} connected with MQTT {broker['protocol']}" + (", refuses records" if broker["refused"] else "")
    return f"{where} away" + (f" ({broker['error']})" if broker["error"] else "")


def _free(free_bytes: int | None) -> str:
    return "" if free_bytes is None else f", {free_bytes / 2**30:.1f} GiB free"
