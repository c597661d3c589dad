"""A new compound for a bank, from its spectra to a bank and a kit that hold it, and nothing changed of the others.

library and spectra -> dealt: seven of ten teach, three are held out
school              -> its own numbers, and no other's
examination         -> its limits, on made mixtures of held-out scans
kit                 -> its reference, the gate's plane wider by what it needs, golden vectors, a raised version
tried again         -> those in whose mixtures it was named too often before
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from edged.infer.verdict import Preset
from export.bank.again import tried_again, ways_of
from export.bank.bank import Bank, Member
from export.bank.evidence import Gate, Learned
from export.bank.kit import Kit, Promise, raised
from export.bank.limits import Examination, Half, halves_of
from export.bank.newcomer import Newcomer, extended, likeness, remarked
from export.bank.ranges import bank_from, heads_for
from export.bank.school import Lesson, one_thread, teach
from export.components.evidence import Mixture, asked
from export.components.fused import CALIBRATED_ON, Voice, prepared
from export.components.gate import Plane
from export.components.job import ComponentsJob, dealt, undivided
from export.data.finding import Finding, warn
from export.data.mixtures.library import Library
from export.data.mixtures.synthesise import synthesise
from export.data.split import values_digest
from export.errors import BankUnfit, DataUnusable, VerificationFailed
from export.models.network import Network
from export.preprocess.pipeline import build
from export.progress import Report

LIMIT: Final = (
    "These spectra are as alike as whoever measured them made them: another lot, grain size, moisture, day or "
    "instrument was seen by nothing. The mixtures are made; no real one was measured."
)
FEWEST_COMPOUNDS: Final = 2
LAID_THROUGH: Final = 600  # mixtures that hold the compound, through which the gate's plane is laid
COMPARED: Final = 64  # mixtures on which the others must say the same to the bit
Stage = Callable[[str], Report]
"""Gives, for a stage that begins, what is called with its progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What comes of it: the bank and its kit, and what speaks for the compound. lesson: to be forgotten once all is
    safe."""

    bank: Bank
    kit: Kit
    told: Learned
    lesson: Lesson


def library_of(kit: Kit, data: Path) -> Library:
    """Return all pure spectra that a bank was made of. data: public sets, where the kit may not hold its own.

    Raises DataUnusable where they are not to be had, or are others by now.
    """
    own = kit.own_library()
    if kit.words.pure.complete and own is not None:
        return own
    job = ComponentsJob(recipe=kit.recipe, data=data, work=Path(), seed=kit.words.seed, quick=kit.words.quick)
    library = job.library
    if values_digest(job.spectra, np.flatnonzero(~job.tested)) != kit.words.values_sha256:
        where = kit.recipe.data.set
        raise DataUnusable(f"{where}: not the spectra that the bank was made of", hint="get the set again")
    learned = () if own is None else own.names
    there = [name for name in library.names if name in kit.compounds and name not in learned]
    if own is not None and not there:
        return own.of(kit.compounds)
    kept = library.of(there)
    for name in learned:
        assert own is not None
        kept = extended(kept, known_of(own, name, {}))
    return kept.of(kit.compounds)


def learn(bank: Bank, kit: Kit, newcomer: Newcomer, *, data: Path, work: Path, seed: int, stage: Stage) -> Outcome:
    """Teach a bank one compound, in the place of one of the same name where it has one. work: where epochs are kept."""
    library = library_of(kit, data)
    with one_thread():
        newcomer = remarked(newcomer, likeness(library, newcomer, kit.recipe), _taken_for(bank, kit, newcomer))
        whole = extended(library, newcomer)
        kit = kit.with_library(kept_of(kit, whole, newcomer.name), complete=kit.words.pure.complete)
        return _learned(bank, kit, whole, newcomer, work=work, seed=seed, stage=stage)


def learn_again(bank: Bank, kit: Kit, name: str, *, data: Path, work: Path, seed: int, stage: Stage) -> Outcome:
    """Teach a compound of a bank anew, from the spectra that it was taught from, with all that has entered since."""
    library = library_of(kit, data)
    known = kit.words.learned.get(name)
    newcomer = known_of(library, name, {} if known is None else known.files_sha256)
    with one_thread():
        return _learned(bank, kit, library, newcomer, work=work, seed=seed, stage=stage)


def known_of(library: Library, name: str, digests: dict[str, str]) -> Newcomer:
    """Return a compound of a library as one that is to be learned. digests: of the files it once was read from."""
    own = library.compound == library.names.index(name)
    return Newcomer(
        name=name,
        axis=library.axis,
        values=library.values[own],
        groups=library.groups[own],
        remarks=(),
        digests=digests,
    )


def _learned(
    bank: Bank, kit: Kit, whole: Library, newcomer: Newcomer, *, work: Path, seed: int, stage: Stage
) -> Outcome:
    if len(whole.names) < FEWEST_COMPOUNDS:
        raise BankUnfit("a bank of one compound: there is nothing to mix it with", hint="learn another one first")
    part = dealt(whole)
    lesson = Lesson(library=part.learnt, compound=newcomer.name, recipe=kit.recipe, trunk=_trunk(bank), seed=seed)
    network = teach(lesson, work, stage("learn"))
    member = _member(bank, lesson, network)
    entered = bank.with_replaced([member]) if member.compound in bank.compounds else bank.with_members([member])
    plane = widened(kit, part.learnt, newcomer.name, seed)
    halves = halves_of(part, newcomer.name, kit.recipe, seed)
    examined = kit.with_compound(newcomer.name, _open(kit), ways_of(part.learnt, kit, newcomer.name)).with_plane(plane)
    examination = Examination(entered, examined, newcomer.name, halves)
    promises, evidence = examination.promises(stage("limits"))
    told = Learned(
        spectra=len(newcomer.values),
        taught_by=int((part.learnt.compound == part.learnt.names.index(newcomer.name)).sum()),
        files_sha256=newcomer.digests,
        remarks=(*newcomer.remarks, *undivided(whole)),
        seed=seed,
        presets=evidence,
        gate=Gate(
            dimensions_added=len(plane.rows) - len(kit.plane.rows),
            wrongly_refused=float((examination.distances > kit.words.gate_limit).mean()),
        ),
        limit=LIMIT,
    )
    taught = kit.with_compound(newcomer.name, promises, ways_of(whole, kit, newcomer.name)).with_plane(plane)
    taught = taught.with_golden(golden_of(kit, whole, newcomer.name, seed)).with_evidence(newcomer.name, told)
    entered = _with_thresholds(entered, newcomer.name, promises)
    _require_the_same(kit, bank, entered, newcomer.name, halves[1])
    taught = tried_again(entered, taught, whole, newcomer.name)
    return Outcome(bank=entered, kit=taught.with_version(raised(kit.words.version)), told=told, lesson=lesson)


def _trunk(bank: Bank) -> Network | None:
    return None if bank.trunk is None else bank.network()


def _member(bank: Bank, lesson: Lesson, network: Network) -> Member:
    """The compound's numbers; ranges are those of mixtures such as it learnt from."""
    if bank.trunk is not None:
        (member,) = heads_for(bank, network, [lesson.compound]).members
        return member
    recipe = lesson.recipe
    made = synthesise(
        lesson.library, recipe.synthesis, CALIBRATED_ON, np.random.default_rng([lesson.seed, 60]), grid=recipe.grid
    )
    rows = prepared(build(recipe.steps, recipe.grid), torch.from_numpy(made.values))
    (member,) = bank_from(bank.words, network, [lesson.compound], rows, input_range=bank.input_range).members
    return member


def _open(kit: Kit) -> dict[Preset, Promise]:
    """No limits yet: everything passes."""
    return {
        preset: Promise(threshold=None, min_support=0.0 if point.confirm else None, negatives=0, named=0)
        for preset, point in kit.words.table.presets.items()
    }


def widened(kit: Kit, learnt: Library, name: str, seed: int) -> Plane:
    """Return the gate's plane with room for mixtures that hold the compound, made of the scans that taught.

    Those that were held out have no say in it: they tell how many mixtures it still refuses.
    """
    recipe = kit.recipe
    rng = np.random.default_rng([seed, 90])
    made = synthesise(learnt, recipe.synthesis, 2 * LAID_THROUGH, rng, grid=recipe.grid, target=name)
    limit, wrongly = kit.words.gate_limit, recipe.gate.wrongly_refused
    return kit.gate().widened(made.values[::2], limit=limit, wrongly_refused=wrongly)


def kept_of(kit: Kit, whole: Library, name: str, *, public: bool = False) -> Library | None:
    """What lies in the kit after spectra of a compound came: everything, or what was learned where the set's own may
    not be given away. public: these are the set's own."""
    own = kit.own_library()
    if kit.words.pure.complete:
        return whole
    learned = [*(() if own is None else (one for one in own.names if one != name)), *(() if public else (name,))]
    return whole.of(learned) if learned else None


def golden_of(kit: Kit, whole: Library, name: str, seed: int) -> NDArray[np.float32]:
    """Return the spectra of golden vectors: every second one is a mixture that holds the compound."""
    recipe, count = kit.recipe, kit.recipe.quantisation.golden_vectors
    rng = np.random.default_rng([seed, 30])
    return synthesise(whole, recipe.synthesis, count, rng, grid=recipe.grid, target=name).values


def _with_thresholds(bank: Bank, name: str, promises: dict[Preset, Promise]) -> Bank:
    limits = {preset: said.threshold for preset, said in promises.items() if said.threshold is not None}
    return bank.with_thresholds(name, limits)


def _taken_for(bank: Bank, kit: Kit, newcomer: Newcomer) -> Finding | None:
    """Whether the bank, as it is, names the spectra as other compounds at the default preset."""
    recipe, table, preset = kit.recipe, kit.words.table, kit.recipe.default_preset
    values = np.array([np.interp(recipe.grid, newcomer.axis, row) for row in newcomer.values], dtype=np.float32)
    rows = torch.from_numpy(values)
    n, c = len(values), len(bank.compounds)
    mixtures = Mixture(
        logits=Voice(build(recipe.steps, recipe.grid), bank).say(values),
        prepared=prepared(build(recipe.unmixing.steps, recipe.grid), rows),
        present=np.zeros((n, c), np.bool_),
        shares=np.zeros((n, c)),
    )
    named = asked(table, kit.library_arrays(), mixtures, preset).found.sum(axis=0)
    named[[place for place, name in enumerate(bank.compounds) if name == newcomer.name]] = 0
    if not named.any():
        return None
    most = int(named.argmax())
    return warn(
        f"the bank names {named[most]} of the {n} spectra as {bank.compounds[most]} at {preset}, the gate aside",
        "they may be told together: see false_names_of_others",
    )


def _require_the_same(kit: Kit, before: Bank, after: Bank, name: str, half: Half) -> None:
    """Raise VerificationFailed where a bit of what is said of another compound has changed."""
    steps, rows = build(kit.recipe.steps, kit.recipe.grid), half.holding.values[:COMPARED]
    first, last = Voice(steps, before).say(rows), Voice(steps, after).say(rows)
    for place, other in enumerate(before.compounds):
        if other != name and first[:, place].tobytes() != last[:, after.compounds.index(other)].tobytes():
            raise VerificationFailed(
                f"{other}: its logits are not what they were before {name}", hint="report the versions of onnxruntime"
            )
