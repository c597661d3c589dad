"""What int8 costs banks that have learned: the network in float and the fused integer graph, asked the same things.

Two libraries, two sizes of member. Both are taught as the studies `components` and `library` teach them; each becomes a
bank as a build makes one (`bank_from`, `fused`), ranges from made mixtures. `python -m tests.bench.bank_int8` writes
docs/results/bank-int8.md; it takes some ten minutes of one core, and `--quick` some seconds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
import numpy as np
import torch
from numpy.typing import NDArray

from export.bank.ranges import bank_from
from export.components.evidence import rates
from export.components.fused import CALIBRATED_ON, Voice, prepared
from export.components.learn import Detector, Lesson, learn
from export.components.operate import level
from export.components.words import Schooling
from export.data.augment import resample
from export.data.catalogue import load_set
from export.data.mixtures.library import Library, library_of
from export.data.mixtures.synthesise import synthesise
from export.data.mixtures.words import Synthesis
from export.models.resuca import ResucaWords
from export.models.table import parameters
from export.study import components
from export.study.library import banks
from export.study.library.made import Scans
from export.study.library.study import CHOOSING
from export.study.library.study import cells as library_cells
from export.study.mixtures import FILLING, LEARNT, real_scans
from tests.bench.bank_int8_page import page
from tests.bench.subject import REPOSITORY

Rows = NDArray[np.float32]
Bools = NDArray[np.bool_]
POWDERS: Final = ("ResUCA lite, A1, one instrument", "ResUCA, A1, one instrument")  # cells of `components`
SYNTHETIC: Final = ("R-T", "R-S")  # cells of `library`
MEMBERS: Final = 24  # of the library's 368
TRIED: Final = 6_000
QUICK: Final = Schooling(epochs=1, mixtures=64, balanced=True)
FEW: Final = 400  # mixtures, where it is to be quick


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Spectra [n, points] on the grid, and which of the bank's compounds each holds [n, compounds]."""

    values: NDArray[np.floating]
    present: Bools


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """A network that has learned, and what it is asked. false_names: a compound's rate in mixtures without it.

    ranges: spectra for the ranges of its maps; chosen_on: what limits are chosen on; tried: by name.
    """

    name: str
    words: ResucaWords
    detector: Detector
    compounds: tuple[str, ...]
    seconds: float
    false_names: float
    ranges: NDArray[np.floating]
    chosen_on: Asked
    tried: Mapping[str, Asked]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What int8 changes on one set of spectra.

    error: root mean square of the difference of logits, in their deviation, middle of the compounds; largest: of one
    logit, in the same unit. same_answers: of each compound in each spectrum, at the limits of float; same_sets: of each
    spectrum. float_, int8, int8_own: as `rates` tells them; int8 at the limits of float, and at its own.
    """

    tried_on: str
    spectra: int
    error: float
    largest: float
    same_answers: float
    same_sets: float
    float_: Mapping[str, float]
    int8: Mapping[str, float]
    int8_own: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One bank. parameters: of a member; seconds: of CPU that teaching took."""

    name: str
    compounds: int
    parameters: int
    seconds: float
    told: tuple[Told, ...]


def compared(taught: Taught) -> Compared:
    """Make the bank, and ask the network and the bank's graph the same."""
    steps, network = taught.detector.steps, taught.detector.network
    rows = prepared(steps, torch.from_numpy(np.ascontiguousarray(taught.ranges, dtype=np.float32)))
    made = bank_from(taught.words, network, taught.compounds, rows)  # type: ignore[arg-type]
    say = {"float": taught.detector.say, "int8": Voice(steps, made).say}
    limits = {way: _limits(asked(taught.chosen_on.values), taught) for way, asked in say.items()}
    return Compared(
        name=taught.name,
        compounds=len(taught.compounds),
        parameters=parameters(network) // len(taught.compounds),  # type: ignore[arg-type]
        seconds=taught.seconds,
        told=tuple(_told(name, asked, say, limits) for name, asked in taught.tried.items()),
    )


def _limits(logits: Rows, taught: Taught) -> Rows:
    """The least logits over which each compound is named no more often than allowed where it is not."""
    absent = ~taught.chosen_on.present
    each = [
        level(logits[absent[:, c], c], taught.false_names, lambda named, of: named / of) for c in range(logits.shape[1])
    ]
    return np.array(each, dtype=np.float32)


def _told(
    name: str, asked: Asked, say: Mapping[str, Callable[[NDArray[np.floating]], Rows]], limits: Mapping[str, Rows]
) -> Told:
    real, whole = (say[way](asked.values) for way in ("float", "int8"))
    apart, deviation = np.abs(whole - real), real.std(axis=0)
    named, named8, own8 = real >= limits["float"], whole >= limits["float"], whole >= limits["int8"]
    return Told(
        tried_on=name,
        spectra=len(real),
        error=float(np.median(np.sqrt((apart**2).mean(axis=0)) / deviation)),
        largest=float((apart / deviation).max()),
        same_answers=float((named == named8).mean()),
        same_sets=float((named == named8).all(axis=1).mean()),
        float_=rates(named, asked.present),
        int8=rates(named8, asked.present),
        int8_own=rates(own8, asked.present),
    )


def powders(name: str, data: Path, *, quick: bool) -> Taught:
    """Teach three powders on every other filling; limits are chosen on mixtures made of the others, which are tried
    too, beside real ones. Raises DataUnusable."""
    cell = next(one for one in components.networks(seed=0) if one.name == name)
    assert cell.taught is not None
    assert isinstance(cell.taught.network, ResucaWords)
    pure, scans = load_set("powders12", data), real_scans(data)
    alone = np.array([len(pure.compounds_in(label)) == 1 for label in pure.labels]) & (pure.scan < LEARNT)
    learnt, other = (library_of(pure, np.flatnonzero(alone & (pure.scan // FILLING % 2 == half))) for half in (0, 1))
    grid = np.linspace(cell.axis.start, cell.axis.stop, cell.axis.points)
    schooling = QUICK if quick else cell.taught.schooling
    lesson = Lesson(
        library=learnt,
        synthesis=cell.taught.synthesis,
        grid=grid,
        steps=cell.taught.steps,
        network=cell.taught.network,
        schooling=schooling,
        seed=(cell.seed, 0),
    )
    began_s = time.process_time()
    detector = learn(lesson)
    made = _asked(other, cell.limits_on, grid, FEW if quick else 2 * cell.held_out, seed=71, names=learnt.names)
    half = len(made.values) // 2
    return Taught(
        name=f"powders, {name.partition(',')[0]}",
        words=cell.taught.network,
        detector=detector,
        compounds=learnt.names,
        seconds=time.process_time() - began_s,
        false_names=cell.false_names / len(learnt.names),
        ranges=_ranges(learnt, cell.taught.synthesis, grid, quick=quick),
        chosen_on=Asked(values=made.values[:half], present=made.present[:half]),
        tried={
            "made mixtures": Asked(values=made.values[half:], present=made.present[half:]),
            "real scans": Asked(values=resample(scans.values, scans.axis, grid), present=scans.present),
        },
    )


def synthetic(name: str, *, quick: bool) -> Taught:
    """Teach some members of the SYNTHETIC library, which no instrument has seen."""
    cell = next(one for one in library_cells() if one.name == name and one.seed == 0)
    assert cell.bank is not None
    network, words = cell.bank.network, cell.library
    assert isinstance(network, ResucaWords)
    few = {"schooling": QUICK, "draws": 32, "members": 4} if quick else {"members": MEMBERS}
    words = words.model_copy(update={"compounds": 12}) if quick else words
    cell = cell.model_copy(update={"bank": cell.bank.model_copy(update=few), "library": words})
    detector, seconds = banks.taught(cell)
    scans = Scans(words)
    names = banks.members_of(cell, scans.learnt.names)
    chosen_on = _asked(scans.chosen_on, words.synthesis, words.grid, FEW if quick else CHOOSING, seed=72, names=names)
    tried = _asked(scans.tried_on, words.synthesis, words.grid, FEW if quick else TRIED, seed=73, names=names)
    return Taught(
        name=f"SYNTHETIC library, {name}",
        words=network,
        detector=detector,
        compounds=names,
        seconds=seconds,
        false_names=10 / FEW if quick else banks.TARGETS["screen"] / words.compounds,
        ranges=_ranges(scans.learnt, words.synthesis, words.grid, quick=quick),
        chosen_on=chosen_on,
        tried={"made mixtures": tried},
    )


def _asked(
    library: Library, synthesis: Synthesis, grid: NDArray[np.float64], n: int, *, seed: int, names: tuple[str, ...]
) -> Asked:
    made = synthesise(library, synthesis, n, np.random.default_rng(seed), grid=grid)
    columns = [made.names.index(name) for name in names]
    return Asked(values=made.values, present=made.present[:, columns])


def _ranges(library: Library, synthesis: Synthesis, grid: NDArray[np.float64], *, quick: bool) -> Rows:
    """As a build takes them: of made mixtures such as were learned from."""
    n = FEW if quick else CALIBRATED_ON
    return synthesise(library, synthesis, n, np.random.default_rng(60), grid=grid).values


def all_of(data: Path, *, quick: bool) -> Iterator[Compared]:
    """Teach and compare bank after bank; quick: the smaller member only, hardly taught."""
    for name in POWDERS[: 1 if quick else None]:
        yield compared(powders(name, data, quick=quick))
    for name in SYNTHETIC[: 1 if quick else None]:
        yield compared(synthetic(name, quick=quick))


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.option("--quick", is_flag=True, help="Small and hardly taught: shows that it works.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Public spectra.  [default: $EDGED_DATA or ../shared/data]"
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=REPOSITORY / "docs" / "results" / "bank-int8.md",
    help="[default: docs/results/bank-int8.md]",
)
def main(out: Path, data: Path | None, *, quick: bool) -> None:
    """Teach the banks, compare float and int8, and write the page.

    Example: python -m tests.bench.bank_int8
    """
    where = data or Path(os.environ.get("EDGED_DATA") or REPOSITORY.parent / "shared" / "data")
    found = []
    for each in all_of(where, quick=quick):
        error = each.told[0].error
        click.echo(f"{each.name}: taught in {each.seconds:.0f} s of CPU, error {100 * error:.2g} %", err=True)
        found.append(each)
    out.write_text(page(found))
    click.echo(os.fspath(out))


if __name__ == "__main__":
    main()
