"""One cell of the study of a large SYNTHETIC library: a way of naming compounds, taught and tried on made mixtures.

A fit of the library may confirm what is claimed. A limit is the least under which the next mixture without the compound
is expected to be named no more often than the preset allows. False names of some members are told as if all were there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.optimize import nnls

from edged.bundle.components import Components, OperatingPoint, largest_rate
from edged.infer.confirm import Confirmer
from edged.infer.verdict import Preset
from export.components.evidence import Mixture, Said, asked, joined, rates
from export.components.gate import MIXTURES
from export.components.learn import Detector, Lesson, learn
from export.components.operate import PRESET, compounds_of, confirmation_of, level, open_point, screening_point
from export.components.unmix import Unmixer
from export.components.words import Schooling, Unmixing
from export.data.mixtures.library import Library
from export.data.mixtures.synthesise import Mixtures, synthesise
from export.models.catalogue import NetworkWords
from export.models.network import Network, NetworkKind
from export.models.table import multiply_adds, parameters
from export.preprocess.words import StepWords
from export.study.library.made import LOTS, LibraryWords, Scans
from export.study.library.strangers import (
    TAUGHT_BY,
    TRIED_BY,
    Asked,
    Hidden,
    Kinds,
    Refusal,
    hiding,
    kinds_of,
    refusals,
    strangers,
)
from export.words import Words

TARGETS: Mapping[Preset, float] = {"screen": 1.0, "balanced": 0.2, "confirm": 0.05}
"""False names a sample that each preset allows."""
CONFIRMED: tuple[Preset, ...] = ("balanced", "confirm")  # at screen no bundle asks the fit
CLAIMS = 5.0  # how many more false names may be claimed than are told once claims are confirmed
SHARES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)  # edges between which recall is told
Scores = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class BankWords(Words):
    """A network for the compounds of the library, or for `members` of them, drawn by the cell's seed; 0: for all.

    draws: of each member of a bank from an epoch's mixtures; 0 where all see all.
    """

    steps: tuple[StepWords, ...]
    network: NetworkWords
    schooling: Schooling
    members: Annotated[int, Field(ge=0, le=1024)] = 0
    draws: Annotated[int, Field(ge=0, le=100_000)] = 0


class BankCell(Words):
    """A network whose claims may be confirmed by a fit; without a network, the weights of a fit of the whole library.

    choosing, trying: made mixtures on which limits are chosen, and on which all is tried. unknowns: of each kind.
    told: nothing is detected; a fit is told what each mixture holds, to see what hides a stranger from it.
    """

    name: str
    library: LibraryWords
    bank: BankWords | None
    unmixing: Unmixing
    confirmed: bool
    choosing: Annotated[int, Field(ge=LOTS, le=200_000)]
    trying: Annotated[int, Field(ge=LOTS, le=200_000)]
    unknowns: Annotated[int, Field(ge=0, le=100_000)] = 0
    told: bool = False
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _agree(self) -> BankCell:
        if self.told and (self.bank is not None or not self.unknowns):
            raise ValueError("told: no network is asked, and unknowns are tried")
        if self.confirmed and self.bank is not None and self.bank.members:
            raise ValueError("confirmed: a fit wants the claims of all compounds, and members are some of them")
        if self.unknowns and not self.confirmed:
            raise ValueError("unknowns: are told by what a fit leaves, which wants confirmed = true")
        return self


class PresetOutcome(Words):
    """What one preset says of the mixtures that are tried.

    false_names: a sample, of a library as large as it is: of members, in proportion. by_lot: the same, lot by lot.
    relatives: share of the false names that are of the family of a compound that is there; None where only some of the
    compounds are asked for. negatives: mixtures without
    the compound, fewest of any. borne: compounds of which these negatives bear, with 95 % confidence, what the preset
    allows each. holding, found: mixtures in which a compound shows with a share between two of SHARES and how many of
    these are named, [shares, lots].
    """

    preset: Preset
    confirmed: bool
    false_names: float
    by_lot: tuple[float, ...]
    relatives: float | None
    negatives: int
    borne: int
    precision: float
    recall: float
    exact: float
    holding: tuple[tuple[int, ...], ...]
    found: tuple[tuple[int, ...], ...]


class BankOutcome(Words):
    """What a cell gave. members: compounds that it names. multiply_adds: of all of them for one spectrum.

    taught_seconds: of CPU, mixtures included; spectra: that each compound's logit has learnt from. asked_ms: of CPU for
    the scores of one spectrum.
    """

    cell: BankCell
    members: int
    presets: tuple[PresetOutcome, ...]
    refusals: tuple[Refusal, ...]
    hidden: tuple[Hidden, ...] = ()
    parameters: int
    multiply_adds: int
    spectra: int
    taught_seconds: float
    asked_ms: float
    seconds: float


def measure(cell: BankCell, data: Path) -> BankOutcome:
    """Return what the cell gives. Deterministic; one thread. No file is read: all mixtures are made."""
    del data
    torch.set_num_threads(1)
    if cell.told:
        return _told(cell)
    detector, seconds = (None, 0.0) if cell.bank is None else taught(cell)
    return judged(cell, detector, seconds)


def taught(cell: BankCell) -> tuple[Detector, float]:
    """Return the network, and the seconds of CPU that it took."""
    assert cell.bank is not None
    assert isinstance(cell.bank.network, NetworkKind)
    started = time.process_time()
    library = Scans(cell.library).learnt
    lesson = Lesson(
        library=library,
        synthesis=cell.library.synthesis,
        grid=cell.library.grid,
        steps=cell.bank.steps,
        network=cell.bank.network,
        schooling=cell.bank.schooling,
        seed=(cell.seed, cell.library.seed),
        asked=members_of(cell, library.names) if cell.bank.members else (),
        draws=cell.bank.draws,
    )
    return learn(lesson), time.process_time() - started


def members_of(cell: BankCell, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the compounds that a cell names, in the library's order."""
    if cell.bank is None or not cell.bank.members:
        return names
    drawn = np.random.default_rng([cell.seed, 3]).choice(len(names), cell.bank.members, replace=False)
    return tuple(names[column] for column in np.sort(drawn))


def _told(cell: BankCell) -> BankOutcome:
    started = time.process_time()
    scans = Scans(cell.library)
    hidden = Panel(cell, scans, None).hidden()
    return BankOutcome(
        cell=cell,
        members=0,
        presets=(),
        refusals=(),
        hidden=hidden,
        parameters=0,
        multiply_adds=0,
        spectra=0,
        taught_seconds=0.0,
        asked_ms=0.0,
        seconds=round(time.process_time() - started, 1),
    )


def judged(cell: BankCell, detector: Detector | None, taught_seconds: float) -> BankOutcome:
    """Return what a taught network gives, or the fit where there is none."""
    started = time.process_time()
    scans = Scans(cell.library)
    panel = Panel(cell, scans, detector)
    chosen, tried = panel.seen(scans.chosen_on, cell.choosing, 1), panel.seen(scans.tried_on, cell.trying, 2)
    presets = [panel.outcome(preset, panel.screening(chosen, target), tried) for preset, target in TARGETS.items()]
    refused: tuple[Refusal, ...] = ()
    if cell.confirmed:
        points = {preset: panel.confirming(chosen, TARGETS[preset]) for preset in CONFIRMED}
        presets += [panel.outcome(preset, point, tried) for preset, point in points.items()]
        if cell.unknowns:
            lenient = panel.claiming(chosen, CLAIMS * TARGETS["screen"])
            asked_with = panel.asked_of(points["confirm"], lenient)
            refused = refusals(asked_with, panel.kinds(TRIED_BY), panel.kinds(TAUGHT_BY))
    bank = cell.bank
    network = detector.network if detector is not None else None
    assert network is None or isinstance(network, Network)
    return BankOutcome(
        cell=cell,
        members=len(panel.names),
        presets=tuple(presets),
        refusals=refused,
        parameters=parameters(network) if network else 0,
        multiply_adds=multiply_adds(network, cell.library.axis.points) if network else 0,
        spectra=bank.schooling.epochs * (bank.draws or bank.schooling.mixtures) if bank else 0,
        taught_seconds=round(taught_seconds, 1),
        asked_ms=round(panel.asked_ms, 3),
        seconds=round(time.process_time() - started + taught_seconds, 1),
    )


class Panel:
    """A detector and the fit, ready to be asked about made mixtures. asked_ms: of CPU, a spectrum, when last asked."""

    def __init__(self, cell: BankCell, scans: Scans, detector: Detector | None) -> None:
        self._cell, self._scans = cell, scans
        self.names = members_of(cell, scans.learnt.names)
        self._columns = [scans.learnt.names.index(name) for name in self.names]
        self._unmixer = Unmixer(scans.learnt, cell.unmixing, cell.library.grid)
        self._confirmation = confirmation_of(self._unmixer, tolerance=1e-3)
        self._scores: Scores = detector.say if detector is not None else self._weights
        self.asked_ms = 0.0

    def seen(self, library: Library, n: int, purpose: int) -> list[Mixture]:
        """Return n made mixtures, lot by lot, as the detector and the fit see them."""
        words = self._cell.library
        lots = []
        for number, synthesis in enumerate(words.lots()):
            rng = np.random.default_rng([self._cell.library.seed, 11, purpose, number])
            lots.append(self._mixture(synthesise(library, synthesis, n // LOTS, rng, grid=words.grid)))
        return lots

    def screening(self, chosen: list[Mixture], false_names: float) -> OperatingPoint:
        """Return a preset that judges by scores alone. Raises VerificationFailed."""
        return screening_point(open_point(len(self.names), thresholds=self._levels(joined(chosen), false_names)))

    def confirming(self, chosen: list[Mixture], false_names: float) -> OperatingPoint:
        """Return a preset that confirms claims, with limits from one fit of all that is claimed.

        A compound that goes leaves more to the others, which such limits do not know: what that costs, the mixtures
        that are tried say. Trying limits one after another, as for a small library, would take hours.
        """
        mixtures, point = joined(chosen), self.claiming(chosen, CLAIMS * false_names)
        supports = self._said(point, mixtures).supports.astype(np.float32)
        return point.model_copy(update={"min_support": self._levels(replace(mixtures, logits=supports), false_names)})

    def claiming(self, chosen: list[Mixture], false_names: float) -> OperatingPoint:
        """Return a preset that keeps all that is claimed, so that it is fitted."""
        return open_point(len(self.names), thresholds=self._levels(joined(chosen), false_names))

    def outcome(self, preset: Preset, point: OperatingPoint, tried: list[Mixture]) -> PresetOutcome:
        """Return what a preset says of each lot."""
        found = [self._said(point, lot).found for lot in tried]
        whole, of_all = joined(tried), np.concatenate(found)
        absent, names, library = ~whole.present, len(self.names), self._cell.library.compounds
        named, negatives = (of_all & absent).sum(axis=0).tolist(), absent.sum(axis=0).tolist()
        told = rates(of_all, whole.present)
        allowed = TARGETS[preset] / library
        holding, hits = self._by_share(tried, found)
        return PresetOutcome(
            preset=preset,
            confirmed=point.confirm,
            false_names=round(told["false_names"] * library / names, 6),
            by_lot=tuple(
                round(rates(said, lot.present)["false_names"] * library / names, 6)
                for said, lot in zip(found, tried, strict=True)
            ),
            relatives=self._relatives(of_all & absent, whole.present) if names == library else None,
            negatives=min(negatives),
            borne=sum(largest_rate(k, m) <= allowed for k, m in zip(named, negatives, strict=True)),
            precision=round(told["precision"], 4),
            recall=round(told["recall"], 4),
            exact=round(told["exact"], 4),
            holding=holding,
            found=hits,
        )

    def kinds(self, purpose: int) -> Kinds:
        """Return spectra of mixtures without strangers and with those of one purpose, kind by kind, lot by lot."""
        words = self._cell.library
        return kinds_of(
            self._scans.tried_on if purpose == TRIED_BY else self._scans.chosen_on,
            strangers(words.points, words.seed + purpose),
            words.lots(),
            self._cell.unknowns,
            np.random.default_rng([words.seed, purpose]),
            grid=words.grid,
        )

    def hidden(self) -> tuple[Hidden, ...]:
        """Return what a fit refuses that is told what is there."""
        words = self._cell.library
        keeping = open_point(len(self.names), thresholds=(None,) * len(self.names))
        return hiding(
            Confirmer(self._table(keeping), self._unmixer.arrays()),
            self._unmixer.prepare,
            self._scans.tried_on,
            strangers(words.points, words.seed + TRIED_BY),
            words.lots(),
            self._cell.unknowns,
            words.seed,
            grid=words.grid,
        )

    def asked_of(self, point: OperatingPoint, lenient: OperatingPoint) -> Asked:
        """Return what two presets that confirm are asked with, for strangers."""
        words = self._cell.library
        made = synthesise(
            self._scans.learnt, words.synthesis, MIXTURES, np.random.default_rng([words.seed, 12]), grid=words.grid
        )
        return Asked(
            table=self._table(point),
            lenient=self._table(lenient),
            library=self._unmixer.arrays(),
            scores=self._scores,
            prepare=self._unmixer.prepare,
            grid=words.grid,
            made=made.values,
        )

    def _mixture(self, made: Mixtures) -> Mixture:
        started = time.process_time()
        scores = self._scores(made.values)
        self.asked_ms = 1e3 * (time.process_time() - started) / len(made.values)
        whole = made.effective.sum(axis=1, keepdims=True)
        shares = np.divide(made.effective, whole, out=np.zeros_like(made.effective), where=whole > 0)
        return Mixture(
            logits=scores,
            prepared=self._unmixer.prepare(made.values).astype(np.float32),
            present=made.present[:, self._columns],
            shares=shares[:, self._columns].astype(np.float64),
        )

    def _weights(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """The weight of each compound in a fit of the whole library, none below zero, of spectra of equal length."""
        references = self._unmixer.references.T
        return np.array([nnls(references, row)[0] for row in self._unmixer.prepare(values)], dtype=np.float32)

    def _levels(self, mixtures: Mixture, false_names: float) -> tuple[float, ...]:
        """The least score of each compound under which false names, a sample of the whole library, are as expected."""
        rate = false_names / self._cell.library.compounds
        return tuple(
            level(mixtures.logits[~mixtures.present[:, c], c], rate, expected_rate) for c in range(len(self.names))
        )

    def _table(self, point: OperatingPoint) -> Components:
        confirmation = self._confirmation if point.confirm else None
        return Components(compounds=compounds_of(self.names), presets={PRESET: point}, confirmation=confirmation)

    def _said(self, point: OperatingPoint, mixtures: Mixture) -> Said:
        return asked(self._table(point), self._unmixer.arrays() if point.confirm else {}, mixtures, PRESET)

    def _relatives(self, false: NDArray[np.bool_], present: NDArray[np.bool_]) -> float:
        family = self._scans.family
        kin = present.astype(np.float32) @ (family[:, None] == family).astype(np.float32) > 0
        return round(float((false & kin).sum() / max(int(false.sum()), 1)), 4)

    def _by_share(
        self, lots: list[Mixture], found: list[NDArray[np.bool_]]
    ) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]:
        holding, hits = [], []
        for low, high in pairwise(SHARES):
            inside = [lot.present & (lot.shares > low) & (lot.shares <= high) for lot in lots]
            holding.append(tuple(int(among.sum()) for among in inside))
            hits.append(tuple(int((among & said).sum()) for among, said in zip(inside, found, strict=True)))
        return tuple(holding), tuple(hits)


def expected_rate(named: int, negatives: int) -> float:
    """How often the next sample is expected over a limit that so many of these are over, if it is one of their kind."""
    return (named + 1) / (negatives + 1)
