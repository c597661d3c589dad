"""The kit of a bank: all that a bundle needs besides the members, and all that a new compound learns from.

Enters: a build, or a folder. Leaves: values; a change gives a new kit. What is said of one compound stands in columns
and rows of its own, so that compounds come and go without a word said anew about the others.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edged.bundle.components import MAX_COMPOUNDS, Components, OperatingPoint
from edged.bundle.vocabulary import Label
from edged.infer.verdict import Preset
from export.bank.bank import Bank
from export.bank.evidence import Learned, Tried
from export.components.gate import MixtureGate, Plane
from export.components.graph import Preparation
from export.components.operate import compounds_of
from export.components.recipe import ComponentsRecipe
from export.data.mixtures.library import Library
from export.data.spectra import AxisUnit, Quantity
from export.errors import BankDamaged, BankUnfit
from export.preprocess.pipeline import axis_after, build
from export.words import Words

T = TypeVar("T")
Arrays = dict[str, NDArray[np.float32]]
Column = Annotated[int, Field(ge=0, lt=MAX_COMPOUNDS)]
Number = Annotated[float, Field(ge=-1e12, le=1e12)]
COPY: Final = "copy the folder again"
MAX_SPECTRA: Final = 200_000  # of a library
MAX_AXIS_POINTS: Final = 65_536
MIXED, REFERENCES = ("spectra", "mean", "plane", "golden"), ("references", "whitener", "scatter")
"""The arrays, by name: pure spectra [n, axis], the gate's plane, the spectra of golden vectors [n, points]; and, where
a preset confirms, those of `library.npz`. `spectra` is absent where they may not be given away and none was learned."""


class Pure(Words):
    """The pure spectra of `spectra`, row by row: on which axis, of which compound, of which preparation.

    complete: all that the bank was made of are there; else those of the recipe's set are read from the set again.
    """

    axis: Annotated[tuple[Number, ...], Field(min_length=8, max_length=MAX_AXIS_POINTS)]
    axis_unit: AxisUnit
    quantity: Quantity
    names: Annotated[tuple[Label, ...], Field(max_length=MAX_COMPOUNDS)]
    compound: Annotated[tuple[Column, ...], Field(max_length=MAX_SPECTRA)]
    groups: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(max_length=MAX_SPECTRA)]
    synthetic: bool
    complete: bool


class KitWords(Words):
    """What a kit says in words. rates: of each preset, the share of samples without a compound that may be said to
    hold it, the same for each compound. table: the manifest's. gate_limit: before slack. height: of a mean reference.

    values_sha256: of the pure spectra of the recipe's own set, as `values_digest` gives it. sheet, licence, metrics: of
    the bundle that was built first, `built` its version. as_built: what `standing` said of each compound of that
    build. learned: what compounds that were learned since were promised on, compound by compound. by_hand: the same of
    presets of others, for which somebody chose a threshold.
    """

    format: Literal[1] = Field(alias="schema")
    recipe: ComponentsRecipe
    version: Annotated[str, Field(pattern=r"^\d{1,6}\.\d{1,6}\.\d{1,6}$")]
    built: Annotated[str, Field(pattern=r"^\d{1,6}\.\d{1,6}\.\d{1,6}$")]
    seed: Annotated[int, Field(ge=0)]
    quick: bool
    rates: dict[Preset, Annotated[float, Field(gt=0, le=10)]]
    table: Components
    gate_limit: Annotated[float, Field(gt=0, le=1e12)]
    height: Annotated[float, Field(gt=0, le=1e12)]
    pure: Pure
    values_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    sheet: dict[str, Any]
    licence: Annotated[str, Field(max_length=1 << 20)]
    metrics: dict[str, Any]
    as_built: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]
    learned: dict[str, Learned] = Field(default_factory=dict)
    by_hand: dict[str, dict[Preset, Tried]] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What one preset says of one compound: an entry of each column of an `OperatingPoint`."""

    threshold: float | None
    min_support: float | None
    negatives: int
    named: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kit:
    """words, and arrays by the names of MIXED and REFERENCES."""

    words: KitWords
    arrays: Arrays

    def __post_init__(self) -> None:
        for array in self.arrays.values():
            array.flags.writeable = False

    @property
    def compounds(self) -> tuple[str, ...]:
        """The names, in the order of the logits."""
        return tuple(compound.label for compound in self.words.table.compounds)

    @property
    def recipe(self) -> ComponentsRecipe:
        """The recipe that the bank was made by."""
        return self.words.recipe

    def gate(self) -> MixtureGate:
        """Return the gate that stands before the bank."""
        return MixtureGate(self.recipe.gate, self.recipe.grid, self.plane)

    @property
    def plane(self) -> Plane:
        """The gate's plane."""
        return Plane(mean=self.arrays["mean"][0], rows=self.arrays["plane"])

    def preparation(self) -> Preparation:
        """Return what stands around the bank in its graph."""
        grid = self.recipe.grid
        steps, unmixing = build(self.recipe.steps, grid), build(self.recipe.unmixing.steps, grid)
        return Preparation(steps, unmixing, self.gate(), height=self.words.height).eval()

    def library_arrays(self) -> Arrays:
        """Return what `library.npz` of the bundle holds; nothing where no preset confirms."""
        return {name: self.arrays[name] for name in REFERENCES if name in self.arrays}

    def own_library(self) -> Library | None:
        """Return the pure spectra that lie here; None where there are none."""
        pure = self.words.pure
        if not pure.names:
            return None
        return Library(
            axis=np.array(pure.axis, dtype=np.float64),
            axis_unit=pure.axis_unit,
            quantity=pure.quantity,
            values=self.arrays["spectra"].astype(np.float64),
            compound=np.array(pure.compound, dtype=np.int64),
            groups=np.array(pure.groups, dtype=np.int64),
            names=pure.names,
            holds=frozenset(pure.names),
            synthetic=pure.synthetic,
        )

    def with_version(self, version: str) -> Kit:
        """Return the kit under another version."""
        return replace(self, words=self.words.model_copy(update={"version": version}))

    def with_library(self, library: Library | None, *, complete: bool) -> Kit:
        """Return the kit with these pure spectra instead of its own."""
        pure = self.words.pure.model_copy(update={"complete": complete, **_pure_fields(library)})
        arrays = {name: rows for name, rows in self.arrays.items() if name != "spectra"}
        if library is not None:
            arrays["spectra"] = library.values.astype(np.float32)
        return replace(self, words=self.words.model_copy(update={"pure": pure}), arrays=arrays)

    def with_golden(self, spectra: NDArray[np.float32]) -> Kit:
        """Return the kit with other golden spectra."""
        return replace(self, arrays=self.arrays | {"golden": spectra.copy()})

    def with_plane(self, plane: Plane) -> Kit:
        """Return the kit with another plane of the gate."""
        return replace(self, arrays=self.arrays | {"mean": plane.mean[None].copy(), "plane": plane.rows.copy()})

    def with_evidence(self, compound: str, told: Learned | None, by_hand: dict[Preset, Tried] | None = None) -> Kit:
        """Return the kit with what speaks for a compound, instead of all that did."""
        learned = _put_in(self.words.learned, compound, told)
        given = _put_in(self.words.by_hand, compound, by_hand)
        return replace(self, words=self.words.model_copy(update={"learned": learned, "by_hand": given}))

    def with_tried(self, compound: str, tried: dict[Preset, Tried]) -> Kit:
        """Return the kit with what some presets were found to do with a compound, tried anew."""
        told = self.words.learned.get(compound)
        if told is None:
            return self.with_evidence(compound, None, self.words.by_hand.get(compound, {}) | tried)
        return self.with_evidence(compound, told.model_copy(update={"presets": told.presets | tried}))

    def tried(self) -> dict[str, dict[Preset, Tried]]:
        """Return what was tried since the build, compound by compound."""
        return {name: told.presets for name, told in self.words.learned.items()} | self.words.by_hand

    def promises(self, compound: str) -> dict[Preset, Promise]:
        """Return what each preset says of one compound."""
        place = self.compounds.index(compound)
        return {
            preset: Promise(
                threshold=point.thresholds[place],
                min_support=point.min_support[place] if point.confirm else None,
                negatives=point.negatives[place],
                named=point.named[place],
            )
            for preset, point in self.words.table.presets.items()
        }

    def standing(self, bank: Bank, compound: str) -> str:
        """Return the SHA-256 of a compound's numbers and limits, in hex."""
        limits = {preset: (said.threshold, said.min_support) for preset, said in self.promises(compound).items()}
        said = json.dumps((bank.member(compound).digest(), limits), sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()

    def built_of(self, bank: Bank) -> Kit:
        """Return the kit of a bank that has just been built: what it is from now on compared with."""
        as_built = {name: self.standing(bank, name) for name in self.compounds}
        return replace(self, words=self.words.model_copy(update={"as_built": as_built}))

    def unchanged(self, bank: Bank) -> tuple[str, ...]:
        """Return the compounds whose numbers and limits are those of the build."""
        return tuple(name for name in self.compounds if self.words.as_built.get(name) == self.standing(bank, name))

    def with_compound(self, name: str, promises: dict[Preset, Promise], ways: Arrays) -> Kit:
        """Return the kit with one compound more, behind the others, or with another in the place of one of its name.

        ways: its `references` and `scatter`, rows [n, m]; nothing where no preset confirms.
        """
        there = name in self.compounds
        kit = self if there else _told(self, [*self.compounds, name], lambda column: (*column, None))
        return _promising(_with_ways(kit, kit.compounds.index(name), ways), name, promises)

    def without(self, names: tuple[str, ...]) -> Kit:
        """Return the kit without some compounds; the order of the others stays."""
        gone = [self.compounds.index(name) for name in names]
        left = [place for place in range(len(self.compounds)) if place not in gone]
        names_left = [self.compounds[place] for place in left]
        kit = _told(self, names_left, lambda column: tuple(column[place] for place in left))
        for name in names:
            kit = kit.with_evidence(name, None)
        for name in REFERENCES[::2]:
            kit = _with_rows(kit, name, [left.index(of) if of in left else None for of in _whose(self, name)])
        library = self.own_library()
        if library is not None:
            there = tuple(name for name in library.names if name not in names)
            kit = kit.with_library(library.of(there) if there else None, complete=self.words.pure.complete)
        return kit


def pure_words(library: Library | None, *, like: Library, complete: bool) -> Pure:
    """Return the words on pure spectra that are kept; None keeps none of those of a library `like`."""
    fields = {"axis": tuple(like.axis.tolist())} | _pure_fields(library)
    return Pure(axis_unit=like.axis_unit, quantity=like.quantity, synthetic=like.synthetic, complete=complete, **fields)


def raised(version: str) -> str:
    """Return the next minor version: 1.4.2 to 1.5.0."""
    major, minor, _ = version.split(".")
    return f"{major}.{int(minor) + 1}.0"


def check_kit(kit: Kit, compounds: tuple[str, ...], *, where: str) -> None:
    """Raise BankDamaged where a kit that was read is not that of a bank of these compounds, or its parts disagree."""
    words, arrays = kit.words, kit.arrays
    if kit.compounds != compounds:
        raise BankDamaged(f"{where}: speaks of other compounds than the bank", hint=COPY)
    if lost := sorted({*words.learned, *words.by_hand} - set(compounds)):
        raise BankDamaged(f"{where}: evidence: {lost[0][:64]!a} is no compound of the bank", hint=COPY)
    if set(words.rates) != set(words.table.presets) or set(words.recipe.presets) != set(words.rates):
        raise BankDamaged(f"{where}: rates: not those of the presets", hint=COPY)
    pure, points = words.pure, words.recipe.axis.points
    if pure.complete and pure.names != compounds:
        raise BankDamaged(f"{where}: pure: the spectra are of other compounds than the bank", hint=COPY)
    seen = len(axis_after(words.recipe.gate.steps, words.recipe.grid))
    confirmation = words.table.confirmation
    wanted = {"mean": (1, seen), "plane": (None, seen), "golden": (None, points)}
    if pure.names:
        wanted["spectra"] = (len(pure.compound), len(pure.axis))
    if confirmation is not None:
        m = confirmation.axis.points
        wanted |= {"references": (len(confirmation.references), m), "whitener": (None, m)}
        wanted |= {"scatter": (len(confirmation.scatter), m)} if confirmation.scatter else {}
    if set(arrays) != set(wanted):
        raise BankDamaged(f"{where}: holds {', '.join(sorted(arrays))}; wanted {', '.join(sorted(wanted))}")
    for name, (rows, columns) in wanted.items():
        shape = arrays[name].shape
        if shape[1] != columns or (rows is not None and shape[0] != rows) or not np.isfinite(arrays[name]).all():
            raise BankDamaged(f"{where}: {name} is {shape}, or not finite; wanted {rows or 'n'} x {columns}")


def _pure_fields(library: Library | None) -> dict[str, Any]:
    if library is None:
        return {"names": (), "compound": (), "groups": ()}
    return {
        "axis": tuple(library.axis.tolist()),
        "names": library.names,
        "compound": tuple(library.compound.tolist()),
        "groups": tuple(library.groups.tolist()),
    }


def _changed(point: OperatingPoint, names: list[str], rate: float, column: Any) -> OperatingPoint:
    """A preset for other compounds. A compound is held to the same rate as ever; the sum of the rates is the promise.

    Detection limits beside a compound that is gone are gone too.
    """
    fields = ["thresholds", "negatives", "named", "detection_limits", *(["min_support"] if point.confirm else [])]
    beside = {label: column(row) for label, row in point.detection_limits_in.items() if label in names}
    if rate * len(names) > 10.0:
        raise BankUnfit(f"{len(names)} compounds at {rate:.3g} each: more than ten false names a sample are no promise")
    return point.model_copy(
        update={field: column(getattr(point, field)) for field in fields}
        | {"false_names": rate * len(names), "detection_limits_in": beside}
    )


def _put_in(evidence: dict[str, T], compound: str, told: T | None) -> dict[str, T]:
    """The same with other evidence of a compound, or with none."""
    kept = {name: one for name, one in evidence.items() if name != compound}
    return kept if told is None else kept | {compound: told}


def _put(column: tuple[Any, ...], place: int, value: Any) -> tuple[Any, ...]:
    return (*column[:place], value, *column[place + 1 :])


def _told(kit: Kit, names: list[str], column: Any) -> Kit:
    """The table for other compounds: every column of every preset through `column`; None is filled in later."""
    table = kit.words.table
    rates = kit.words.rates
    presets = {preset: _changed(point, names, rates[preset], column) for preset, point in table.presets.items()}
    known = {compound.label: compound for compound in table.compounds}
    compounds = tuple(known.get(name) or compounds_of([name])[0] for name in names)
    changed = table.model_copy(update={"compounds": compounds, "presets": presets})
    return replace(kit, words=kit.words.model_copy(update={"table": changed}))


def _promising(kit: Kit, name: str, promises: dict[Preset, Promise]) -> Kit:
    """Fill in one compound's entries."""
    place = kit.compounds.index(name)
    presets = {}
    for preset, point in kit.words.table.presets.items():
        said = promises[preset]
        entries = {"thresholds": said.threshold, "negatives": said.negatives, "named": said.named}
        entries |= {"detection_limits": None} | ({"min_support": said.min_support} if point.confirm else {})
        changed = {field: _put(getattr(point, field), place, value) for field, value in entries.items()}
        beside = {of: _put(row, place, None) for of, row in point.detection_limits_in.items() if of != name}
        presets[preset] = point.model_copy(update=changed | {"detection_limits_in": beside})
    table = kit.words.table.model_copy(update={"presets": presets})
    return replace(kit, words=kit.words.model_copy(update={"table": table}))


def _with_ways(kit: Kit, place: int, ways: Arrays) -> Kit:
    """Put a compound's references and scatter in the place of those that it had, behind the others'."""
    for name in REFERENCES[::2]:
        kit = _with_rows(kit, name, [None if of == place else of for of in _whose(kit, name)], ways.get(name), place)
    return kit


def _with_rows(
    kit: Kit, name: str, whose: list[int | None], more: NDArray[np.float32] | None = None, place: int = 0
) -> Kit:
    """Keep the rows of an array whose compound is told, and put more behind them."""
    confirmation = kit.words.table.confirmation
    if confirmation is None:
        return kit
    rows = [kit.arrays[name][[of is not None for of in whose]]] if name in kit.arrays else []
    rows += [] if more is None else [more]
    kept = [of for of in whose if of is not None] + [place] * (0 if more is None else len(more))
    confirmation = confirmation.model_copy(update={name: tuple(kept)})
    table = kit.words.table.model_copy(update={"confirmation": confirmation})
    arrays = {key: value for key, value in kit.arrays.items() if key != name}
    if kept:
        arrays[name] = np.concatenate(rows).astype(np.float32)
    return replace(kit, words=kit.words.model_copy(update={"table": table}), arrays=arrays)


def _whose(kit: Kit, name: str) -> tuple[int, ...]:
    confirmation = kit.words.table.confirmation
    return () if confirmation is None else tuple(getattr(confirmation, name))
