"""Limits of one compound of a bank: chosen on made mixtures of held-out scans, tried on others. No other limit moves.

How sure a limit must be is what a whole build says (`export.components.operate`); the compound is held to the rate that
all others are held to. What is found is counted behind the gate, what is named falsely with the gate aside. Its own
network is asked first of mixtures without it: the fit and the other networks only about those that it claims, since
none else can be said to hold it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binom

from edged.bundle.components import MAX_CLAIMED, OperatingPoint, largest_rate
from edged.infer.verdict import Preset
from export.bank.bank import Bank
from export.bank.evidence import Others, Tried
from export.bank.kit import Kit, Promise
from export.components.evidence import Mixture, Said, asked, rates, recall_by_share
from export.components.fused import Voice, prepared
from export.components.job import Part
from export.components.operate import RAISED, detection_limit, level, worst_rate
from export.components.recipe import ComponentsRecipe
from export.data.mixtures.library import Library
from export.data.mixtures.synthesise import Mixtures, synthesise
from export.errors import VerificationFailed
from export.preprocess.pipeline import build
from export.progress import Report

MOST_HOLDING: Final = 600  # mixtures of a half that hold the compound: a recall is known within 4 %
LOST: Final = (0.05, 0.1, 0.2, 0.3)  # of mixtures that hold the compound, by logits that are tried beside the recipe's
MOST_TOLD: Final = 5
BY_CHANCE: Final = 0.01  # that any other compound is told to be named too often where none is
HALVES: Final = ("choosing", "trying")
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Half:
    """Made mixtures: `lacking` without the compound, `holding` with it, `alike` without it, as often with a look-alike
    as the recipe says of a compound in question."""

    lacking: Mixtures
    holding: Mixtures
    alike: Mixtures


def halves_of(part: Part, compound: str, recipe: ComponentsRecipe, seed: int) -> tuple[Half, Half]:
    """Make the mixtures that limits are chosen on, and those that they are tried on, of scans that taught nothing."""
    chosen, tried = (_half(part.held, compound, recipe, [seed, 70 + place], half) for place, half in enumerate(HALVES))
    return chosen, tried


class Examination:
    """One compound of a bank. bank and kit hold it, the kit with the gate that will be in force; its limits may still
    be open."""

    def __init__(self, bank: Bank, kit: Kit, compound: str, halves: tuple[Half, Half]) -> None:
        self.kit, self.compound, self.halves = kit, compound, halves
        self.place = kit.compounds.index(compound)
        recipe = kit.recipe
        steps = build(recipe.steps, recipe.grid)
        others = tuple(name for name in bank.compounds if name != compound)
        self.alone, self.whole = Voice(steps, bank.without(others)), Voice(steps, bank)
        self.unmixing = build(recipe.unmixing.steps, recipe.grid)
        first, last = halves
        self.lots = {"chosen": first.lacking, "tried": last.lacking, "alike": last.alike}
        self.logits = {name: self.alone.say(made.values)[:, 0] for name, made in self.lots.items()}
        self.reached, self.holding = self._seen(first.holding), self._seen(last.holding)
        self.distances = kit.gate().distances(last.holding.values)
        self._let_through: dict[tuple[str, float | None], Mixture] = {}

    def promises(self, progress: Report) -> tuple[dict[Preset, Promise], dict[Preset, Tried]]:
        """Return what each preset promises of the compound, and what speaks for it. Raises VerificationFailed."""
        promises: dict[Preset, Promise] = {}
        evidence: dict[Preset, Tried] = {}
        points = self.kit.words.table.presets
        for done, (preset, point) in enumerate(points.items()):
            progress("presets", done, len(points))
            promise = self._promise(preset, point)
            self._require(preset, promise)
            promises[preset], evidence[preset] = promise, self.evidence(preset, promise)
        progress("presets", len(points), len(points))
        return promises, evidence

    def given(self, preset: Preset, threshold: float) -> tuple[Promise, Tried]:
        """Return what a preset promises with a threshold that somebody chose, and what speaks for it.

        Raises VerificationFailed.
        """
        point = self.kit.words.table.presets[preset]
        promise = self._tried(preset, threshold, point.min_support[self.place] if point.confirm else None)
        self._require(preset, promise)
        return promise, self.evidence(preset, promise)

    def evidence(self, preset: Preset, promise: Promise) -> Tried:
        """Return what a preset finds of mixtures that hold the compound, and what it does to the others."""
        said = self._asked(self.holding, preset, promise.threshold, promise.min_support)
        in_scope = self.distances <= self.kit.words.gate_limit * self.kit.recipe.gate.slack[preset]
        found = said.found[:, self.place] & in_scope
        mixtures = _columns(self.holding, slice(self.place, self.place + 1))
        point = self.kit.words.table.presets[preset]
        return Tried(
            mixtures_with_it=len(mixtures),
            not_in_scope=float((~in_scope).mean()),
            recall=float(found.mean()),
            recall_by_share=tuple(recall_by_share(mixtures, found[:, None])),
            detection_limit=detection_limit(mixtures.shares[:, 0], found, mixtures.present[:, 0]),
            threshold=promise.threshold,
            min_support=promise.min_support,
            mixtures_without_it=promise.negatives,
            named_in_them=promise.named,
            look_alikes=len(self.logits["alike"]),
            named_in_look_alikes=self._named("alike", preset, promise.threshold, promise.min_support),
            wrongly_unknown=0.0 if point.max_rest is None else float((said.rest > point.max_rest).mean()),
            false_names_of_others=self._others(preset, said),
        )

    def _promise(self, preset: Preset, point: OperatingPoint) -> Promise:
        rate = self.kit.words.rates[preset]
        if not point.confirm:
            return self._tried(preset, level(self.logits["chosen"], rate, worst_rate), None)
        limits = [(threshold, self._least_support(preset, threshold, rate)) for threshold in self._lets_through(preset)]
        recalls = [self._asked(self.reached, preset, *pair).found[:, self.place].mean() for pair in limits]
        return self._tried(preset, *limits[int(np.argmax(recalls))])

    def _lets_through(self, preset: Preset) -> list[float | None]:
        """Logits under which few are lost that are there; None puts the compound to every fit.

        A build has one of them. Here another compound that its own network misses, beside the newcomer, leaves all of
        its light to be explained, and no support is large enough against that; a higher logit may be.
        """
        passing, compounds = self.kit.recipe.presets[preset].passing, len(self.kit.compounds)
        if passing == 1.0 and compounds <= MAX_CLAIMED:
            return [None]
        lost = [1.0 - passing, *(share for share in LOST if share > 1.0 - passing)]
        return np.quantile(self.reached.logits[:, self.place], lost, method="lower").astype(np.float64).tolist()

    def _least_support(self, preset: Preset, threshold: float | None, rate: float) -> float:
        """The least support with which the compound is not named too often; the limits of the others stand."""
        claimed, negatives = self._claimed("chosen", threshold), len(self.logits["chosen"])
        said = self._asked(claimed, preset, threshold, 0.0)
        supports = np.zeros(negatives)
        supports[: len(claimed)] = said.supports[:, self.place]
        least, named = max(level(supports, rate, worst_rate), 1.0), claimed.of(said.found[:, self.place])
        while True:
            still = self._asked(named, preset, threshold, least).found[:, self.place]
            if worst_rate(int(still.sum()), negatives) <= rate:
                return float(least)
            least *= RAISED

    def _tried(self, preset: Preset, threshold: float | None, support: float | None) -> Promise:
        """Count, on the other half, mixtures without the compound that are said to hold it."""
        found = self._named("tried", preset, threshold, support)
        return Promise(threshold=threshold, min_support=support, negatives=len(self.logits["tried"]), named=found)

    def _named(self, lot: str, preset: Preset, threshold: float | None, support: float | None) -> int:
        """How many mixtures of a lot are said to hold the compound."""
        if support is None:
            return int((self.logits[lot] >= (-math.inf if threshold is None else threshold)).sum())
        return int(self._asked(self._claimed(lot, threshold), preset, threshold, support).found[:, self.place].sum())

    def _require(self, preset: Preset, promise: Promise) -> None:
        rate = self.kit.words.rates[preset]
        if largest_rate(promise.named, promise.negatives) > rate:
            raise VerificationFailed(
                f"{self.compound}: {preset}: {promise.named} of {promise.negatives} held-out mixtures without it are "
                f"said to hold it; a compound of this bank is allowed {rate:.3g} of them",
                hint="more and more varied spectra of it; or a longer schooling in the recipe that built the bank",
            )

    def _others(self, preset: Preset, said: Said) -> Others:
        """What is said of other compounds in mixtures that hold this one."""
        mixtures = self.holding
        left = [place for place in range(len(self.kit.compounds)) if place != self.place]
        before, kit = _columns(mixtures, left), self.kit.without((self.compound,))
        found = asked(kit.words.table, kit.library_arrays(), before, preset).found
        now, rate = said.found[:, left], self.kit.words.rates[preset]
        absent = (~before.present).sum(axis=0)
        named = (now & ~before.present).sum(axis=0)
        shares = named / np.maximum(absent, 1)
        too_often = binom.sf(named - 1, absent, min(rate, 1.0)) < BY_CHANCE / max(len(left), 1)
        worst = [place for place in np.argsort(-shares, kind="stable") if too_often[place]][:MOST_TOLD]
        return Others(
            often={kit.compounds[place]: float(shares[place]) for place in worst},
            before=rates(found, before.present)["false_names"],
            now=rates(now, before.present)["false_names"],
        )

    def _claimed(self, lot: str, threshold: float | None) -> Mixture:
        """Mixtures of a lot that the compound's network lets through to the fit."""
        key = (lot, threshold)
        if key not in self._let_through:
            rows = np.flatnonzero(self.logits[lot] >= (-math.inf if threshold is None else threshold))
            self._let_through[key] = self._seen(self.lots[lot], rows)
        return self._let_through[key]

    def _seen(self, made: Mixtures, rows: NDArray[np.int64] | None = None) -> Mixture:
        """What the bank and the fit see of made mixtures, and what these hold."""
        taken = np.arange(len(made.values)) if rows is None else rows
        values, compounds = made.values[taken], self.kit.compounds
        columns = [compounds.index(name) for name in made.names]
        present, shares = np.zeros((len(taken), len(compounds)), np.bool_), np.zeros((len(taken), len(compounds)))
        present[:, columns] = made.present[taken]
        weights = made.effective[taken]
        whole = weights.sum(axis=1, keepdims=True)
        shares[:, columns] = np.divide(weights, whole, out=np.zeros_like(weights), where=whole > 0)
        logits = self.whole.say(values) if len(taken) else np.zeros((0, len(compounds)), np.float32)
        return Mixture(
            logits=logits, prepared=prepared(self.unmixing, torch.from_numpy(values)), present=present, shares=shares
        )

    def _asked(self, mixtures: Mixture, preset: Preset, threshold: float | None, support: float | None) -> Said:
        """What a preset says where this compound has these limits."""
        table = self.kit.words.table
        point = table.presets[preset]
        limits = {"thresholds": _put(point.thresholds, self.place, threshold)}
        if point.confirm:
            limits["min_support"] = _put(point.min_support, self.place, support)
        changed = table.model_copy(update={"presets": table.presets | {preset: point.model_copy(update=limits)}})
        return asked(changed, self.kit.library_arrays(), mixtures, preset)


def _half(held: Library, compound: str, recipe: ComponentsRecipe, seed: list[int], half: str) -> Half:
    count = int(getattr(recipe.held_out, half))
    others = held.of(name for name in held.names if name != compound)
    lacking = synthesise(others, recipe.synthesis, count, np.random.default_rng([*seed, 0]), grid=recipe.grid)
    pairs = min(count, MOST_HOLDING)
    both = synthesise(
        held, recipe.synthesis, 2 * pairs, np.random.default_rng([*seed, 1]), grid=recipe.grid, target=compound
    )
    return Half(lacking=lacking, holding=_rows(both, slice(0, None, 2)), alike=_rows(both, slice(1, None, 2)))


def _rows(made: Mixtures, rows: slice) -> Mixtures:
    return Mixtures(
        grid=made.grid,
        names=made.names,
        values=made.values[rows],
        shares=made.shares[rows],
        outsider=made.outsider[rows],
        effective=made.effective[rows],
    )


def _columns(mixtures: Mixture, columns: slice | list[int]) -> Mixture:
    """The same mixtures for some of the compounds."""
    return Mixture(
        logits=mixtures.logits[:, columns],
        prepared=mixtures.prepared,
        present=mixtures.present[:, columns],
        shares=mixtures.shares[:, columns],
    )


def _put(column: tuple[Any, ...], place: int, value: Any) -> tuple[Any, ...]:
    return (*column[:place], value, *column[place + 1 :])
