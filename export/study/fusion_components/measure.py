"""One cell: ways of naming compounds by two techniques, on one SYNTHETIC library, sound and with a source spoilt."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from export.components.evidence import rates
from export.components.late import prior_log_odds, temperature
from export.components.learn import Beside, Detector, Lesson, learn
from export.components.recipe import GateWords
from export.components.unmix import Unmixer
from export.components.words import Schooling, Unmixing
from export.data.mixtures.paired import synthesise_pairs
from export.models.catalogue import NetworkWords
from export.models.network import NetworkKind
from export.preprocess.words import StepWords
from export.study.fusion_components.pair import KINDS, TECHNIQUES, Kind, Libraries, Pair, PairWords, Technique
from export.study.fusion_components.spoilt import STATES, Seen, State, seen, spoil
from export.study.fusion_components.ways import (
    BOTH,
    NIR_ALONE,
    RAMAN_ALONE,
    Early,
    Fit,
    Late,
    Limited,
    Source,
    source_of,
)
from export.words import Words

Name = Literal["each alone, and late", "early", "NNLS"]
NAMES: tuple[Name, ...] = get_args(Name)
CHOSEN, TRIED, SPOILT, PLANE = 21, 22, 23, 24  # what a stream of random numbers is for


class OfTechnique(Words):
    """How one technique's spectra are prepared for a network, for the gate's plane, and for a fit."""

    steps: tuple[StepWords, ...]
    gate: GateWords
    unmixing: Unmixing


class PairCell(Words):
    """Ways that share networks, on one library. target: false names a sample. choosing, trying: pairs of spectra."""

    name: Name
    pair: PairWords
    nir: OfTechnique
    raman: OfTechnique
    network: NetworkWords
    schooling: Schooling
    target: Annotated[float, Field(gt=0, le=10)]
    choosing: Annotated[int, Field(ge=100, le=200_000)]
    trying: Annotated[int, Field(ge=100, le=200_000)]

    @property
    def techniques(self) -> tuple[OfTechnique, OfTechnique]:
        """NIR, and Raman."""
        return self.nir, self.raman


class Told(Words):
    """What a way says in a state. found: share of what is there that is named, by how its compounds show. left_out:
    sources, a sample, that gave a spectrum and did not count; unasked: share of samples of which none counted."""

    way: str
    state: State
    exact: float
    precision: float
    recall: float
    f1: float
    false_names: float
    found: dict[Kind, float]
    left_out: float
    unasked: float


class PairOutcome(Words):
    """What a cell gave. temperatures: of each source, and fused_temperature: that which fused log-odds of sound pairs
    that are tried would want; likeness: how alike relatives are in each technique; knows: share of sound spectra that
    are tried which a source knows."""

    cell: PairCell
    told: tuple[Told, ...]
    temperatures: dict[Technique, float]
    fused_temperature: float | None = None
    knows: dict[Technique, float]
    likeness: dict[Technique, float]
    taught_seconds: float
    seconds: float


def measure(cell: PairCell, data: Path) -> PairOutcome:
    """Return what the cell gives. Deterministic; one thread. No file is read: all mixtures are made."""
    del data
    torch.set_num_threads(1)
    started = time.process_time()
    pair = Pair(cell.pair)
    chosen, tried = _made(cell, pair.chosen_on, cell.choosing, CHOSEN), _made(cell, pair.tried_on, cell.trying, TRIED)
    sources: tuple[Source, ...] = ()
    fused: float | None = None
    taught = 0.0
    match cell.name:
        case "early":
            network = _taught(cell, pair.learnt, None)
            taught = time.process_time() - started
            ways = {"early": Limited(Early(network, chosen), chosen, cell.target)}
        case "NNLS":
            fit = Fit(
                [
                    Unmixer(library, words.unmixing, grid)
                    for library, words, grid in zip(pair.learnt, cell.techniques, cell.pair.grids, strict=True)
                ]
            )
            ways = {"NNLS of both": Limited(fit, chosen, cell.target)}
        case "each alone, and late":
            networks = [_taught(cell, pair.learnt, number) for number in range(2)]
            taught = time.process_time() - started
            sources = tuple(_source(cell, pair, networks[number], chosen, number) for number in range(2))
            ways = _late(sources, chosen, cell.target)
            fused = round(temperature(ways["late"].way.scores(tried, tried.here), tried.present), 3)
    told = [
        _told(name, way, state, shown, pair.kinds)
        for state, shown in _states(cell, tried)
        for name, way in ways.items()
    ]
    return PairOutcome(
        cell=cell,
        told=tuple(told),
        temperatures={name: round(s.temperature, 3) for name, s in zip(TECHNIQUES, sources, strict=False)},
        fused_temperature=fused,
        knows={
            name: round(float(source.knows(tried.spectra[name]).mean()), 4)
            for name, source in zip(TECHNIQUES, sources, strict=False)
        },
        likeness={name: round(value, 3) for name, value in pair.likeness().items()},
        taught_seconds=round(taught, 1),
        seconds=round(time.process_time() - started, 1),
    )


def _made(cell: PairCell, libraries: Libraries, n: int, purpose: int) -> Seen:
    rng = np.random.default_rng([cell.pair.seed, purpose])
    return seen(synthesise_pairs(libraries, cell.pair.synthesis, n, rng, grids=cell.pair.grids))


def _states(cell: PairCell, tried: Seen) -> list[tuple[State, Seen]]:
    """The same pairs in each state, the same for every way."""
    return [
        (state, spoil(tried, state, cell.pair.grids, np.random.default_rng([cell.pair.seed, SPOILT, number])))
        for number, state in enumerate(STATES)
    ]


def _taught(cell: PairCell, libraries: Libraries, number: int | None) -> Detector:
    """Teach a network one technique, or with None both in one row."""
    assert isinstance(cell.network, NetworkKind)
    first = number or 0
    beside = (
        None if number is not None else Beside(library=libraries[1], grid=cell.pair.grids[1], steps=cell.raman.steps)
    )
    lesson = Lesson(
        library=libraries[first],
        synthesis=cell.pair.synthesis,
        grid=cell.pair.grids[first],
        steps=cell.techniques[first].steps,
        network=cell.network,
        schooling=cell.schooling,
        seed=(cell.pair.seed, 2 if number is None else number),
        beside=beside,
    )
    return learn(lesson)


def _source(cell: PairCell, pair: Pair, network: Detector, chosen: Seen, number: int) -> Source:
    return source_of(
        network,
        cell.techniques[number].gate,
        pair.learnt[number],
        cell.pair.synthesis,
        cell.pair.grids[number],
        (chosen.spectra[TECHNIQUES[number]], chosen.present),
        np.random.default_rng([cell.pair.seed, PLANE, number]),
    )


def _late(sources: tuple[Source, ...], chosen: Seen, target: float) -> dict[str, Limited]:
    prior = prior_log_odds(chosen.present)
    ways = {
        "NIR": Late(sources, prior, NIR_ALONE, gated=False),
        "Raman": Late(sources, prior, RAMAN_ALONE, gated=False),
        "late": Late(sources, prior, BOTH, gated=False),
        "late with validity": Late(sources, prior, BOTH, gated=True),
    }
    return {name: Limited(way, chosen, target) for name, way in ways.items()}


def _told(name: str, way: Limited, state: State, shown: Seen, kinds: NDArray[np.int64]) -> Told:
    found, counting = way.found(shown)
    asked = np.array([any(pattern[number] for pattern in way.way.patterns) for number in range(2)])[:, None]
    return Told(
        way=name,
        state=state,
        **{figure: round(value, 5) for figure, value in rates(found, shown.present).items()},
        found=_by_kind(found, shown.present, kinds),
        left_out=round(float((shown.here & asked & ~counting).sum(axis=0).mean()), 5),
        unasked=round(float((~counting.any(axis=0)).mean()), 5),
    )


def _by_kind(found: NDArray[np.bool_], present: NDArray[np.bool_], kinds: NDArray[np.int64]) -> dict[Kind, float]:
    """The recall of compounds of each kind."""
    columns = [np.flatnonzero(kinds == number) for number in range(len(KINDS))]
    return {
        kind: round(float(found[:, own][present[:, own]].mean()), 5) for kind, own in zip(KINDS, columns, strict=True)
    }
