"""`edged journal`: look into the journal of record, beside a running daemon or without one. Never writes to it."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

import click

from edged.bulk.cells import harmless
from edged.cli.configuration import load_or_exit
from edged.config.load import DEFAULT_PATH
from edged.config.vocabulary import Storage
from edged.infer.verdict import Component
from edged.store.errors import StoreError
from edged.store.journal import JOURNAL_FILE, Head, Journal, record_from
from edged.store.record import Record

F = TypeVar("F", bound=Callable[..., object])

TABLE_LIMIT = 50  # a screen; --json has no limit unless told
WIDE = 160  # columns of a table that goes into a file or a pipe
HEAD = re.compile(r"([0-9]{1,18}):([0-9a-fA-F]{64})")
ROOMY = 120  # columns from which on ids have room
COLUMNS: dict[str, Callable[[Record], object]] = {  # of a CSV export
    "seq": lambda r: r.seq,
    "id": lambda r: r.id,
    "kind": lambda r: r.kind,
    "wall": lambda r: r.taken_at.wall,
    "clock": lambda r: r.taken_at.clock,
    "boot_id": lambda r: r.taken_at.boot_id,
    "device": lambda r: r.device,
    "station": lambda r: r.station,
    "instrument_kind": lambda r: r.instrument and r.instrument.kind,
    "instrument_serial_number": lambda r: r.instrument and r.instrument.serial_number,
    "procedure": lambda r: r.procedure,
    "preset": lambda r: r.preset,
    "outcome": lambda r: r.verdict and r.verdict.outcome,
    "label": lambda r: r.verdict and r.verdict.label,
    "title": lambda r: r.verdict and r.verdict.title,
    "probability": lambda r: r.verdict and r.verdict.probability,
    "p_value": lambda r: r.verdict and r.verdict.p_value,
    "amounts": lambda r: (
        "; ".join(f"{a.label} {a.value:g} {a.unit} ({a.low:g} to {a.high:g})" for a in r.verdict.amounts)
        if r.verdict
        else None
    ),
    "components": lambda r: "; ".join(map(_component, r.verdict.components)) if r.verdict else None,
    "unexplained": lambda r: r.verdict and r.verdict.unexplained and r.verdict.unexplained.value,
    "drift": lambda r: r.drift.message if r.drift else None,
    "reasons": lambda r: " ".join(reason.code for reason in r.verdict.reasons) if r.verdict else None,
    "why": lambda r: "; ".join(f"{one.label}: {one.in_words()}" for one in r.why),
    "fit": lambda r: r.quality and r.quality.fit,
    "snr": lambda r: r.quality and r.quality.snr,
    "reference_id": lambda r: r.reference and r.reference.id,
    "reference_state": lambda r: r.reference and r.reference.state,
    "bundle": lambda r: r.bundle and f"{r.bundle.name} {r.bundle.version}",
    "operator": lambda r: r.operator,
    "lot": lambda r: r.lot,
    "barcode": lambda r: r.barcode,
    "note": lambda r: r.note,
    "prev_hash": lambda r: r.prev_hash,
    "hash": lambda r: r.hash,
}


def _place_options(command: F) -> F:
    command = click.option(
        "--journal",
        "file",
        type=click.Path(path_type=Path, dir_okay=False),
        help=f"The journal's file; unset takes {JOURNAL_FILE} in the folder of --storage.",
    )(command)
    command = click.option(
        "--storage",
        type=click.Path(path_type=Path, file_okay=False),
        envvar="EDGED_STORAGE__PATH",
        help="Folder of the journal; unset takes storage.path of the configuration.",
    )(command)
    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="EDGED_CONFIG",
        help=f"The configuration file.  [default: {DEFAULT_PATH} where it exists]",
    )(command)


_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
_kind_option = click.option(
    "--kind",
    type=click.Choice(["result", "reference", "dark", "selftest", "clock", "drift", "all"]),
    default="result",
    show_default=True,
    help="Which records; `result` are the verdicts.",
)


@click.group()
def journal() -> None:
    """List, show, verify, export the journal of record.

    Exit status: 0 done, 1 not, or the chain is broken.
    """


@journal.command("list", short_help="a table of records, oldest first", epilog="Example: edged journal list --limit 5")
@_place_options
@_kind_option
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    help=f"How many: the newest, or with --after the first ones.  [default: {TABLE_LIMIT}; with --json all]",
)
@click.option("--after", type=click.IntRange(min=0), help="Only records with a larger seq.")
@_json_option
def list_(
    file: Path | None,
    storage: Path | None,
    config: Path | None,
    kind: str,
    limit: int | None,
    after: int | None,
    *,
    as_json: bool,
) -> None:
    """Print records in order, oldest first. --json prints them exactly as stored."""
    if limit is None and not as_json:
        limit = TABLE_LIMIT
    newest = limit is not None and after is None
    with _opened(file, storage, config, as_json=as_json) as opened:
        bodies = opened.bodies(
            after_seq=after or 0, limit=limit, newest_first=newest, kind=None if kind == "all" else kind
        )
        chosen = reversed(list(bodies)) if newest else bodies
        if as_json:
            for body in chosen:
                click.echo(body)
        else:
            _print_table([record_from(body) for body in chosen])


@journal.command(short_help="print one record", epilog="Example: edged journal show 24")
@click.argument("id_", metavar="ID|SEQ")
@_place_options
@click.option(
    "--attachment",
    nargs=2,
    metavar="NAME FILE",
    help="Write what is kept beside the record to FILE, such as residual.npz of an unknown component.",
)
@click.option(
    "--plot",
    "picture",
    metavar="FILE.svg",
    type=click.Path(path_type=Path),
    help="Draw what the verdict rests on, where it was measured with --explain.",
)
@_json_option
def show(
    id_: str,
    file: Path | None,
    storage: Path | None,
    config: Path | None,
    attachment: tuple[str, str] | None,
    picture: Path | None,
    *,
    as_json: bool,
) -> None:
    """Print one record, found by its id or by its number in the journal. --json prints it exactly as stored."""
    if picture is not None:
        from edged.cli.picture import require_free_picture
        from edged.cli.why import draw_record

        require_free_picture(picture)
    with _opened(file, storage, config, as_json=as_json) as opened:
        body = _by_seq(opened, int(id_)) if id_.isdecimal() and len(id_) < 19 else opened.body(id_)
        if body is None:
            raise StoreError(
                f"{opened.path}: no record {id_}", hint="edged journal list --kind all shows what there is"
            )
        click.echo(body if as_json else json.dumps(json.loads(body), indent=2, ensure_ascii=False))
        if attachment is not None:
            _write_attachment(opened, record_from(body), *attachment)
        if picture is not None:
            draw_record(opened, record_from(body), picture)
            click.echo(f"{picture}: written", err=True)


@journal.command(
    short_help="check records, chain and attachments",
    epilog="Example: edged journal verify --head 24:9f2c... (as kept from audit/head)",
)
@_place_options
@click.option("--head", metavar="SEQ:HASH", help="A record's hash that was noted elsewhere; finds a cut tail.")
@_json_option
def verify(file: Path | None, storage: Path | None, config: Path | None, head: str | None, *, as_json: bool) -> None:
    """Check every record, every link of the chain and every attachment. Exit status 1 when anything is broken."""
    expected = _head(head)
    with _opened(file, storage, config, as_json=as_json) as opened:
        found = opened.verify(expected_head=expected)
        end = opened.head() if found.intact else None
    if as_json:
        click.echo(
            json.dumps(
                {
                    "intact": found.intact,
                    "records": found.records,
                    "attachments_checked": found.attachments_checked,
                    "attachments_dropped": found.attachments_dropped,
                    "broken_seq": found.broken_seq,
                    "reason": found.reason,
                    "head": None if end is None else {"seq": end.seq, "hash": end.hash},
                }
            )
        )
    elif found.intact:
        click.echo(
            f"intact: {found.records} records, {found.attachments_checked} attachments"
            f" ({found.attachments_dropped} more were dropped by retention)"
        )
        if end is not None:
            click.echo(f"head: {end.seq}:{end.hash}")
    else:
        click.echo(f"broken at record {found.broken_seq}: {found.reason}", err=True)
        click.echo(f"the {found.records} records before it are intact", err=True)
    if not found.intact:
        raise SystemExit(1)


@journal.command(
    short_help="write records to a .jsonl or .csv file", epilog="Example: edged journal export results.csv"
)
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@_place_options
@_kind_option
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
def export(
    target: Path, file: Path | None, storage: Path | None, config: Path | None, kind: str, *, force: bool
) -> None:
    """Write records to FILE: .jsonl, each exactly as stored, or .csv, one row each.

    The verdicts, unless --kind says otherwise: `all` for a chain of records without gaps.

    In a .csv a text that a spreadsheet would run as a formula gets a leading apostrophe.
    """
    if target.suffix not in (".jsonl", ".csv"):
        raise click.BadParameter("the name must end in .jsonl or .csv", param_hint="FILE")
    if target.exists() and not force:
        raise click.BadParameter(f"{target} exists; --force replaces it", param_hint="FILE")
    with _opened(file, storage, config, as_json=False) as opened:
        bodies = opened.bodies(kind=None if kind == "all" else kind)
        partial = target.with_name(f".{target.name}.part")
        try:
            with partial.open("w", encoding="utf-8", newline="") as out:
                count = _write_csv(bodies, out) if target.suffix == ".csv" else _write_lines(bodies, out)
            partial.replace(target)
        except OSError as error:
            raise StoreError(f"{target}: {error.strerror or error}", hint="give another file, or make room") from error
        finally:
            partial.unlink(missing_ok=True)
    click.echo(f"{count} records{'' if kind == 'all' else f' of kind {kind}'} in {target}")


@contextmanager
def _opened(file: Path | None, storage: Path | None, config: Path | None, *, as_json: bool) -> Iterator[Journal]:
    """Open the journal for reading; turn an expected error into one line and exit status 1."""
    try:
        path = _place(file, storage, config)
        if not path.parent.exists():
            raise StoreError(
                f"{path}: there is no journal",
                hint="name it with --journal FILE, its folder with --storage, or the configuration with --config",
            )
        with Journal.open(path, read_only=True) as opened:
            yield opened
    except StoreError as error:
        if as_json:
            click.echo(json.dumps({"ok": False, "error": {"message": error.message, "hint": error.hint}}))
        else:
            click.echo(str(error), err=True)
        raise SystemExit(1) from None


def _place(file: Path | None, storage: Path | None, config: Path | None) -> Path:
    if file is not None:
        return file
    if storage is not None:
        return storage / JOURNAL_FILE
    if config is None and not DEFAULT_PATH.exists():
        return Path(Storage().path) / JOURNAL_FILE
    return Path(load_or_exit(config or DEFAULT_PATH).storage.path) / JOURNAL_FILE


def _by_seq(opened: Journal, seq: int) -> bytes | None:
    found = next(iter(opened.bodies(after_seq=seq - 1, limit=1)), None) if seq else None
    return found if found is not None and record_from(found).seq == seq else None


def _head(text: str | None) -> Head | None:
    if text is None:
        return None
    found = HEAD.fullmatch(text)
    if found is None:
        raise click.BadParameter("it reads SEQ:HASH, the hash in 64 hex digits", param_hint="--head")
    return Head(seq=int(found[1]), hash=found[2].lower())


def _print_table(records: list[Record]) -> None:
    if not records:
        click.echo("no records")
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else WIDE, markup=False, highlight=False)
    roomy = console.width >= ROOMY  # else the ids are left out rather than cut; `show` takes the seq as well
    table = Table(box=None)
    table.add_column("seq", justify="right", no_wrap=True)
    for name in ("taken at", "station", "what"):
        table.add_column(name, no_wrap=True)
    table.add_column("title")
    table.add_column("p", no_wrap=True)
    if roomy:
        table.add_column("id", no_wrap=True)
    for record in records:
        verdict = record.verdict
        table.add_row(
            str(record.seq),
            _moment(record),
            record.station or "",
            verdict.outcome.replace("_", " ") if verdict else record.kind,
            (verdict.title or verdict.label or verdict.told_in_words()) if verdict else _drift(record),
            f"{verdict.probability:.3f}" if verdict and verdict.probability is not None else "",
            *([record.id] if roomy else []),
        )
    console.print(table)
    if any(record.taken_at.clock != "synced" for record in records):
        click.echo("? the clock followed no time server, so the time may be wrong", err=True)


def _drift(record: Record) -> str:
    return record.drift.message if record.drift is not None else ""


def _moment(record: Record) -> str:
    """The wall time to the second in UTC, with a question mark where it is not to be trusted."""
    doubt = "" if record.taken_at.clock == "synced" else " ?"
    return record.taken_at.wall[:19].replace("T", " ") + "Z" + doubt


def _write_attachment(opened: Journal, record: Record, name: str, target: str) -> None:
    kept = opened.attachment(record.id, name) if name in record.attachments else None
    if kept is None:
        why = "retention has dropped it" if name in record.attachments else "there never was one"
        raise StoreError(
            f"{opened.path}: record {record.id} has no attachment {name}: {why}",
            hint=f"it was stored with {', '.join(record.attachments) or 'none'}",
        )
    try:
        with Path(target).open("xb") as out:
            out.write(kept)
    except OSError as error:
        raise StoreError(f"{target}: {error.strerror or error}", hint="give another file, or make room") from error
    click.echo(f"{target}: written", err=True)


def _write_lines(bodies: Iterator[bytes], out: IO[str]) -> int:
    count = 0
    for count, body in enumerate(bodies, start=1):  # noqa: B007  (the last count is the result)
        out.write(body.decode() + "\n")
    return count


def _write_csv(bodies: Iterator[bytes], out: IO[str]) -> int:
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    count = 0
    for count, body in enumerate(bodies, start=1):  # noqa: B007
        record = record_from(body)
        writer.writerow([harmless(column(record)) for column in COLUMNS.values()])
    return count


def _component(component: Component) -> str:
    """A compound with its fraction, else its share of what is seen, as numbers that a program can read."""
    if component.share is None:
        return component.label
    kind = "" if component.fraction is not None else " visible"
    interval = f" ({component.low:g} to {component.high:g})" if component.low is not None else ""
    return f"{component.label} {component.share:.4g}{kind}{interval}"
