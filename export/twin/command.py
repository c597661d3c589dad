"""The command `edged-export twin`."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from export.data.command import DATA, JSON, QUANTITY, UNIT
from export.errors import ExportError

if TYPE_CHECKING:
    from export.data.spectra import AxisUnit, Quantity, Spectra


@click.command()
@click.argument("what", metavar="FOLDER|SET")
@click.argument("out", metavar="OUT.npz", type=click.Path(path_type=Path, dir_okay=False))
@UNIT
@QUANTITY
@DATA
@click.option("--components", type=click.IntRange(1, 50), default=6, show_default=True, help="At most, a product.")
@click.option("--by-contents", is_flag=True, help="Name products by what they hold: acetaminophen 90 lactose 10.")
@JSON
def twin(
    *,
    what: str,
    out: Path,
    unit: AxisUnit | None,
    quantity: Quantity | None,
    data: Path | None,
    components: int,
    by_contents: bool,
    as_json: bool,
) -> None:
    """Fit a product twin to labelled spectra, your own folder or table, or a public set: what simulated handhelds draw
    their samples from. It is made of absorbance, reflectance or counts, over nm or cm-1, of which a simulated NIRscan
    sees 900 to 1700 nm; beyond the ends of the spectra it sees their end values.

    Intensity over cm-1 is taken for Raman, and becomes a library: one spectrum of each pure compound of the set, or of
    each label of a folder of your own, which a simulated Ventana mixes.

    \b
    Examples:
      edged-export twin my-spectra my-spectra.npz
      edged-sim nirscan --pty /tmp/nirscan --twin my-spectra.npz
      edged-export twin raman-solvents solvents.npz
      edged-sim obp --pty /tmp/ventana --model ventana --library solvents.npz
    """
    from export.twin.classes import fit_twin
    from export.twin.library import library_of

    told: dict[str, str | int]
    try:
        _check_out(out)
        spectra = _spectra(what, data, unit, quantity)
        if (spectra.axis_unit, spectra.quantity) == ("cm-1", "intensity"):
            library = library_of(spectra)
            library.save(out)
            told = {"library": str(out), "liquids": len(library.labels)}
        else:
            fitted = fit_twin(spectra, components, by_contents=by_contents)
            fitted.save(out)
            first, last = round(fitted.wavelength_nm[0]), round(fitted.wavelength_nm[-1])
            told = {"twin": str(out), "products": len(fitted.labels), "components": fitted.components.shape[1]}
            told |= {"first_nm": first, "last_nm": last}
    except (ExportError, OSError) as error:
        click.echo(f"edged-export: {error}", err=True)
        sys.exit(1)
    told["size_bytes"] = out.stat().st_size
    if as_json:
        click.echo(json.dumps(told, sort_keys=True))
    else:
        click.echo(", ".join(f"{key} {value}" for key, value in told.items()))


def _check_out(out: Path) -> None:
    """Raise ExportError for a file that cannot be written, or that no simulator would open, before time is spent."""
    if out.suffix != ".npz":
        raise ExportError(f"{out}: does not end in .npz", hint="by that a simulator knows a file from a name")
    if not out.parent.is_dir():
        raise ExportError(f"{out.parent}: no such folder", hint=f"mkdir -p {out.parent}")
    if not os.access(out if out.exists() else out.parent, os.W_OK):
        raise ExportError(f"{out}: cannot be written", hint="choose another place")


def _spectra(what: str, data: Path | None, unit: AxisUnit | None, quantity: Quantity | None) -> Spectra:
    """A folder or table of the user's, in which each label is a compound of its own; else a public set."""
    from export.data.catalogue import SETS, load_set
    from export.data.folder import read_folder

    if Path(what).exists():
        spectra = read_folder(Path(what), unit=unit, quantity=quantity)
        return replace(spectra, contents={label: {label: 1.0} for label in spectra.classes})
    if what not in SETS:
        raise ExportError(
            f"{what}: no such folder or table, and no public set", hint="edged-export data list names the sets"
        )
    if unit is not None or quantity is not None:
        raise ExportError("--unit and --quantity are for a folder of your own", hint="leave them out")
    return load_set(what, data or Path(os.environ.get("EDGED_DATA") or "../shared/data"))
