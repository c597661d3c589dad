"""From a bank and its kit to the bundle that `edged` runs: one graph, manifest, golden vectors, report, licence.

Nothing in it tells of the day or the machine: equal banks and kits give equal bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edged.bundle.archive import SUFFIX, Bundle, pack_golden, write_bundle
from edged.bundle.components import OperatingPoint
from edged.bundle.manifest import Manifest
from edged.bundle.members import pack_arrays
from edged.infer.verdict import Preset
from export.bank.bank import Bank
from export.bank.evidence import Learned, Tried
from export.bank.kit import Kit
from export.compare import run_all, session
from export.components.graph import beside_bank, gate_in_manifest, with_bank
from export.errors import VerificationFailed
from export.evidence.parts import indented
from export.manifest import from_recipe
from export.page import Code, Heading, Page, Part, Table, Text

LEARNED_TERMS = """
It also holds the mean of spectra of {names}, which whoever taught these compounds has measured. Their terms are
those of that person.
"""
BUILT_FIRST = (
    "Version {built} was built whole, and tried then; its figures are in the data sheet under `built`. Numbers, logits "
    "and limits are still the same to the bit of {unchanged}. What has changed since was tried on made mixtures only, "
    "compound by compound; this bundle as a whole was not tried on real ones."
)
OTHERS_FALSE = (
    "Found: of mixtures that hold it, behind the gate. Others, false: false names of other compounds in such a "
    "mixture, without it in the bank and with it, the gate aside."
)
NOT_COVERED = (
    "What was proven of a compound was proven with the library of that day. It does not cover samples that hold one "
    "that was learned later: {names}."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A promise that was measured not to hold: a preset names `other` in the share `named` of made mixtures that hold
    `compound` and not it; it may do so in the share `allowed`."""

    preset: Preset
    compound: str
    other: str
    named: float
    allowed: float

    def __str__(self) -> str:
        return (
            f"{self.preset}: {self.other} is named in {100 * self.named:.3g} % of made mixtures with {self.compound} "
            f"and no {self.other}; allowed are {100 * self.allowed:.3g} %"
        )


def broken_promises(kit: Kit) -> list[Broken]:
    """Return which promises of the kit were measured not to hold, the worst first."""
    found = [
        Broken(preset=preset, compound=compound, other=other, named=share, allowed=kit.words.rates[preset])
        for compound, presets in kit.tried().items()
        for preset, tried in presets.items()
        for other, share in tried.false_names_of_others.often.items()
        if other in kit.compounds
    ]
    return sorted(found, key=lambda broken: -broken.named)


def write_bank_bundle(bank: Bank, kit: Kit, out: Path, *, anyway: bool = False) -> Bundle:
    """Write the bundle of a bank into the folder `out` and return it as read back.

    Raises VerificationFailed where a promise was measured not to hold, unless it is to be written anyway; then its
    report says so.
    """
    if not anyway and (broken := broken_promises(kit)):
        raise VerificationFailed(
            "\n".join(["no bundle, since its manifest would promise what does not hold:", *map(str, broken)]),
            hint="learn again, worst first, those that are named; or --anyway",
        )
    model = with_bank(kit.preparation(), bank, kit.recipe.axis.points)
    raw = model.SerializeToString(deterministic=True)
    spectra = kit.arrays["golden"]
    found = run_all(session(raw), spectra)
    prepared = None if kit.words.table.confirmation is None else found.prepared
    members = {
        "model.onnx": raw,
        "golden.npz": pack_golden(spectra, found.logits, found.features, prepared=prepared),
        "report.html": _report(bank, kit).encode(),
        "LICENSE.txt": _licence(kit).encode(),
        **beside_bank(raw, bank),
    }
    if kit.words.table.confirmation is not None:
        members["library.npz"] = pack_arrays(kit.library_arrays())
    manifest = _manifest(kit)
    out.mkdir(parents=True, exist_ok=True)
    return write_bundle(out / f"{manifest.name}-{manifest.version}{SUFFIX}", manifest, members)


def _manifest(kit: Kit) -> Manifest:
    recipe, words = kit.recipe, kit.words
    return Manifest.model_validate(
        {
            **from_recipe(recipe),
            "version": words.version,
            "components": words.table,
            "gates": (gate_in_manifest(recipe.gate, words.gate_limit, words.table.presets),),
            "data_sheet": _sheet(kit),
            "metrics": _metrics(kit),
        }
    )


def _sheet(kit: Kit) -> dict[str, Any]:
    words = kit.words
    built = {"version": words.built, "metrics": words.metrics}
    learned = {name: told.model_dump(mode="json") for name, told in words.learned.items()}
    return {**words.sheet, "compounds": list(kit.compounds), "built": built, "learned": learned}


def _metrics(kit: Kit) -> dict[str, Any]:
    """Those of the build where nothing has changed since; else what compounds that were tried since are found with."""
    words = kit.words
    if words.version == words.built:
        return words.metrics
    preset = kit.recipe.default_preset
    return {
        f"recall_in_made_mixtures {name}": presets[preset].recall
        for name, presets in kit.tried().items()
        if preset in presets
    }


def _licence(kit: Kit) -> str:
    learned = ", ".join(name for name, told in kit.words.learned.items() if told.files_sha256)
    return kit.words.licence + (LEARNED_TERMS.format(names=learned) if learned else "")


def _report(bank: Bank, kit: Kit) -> str:
    recipe, words = kit.recipe, kit.words
    parts: list[Part] = [
        *([Text("**Quick build for tests: small network, few epochs, not for use.**")] if words.quick else []),
        Text(f"For {recipe.purpose}. It knows {len(kit.compounds)} compounds: {', '.join(kit.compounds)}."),
        Text(BUILT_FIRST.format(built=words.built, unchanged=_unchanged(bank, kit))),
        *([Text(NOT_COVERED.format(names=", ".join(words.learned)))] if words.learned else []),
    ]
    if broken := broken_promises(kit):
        parts += [Heading("Promises that do not hold"), *(Text(f"**{one}**") for one in broken)]
    for name, told in words.learned.items():
        parts += [Heading(f"Learned: {name}"), *_learned(told)]
    for name, presets in words.by_hand.items():
        parts += [Heading(f"Threshold by hand: {name}"), _tried(presets), Text(OTHERS_FALSE)]
    parts.append(Heading("What is promised of each compound, on made mixtures"))
    parts += [_limits(kit, preset, point) for preset, point in words.table.presets.items()]
    parts += [Heading("Data sheet"), Code(indented(_sheet(kit)))]
    return Page(title=f"{recipe.name} {words.version}", parts=tuple(parts)).html()


def _unchanged(bank: Bank, kit: Kit) -> str:
    same = kit.unchanged(bank)
    if len(same) == len(kit.compounds):
        return "all compounds"
    return ", ".join(same) or "none of its compounds"


def _learned(told: Learned) -> list[Part]:
    gate = told.gate
    return [
        Text(f"It rests on {told.spectra} spectra, of which {told.taught_by} taught. {told.limit}"),
        _tried(told.presets),
        Text(
            f"{OTHERS_FALSE} The gate's plane has {gate.dimensions_added} dimensions more, laid through mixtures of "
            f"the spectra that taught; of mixtures of the others {100 * gate.wrongly_refused:.1f} % are farther than "
            "its limit, before the slack of a preset."
        ),
        *(Text(f"Remark: {remark}") for remark in told.remarks),
    ]


def _tried(presets: dict[Preset, Tried]) -> Table:
    rows = [
        (
            preset,
            f"{100 * found.recall:.1f} of {found.mixtures_with_it}",
            f"{100 * found.not_in_scope:.1f}",
            "–" if found.detection_limit is None else f"{100 * found.detection_limit:.1f}",
            f"{found.named_in_them} of {found.mixtures_without_it}",
            f"{found.named_in_look_alikes} of {found.look_alikes}",
            f"{found.false_names_of_others.before:.3f}, {found.false_names_of_others.now:.3f}",
        )
        for preset, found in presets.items()
    ]
    found = ["found, %", "not in scope, %", "from a share of, %"]
    return Table(["preset", *found, "named where absent", "beside look-alikes", "others, false"], rows)


def _limits(kit: Kit, preset: str, point: OperatingPoint) -> Table:
    rows = []
    for column, compound in enumerate(kit.compounds):
        threshold = point.thresholds[column]
        rows.append(
            (
                compound,
                "all are fitted" if threshold is None else f"{threshold:.2f}",
                f"{point.min_support[column]:.1f}" if point.min_support else "–",
                f"{point.named[column]} of {point.negatives[column]}",
            )
        )
    return Table([f"{preset}: {point.false_names:.3g} false names a sample", "logit", "support", "named"], rows)
