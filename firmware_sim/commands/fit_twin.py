"""`edged-sim fit-twin`: the product twin from the real powders, reproducibly."""

from __future__ import annotations

from pathlib import Path

import click

from firmware_sim.twin_fit import FitError, fit_powders, save


@click.command(short_help="fit a product twin to real spectra")
@click.argument("data_dir", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
def fit_twin(*, data_dir: Path, out: Path) -> None:
    """Fit mean, principal components and score deviations to each class of DATA_DIR, and write OUT (.npz).

    DATA_DIR holds RawNIRData.csv (first column nm, spectra as columns) and ClassRef.csv (row i names spectrum i), as in
    the public powders of Awotunde et al. (MIT licence, (c) 2021 Olatunde).

    \b
    Example:
      edged-sim fit-twin nir_pharma_powders_notredame firmware_sim/twins/powders12.npz
    """
    try:
        twin = fit_powders(data_dir)
    except (FitError, OSError) as error:
        raise click.UsageError(str(error)) from error
    save(twin, out)
    click.echo(f"{out}: {len(twin.labels)} products, {twin.components.shape[1]} components, {out.stat().st_size} bytes")
