"""`edged demo`: simulated handhelds, a broker and the daemon, played through so that each verdict can be watched."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from edged.bundle.errors import BundleError
from edged.cli.audience import Audience
from edged.cli.bundle import chosen_bundle
from edged.cli.shelf import Shelf, shelf_for, usual_shelf
from edged.cli.stage import (
    SPEED,
    BrokerChild,
    BrokerKind,
    Child,
    DemoFailed,
    Handheld,
    journal_file,
    start_broker,
    start_daemon,
    until_stations_ready,
)
from edged.infer.verdict import Verdict

STATIONS = (("left", "6100023"), ("right", "6100041"))
VERDICT_WITHIN_S = 30.0
OFFLINE_WITHIN_S = 3.0
ROW = "{:>4}  {:8} {:{}} {:{}} {:>6} {:>6}"
NARROWEST = 12  # column of products
WIDTHS = {"identify": 16, "components": 58, "quantify": 22}  # of the verdict's column
RIGHTLY = {
    "identify": "named rightly",
    "components": "with every compound and no other",
    "quantify": "within the interval that was told",
}


@click.command(epilog="Example: edged demo --count 24")
@click.option("--count", type=click.IntRange(1, 100_000), help="So many measurements; unset goes on until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help='Print one line {"truth": LABEL, "record": {...}} a measurement.')
@click.option("--no-web", is_flag=True, help="Serve no page; as this version serves none, it changes nothing.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Port of the broker; unset takes a free one.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True, help="Order and chance.")
@click.option(
    "--broker",
    type=click.Choice(["auto", "mosquitto", "embedded"]),
    default="auto",
    show_default=True,
    help="auto takes Mosquitto where it is installed.",
)
@click.option(
    "--bundle",
    "bundle_name",
    metavar="FILE|NAME",
    help="Another model, with simulated products that it knows; edged bundle list shows those that are built in.",
)
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Keep journal and logs in this folder.")
def demo(
    count: int | None,
    port: int | None,
    seed: int,
    broker: BrokerKind,
    bundle_name: str | None,
    keep: Path | None,
    *,
    as_json: bool,
    no_web: bool,
) -> None:
    """Show the whole path without hardware: two simulated handhelds measure twelve powders, or what --bundle knows.

    Only the instruments are simulated, with light fitted to scans of real powders; wire, driver, daemon, model, journal
    and broker are the ones that run on a board. One powder after the other is measured, named, recorded, published.

    Exit status: 0 when every record that the broker delivered is in the journal and the other way round, 1 when not or
    when a part failed.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    shelf = _shelf(bundle_name)
    folder = _folder(keep)
    chance = random.Random(seed)  # noqa: S311 - a shuffled shelf
    play = _Play(folder=folder, as_json=as_json, count=count, rng=chance, shelf=shelf)
    try:
        try:
            with contextlib.ExitStack() as stack:
                _perform(play, stack, kind=broker, port=port, seed=seed)
        except KeyboardInterrupt:
            play.note("stopped")
            if not play.measured and not journal_file(folder).exists():
                return  # nothing was recorded yet, so there is nothing to compare
        agrees = _compare(play)
    except DemoFailed as error:
        play.note(f"edged demo: {error.message}" + (f"\n{error.hint}" if error.hint else ""))
        agrees = False
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    if keep is not None:
        play.note(f"kept: edged journal list --journal {journal_file(folder)}")
    raise SystemExit(0 if agrees else 1)


@dataclass(slots=True)
class _Play:
    """What happens on the stage, and what has been seen so far."""

    folder: Path
    as_json: bool
    count: int | None
    rng: random.Random
    shelf: Shelf
    audience: Audience | None = None
    measured: int = 0
    right: int = 0
    order: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Say something that is no data."""
        click.echo(text, err=self.as_json)


def _perform(play: _Play, stack: contextlib.ExitStack, *, kind: BrokerKind, port: int | None, seed: int) -> None:
    folder = play.folder
    broker = start_broker(kind, port, folder)
    stack.callback(broker.child.end)
    play.audience = stack.enter_context(Audience(broker.port, mqtt5=broker.mqtt5))
    handhelds = []
    for number, (name, serial_number) in enumerate(STATIONS):
        begin = seed * len(STATIONS) + number
        handheld = Handheld.start(name, serial_number, folder, seed=begin, twin=play.shelf.twin)
        stack.callback(handheld.end)
        handhelds.append(handheld)
    for handheld in handhelds:
        handheld.until_ready()
    daemon = start_daemon(folder, handhelds, broker, procedure=play.shelf.procedure, bundle=play.shelf.bundle)
    stack.callback(play.audience.until_offline, within_s=OFFLINE_WITHIN_S)
    stack.callback(daemon.end)
    until_stations_ready(folder, daemon)
    _introduce(play, broker, handhelds)
    for handheld in handhelds if play.shelf.wants_white else ():
        handheld.put("white")
        _measured(play.audience, "reference", handheld, daemon)
    for handheld, product in zip(itertools.cycle(handhelds), _products(play), strict=False):
        if play.count is not None and play.measured >= play.count:
            break
        handheld.put(product)
        began_s = time.monotonic()
        record = _measured(play.audience, "measure", handheld, daemon)
        _show(play, handheld, record, took_s=time.monotonic() - began_s)


def _introduce(play: _Play, broker: BrokerChild, handhelds: list[Handheld]) -> None:
    play.note(f"broker: {broker.title} on port {broker.port}; watch with:")
    play.note(f"    mosquitto_sub -p {broker.port} -t 'edged/v1/demo/edge/#' -v")
    for handheld in handhelds:
        first = ", white reference first" if play.shelf.wants_white else ""
        play.note(f"instrument {handheld.serial_number} (simulated) at station {handheld.name}{first}")
    if not play.as_json:
        if play.shelf.bundle is None:
            play.note("9010ACLA is 90 % AC and 10 % LA: AC acetaminophen, AA ascorbic acid, LA lactose.")
        else:
            play.note(f"{play.shelf.title}, to {play.shelf.procedure}")
        play.note(f"ms: from the command to the record; the instruments run {SPEED:g} times faster.")
        width = WIDTHS[play.shelf.procedure]
        header = ROW.format("#", "station", "powder", _width(play), "verdict", width, "p", "ms")
        play.note(click.style(header, bold=True))


def _measured(audience: Audience, verb: str, handheld: Handheld, daemon: Child) -> dict[str, Any]:
    """Command one measurement over MQTT and return the record that the broker delivers."""
    reply = audience.command(verb, handheld.name, within_s=VERDICT_WITHIN_S)
    if reply is None:
        daemon.require_alive()
        raise DemoFailed(f"no answer to cmd/{verb} for {handheld.name}", hint=f"{daemon.log} says more")
    if not reply["ok"]:
        error = reply["error"]
        raise DemoFailed(f"{handheld.name}: {error['message']}", hint=error["hint"])
    record = audience.record(reply["result"]["record"]["id"], within_s=VERDICT_WITHIN_S)
    if record is None:
        raise DemoFailed(f"the record of {handheld.name} did not reach the broker", hint=f"{daemon.log} says more")
    return record


def _show(play: _Play, handheld: Handheld, record: dict[str, Any], *, took_s: float) -> None:
    truth = handheld.truth(record["reading"]["scan_index"])
    verdict = record["verdict"]
    play.measured += 1
    right = play.shelf.is_right(truth, verdict)
    play.right += right
    if play.as_json:
        click.echo(json.dumps({"truth": truth, "record": record}))
        sys.stdout.flush()
        return
    told = Verdict.model_validate(verdict).told_in_words()
    said = verdict["label"] or told or verdict["outcome"].replace("_", " ")
    sure = f"{verdict['probability']:.3f}" if verdict["probability"] is not None else ""
    width = WIDTHS[play.shelf.procedure]
    row = ROW.format(play.measured, handheld.name, truth, _width(play), said, width, sure, f"{took_s * 1e3:.0f}")
    click.echo(click.style(row, fg=None if right else "yellow"))


def _width(play: _Play) -> int:
    return max(NARROWEST, *(len(product) for product in play.shelf.products))


def _shelf(bundle_name: str | None) -> Shelf:
    """What is measured: the usual powders, or products for the bundle that was named. Raises UsageError."""
    from firmware_sim.contract import OperatorError
    from firmware_sim.sample import Twin

    if bundle_name is None:
        return usual_shelf(Twin.load().labels)
    try:
        bundle = chosen_bundle(bundle_name, None, None)
        return shelf_for(bundle, Twin.named(bundle.manifest.name).labels)
    except (BundleError, DemoFailed) as error:
        raise click.UsageError(f"--bundle: {error.message} ({error.hint})") from error
    except OperatorError as error:
        raise click.UsageError(f"--bundle: the simulators have no products for {bundle_name}: {error}") from error


def _products(play: _Play) -> Iterator[str]:
    """The shelf again and again, each time in another order, so that any count is balanced."""
    labels = list(play.shelf.products)
    while True:
        play.rng.shuffle(labels)
        yield from labels


def _compare(play: _Play) -> bool:
    """Hold what the broker delivered against the journal, now that the daemon has stopped."""
    if play.audience is None or not journal_file(play.folder).exists():
        return False
    from edged.store.journal import Journal

    with Journal.open(journal_file(play.folder), read_only=True) as journal:
        kinds = {record.id: record.kind for record in journal.records()}
        verification = journal.verify()
    delivered = Counter(play.audience.record_ids())
    repeated = sum(n - 1 for n in delivered.values())
    intact = verification.intact
    agrees = set(delivered) == set(kinds) and intact
    count = Counter(kinds.values())
    if play.measured:
        play.note(f"{play.right} of {play.measured} {RIGHTLY[play.shelf.procedure]}")
    play.note(
        f"journal: {_counted(count['result'], 'result')} and {_counted(count['reference'], 'white reference')}, "
        f"chain {'intact' if intact else 'BROKEN'};"
    )
    same = "the same" if set(delivered) == set(kinds) else "OTHER"
    play.note(f"the broker delivered {same} ids, {repeated or 'none'} of them twice")
    return agrees


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _folder(keep: Path | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="edged-demo-"))
    keep.mkdir(parents=True, exist_ok=True)
    if any(keep.iterdir()):
        raise click.UsageError(f"--keep {keep}: not empty")
    return keep.resolve()
