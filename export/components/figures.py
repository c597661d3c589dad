"""What a trial found of a model of components, at the default preset, as figures with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from edged.infer.verdict import Preset
from export.components.answers import Told
from export.components.trials import Trial
from export.figures import Bools, Figure, Numbers, set_figures, share_of, together

PURE, MIXED, MADE = "pure scans", "real mixtures", "made mixtures"
KINDS = (PURE, MIXED, MADE)  # of spectra whose contents somebody tells
Say = Mapping[str, Mapping[Preset, Told]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """n spectra: the compounds told of them and in them [n, c], and their units: what the split keeps whole."""

    found: Bools
    present: Bools
    units: Numbers


class OfCompound(TypedDict):
    """How often one compound was told and there, and what that is in figures."""

    told: int
    missed: int
    falsely: int
    rightly_not: int
    figures: dict[str, Figure]


class OfKind(TypedDict):
    """Spectra of one kind: figures of whole sets, and of each compound by its name."""

    sets: dict[str, Figure]
    compounds: dict[str, OfCompound]


def by_kind(trials: Sequence[Trial], said: Say, preset: Preset, made: Bools) -> dict[str, Tested]:
    """Return what was said at a preset, by kind of spectra; kinds of which there are none are absent.

    made: what the made mixtures hold [n, c], each of which is a unit.
    """
    found = {}
    for kind, pure in ((PURE, True), (MIXED, False)):
        rows = [one.told & ((one.present.sum(axis=1) == 1) == pure) for one in trials]
        if any(of.any() for of in rows):
            pairs = list(zip(trials, rows, strict=True))
            found[kind] = Tested(
                found=np.concatenate([said[one.name][preset].found[of] for one, of in pairs]),
                present=np.concatenate([one.present[of] for one, of in pairs]),
                units=together([one.spectra.groups[one.rows][of] for one, of in pairs]),
            )
    found[MADE] = Tested(found=said[MADE][preset].found, present=made, units=np.arange(len(made)))
    return found


def figures_of(tested: Mapping[str, Tested], names: Sequence[str], rng: np.random.Generator) -> dict[str, OfKind]:
    """Return the figures of each kind of spectra."""
    table = {}
    for kind, of in tested.items():
        sets, each = set_figures(of.found, of.present, of.units, rng=rng)
        compounds = {
            name: OfCompound(
                told=int((of.found & of.present)[:, column].sum()),
                missed=int((~of.found & of.present)[:, column].sum()),
                falsely=int((of.found & ~of.present)[:, column].sum()),
                rightly_not=int((~of.found & ~of.present)[:, column].sum()),
                figures=figures,
            )
            for column, (name, figures) in enumerate(zip(names, each, strict=True))
        }
        table[kind] = OfKind(sets=sets, compounds=compounds)
    return table


def criteria_of(
    figures: Mapping[str, OfKind],
    trials: Sequence[Trial],
    outsiders: Sequence[Trial],
    said: Say,
    preset: Preset,
    same: Mapping[str, Bools],
) -> dict[str, Figure | None]:
    """Return figures by the names of criteria, None for what was not measured.

    same: where int8 and float tell the same, by the name of the set; where it is none, each mixture is a unit.
    """
    units = {one.name: one.spectra.groups[one.rows] for one in (*trials, *outsiders)}
    of_same = [units.get(name, np.arange(len(of))) for name, of in same.items()]

    def of(kind: str, name: str) -> Figure | None:
        return figures[kind]["sets"][name] if kind in figures else None

    refused = [said[one.name][preset].outcome != "resolved" for one in outsiders]
    others = [units[one.name] for one in outsiders]
    return {
        "exact_sets": of(MIXED, "exact"),
        "f1": of(MIXED, "f1"),
        "false_names": of(MIXED, "false_names"),
        "pure_exact": of(PURE, "exact"),
        "made_recall": of(MADE, "recall"),
        "made_false_names": of(MADE, "false_names"),
        "others_refused": share_of(np.concatenate(refused), together(others)) if refused else None,
        "same_sets": share_of(np.concatenate(list(same.values())), together(of_same)),
    }
