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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from edged.bundle.archive import Bundle, read_bundle
from edged.bundle.errors import BundleError
from edged.bundle.slots import newest_built_in
from edged.cli.audience import Audience
from edged.cli.bundle import chosen_bundle
from edged.cli.shelf import RIGHTLY, Shelf, shelf_for, usual_shelf
from edged.cli.stage import (
    BUILDS,
    SPEED,
    BrokerChild,
    BrokerKind,
    Child,
    DemoFailed,
    Handheld,
    Place,
    Technique,
    journal_file,
    start_broker,
    start_daemon,
    until_stations_ready,
)
from edged.infer.verdict import Verdict

USUAL_STATIONS, STATIONS = ("nir", "raman"), ("left", "right")
SERIAL_NUMBERS: Mapping[Technique, tuple[str, str]] = {
    "nir": ("6100023", "6100041"),
    "raman": ("VEN00117", "VEN00142"),
}
SOLVENTS = "solvents13"
VERDICT_WITHIN_S = 30.0
OFFLINE_WITHIN_S = 3.0
ROW = "{:>4}  {:8} {:{}} {:{}} {:>6} {:>6}"
NARROWEST = 12  # column of products
WIDTHS = {"identify": 16, "components": 58, "quantify": 22}  # of the verdict's column
WITHOUT_INTERVALS = 54  # the same, of components whose shares are told without


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
@click.option(
    "--samples",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Simulated samples for --bundle, of a model of your own: what edged-export twin makes of your spectra.",
)
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Keep journal and logs in this folder.")
def demo(
    count: int | None,
    port: int | None,
    seed: int,
    broker: BrokerKind,
    bundle_name: str | None,
    samples: Path | None,
    keep: Path | None,
    *,
    as_json: bool,
    no_web: bool,
) -> None:
    """Show the whole path without hardware: a simulated NIR handheld names powders, and a simulated Raman handheld with
    a laser finds what mixtures of solvents hold; or two handhelds measure what --bundle knows.

    Only the instruments are simulated, with light fitted to scans of real powders, or added up from spectra of real
    solvents; wire, driver, daemon, models, journal and broker are the ones that run on a board. One sample after the
    other is measured, named, recorded, published.

    Exit status: 0 when every record that the broker delivered is in the journal and the other way round, 1 when not or
    when a part failed.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    stands = _stands(bundle_name, samples)
    folder = _folder(keep)
    chance = random.Random(seed)  # noqa: S311 - a shuffled shelf
    play = _Play(folder=folder, as_json=as_json, count=count, rng=chance, stands=stands)
    try:
        try:
            with contextlib.ExitStack() as stack:
                _perform(play, stack, kind=broker, port=port, seed=seed)
        except KeyboardInterrupt:
            play.note("stopped")
            if not play.measured.total() and not journal_file(folder).exists():
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stand:
    """A station, the number of its handheld, and what is measured there."""

    name: str
    serial_number: str
    shelf: Shelf


@dataclass(slots=True)
class _Play:
    """What happens on the stage, and what has been seen so far, by shelf."""

    folder: Path
    as_json: bool
    count: int | None
    rng: random.Random
    stands: Sequence[_Stand]
    audience: Audience | None = None
    measured: Counter[Shelf] = field(default_factory=Counter)
    right: Counter[Shelf] = field(default_factory=Counter)

    @property
    def shelves(self) -> list[Shelf]:
        """Each once, in the order of the stations."""
        return list(dict.fromkeys(stand.shelf for stand in self.stands))

    def note(self, text: str) -> None:
        """Say something that is no data."""
        click.echo(text, err=self.as_json)


def _perform(play: _Play, stack: contextlib.ExitStack, *, kind: BrokerKind, port: int | None, seed: int) -> None:
    folder = play.folder
    broker = start_broker(kind, port, folder)
    stack.callback(broker.child.end)
    play.audience = stack.enter_context(Audience(broker.port, mqtt5=broker.mqtt5))
    handhelds = []
    for number, stand in enumerate(play.stands):
        begin, build = seed * len(play.stands) + number, BUILDS[stand.shelf.technique]
        samples = stand.shelf.samples
        handheld = Handheld.start(stand.name, stand.serial_number, folder, seed=begin, build=build, samples=samples)
        stack.callback(handheld.end)
        handhelds.append(handheld)
    for handheld in handhelds:
        handheld.until_ready()
    cast = list(zip(play.stands, handhelds, strict=True))
    daemon = start_daemon(folder, [_place(stand, handheld) for stand, handheld in cast], broker)
    stack.callback(play.audience.until_offline, within_s=OFFLINE_WITHIN_S)
    stack.callback(daemon.end)
    until_stations_ready(folder, daemon)
    _introduce(play, broker, cast)
    for stand, handheld in cast:
        if stand.shelf.wants_white:
            handheld.put("white")
            _measured(play.audience, "reference", handheld, daemon)
    products = {shelf: _products(play, shelf) for shelf in play.shelves}
    for stand, handheld in itertools.cycle(cast):
        if play.count is not None and play.measured.total() >= play.count:
            break
        handheld.put(next(products[stand.shelf]))
        began_s = time.monotonic()
        record = _measured(play.audience, "measure", handheld, daemon)
        _show(play, stand, handheld, record, took_s=time.monotonic() - began_s)


def _place(stand: _Stand, handheld: Handheld) -> Place:
    return Place(handheld=handheld, procedure=stand.shelf.procedure, bundle=stand.shelf.bundle)


def _introduce(play: _Play, broker: BrokerChild, cast: Sequence[tuple[_Stand, Handheld]]) -> None:
    play.note(f"broker: {broker.title} on port {broker.port}; watch with:")
    play.note(f"    mosquitto_sub -p {broker.port} -t 'edged/v1/demo/edge/#' -v")
    for stand, handheld in cast:
        first = ", white reference first" if stand.shelf.wants_white else ""
        lit = ", laser on in each measurement only" if stand.shelf.technique == "raman" else ""
        title = handheld.build.title
        play.note(f"{title} {handheld.serial_number} (simulated) at station {handheld.name}{first}{lit}")
    if not play.as_json:
        for shelf in play.shelves:
            play.note(shelf.title)
        warm = "; a laser warms up for a real second" if any(s.technique == "raman" for s in play.shelves) else ""
        play.note(f"ms: from the command to the record; the instruments run {SPEED:g} times faster{warm}.")
        header = ROW.format("#", "station", "sample", _product_width(play), "verdict", _verdict_width(play), "p", "ms")
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


def _show(play: _Play, stand: _Stand, handheld: Handheld, record: dict[str, Any], *, took_s: float) -> None:
    truth = handheld.truth(record["reading"]["scan_index"])
    verdict = record["verdict"]
    right = stand.shelf.is_right(truth, verdict)
    play.measured[stand.shelf] += 1
    play.right[stand.shelf] += right
    if play.as_json:
        click.echo(json.dumps({"truth": truth, "record": record}))
        sys.stdout.flush()
        return
    told = Verdict.model_validate(verdict).told_in_words()
    said = verdict["label"] or told or verdict["outcome"].replace("_", " ")
    sure = f"{verdict['probability']:.3f}" if verdict["probability"] is not None else ""
    number, took = play.measured.total(), f"{took_s * 1e3:.0f}"
    row = ROW.format(number, handheld.name, truth, _product_width(play), said, _verdict_width(play), sure, took)
    click.echo(click.style(row, fg=None if right else "yellow"))


def _product_width(play: _Play) -> int:
    return 1 + max(NARROWEST, *(len(product) for shelf in play.shelves for product in shelf.products))


def _verdict_width(play: _Play) -> int:
    return max(WITHOUT_INTERVALS if shelf.technique == "raman" else WIDTHS[shelf.procedure] for shelf in play.shelves)


def _stands(bundle_name: str | None, samples: Path | None) -> list[_Stand]:
    """What is measured where: powders and solvents, or products for the bundle that was named. Raises UsageError."""
    from firmware_sim.contract import OperatorError
    from firmware_sim.sample import Twin

    if samples is not None and bundle_name is None:
        raise click.UsageError("--samples is for the model that --bundle names")
    try:
        if bundle_name is None:
            shelves = [usual_shelf(Twin.load().labels), _solvents()]
            numbers = [SERIAL_NUMBERS[shelf.technique][0] for shelf in shelves]
            return [
                _Stand(name=name, serial_number=number, shelf=shelf)
                for name, number, shelf in zip(USUAL_STATIONS, numbers, shelves, strict=True)
            ]
        shelf = _shelf_of(chosen_bundle(bundle_name, None, None), samples)
    except (BundleError, DemoFailed) as error:
        option = "" if bundle_name is None else "--bundle: "
        raise click.UsageError(f"{option}{error.message} ({error.hint})") from error
    except OperatorError as error:
        if samples is not None:
            raise click.UsageError(f"--samples: {error}") from error
        raise click.UsageError(
            f"--bundle: the simulators have no products for {bundle_name}: {error} (make some of your spectra: "
            "edged-export twin my-spectra samples.npz, then add --samples samples.npz)"
        ) from error
    numbers = list(SERIAL_NUMBERS[shelf.technique])
    return [
        _Stand(name=name, serial_number=number, shelf=shelf) for name, number in zip(STATIONS, numbers, strict=True)
    ]


def _solvents() -> Shelf:
    """Mixtures of solvents for the built-in bundle, whatever is installed here. Raises BundleError."""
    path = newest_built_in(SOLVENTS)
    if path is None:
        raise DemoFailed(f"{SOLVENTS} is not built in", hint="is this a whole installation? edged bundle list")
    shelf = _shelf_of(read_bundle(path))
    made_of = "of the spectra that the model learnt from"
    return replace(shelf, bundle=SOLVENTS, title=f"{shelf.products[-1]} is a mixture, by percent of light, {made_of}.")


def _shelf_of(bundle: Bundle, samples: Path | None = None) -> Shelf:
    """Return the products of the simulators for a bundle; samples: of this file, in place of those of the bundle's
    name. Raises DemoFailed, OperatorError.
    """
    from firmware_sim.contract import OperatorError
    from firmware_sim.mixtures import Library
    from firmware_sim.sample import Twin

    if samples is not None and samples.suffix != ".npz":
        raise OperatorError(f"{samples}: does not end in .npz; edged-export twin makes such files")
    where = bundle.manifest.name if samples is None else str(samples.resolve())
    if bundle.manifest.technique != "raman":
        products = Twin.chosen(where).labels
    else:
        library = Library.chosen(where)
        products = library.labels if "identify" in bundle.manifest.procedures else library.products
    return replace(shelf_for(bundle, products), samples=where)


def _products(play: _Play, shelf: Shelf) -> Iterator[str]:
    """The shelf again and again, each time in another order, so that any count is balanced."""
    labels = list(shelf.products)
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
    for shelf in play.shelves:
        if play.measured[shelf]:
            at = "" if len(play.shelves) == 1 else f"{next(s.name for s in play.stands if s.shelf == shelf)}: "
            play.note(f"{at}{play.right[shelf]} of {play.measured[shelf]} {RIGHTLY[shelf.procedure]}")
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
