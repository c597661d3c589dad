"""Every bench, one table: `python -m tests.bench`, or `make bench`. Nothing here fails for being slow."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path

import click

from tests.bench.subject import REPOSITORY, TINY, Scale, Subject, Unavailable
from tests.bench.table import Row, shown

BENCHES = {  # name, and the function's -> file in this folder
    "start": "start",
    "memory": "memory",
    "scan-to-disk": "scan_to_disk",
    "append": "records",
    "drain": "records",
    "preprocessing": "preprocessing",
    "gru": "gru",
    "mixtures": "mixtures",
    "verdict": "verdict",
    "components": "components",
    "bank": "bank",
    "analyze": "verdict",
    "explain": "explain",
    "bulk": "bulk",
    "driver": "driver",
    "obp": "obp",
    "ooi": "ooi",
    "wasatch": "wasatch",
}


def rows_of(name: str, subject: Subject) -> list[Row]:
    """Run one bench. Raises Unavailable where this machine lacks what it needs."""
    module = importlib.import_module(f"tests.bench.{BENCHES[name]}")
    return list(getattr(module, name.replace("-", "_"))(subject))


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.option("--only", "names", multiple=True, type=click.Choice(list(BENCHES)), help="This bench; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a row, one a line.")
@click.option("--quick", is_flag=True, help="Everything once or twice: shows that it works, not how fast it is.")
@click.option("--bundle", type=click.Path(path_type=Path, exists=True), help="Unset takes the one that edged ships.")
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    default=REPOSITORY / "build" / "powders12",
    help="Where edged-export has built that bundle: its float graph is there.  [default: build/powders12]",
)
@click.option(
    "--data", type=click.Path(path_type=Path), help="Public spectra.  [default: $EDGED_DATA or ../shared/data]"
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=REPOSITORY / "build" / "bench",
    help="On the disk to be measured.  [default: build/bench]",
)
def main(
    names: tuple[str, ...],
    bundle: Path | None,
    work: Path,
    data: Path | None,
    folder: Path,
    *,
    as_json: bool,
    quick: bool,
) -> None:
    """Measure, next to a peer or a limit in the same run, and print one table.

    Example: python -m tests.bench --only start --only memory
    """
    subject = Subject(
        scale=TINY if quick else Scale(),
        folder=folder,
        data=data or Path(os.environ.get("EDGED_DATA") or REPOSITORY.parent / "shared" / "data"),
        work=work,
        bundle_path=bundle,
    )
    table: list[Row] = []
    for name in names or BENCHES:
        click.echo(f"measuring: {name}", err=True)
        try:
            rows = rows_of(name, subject)
        except Unavailable as error:
            click.echo(f"left out: {name}: {error}", err=True)
            continue
        if as_json:
            for row in rows:
                click.echo(json.dumps(row.document()))
        table += rows
    if not as_json:
        click.echo(shown(table))


if __name__ == "__main__":
    main()
