"""An archive to judge: real spectra, each under another lamp, another level and new noise, one a row of a wide CSV.

`python -m tests.bench.archive FILE --spectra 1000000` writes 2 GB in a minute.
"""

from __future__ import annotations

import os
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from tests.bench.subject import REPOSITORY, Scale, Subject

SEED = 20261126
GAIN, LEVEL, NOISE = 0.03, 0.01, 2e-4  # shares and absorbance: as two presentations of a powder differ
BLOCK = 1000


def write_archive(path: Path, axis: NDArray[np.float64], values: NDArray[np.floating], *, spectra: int) -> None:
    """Write so many spectra on `axis` [points], drawn from the rows of `values` [n, points]."""
    rng = np.random.default_rng(SEED)
    row = ",".join(["%.6f"] * len(axis))
    with path.open("w", encoding="ascii") as file:
        file.write("name," + ",".join(f"{x:.8g}" for x in axis) + "\n")
        for start in range(0, spectra, BLOCK):
            numbers = np.arange(start, min(start + BLOCK, spectra))
            gains = rng.uniform(1 - GAIN, 1 + GAIN, (len(numbers), 1))
            levels = rng.normal(0, LEVEL, (len(numbers), 1))
            block = values[numbers % len(values)] * gains + levels + rng.normal(0, NOISE, (len(numbers), len(axis)))
            file.writelines(f"s{n}," + row % tuple(one) + "\n" for n, one in zip(numbers, block.tolist(), strict=True))


@click.command()
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--spectra", type=click.IntRange(min=1), default=1_000_000, show_default=True)
def main(path: Path, spectra: int) -> None:
    """Write an archive of augmented powders to FILE."""
    data = Path(os.environ.get("EDGED_DATA") or REPOSITORY.parent / "shared" / "data")
    subject = Subject(scale=Scale(), folder=path.parent, data=data, work=REPOSITORY / "build" / "powders12")
    write_archive(path, *subject.whole_set, spectra=spectra)


if __name__ == "__main__":
    main()
