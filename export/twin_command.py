"""The command `edged-export twin`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import click

from export.errors import ExportError


@click.command()
@click.argument("name", metavar="SET")
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--data", type=click.Path(path_type=Path), help="Folder of public spectra.  [default: $EDGED_DATA]")
@click.option("--components", type=click.IntRange(1, 50), default=6, show_default=True, help="At most, a product.")
@click.option("--by-contents", is_flag=True, help="Name products by what they hold: acetaminophen 90 lactose 10.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def twin(*, name: str, out: Path, data: Path | None, components: int, by_contents: bool, as_json: bool) -> None:
    """Fit a product twin to a labelled set of spectra: what simulated handhelds draw their samples from.

    Of Raman spectra it is a library: the pure compounds of the set, one spectrum of each, which a simulator mixes.

    \b
    Examples:
      edged-export twin powders12 firmware_sim/twins/powders12.npz
      edged-export twin raman-solvents firmware_sim/libraries/solvents13.npz
    """
    from export.data.catalogue import load_set
    from export.twin import fit_twin
    from export.twin_library import library_of

    told: dict[str, str | int]
    try:
        spectra = load_set(name, data or Path(os.environ.get("EDGED_DATA") or "../shared/data"))
        if spectra.axis_unit == "cm-1":
            library = library_of(spectra)
            library.save(out)
            told = {"library": str(out), "liquids": len(library.labels)}
        else:
            fitted = fit_twin(spectra, components, by_contents=by_contents)
            fitted.save(out)
            told = {"twin": str(out), "products": len(fitted.labels), "components": fitted.components.shape[1]}
    except (ExportError, OSError) as error:
        click.echo(f"edged-export: {error}", err=True)
        sys.exit(1)
    told["size_bytes"] = out.stat().st_size
    if as_json:
        click.echo(json.dumps(told, sort_keys=True))
    else:
        click.echo(", ".join(f"{key} {value}" for key, value in told.items()))
