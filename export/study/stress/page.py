"""The page of the study: what is told of changed spectra, classical models beside it, and what breaks what ships."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from export.data.augment import Augmentation
from export.data.catalogue import load_set
from export.data.split import split_of
from export.data.stress import LAMP_K, lamp_au
from export.page import Heading, Part, Picture, Table, Text
from export.plots import Shares, told_shares
from export.recipe import Recipe, load_recipe
from export.study.stress.asked import (
    DRAWS,
    INSTRUMENT,
    KINDS,
    PACKING,
    SHIPPED,
    TOGETHER,
    UNCHANGED,
    Asked,
    Figures,
    Kind,
    StressOutcome,
)
from export.study.stress.pairs import WINDOW_NM, fillings_apart, units_apart
from export.study.stress.reading import BREAKS, reading

DRAWN = BREAKS  # a kind of change that never costs as much has no bars
ALTERNATIVE = f"what is told of changed spectra, by bundle; what costs none {100 * DRAWN:g} points is left out"
SMALL = 5e-4  # a share whose spread is less shows none

SIZES = f"""
Sizes. *Path length*: times 1 + size or its reciprocal. *Another filling*: the difference of two scans of another class
in two fillings, one of them held out, is added so many times, with whatever drifted between them. *Slope*, *stretch*:
at the ends of the axis. *Lines*: what their full width at half maximum gains or loses, to first order. *White
reference*: a sine of that height. *Lamp*: colour temperature at {LAMP_K:,.0f} K, since the reference. *Stray light*:
share of all; of counts the brightest stands for all. Packing is drawn for each filling anew (what its set keeps in one
group: ten scans of powders12, one of api20, a run of ten of isoniazid-dose), an instrument once for all spectra,
{DRAWS} draws; where either way is possible the sign is drawn. ± is the standard deviation over draws, of the same
spectra: what so few fillings say of others is less sure than that, see the models' own pages."""
TABLE = """
In percent; *by a gate* is part of *not told*, *sets* are those that hold the true class: by the quantile that ships
where a preset asks for that coverage, else by one fitted anew, as on the page *calibration*."""
QUESTION = (
    """
Bundles that ship, each by its own int8 graph and the daemon's judge at the default preset, on the block that its recipe
holds out, changed in one way at a time. Nothing was fitted or chosen on these changes. *Training drew* tells the
standard deviation of the same quantity in the recipe's augmentation, at the strength that training takes; *never*
marks what it left out. What it did draw was of like make: normal draws around nothing, where each size here is fixed,
and smooth polynomials where the white reference here has a sine. SNV undoes a path length by itself, and a derivative
an offset: alone they do nothing to these bundles, by construction.""",
    SIZES,
    f"""
*{next(iter(TOGETHER))}*, x 1: path length {100 * PACKING.path:g} %, another filling x {PACKING.refill:g}, offset
{PACKING.offset_au:g} AU and slope {PACKING.slope_au:g} AU together. *{list(TOGETHER)[1]}*, x 1: shift
{INSTRUMENT.shift:g} nm, stretch {INSTRUMENT.stretch:g} nm, lines broader by {INSTRUMENT.broader:g} nm, white reference
{100 * INSTRUMENT.gain:g} %, lamp {INSTRUMENT.lamp_k:g} K, stray light {100 * INSTRUMENT.stray:g} % together. Axis
and lines are of the size that three real units differ by (last table); none of our sets holds two handhelds of one
model on the same samples. Reference, lamp and stray light are round numbers without a source.""",
)


def parts(outcomes: Sequence[StressOutcome], data: Path) -> Sequence[Part]:
    """Return what follows the opening."""
    shown: list[Part] = [Picture("stress.png", ALTERNATIVE, _drawn(outcomes))]
    for outcome in outcomes:
        shown += _amounts(outcome) if outcome.tells_amounts else _classes(outcome)
    return [*shown, *_real(data)]


def _drawn(outcomes: Sequence[StressOutcome]) -> bytes:
    """A panel a bundle, without kinds that cost none of them anything to speak of."""
    seen = {
        asked.title
        for outcome in outcomes
        for asked, figures in zip(outcome.cell.asked, outcome.figures, strict=True)
        if asked.title == UNCHANGED or figures["right"][0] < outcome.figures[0]["right"][0] - DRAWN
    }
    panels: dict[str, list[Shares]] = {}
    for outcome in outcomes:
        rows = panels.setdefault(outcome.cell.name, [])
        title = ""
        for asked, figures in zip(outcome.cell.asked, outcome.figures, strict=True):
            if asked.title not in seen:
                continue
            marks = [] if outcome.tells_amounts else [figures[SHIPPED][0], outcome.best_classical(figures)[1]]
            label = asked.size if asked.title == title else asked.called  # the title once: its other sizes follow
            rows.append((label, figures["right"][0], figures["silent"][0], marks))
            title = asked.title
    return told_shares(panels, marks=("accuracy, shipped", "accuracy, best classical"))


def _classes(outcome: StressOutcome) -> list[Part]:
    columns = {
        "accuracy": SHIPPED,
        "told rightly": "right",
        "not told": "silent",
        "by a gate": "gate",
        "told wrongly": "wrong",
        "sets 90 %": "90 %",
        "sets 99 %": "99 %",
    }
    name = f"{outcome.cell.name} {outcome.cell.version}"
    return [
        Heading(name),
        *map(Text, reading(outcome)),
        Text(" ".join(TABLE.split())),
        Table(
            ["change", "training drew", *columns],
            [
                [*_names(outcome, asked), *(_share(figures[read]) for read in columns.values())]
                for asked, figures in zip(outcome.cell.asked, outcome.figures, strict=True)
            ],
        ),
        Text(
            f"Accuracy of the most likely class in percent, gates aside, the best of a row bold: what ships, and "
            f"classical models on the same preprocessing, fitted on augmented copies of the same training blocks and "
            f"tuned as in the study `grid`: {_settings(outcome)}."
        ),
        Table(
            ["change", SHIPPED, *outcome.settings],
            [
                [asked.called, *_best_bold(figures, (SHIPPED, *outcome.settings), _share, max)]
                for asked, figures in zip(outcome.cell.asked, outcome.figures, strict=True)
            ],
        ),
    ]


def _amounts(outcome: StressOutcome) -> list[Part]:
    return [
        Heading(f"{outcome.cell.name} {outcome.cell.version}"),
        *map(Text, reading(outcome)),
        Text(
            "RMSE in mg, gates aside, the best of a row bold; *told rightly*: percent of the spectra that are given an "
            "interval which holds the true dose. Regressions: augmented copies, the recipe's preprocessing, "
            f"{_settings(outcome)}."
        ),
        Table(
            [
                "change",
                "training drew",
                f"{SHIPPED}, RMSE",
                *outcome.settings,
                "told rightly",
                "not told",
                "told wrongly",
            ],
            [
                [
                    *_names(outcome, asked),
                    *_best_bold(figures, (SHIPPED, *outcome.settings), _plain, min),
                    *(_share(figures[read]) for read in ("right", "silent", "gate", "wrong")),
                ]
                for asked, figures in zip(outcome.cell.asked, outcome.figures, strict=True)
            ],
        ),
    ]


def _real(data: Path) -> list[Part]:
    """What real fillings and units differ by, in the same words."""
    recipe = load_recipe("powders12")
    spectra = load_set("powders12", data)
    spread = fillings_apart(spectra, split_of(spectra, recipe.data.split).development)
    rows = [
        [
            of.name,
            f"{100 * of.path:+.1f}",
            *(f"{value:+.3f}" for value in (of.offset_au, of.slope_au)),
            *(f"{value:+.1f}" for value in (of.shift, of.stretch, of.fwhm)),
            f"{100 * of.explained:.0f}",
        ]
        for of in units_apart(data)
    ]
    return [
        Heading("What real fillings and units differ by"),
        Text(
            "Fillings of the training blocks of powders12, each against the mean of its class, standard deviation: "
            f"path length {100 * spread['path']:.1f} %, offset {spread['offset_au']:.3f} AU, slope "
            f"{spread['slope_au']:.3f} AU. All are of one preparation a class, filled in one sequence, so another "
            f"packing is taken larger. Three units on the same 80 samples (corn, {WINDOW_NM[0]:g} to {WINDOW_NM[1]:g} "
            "nm, mean spectra; benches, not handhelds), what the second has more than the first, by least squares; the "
            "last column is the share of their difference that these words explain. The rest of it is of another make "
            "than any change here."
        ),
        Table(
            ["units", "path, %", "offset, AU", "slope, AU", "shift, nm", "stretch, nm", "width, nm", "explained, %"],
            rows,
        ),
    ]


def _settings(outcome: StressOutcome) -> str:
    """What tuning chose of each classical model."""
    return "; ".join(
        f"{name} ({', '.join(f'{k} {v:.3g}' if isinstance(v, float) else f'{k} {v}' for k, v in chosen.items())})"
        for name, chosen in outcome.settings.items()
    )


def _names(outcome: StressOutcome, asked: Asked) -> list[str]:
    return [asked.called, _training(asked.title, load_recipe(outcome.cell.name))]


def _training(title: str, recipe: Recipe) -> str:
    """How much of a change training drew; of a mixture of several, what it left out."""
    if title == UNCHANGED:
        return ""
    if title in TOGETHER:
        influence, _ = TOGETHER[title]
        out = [kind.title for kind in KINDS if getattr(influence, kind.word) and not _sigma(kind, recipe)]
        return f"without {', '.join(out)}" if out else "each of it"
    (kind,) = (kind for kind in KINDS if kind.title == title)
    sigma = _sigma(kind, recipe)
    return kind.shown(float(f"{sigma:.2g}")) if sigma else "never"


def _sigma(kind: Kind, recipe: Recipe) -> float:
    """The standard deviation that training draws, in the unit of the influence."""
    words: Augmentation = recipe.training.augmentation
    drawn = float(getattr(words, kind.drawn_as))
    if kind.word == "refill":  # drawn before, and whatever the strength is
        return drawn
    to_unit: Callable[[float], float] = {
        "gain": lambda au: au * float(np.log(10.0)),
        "lamp_k": lambda au: au / abs(lamp_au(1.0, recipe.grid, recipe.axis.unit)),
    }.get(kind.word, lambda value: value)
    return to_unit(recipe.training.strength * drawn)


def _best_bold(
    figures: Figures, names: Sequence[str], show: Callable[[tuple[float, float]], str], best: Callable[..., float]
) -> list[str]:
    top = best(figures[name][0] for name in names)
    return [f"**{show(figures[n])}**" if abs(figures[n][0] - top) < SMALL else show(figures[n]) for n in names]


def _share(figure: tuple[float, float]) -> str:
    mean, spread = (100 * value for value in figure)
    return f"{mean:.1f}" if spread < 100 * SMALL else f"{mean:.1f} ± {spread:.1f}"


def _plain(figure: tuple[float, float]) -> str:
    mean, spread = figure
    return f"{mean:.1f}" if spread < 100 * SMALL else f"{mean:.1f} ± {spread:.1f}"
