"""Do the bands that an explanation tells belong to the compound? Measured where every band is known: on made spectra.

Made Raman libraries of 24 compounds in families that share most of their bands, networks taught on each, and mixtures
that they have not seen: a page for a shared trunk, asked in float, and one for separate networks, an int8 bank in which
each compound is asked alone, by the graph that a bundle holds for that. The explanation is the daemon's own.

    python -m export.study.explanation
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from edged.bundle.vocabulary import Axis
from edged.infer.explain import Ask, bands, bridge_bands, positions, relevance, structure, windows
from edged.infer.verdict import OFF_BAND_LIMIT
from export.bank.alone import WHICH, alone
from export.bank.fuse import fused
from export.bank.ranges import bank_from
from export.compare import session
from export.components.learn import Detector, Lesson, learn
from export.components.words import Schooling
from export.data.mixtures.recipes import A1
from export.data.mixtures.synthesise import Mixtures, synthesise
from export.data.mixtures.synthetic import Bands, SyntheticLibrary, synthetic_library
from export.models.network import Network
from export.models.resnet1d import ResNet1dWords
from export.models.resuca import ResucaWords
from export.page import Code, Heading, Page, Picture, Table, Text
from export.preprocess.words import SavgolStep, SnvStep
from export.study.command import RESULTS

Rows = NDArray[np.float64]
Numbers = NDArray[np.int64]
SEEDS = (11, 12, 13)
COMPOUNDS, SCANS, MIXTURES = 24, 3, 150
AXIS = Axis(unit="cm-1", start=210.0, stop=1990.0, points=512)
SYNTHESIS = A1.model_copy(
    update={"composition": A1.composition.model_copy(update={"components": (1, 4), "outsiders": 0.0})}
)
STEPS = (SavgolStep(kind="savgol", window=5, order=2, derivative=1), SnvStep(kind="snv"))
CALIBRATED_ON = 2048  # mixtures that a bank's ranges are taken from
TILE = 5  # points: what is deleted at a time
DELETED = 20
DELETIONS_OF = 60  # found compounds of each library: the greedy order asks for 2,000 rows of each
ORDERS = ("by relevance", "at random", "greedy: what hurts most, asked anew at each step")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pupil:
    """Who is taught and asked; `told` says it in a sentence, `page` is the name of what is written."""

    network: ResNet1dWords | ResucaWords
    school: Schooling
    page: str
    title: str
    told: str


TRUNK = Pupil(
    network=ResNet1dWords(stem=16, widths=(16, 32, 48, 64)),
    school=Schooling(epochs=14, mixtures=4000),
    page="explanation",
    title="Do the bands that an explanation tells belong to the compound?",
    told="a small shared trunk",
)
BANK = Pupil(
    network=ResucaWords(stem=8, widths=(8, 16, 24, 32)),  # `resuca-lite`
    school=Schooling(epochs=5, mixtures=4000),
    page="explanation-bank",
    title="Do the bands that an explanation tells belong to the compound? Separate networks, each asked alone",
    told="an int8 bank of a network a compound, `resuca-lite`, each explained by the graph that asks it alone,",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """A library, who has learned it, mixtures that are new to him, and his logits of them.

    say: spectra [n, points] on AXIS, and columns, to the logits of those, [n, columns].
    """

    made: SyntheticLibrary
    say: Callable[[Rows | NDArray[np.float32], Sequence[int]], NDArray[np.float32]]
    mixtures: Mixtures
    logits: NDArray[np.float32]

    def found(self) -> list[tuple[int, list[int]]]:
        """Mixtures, each with those of its compounds that the detector sees."""
        seen = (self.logits > 0.0) & self.mixtures.present
        return [(row, np.flatnonzero(columns).tolist()) for row, columns in enumerate(seen) if columns.any()]

    def ask(self, columns: Sequence[int]) -> Ask:
        """What a graph would say of rows, for these compounds."""
        return lambda rows: self.say(rows, columns).astype(np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointed:
    """Of each found compound of one library, whether something holds; `chance`: of a place at random."""

    hit: NDArray[np.bool_]
    close: NDArray[np.bool_]
    own: NDArray[np.bool_]
    highest: NDArray[np.bool_]
    chance: Rows
    off: Rows
    off_of_others: Rows
    score: Rows
    without: Rows
    share: Rows


class Separate:
    """A detector's networks as an int8 bank, all of which or each of which alone may be asked."""

    def __init__(self, words: ResucaWords, detector: Detector, names: Sequence[str], seen: NDArray[np.float32]) -> None:
        assert isinstance(detector.network, Network)
        self._steps = detector.steps
        bank = bank_from(words, detector.network, names, self._prepared(seen))
        self._all, self._alone = session(fused(bank)), session(alone(bank))

    def say_all(self, rows: Rows | NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits of the bank's own graph."""
        return np.asarray(self._all.run(["logits"], {"prepared": self._prepared(rows)})[0])

    def say(self, rows: Rows | NDArray[np.float32], columns: Sequence[int]) -> NDArray[np.float32]:
        """Return the logits of some compounds, asked alone."""
        feed = {"prepared": self._prepared(rows), WHICH: np.array(columns, np.int64)}
        return np.asarray(self._alone.run(["logits"], feed)[0])

    @torch.no_grad()
    def _prepared(self, rows: Rows | NDArray[np.float32]) -> NDArray[np.float32]:
        prepared = self._steps(torch.from_numpy(np.ascontiguousarray(rows, dtype=np.float32)))
        return np.asarray(prepared.numpy(), dtype=np.float32)


def taught(pupil: Pupil, seed: int) -> Taught:
    """Make a library, teach networks, make their trial."""
    made = _library(seed)
    grid = positions(AXIS)
    lesson = Lesson(
        library=made.library,
        synthesis=SYNTHESIS,
        grid=grid,
        steps=STEPS,
        network=pupil.network,
        schooling=pupil.school,
        seed=(seed, 0),
    )
    detector = learn(lesson)
    trial = synthesise(made.library, SYNTHESIS, MIXTURES, np.random.default_rng([seed, 1]), grid=grid)
    if isinstance(pupil.network, ResNet1dWords):
        return Taught(made=made, say=saying(detector), mixtures=trial, logits=detector.say(trial.values))
    seen = synthesise(made.library, SYNTHESIS, CALIBRATED_ON, np.random.default_rng([seed, 3]), grid=grid)
    bank = Separate(pupil.network, detector, made.library.names, seen.values)
    return Taught(made=made, say=bank.say, mixtures=trial, logits=bank.say_all(trial.values))


def _library(seed: int) -> SyntheticLibrary:
    return synthetic_library(COMPOUNDS, 512, seed=seed, scans=SCANS)


def saying(detector: Detector) -> Callable[[Rows | NDArray[np.float32], Sequence[int]], NDArray[np.float32]]:
    """Return what a detector says of some compounds."""
    return lambda rows, columns: detector.say(rows)[:, list(columns)]


def pointing(subject: Taught) -> Pointed:
    """Play the pointing game for every found compound."""
    at = positions(AXIS)
    pure = np.stack([np.interp(at, subject.made.library.axis, row) for row in subject.made.library.means()])
    known = np.stack([structure(row, AXIS) for row in pure])
    rows = []
    for number, columns in subject.found():
        values = subject.mixtures.values[number]
        curves = relevance(values, AXIS, subject.ask(columns))
        light = subject.mixtures.effective[number][:, None] * pure / pure.max(axis=1, keepdims=True)
        for curve, column in zip(curves, columns, strict=True):
            told = bands(curve, AXIS)
            place = int(np.abs(at - told[0].peak).argmin())
            inside = np.any([(at >= band.low) & (at <= band.high) for band in told], axis=0)
            weights = np.where(inside, np.maximum(curve, 0.0), 0.0)
            off = 1.0 - (known @ weights) / weights.sum()
            strangers = subject.made.family != subject.made.family[column]
            truth = subject.made.bands[column]
            rows.append(
                (
                    is_hit(told[0].peak, truth),
                    is_hit(told[0].peak, truth, beyond=(at[1] - at[0]) / 2.0),
                    light[column, place] > 0.5 * light[:, place].sum(),
                    is_hit(float(at[values.argmax()]), truth),
                    np.mean([is_hit(position, truth) for position in at]),
                    off[column],
                    np.mean(off[strangers] > OFF_BAND_LIMIT),
                    subject.logits[number, column],
                    subject.ask([column])(bridge_bands(values, told, AXIS)[None])[0, 0],
                    sum(band.share for band in told),
                )
            )
    columns_of = [np.array(column) for column in zip(*rows, strict=True)]
    hit, close, own, highest, *others = columns_of
    chance, off, off_of_others, score, without, share = (np.asarray(column, dtype=np.float64) for column in others)
    return Pointed(
        hit=hit,
        close=close,
        own=own,
        highest=highest,
        chance=chance,
        off=off,
        off_of_others=off_of_others,
        score=score,
        without=without,
        share=share,
    )


def is_hit(position: float, truth: Bands, *, beyond: float = 0.0) -> bool:
    """Whether a place lies within half a width at half maximum of one of the bands, or so far beyond."""
    return bool((np.abs(position - truth.centre_cm1) <= truth.fwhm_cm1 / 2.0 + beyond).any())


def deletion(subject: Taught, rng: np.random.Generator) -> Rows:
    """Return what is left of the logit after 0 to DELETED tiles are bridged, [orders, DELETED + 1], in parts of what
    there is to lose: one at first, nought when the whole axis is a line. Mean over found compounds.
    """
    found = [(number, column) for number, columns in subject.found() for column in columns][:DELETIONS_OF]
    total = np.zeros((len(ORDERS), DELETED + 1))
    for number, column in found:
        row, ask = subject.mixtures.values[number], subject.ask([column])
        (curve,) = relevance(row, AXIS, ask)
        tiles = (
            np.arange(1, AXIS.points - 1, dtype=np.int64) // TILE
        )  # the ends of the axis stay: what is left is a line
        many = int(tiles.max()) + 1
        credit = np.bincount(tiles, weights=curve[1:-1])

        def left(chosen: Sequence[Sequence[int]], row: Rows = row, tiles: Numbers = tiles, ask: Ask = ask) -> Rows:
            return ask(np.stack([_without_tiles(row, tiles, each) for each in chosen]))[:, 0]

        orders = (
            np.argsort(-credit)[:DELETED].tolist(),
            rng.permutation(many)[:DELETED].tolist(),
            _greedy(left, many),
        )
        none, everything = left([[], range(many)])
        for line, order in enumerate(orders):
            scores = left([order[:count] for count in range(DELETED + 1)])
            total[line] += (scores - everything) / (none - everything)
    return total / len(found)


def _greedy(left: Callable[[Sequence[Sequence[int]]], Rows], many: int) -> list[int]:
    chosen: list[int] = []
    while len(chosen) < DELETED:
        rest = [tile for tile in range(many) if tile not in chosen]
        chosen.append(rest[int(left([[*chosen, tile] for tile in rest]).argmin())])
    return chosen


def _without_tiles(row: Rows, tiles: Numbers, chosen: Sequence[int]) -> NDArray[np.float32]:
    kept = np.ones(len(row), dtype=bool)
    kept[1:-1] = ~np.isin(tiles, list(chosen))
    at = np.arange(len(row))
    return np.interp(at, at[kept], row[kept]).astype(np.float32)


def measured(pupil: Pupil, seed: int) -> tuple[Pointed, Rows]:
    """Teach one library, play the pointing game, delete."""
    subject = taught(pupil, seed)
    return pointing(subject), deletion(subject, np.random.default_rng([seed, 2]))


def page_of(pupil: Pupil, found: Sequence[tuple[Pointed, Rows]], minutes: float) -> Page:
    """Put on a page what was measured of each library, in so many minutes of CPU."""
    curve = np.mean([left for _, left in found], axis=0)
    asked = sum(map(len, windows(AXIS)))
    bands_of = [own for made in map(_library, SEEDS) for own in made.bands]
    counts = [len(own.centre_cm1) for own in bands_of]
    half_cm1 = float(np.median(np.concatenate([own.fwhm_cm1 for own in bands_of]))) / 2.0
    opening = f"""{len(SEEDS)} made Raman libraries of {COMPOUNDS} compounds (seeds {", ".join(map(str, SEEDS))}),
        {min(counts)} to {max(counts)} bands each, relatives that share most of them; for each {pupil.told} taught on
        {pupil.school.epochs * pupil.school.mixtures:,} mixtures of the recipe A1 with one to four compounds: axis and
        resolution of other instruments, fluorescence, glass, noise, spikes. Of {MIXTURES} new mixtures, **made of the
        same {SCANS} pure scans of each compound that were learnt from**, each compound that is there and is found
        (logit above zero) is explained, by {asked} windows. {minutes:.0f} minutes of CPU. Written by"""
    return Page(
        title=pupil.title,
        parts=(
            Text(" ".join(opening.split())),
            Code("python -m export.study.explanation"),
            Heading("Pointing"),
            _pointing_table([pointed for pointed, _ in found]),
            Text(_words_of_pointing(half_cm1)),
            Heading("Deletion"),
            _deletion_table(curve),
            Picture(f"{pupil.page}.png", "what is left of a logit as tiles are bridged", _drawn(curve)),
            Text(_WORDS_OF_DELETION),
        ),
    )


STEP_CM1 = float(np.ptp(positions(AXIS)[:2]))


def _words_of_pointing(half_cm1: float) -> str:
    text = f"""*Hit*: the peak of the first band lies within half a width at half maximum of one of the compound's own
    bands; what a place at random would hit is its chance. A step of the axis is {STEP_CM1:.1f} cm-1, half a width
    {half_cm1:.1f} in the middle. The highest point of a mixture is what an explanation would tell that asks nobody.
    *Mostly its own light*: at the told peak the compound gives more than half of what all compounds of the mixture give
    there. *Flagged*: more than {OFF_BAND_LIMIT:.0%} of the relevance in the bands lies where the reference has none;
    for the compound's own reference a false alarm. **The other row is of references of other families**, which share
    many bands too, so that many such mix-ups pass; a network's false names are mostly of the same family
    ([library](library.md)), which shares more, and how often the flag tells those was not tried. *Left without the
    bands*: the median logit before and after all told bands are bridged at once."""
    return " ".join(text.split())


_WORDS_OF_DELETION = " ".join(
    f"""Of the first {DELETIONS_OF} found compounds of each library. The axis is cut into tiles of {TILE} points,
    {TILE * STEP_CM1:.0f} cm-1, and the logit is asked as one after the other is bridged. One is the whole logit, nought
    what is left when the whole spectrum is a line; less is better. The greedy order may ask after each step and sees
    the answer, which no explanation does; the best order may be faster still.""".split()
)


def _pointing_table(pointed: Sequence[Pointed]) -> Table:
    def row(name: str, read: Callable[[Pointed], float], form: str = ".1%") -> list[str]:
        return [name, *(format(read(one), form) for one in pointed), format(np.mean([read(o) for o in pointed]), form)]

    return Table(
        ["", *(f"library {number}" for number in range(1, len(pointed) + 1)), "mean"],
        [
            row("compounds explained", lambda one: float(len(one.hit)), ".0f"),
            row("hit", lambda one: float(one.hit.mean())),
            row("hit, or missed by less than half a step of the axis", lambda one: float(one.close.mean())),
            row("hit by chance", lambda one: float(one.chance.mean())),
            row("hit by the highest point of the mixture", lambda one: float(one.highest.mean())),
            row("mostly its own light", lambda one: float(one.own.mean())),
            row("flagged, own reference", lambda one: float((one.off > OFF_BAND_LIMIT).mean())),
            row("flagged, reference of another family", lambda one: float(one.off_of_others.mean())),
            row("relevance within the told bands", lambda one: float(one.share.mean())),
            row("logit", lambda one: float(np.median(one.score)), ".1f"),
            row("left without the bands", lambda one: float(np.median(one.without)), ".1f"),
        ],
    )


def _deletion_table(curve: Rows) -> Table:
    steps = (1, 2, 4, 8, DELETED)
    return Table(
        ["order", *(f"after {step}" for step in steps), f"area to {DELETED}"],
        [
            [name, *(f"{line[step]:.2f}" for step in steps), f"{float(line.mean()):.2f}"]
            for name, line in zip(ORDERS, curve, strict=True)
        ],
    )


def _drawn(curve: Rows) -> bytes:
    figure = Figure(figsize=(7.0, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, line, colour in zip(ORDERS, curve, ("#1f6f8b", "#9aa5b1", "#e6aa2b"), strict=True):
        axes.plot(np.arange(DELETED + 1), line, label=name, color=colour)
    axes.axhline(0.0, color="#9aa5b1", lw=0.8)
    axes.set_xlabel(f"tiles of {TILE} points bridged, of {-(-(AXIS.points - 2) // TILE)}")
    axes.set_ylabel("what is left of the logit")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})
    return out.getvalue()


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=RESULTS, show_default=True, help="Where the page goes.")
def main(out: Path) -> None:
    """Measure and write the pages."""
    for pupil in (TRUNK, BANK):
        began_s = time.process_time()
        found = [measured(pupil, seed) for seed in SEEDS]
        for path in page_of(pupil, found, (time.process_time() - began_s) / 60.0).write(out, pupil.page):
            click.echo(path)


if __name__ == "__main__":
    main()
