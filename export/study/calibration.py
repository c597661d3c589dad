"""Whether the probabilities and sets of shipped bundles can be trusted: measured anew from the bundle's own graph and
the public spectra. What the bundle and its report say of themselves is not read, its calibration tables apart.

The members of the ensemble stand side by side in the graph. What a member says of the block that it has not seen
calibrates the sets here as it did in the build, on copies of other draws, where the manifest has no quantile for the
coverage; the block that none has seen is the test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from edged.bundle.archive import Bundle, read_bundle
from edged.bundle.slots import built_ins
from export.calibrate import fitted_temperature, probabilities, scored_of
from export.compare import session
from export.conformal import Scored, units_of
from export.data.augment import as_absorbance, augment, from_absorbance
from export.data.spectra import Spectra
from export.job import Job
from export.page import Code, Heading, Page, Part, Picture, Table, Text
from export.plots import reliabilities
from export.progress import Report
from export.recipe import load_recipe
from export.train import HeldOut
from export.trial.sessions import rows_of, sessions_of
from export.trust import COVERAGES, NONE_SHIPPED, Trust, over_blocks, trust_table

BUNDLES = ("powders12", "api20")
KINDS = ("held-out block", "mild sessions", "stress sessions")
SEED = 20  # of the copies: other draws than any build's
BATCH = 256
Logits = NDArray[np.float32]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a bundle says of spectra of one kind: logits [n, classes], their classes, and the units that they are of."""

    logits: Logits
    truth: Numbers
    units: Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Of one bundle. kinds, table: of the block that no member has seen. turned: a table for each other block, of which
    the one member speaks that has not seen it, calibrated on the rest. units: behind the sets. shipped: the coverages
    of which the manifest has the quantiles."""

    bundle: Bundle
    kinds: Mapping[str, Said]
    table: Mapping[str, Trust]
    turned: Sequence[Mapping[str, Trust]]
    units: int
    shipped: Sequence[float]


class Members:
    """The graph of a bundle with what each of its members says, before the mean that is its answer."""

    def __init__(self, bundle: Bundle) -> None:
        graph = onnx.load_from_string(bundle.model)
        (mean,) = (node for node in graph.graph.node if "logits" in node.output)
        if mean.op_type != "ReduceMean":
            raise ValueError(f"{bundle.file_name}: its answer is no mean of members but of {mean.op_type}")
        self._name = mean.input[0]
        graph.graph.output.append(onnx.ValueInfoProto(name=self._name))
        self._session = session(graph)

    def say(self, rows: NDArray[np.floating]) -> Logits:
        """Return the logits of each member, [n, members, classes], of rows on the model's axis."""
        parts = [rows[at : at + BATCH].astype(np.float32) for at in range(0, len(rows), BATCH)]
        said = [self._session.run([self._name], {"spectrum": part})[0] for part in parts]
        return np.concatenate(said, axis=1).swapaxes(0, 1)


def found_of(name: str, data: Path) -> Found:
    """Measure the bundle of this name that comes with the package."""
    bundle = read_bundle(next(path for path in built_ins() if path.name.startswith(f"{name}-")))
    job = Job(recipe=load_recipe(name), data=data, work=Path(), seed=0, quick=False)
    spectra, members = job.spectra(), Members(bundle)
    split, words = job.split(spectra), job.recipe.evaluation
    rows = rows_of(spectra, bundle.manifest)
    if bundle.manifest.data_sheet["split"]["values_sha256"] != split.digests(spectra):
        raise ValueError(f"{bundle.file_name}: the recipe of today holds other spectra out")
    units = units_of(split.part, spectra.groups)
    temperature, shipped = bundle.manifest.calibration.temperature, shipped_quantiles(bundle)
    coverages = sorted({*COVERAGES, *shipped})

    def kinds_of(which: Numbers) -> dict[str, list[NDArray[np.float32]]]:
        mild, stress = (sessions_of(job, spectra, which, change) for change in (words.mild_session, words.session))
        return dict(zip(KINDS, ([rows[which]], mild, stress), strict=True))

    def said(which: Numbers, kinds: Mapping[str, list[NDArray[np.float32]]], of: int | None) -> dict[str, Said]:
        """By the mean of all members, or by one of them."""
        told = {}
        for kind, copies in kinds.items():
            logits = members.say(np.concatenate(copies))
            told[kind] = Said(
                logits=logits.mean(axis=1) if of is None else logits[:, of],
                truth=np.tile(spectra.targets[which], len(copies)),
                units=np.tile(units[which], len(copies)),
            )
        return told

    held = held_out(job, spectra, members)
    scored = scored_of(job, spectra, held, split.development, temperature=temperature)
    kinds = said(split.test, kinds_of(split.test), None)
    per_fold, turned = job.recipe.training.members_per_fold, []
    of_part = split.part[split.development]
    for number, fold in enumerate(split.folds) if per_fold == 1 else ():
        others = np.flatnonzero(of_part != fold.part)
        copied = (held.changed_logits.reshape(-1, *held.logits.shape))[:, others].reshape(-1, held.logits.shape[1])
        targets = spectra.targets[split.development[others]]
        colder = fitted_temperature(copied, np.tile(targets, len(copied) // len(targets)))
        rest = scored_of(job, spectra, held, split.development, temperature=colder).of(of_part != fold.part)
        turned.append(_table(said(fold.held, kinds_of(fold.held), number), colder, rest, coverages))
    return Found(
        bundle=bundle,
        kinds=kinds,
        table=_table(kinds, temperature, scored, coverages, shipped),
        turned=turned,
        units=scored.count,
        shipped=tuple(shipped),
    )


def shipped_quantiles(bundle: Bundle) -> dict[float, tuple[float, ...]]:
    """Return the quantile of each class that the manifest has, by the coverage that its preset asks for."""
    quantiles = bundle.manifest.calibration.quantiles
    return {float(of["coverage"]): quantiles[preset] for preset, of in bundle.manifest.data_sheet["presets"].items()}


def held_out(job: Job, spectra: Spectra, members: Members) -> HeldOut:
    """What each development spectrum, and copies of it, are said to be by the members that have not seen their block;
    no distances."""
    split, copies = job.split(spectra), job.recipe.gate.copies
    per_fold, classes = job.recipe.training.members_per_fold, len(spectra.classes)
    place = {int(row): number for number, row in enumerate(split.development)}
    plain = np.empty((1, len(place), classes), np.float32)
    usual, harder = (np.empty((copies, len(place), classes), np.float32) for _ in range(2))
    for number, fold in enumerate(split.folds):
        at = np.array([place[int(row)] for row in fold.held])
        own = slice(number * per_fold, (number + 1) * per_fold)
        rng = np.random.default_rng([SEED, fold.part])
        strengths = ((plain, 0.0), (usual, job.recipe.training.strength), (harder, job.recipe.sets.strength))
        for into, strength in strengths:
            for copy in into:
                drawn = _copy(job, spectra, fold.held, strength, rng)
                copy[at] = members.say(drawn)[:, own].mean(axis=1)
    none = np.zeros((0, 0))
    return HeldOut(
        logits=plain[0],
        distances=none,
        own=none,
        changed_logits=usual.reshape(-1, classes),
        changed_distances=none,
        changed_own=none,
        harder_logits=harder.reshape(-1, classes),
    )


def _copy(job: Job, spectra: Spectra, rows: Numbers, strength: float, rng: np.random.Generator) -> NDArray[np.floating]:
    values, words = as_absorbance(spectra.values[rows], spectra.quantity), job.recipe.training
    drawn = augment(
        values, spectra.axis, job.grid, words.augmentation, rng, strength=strength, axis_unit=spectra.axis_unit
    )
    return from_absorbance(drawn, spectra.quantity)


def _table(
    kinds: Mapping[str, Said],
    temperature: float,
    scored: Scored,
    coverages: Sequence[float],
    shipped: Mapping[float, Sequence[float]] = NONE_SHIPPED,
) -> dict[str, Trust]:
    given = {kind: (said.logits, said.truth, said.units) for kind, said in kinds.items()}
    return trust_table(given, temperature=temperature, scored=scored, coverages=coverages, shipped=shipped)


def page_of(data: Path, progress: Report) -> Page:
    """Measure all bundles."""
    parts: list[Part] = [Text(" ".join(OPENING.split())), Code("edged-export evaluate calibration")]
    for number, name in enumerate(BUNDLES):
        progress(name, number, len(BUNDLES))
        parts += _section(found_of(name, data))
    progress("bundles", len(BUNDLES), len(BUNDLES))
    return Page(title="Probabilities and sets of the shipped bundles", parts=tuple(parts))


def _section(found: Found) -> list[Part]:
    manifest = found.bundle.manifest
    classes, temperature = [one.label for one in manifest.classes], manifest.calibration.temperature
    curves = {}
    for kind in ("held-out block", "stress sessions"):
        said = found.kinds[kind]
        right = said.logits.argmax(axis=1) == said.truth
        for when, degrees in (("before", 1.0), ("after", temperature)):
            curves[f"{kind}, {when}"] = (probabilities(said.logits, degrees).max(axis=1), right)
    name = f"calibration-{manifest.name}.png"
    return [
        Heading(f"{manifest.name} {manifest.version}"),
        Text(
            f"Temperature {temperature:g}; {found.units} units that the split keeps whole calibrate the sets. "
            f"{_in_words(found, classes)}"
        ),
        _errors_table(found),
        Picture(name, f"{manifest.name}: share that is right by probability", reliabilities(curves)),
        _sets_table(found, classes),
    ]


def _errors_table(found: Found) -> Table:
    rows = []
    for kind, row in found.table.items():
        ece = [100 * row[when]["ece"] for when in ("before", "after")]
        brier = [row[when]["brier"] for when in ("before", "after")]
        rows.append([kind, str(row["spectra"]), *(f"{v:.2f}" for v in ece), *(f"{v:.4f}" for v in brier)])
    for kind in found.turned[0] if found.turned else ():
        of = [table[kind] for table in found.turned]
        ece = [100 * float(np.mean([row[when]["ece"] for row in of])) for when in ("before", "after")]
        brier = [float(np.mean([row[when]["brier"] for row in of])) for when in ("before", "after")]
        count = str(sum(row["spectra"] for row in of))
        rows.append([_turned(kind), count, *(f"{v:.2f}" for v in ece), *(f"{v:.4f}" for v in brier)])
    return Table(["spectra", "number", "ECE, %", "with temperature", "Brier", "with temperature"], rows)


def _sets_table(found: Found, classes: Sequence[str]) -> Table:
    tables = {kind: row["sets"] for kind, row in found.table.items()}
    if found.turned:
        tables |= {_turned(kind): sets for kind, sets in over_blocks(found.turned).items()}
    rows = []
    for kind, one in ((kind, one) for kind, sets in tables.items() for one in sets):
        share, column = min((share, column) for column, share in one["by_class"].items())
        rows.append(
            [
                kind,
                f"{100 * one['asked']:g}",
                "ships" if kind in found.table and one["asked"] in found.shipped else "anew",
                f"{100 * one['promised']:.1f}",
                f"{100 * one['covered']:.1f} ± {100 * one['error']:.1f}",
                "met" if one["covered"] >= one["promised"] else "**missed**",
                "met" if one["covered"] >= one["asked"] else "**missed**",
                f"{100 * share:.1f} ({classes[column]})" if share < 1 else "100.0",
                f"{one['mean_size']:.2f}",
                f"{100 * one['one']:.1f}",
            ]
        )
    asked = ["spectra", "asked, %", "quantile", "promised, %"]
    return Table([*asked, "held, %", "promise", "asked", "worst class, %", "mean size", "of one class, %"], rows)


def _turned(kind: str) -> str:
    return f"other blocks, {'as measured' if kind == KINDS[0] else kind}"


def _in_words(found: Found, classes: Sequence[str]) -> str:
    """What falls short, what says nothing, and the class that fares worst of all."""
    sets = [(kind, one) for kind, row in found.table.items() for one in row["sets"]]
    missed = [f"{kind} at {100 * one['asked']:g} %" for kind, one in sets if one["covered"] < one["promised"]]
    short = [f"{kind} at {100 * one['asked']:g} %" for kind, one in sets if one["covered"] < one["asked"]]
    empty = {f"{100 * one['asked']:g} %" for _, one in sets if one["mean_size"] > len(classes) - 0.5}
    share, column, of, asked = min(
        (share, column, kind, one["asked"]) for kind, one in sets for column, share in one["by_class"].items()
    )
    said = [f"Less than promised: {', '.join(missed) or 'nothing'}; less than asked: {', '.join(short) or 'nothing'}."]
    if share < 1.0:
        said.append(
            f"Worst: {classes[column]}, whose sets at {100 * asked:g} % hold it in {100 * share:.1f} % of its spectra "
            f"in {of}; no class has a promise of its own."
        )
    if empty:
        said.append(f"At {', '.join(sorted(empty))} the sets hold all {len(classes)} classes: they say nothing.")
    return " ".join(said)


OPENING = """
Each bundle's own graph, int8 as it ships, and the public spectra; its report is not read. *Held-out block*: spectra
that no member, gate or calibration has seen; *mild* and *stress sessions*: the same after the simulated changes of
session that the recipe states. *Other blocks*: of each development block speaks the one member of the ensemble that
has not seen it, with the temperature and the sets of the remaining blocks; means over the blocks. A single member is
not the mean that ships, and these blocks were in sight while the recipe was made. ECE: expected calibration error of
the most likely class in 15 equal bins (Guo et al. 2017). *quantile*: how far a set reaches, as the manifest has it for
the coverage that a preset asks for (*ships*); where no preset asks for that coverage, or one member speaks, the sets
are calibrated as in a build, on held-out spectra and changed copies drawn anew here, over preparations, not scans
(*anew*). Such figures differ a little from those that a build measured with its own draws, which the pages of the
models tell. The promise is what so many preparations can bear, at
most what is asked; a set that holds every class keeps any promise and says nothing. *held*: share of spectra whose
set holds the true class, ± standard error over preparations or, for the other blocks, over these. A promise is for
all classes together and changes like those of the copies; what falls short of it is called missed by the figure
itself, wherever its error ends. Bars in the plots: 95 % of a binomial share."""
