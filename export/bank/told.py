"""What the commands of a bank say: lines for people, JSON for programs, progress on a terminal.

Imports nothing heavy: `--help` is at once.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edged.bundle.errors import BundleError
from edged.infer.verdict import Preset
from export.errors import ExportError

if TYPE_CHECKING:
    from export.bank.bank import Bank
    from export.bank.bundle import Broken
    from export.bank.evidence import Learned, Tried
    from export.progress import Report

EXIT_FAILED = 1
EXIT_STOPPED = 130


@contextmanager
def in_one_line() -> Iterator[None]:
    """Say what is wrong in words, and leave with 1."""
    try:
        yield
    except (ExportError, BundleError, OSError) as error:
        click.echo(f"edged-export: {error}", err=True)
        sys.exit(EXIT_FAILED)
    except ModuleNotFoundError as missing:
        raise SystemExit(
            f"edged-export: {missing.name} is not installed here\n"
            "    in a checkout: .venv/bin/python -m pip install -e '.[export]'"
        ) from None


def summary_of(bank: Bank, graph_bytes: int) -> dict[str, Any]:
    """Return what programs are told of a bank."""
    return {
        "compounds": [{"compound": m.compound, "thresholds": dict(m.thresholds)} for m in bank.members],
        "graph_bytes": graph_bytes,
        "network": bank.words.model_dump(mode="json"),
        "points": bank.points,
        "input_range": bank.input_range,
    }


def say_json(told: dict[str, Any]) -> None:
    """Print one object."""
    click.echo(json.dumps(told, sort_keys=True))


def say_written(told: dict[str, Any]) -> None:
    """Say which bank and which bundle there are now."""
    click.echo(f"{told['bank']}: {len(told['compounds'])} compounds, graph of {told['graph_bytes']:,} bytes")
    if "bundle" in told:
        click.echo(f"{told['bundle']}: {told['bundle_bytes']:,} bytes")


def say_tried(preset: Preset, tried: Tried) -> None:
    """Say what a preset was found to do with a compound."""
    click.echo(
        f"{preset}: found in {100 * tried.recall:.1f} % of {tried.mixtures_with_it} made mixtures with it, "
        f"{100 * tried.not_in_scope:.1f} % are not in scope; "
        f"named in {tried.named_in_them} of {tried.mixtures_without_it} without"
    )


def say_learned(told: Learned) -> None:
    """Say what a compound that was learned rests on, and what was found with it."""
    for remark in told.remarks:
        click.echo(f"note  {remark}")
    for preset, tried in told.presets.items():
        say_tried(preset, tried)
    click.echo(told.limit)


def say_broken(broken: Iterable[Broken], bank: Path, out: Path | None) -> None:
    """Say which promises do not hold, and what cures each."""
    for one in broken:
        again = ["edged-export", "bank", "learn", str(bank), one.other, "--replace"]
        again += [] if out is None else ["--out", str(out)]
        click.echo(f"note  {one}: {shlex.join(again)}")


def leave_without_bundle(broken: int) -> None:
    """Say why there is no bundle, and leave with 1: whatever was to be done with it must not be."""
    click.echo(
        f"edged-export: no bundle: its manifest would promise what does not hold, in {broken} "
        f"{'case' if broken == 1 else 'cases'}; the bank is changed "
        "(learn again, worst first, those that are named; or edged-export bank pack --anyway)",
        err=True,
    )
    sys.exit(EXIT_FAILED)


@contextmanager
def progress(quiet: bool) -> Iterator[Callable[[str], Report]]:
    """Bars, one a stage, on a terminal; Ctrl-C says how to go on."""
    from rich.console import Console

    from export.progress import bar

    console = Console(stderr=True, quiet=quiet)
    with ExitStack() as bars:

        def stage(name: str) -> Report:
            bars.close()
            return bars.enter_context(bar(console, name))

        try:
            yield stage
        except KeyboardInterrupt:
            bars.close()
            click.echo("edged-export: stopped; the same command goes on where it was", err=True)
            sys.exit(EXIT_STOPPED)
