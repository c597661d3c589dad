"""The commands `edged-export bench` and `edged-export quantisation`: candidates timed here, and the page about them.

On a board without the training stack: `python -m export.bench_command BUNDLE`. It needs what edged needs, and onnx to
make candidates.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edged.bundle.archive import read_bundle
from edged.bundle.errors import BundleError
from export.errors import ExportError

if TYPE_CHECKING:
    from export.bench import Bench

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def show(found: Bench) -> None:
    """Print what the bench found, as a table."""
    from rich.console import Console
    from rich.table import Table

    console, about = Console(), found["processor"]
    features = ", ".join(about["features"]) or "no integer features"
    console.print(f"[bold]{found['bundle']}[/] on {about['model']} ({about['machine']}: {features})", highlight=False)
    table = Table("graph", *(("p50, us", "p95, us", "load, ms", "memory, KiB", "file, KiB")), "same outcome, %", "off")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in found["graphs"]:
        table.add_row(
            row["graph"],
            f"{row['p50_us']:.0f}",
            f"{row['p95_us']:.0f}",
            f"{row['load_ms']:.1f}",
            f"{row['memory_kib']}",
            f"{row['file_bytes'] / 1024:.0f}",
            f"{100 * row['same_outcome']:.1f}",
            f"{row['largest_logit_difference']:.4f}",
        )
    console.print(table)
    console.print(
        f"onnxruntime {found['onnxruntime']}; one thread, CPU time; outcomes and differences are those of "
        f"{found['golden_vectors']} golden vectors",
        highlight=False,
    )
    for note in found["notes"]:
        console.print(note, highlight=False)


@click.command()
@click.argument("bundle", type=FILE)
@click.option("--float", "float_graph", type=FILE, help="The float graph that it was made from: better candidates.")
@click.option(
    "--rounds", type=click.IntRange(2, 10_000), default=100, show_default=True, help="In which all take turns."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else.")
def bench(bundle: Path, float_graph: Path | None, rounds: int, *, as_json: bool) -> None:
    """Measure BUNDLE's graph, and what else could be made of it, on this machine: one thread, CPU time.

    Example: edged-export bench powders12-1.4.0.edgebundle
    """
    from export.bench import bench as measure

    try:
        found = measure(
            read_bundle(bundle), float_graph=float_graph.read_bytes() if float_graph else None, rounds=rounds
        )
    except (BundleError, ExportError) as error:
        click.echo(f"edged-export: {error}", err=True)
        sys.exit(1)
    if as_json:
        click.echo(json.dumps(found))
    else:
        show(found)


@click.command()
@click.argument("pairs", nargs=-1, required=True, metavar="BUNDLE[=FLOAT]...")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of public spectra.  [default: $EDGED_DATA or ../shared/data]",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Where the page goes.  [default: printed]")
@click.option(
    "--rounds", type=click.IntRange(2, 10_000), default=100, show_default=True, help="In which all take turns."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else.")
def quantisation(pairs: tuple[str, ...], data: Path | None, out: Path | None, rounds: int, *, as_json: bool) -> None:
    """Write the page that holds every candidate of each BUNDLE against the FLOAT graph that it was made from.

    A BUNDLE alone, one that names components, is told by its own manifest.

    Example: edged-export quantisation powders12-1.4.0.edgebundle=powders12-1.4.0.float.onnx
    """
    split = [pair.partition("=") for pair in pairs]
    for pair, (_, equals, graph) in zip(pairs, split, strict=True):
        if equals and not Path(graph).is_file():
            raise click.BadParameter(f"{pair!r} is no BUNDLE=FLOAT with a float graph that exists")
    if not any(equals for _, equals, _ in split):
        raise click.BadParameter("at least one BUNDLE=FLOAT is wanted: of bundles alone nothing is measured")
    from export.quantise.page import compared, page, stated

    folder = data or Path(os.environ.get("EDGED_DATA") or "../shared/data")
    try:
        told = [stated(read_bundle(bundle)) for bundle, equals, _ in split if not equals]
        found = [
            compared(read_bundle(bundle), Path(graph), data=folder, rounds=rounds)
            for bundle, equals, graph in split
            if equals
        ]
    except (BundleError, ExportError) as error:
        click.echo(f"edged-export: {error}", err=True)
        sys.exit(1)
    text = page(found, pairs=pairs, told=told)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    if as_json:
        click.echo(json.dumps([*found, *told]))
    elif out is None:
        click.echo(text, nl=False)


if __name__ == "__main__":
    bench()
