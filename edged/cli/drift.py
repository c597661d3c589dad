"""`edged drift`: what monitoring knows, learning anew after a change that was meant, and the journal once more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edged.cli.configuration import config_options, load_or_exit
from edged.cli.talk import ask_daemon

if TYPE_CHECKING:
    from edged.bundle.archive import Bundle
    from edged.config.vocabulary import Configuration
    from edged.service.drifting import InUse

WITHIN_S = 20.0
SLICE = 200  # records read at once

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")


@click.group()
def drift() -> None:
    """What changed in instruments and products, and since when.

    Exit status: 0 done, 1 refused, 3 no daemon is running, 78 bad configuration.
    """


@drift.command(short_help="every product that is learned or watched", epilog="Example: edged drift show")
@config_options
@_json_option
def show(config: Path, assignments: tuple[str, ...], *, as_json: bool) -> None:
    """Show every product at every station: how far it is learned, and what alarms."""
    configuration = load_or_exit(config, assignments)
    document = ask_daemon(Path(configuration.control.path), {"do": "status"}, within_s=WITHIN_S, as_json=as_json)
    rows = [{"station": s["name"], **product} for s in document["stations"] for product in s["drift"]]
    for row in rows:
        click.echo(json.dumps(row) if as_json else _line(row))
    shown = tuple(row["alarm"] for row in rows if row["alarm"])
    for warning in () if as_json else document["warnings"]:  # a white reference is of no product
        if warning["code"].startswith("drift_") and not warning["detail"].startswith(shown):
            click.echo(f"{warning['subject']}  {warning['detail']}")
    if not rows and not as_json:
        click.echo("nothing has been accepted yet" if configuration.drift.enabled else "drift.enabled is false")


@drift.command(
    short_help="learn anew, after a change that was meant",
    epilog='Example: edged drift renew bench --operator kl --note "new lamp"',
)
@click.argument("station")
@config_options
@click.option("--product", help="Only this label; unset: every product there, and the white reference.")
@click.option("--operator", help="Who orders it; goes into the record.")
@click.option("--note", required=True, help="Why: a new lamp, another supplier; goes into the record.")
@_json_option
def renew(
    station: str,
    config: Path,
    assignments: tuple[str, ...],
    product: str | None,
    operator: str | None,
    note: str,
    *,
    as_json: bool,
) -> None:
    """Forget what was learned of the instrument at STATION, and learn it from the next readings.

    What stands as an alarm there ends with it. The order is a record of the journal like every other.
    """
    configuration = load_or_exit(config, assignments)
    request: dict[str, Any] = {
        "do": "renew",
        "station": station,
        "product": product,
        "operator": operator,
        "note": note,
    }
    record = ask_daemon(Path(configuration.control.path), request, within_s=WITHIN_S, as_json=as_json)
    click.echo(json.dumps(record) if as_json else f"{record['drift']['message']}: record {record['seq']}")


@drift.command(
    short_help="what the charts would have found in the journal",
    epilog="Example: edged drift replay --set drift.readings=100",
)
@config_options
@click.option(
    "--bundle",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Results of this bundle count.  [default: the one in use]",
)
@_json_option
def replay(config: Path, assignments: tuple[str, ...], bundle: Path | None, *, as_json: bool) -> None:
    """Read the journal from its beginning and print what the charts find, by the configuration or as --set says.

    Nothing is written and no daemon is asked. Results whose spectrum retention has dropped do not count, nor do those
    of a station whose bundle cannot be had.
    """
    from edged.bundle.errors import BundleError
    from edged.infer.errors import InferError
    from edged.store.errors import StoreError

    configuration = load_or_exit(config, assignments)
    try:
        for told in _replayed(configuration, bundle):
            click.echo(json.dumps(told) if as_json else f"{told['seq']:>8}  {told['station']}  {told['message']}")
    except (StoreError, BundleError, InferError) as error:
        click.echo(json.dumps({"error": {"message": str(error)}}) if as_json else str(error), err=not as_json)
        raise SystemExit(1) from None


def _replayed(configuration: Configuration, path: Path | None) -> Iterator[dict[str, Any]]:
    from edged.monitor.monitor import Monitor
    from edged.monitor.product import Alarm, Learned
    from edged.monitor.tell import alarm_text, ended_text
    from edged.service.drifting import items, record_at, take
    from edged.service.settings import drift_rules
    from edged.store.journal import JOURNAL_FILE, Journal

    in_use = _in_use(configuration, path)
    monitor, seq = Monitor(drift_rules(configuration.drift)), 0
    with Journal.open(Path(configuration.storage.path) / JOURNAL_FILE, read_only=True) as journal:
        while found := items(journal, after_seq=seq, limit=SLICE):
            seq = found[-1].seq
            for told in (one for item in found for one in take(monitor, item, in_use) if one.is_news):
                finding, product = told.finding, told.key.product
                if isinstance(finding, Learned):
                    message = f"{product} is known from {finding.baseline.readings} readings"
                    yield {"seq": finding.at, "station": told.key.station, "event": "baseline", "message": message}
                    continue
                alarm = finding if isinstance(finding, Alarm) else finding.alarm
                first = record_at(journal, alarm.since)
                since = first.taken_at.wall if first is not None else f"record {alarm.since}"
                text = alarm_text(alarm, product=product, since=since, axis_unit=told.axis_unit)
                yield {
                    "seq": finding.at,
                    "station": told.key.station,
                    "event": "began" if isinstance(finding, Alarm) else "ended",
                    "product": product,
                    "cause": alarm.cause,
                    "since_seq": alarm.since,
                    "changes": dict(alarm.changes),
                    "message": text if isinstance(finding, Alarm) else ended_text(finding, text),
                }


def _in_use(configuration: Configuration, path: Path | None) -> InUse:
    """Choose as the daemon does; a bundle that cannot be had is told of on stderr, with its stations.

    Raises BundleError or InferError where there is none at all: then nobody can tell which results count.
    """
    from edged.bundle.archive import read_bundle
    from edged.bundle.errors import BundleError
    from edged.infer.errors import InferError
    from edged.service.drifting import InUse
    from edged.service.settings import path_or_none
    from edged.service.threads import load_analyzer, named_analyzer

    if path is not None:
        return InUse(usual=read_bundle(path))
    storage, usual_path = Path(configuration.storage.path), path_or_none(configuration.bundle.path)
    named = {name: station.bundle for name, station in configuration.station.items()}
    found: dict[str | None, Bundle | None] = {}  # None: of the stations that name none
    problems: dict[str | None, BundleError | InferError] = {}
    for text in dict.fromkeys(named.values()) or [None]:
        try:
            analyzer = load_analyzer(usual_path, storage) if text is None else named_analyzer(text, storage)
            found[text] = analyzer.bundle
        except (BundleError, InferError) as error:
            found[text], problems[text] = None, error
    in_use = InUse(usual=found.get(None), own={name: found[text] for name, text in named.items() if text is not None})
    if not in_use.is_any:
        raise next(iter(problems.values()))
    for text, problem in problems.items():
        stations = ", ".join(name for name, wanted in named.items() if wanted == text)
        click.echo(f"{stations}: results do not count: {problem}", err=True)
    return in_use


def _line(row: dict[str, Any]) -> str:
    if row["state"] == "learning":
        return f"{row['station']}  {row['product']}  learning, {row['readings']} of {row['wanted']} readings"
    charted = f"{row['readings']} readings, charted in means of {row['batch']}"
    return f"{row['station']}  {row['product']}  {row['alarm'] or 'steady'}; {charted}"
