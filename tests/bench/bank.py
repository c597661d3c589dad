"""The bank of 368 compounds, fused in int8, next to every other way to run it: latency, load, memory, files.

One thread. Latency and load are CPU time; load and memory are those of a fresh process. Members have random weights:
what int8 costs a trained bank, `bank_int8` measures. `python -m tests.bench.bank` writes docs/results/bank-speed.md;
other runtimes take part where they are installed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from export.bank.ranges import bank_from
from export.compare import interleaved_us
from export.models.catalogue import named
from export.models.resuca import Resuca, ResucaWords
from tests.bench.bank_fresh import Fresh, in_fresh_process
from tests.bench.bank_page import SHARE, page
from tests.bench.bank_runtimes import Call, opened
from tests.bench.bank_shapes import shapes
from tests.bench.bank_way import Measured, Way
from tests.bench.bank_ways import ways
from tests.bench.subject import REPOSITORY, TINY, Scale, Subject
from tests.bench.table import Row
from tests.export.bank.made import prepared
from tests.one_thread import one_thread

KINDS: Final = ("resuca-lite", "resuca")


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured. fresh: processes a way, of which the least is taken; calibration: spectra for ranges."""

    kinds: tuple[str, ...] = KINDS
    compounds: int = 368
    points: int = 1024
    rounds: int = 10
    fresh: int = 2
    calibration: int = 64
    quick: bool = False

    @classmethod
    def of(cls, scale: Scale) -> Size:
        """Return the size for a scale of all benches."""
        return (
            cls(kinds=KINDS[:1], compounds=17, points=64, rounds=2, fresh=1, calibration=4, quick=True)
            if scale == TINY
            else cls()
        )


def bank(subject: Subject) -> Iterator[Row]:
    """Ours next to each other way, then the rate of whole banks next to the fastest int8 kernel of this core."""
    size = Size.of(subject.scale)
    with subject.scratch() as folder, one_thread():
        for kind in size.kinds:
            first, *others = compared(kind, size, folder)
            for other in others:
                row = partial(Row, bench="bank", against=other.name)
                yield row(what=f"{kind}, one spectrum, CPU", ours=first.ms, other=other.ms, unit="ms")
                yield row(what=f"{kind}, load, CPU", ours=first.load_ms, other=other.load_ms, unit="ms")
                yield row(what=f"{kind}, memory", ours=first.memory_mb, other=other.memory_mb, unit="MB")
                yield row(what=f"{kind}, files", ours=first.files_mb, other=other.files_mb, unit="MB")
                yield row(what=f"{kind}, in a bundle", ours=first.packed_mb, other=other.packed_mb, unit="MB")
        for shape in shapes(size.compounds, size.points, rounds=size.rounds, quick=size.quick):
            yield Row(
                bench="bank",
                what=shape.name,
                ours=shape.rate,
                other=SHARE * shape.peak,
                against="half of the fastest int8 kernel",
                unit="GMAC/s",
                more_is_better=True,
            )


def compared(kind: str, size: Size, folder: Path) -> list[Measured]:
    """Measure every way to run a bank of this kind; ours comes first. Files are written to the folder."""
    words = named(kind, points=size.points)
    assert isinstance(words, ResucaWords)
    network = random_members(words, size)
    compounds = [f"c{number}" for number in range(size.compounds)]
    seen, unseen = prepared(size.calibration, seed=2, points=size.points), prepared(16, seed=3, points=size.points)
    made = bank_from(words, network, compounds, seen)
    with torch.no_grad():
        expected = network(torch.from_numpy(unseen)).numpy()
    place = folder / kind
    place.mkdir()
    found = list(ways(made, seen, place, partial(click.echo, err=True)))
    calls: dict[str, Call] = {way.name: opened(way.runtime, way.files) for way in found}
    errors = {name: _error(call, unseen, expected) for name, call in calls.items()}
    again: dict[str, Callable[[], object]] = {name: partial(call, unseen[:1]) for name, call in calls.items()}
    times = interleaved_us(again, rounds=size.rounds)
    measured = []
    for way in found:
        files_mb, packed_mb = way.sizes_mb()
        measured.append(
            Measured(
                name=way.name,
                ms=times[way.name] / 1e3,
                error=errors[way.name],
                fresh=_least(way, size),
                files_mb=files_mb,
                packed_mb=packed_mb,
            )
        )
    return measured


def _least(way: Way, size: Size) -> Fresh:
    found = [in_fresh_process(way.runtime, way.files, size.points) for _ in range(size.fresh)]
    return Fresh(load_s=min(each.load_s for each in found), memory_mb=min(each.memory_mb for each in found))


def random_members(words: ResucaWords, size: Size) -> Resuca:
    """Random members, no two alike, whose batch normalisations have seen spectra."""
    torch.manual_seed(1)
    network = words.build(points=size.points, classes=size.compounds)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
            nn.init.uniform_(module.weight, 0.3, 2.0)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    with torch.no_grad():
        network(torch.from_numpy(prepared(8, seed=1, points=size.points)))
    return network.eval()


def _error(call: Call, spectra: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Root of the mean squared difference, of the deviation of each compound's logits, in the middle of compounds."""
    said = np.concatenate([call(row[None]) for row in spectra])
    return float(np.median(np.sqrt(((said - expected) ** 2).mean(axis=0)) / expected.std(axis=0)))


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.option("--quick", is_flag=True, help="A small bank, once or twice: shows that it works, not how fast it is.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=REPOSITORY / "docs" / "results" / "bank-speed.md",
    help="[default: docs/results/bank-speed.md]",
)
def main(out: Path, *, quick: bool) -> None:
    """Measure all ways and all shapes, and write the page.

    Example: python -m tests.bench.bank
    """
    size = Size.of(TINY if quick else Scale())
    subject = Subject(scale=Scale(), folder=REPOSITORY / "build" / "bench", data=Path(), work=Path())
    with subject.scratch() as folder, one_thread():
        found = {kind: compared(kind, size, folder) for kind in size.kinds}
        shaped = shapes(size.compounds, size.points, rounds=size.rounds, quick=size.quick)
    out.write_text(page(found, shaped, compounds=size.compounds, points=size.points))
    click.echo(os.fspath(out))


if __name__ == "__main__":
    main()
