"""From a bank and its kit to the bundle that `edged` runs: one graph, manifest, golden vectors, report, licence.

Nothing in it tells of the day or the machine: equal banks and kits give equal bytes.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from edged.bundle.archive import SUFFIX, Bundle, pack_golden, write_bundle
from edged.bundle.components import OperatingPoint
from edged.bundle.manifest import Manifest
from edged.bundle.members import pack_arrays
from export.bank.bank import Bank
from export.bank.evidence import Learned
from export.bank.kit import Kit
from export.compare import run_all, session
from export.components.graph import DISTANCE, beside_bank, with_bank
from export.manifest import TOOLS
from export.page import Code, Heading, Page, Part, Table, Text
from export.report import indented

LEARNED_TERMS = """
It also holds the mean of spectra of {names}, which whoever taught these compounds has measured. Their terms are
those of that person.
"""
BUILT_FIRST = (
    "Version {built} was built whole, and tried then; its figures are in the data sheet under `built`. The numbers, "
    "logits and limits of those of its compounds that are still here are the same to the bit. What has entered since "
    "was tried on made mixtures only, compound by compound; this bundle as a whole was not tried on real ones."
)


def write_bank_bundle(bank: Bank, kit: Kit, out: Path) -> Bundle:
    """Write the bundle of a bank into the folder `out` and return it as read back."""
    model = with_bank(kit.preparation(), bank, kit.recipe.axis.points)
    raw = model.SerializeToString(deterministic=True)
    spectra = kit.arrays["golden"]
    found = run_all(session(raw), spectra)
    prepared = None if kit.words.table.confirmation is None else found.prepared
    members = {
        "model.onnx": raw,
        "golden.npz": pack_golden(spectra, found.logits, found.features, prepared=prepared),
        "report.html": _report(kit).encode(),
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
    limits = {preset: words.gate_limit * recipe.gate.slack[preset] for preset in words.table.presets}
    return Manifest.model_validate(
        {
            "schema": "edged.bundle/1",
            "name": recipe.name,
            "version": words.version,
            "technique": recipe.technique,
            "quantity": recipe.quantity,
            "axis": recipe.axis,
            "components": words.table,
            "procedures": recipe.procedures,
            "default_preset": recipe.default_preset,
            "gates": ({"name": "mixtures", "metric": "norm", "columns": DISTANCE, "limits": limits},),
            "golden_tolerance": recipe.quantisation.tolerance,
            "data_sheet": _sheet(kit),
            "metrics": _metrics(kit),
            "tool_versions": {tool: version(tool) for tool in TOOLS if tool != "scikit-learn"},
            "digests": {},
        }
    )


def _sheet(kit: Kit) -> dict[str, Any]:
    words = kit.words
    built = {"version": words.built, "metrics": words.metrics}
    learned = {name: told.model_dump(mode="json") for name, told in words.learned.items()}
    return {**words.sheet, "compounds": list(kit.compounds), "built": built, "learned": learned}


def _metrics(kit: Kit) -> dict[str, Any]:
    """Those of the build where nothing has changed since; else what compounds that were learned are found with."""
    words = kit.words
    if words.version == words.built:
        return words.metrics
    preset, learned = kit.recipe.default_preset, words.learned
    return {f"recall_in_made_mixtures {name}": told.presets[preset].recall for name, told in learned.items()}


def _licence(kit: Kit) -> str:
    learned = ", ".join(name for name, told in kit.words.learned.items() if told.files_sha256)
    return kit.words.licence + (LEARNED_TERMS.format(names=learned) if learned else "")


def _report(kit: Kit) -> str:
    recipe, words = kit.recipe, kit.words
    parts: list[Part] = [
        *([Text("**Quick build for tests: small network, few epochs, not for use.**")] if words.quick else []),
        Text(f"For {recipe.purpose}. It knows {len(kit.compounds)} compounds: {', '.join(kit.compounds)}."),
        Text(BUILT_FIRST.format(built=words.built)),
    ]
    for name, told in words.learned.items():
        parts += [Heading(f"Learned: {name}"), *_learned(told)]
    parts.append(Heading("What is promised of each compound, on made mixtures"))
    parts += [_limits(kit, preset, point) for preset, point in words.table.presets.items()]
    parts += [Heading("Data sheet"), Code(indented(_sheet(kit)))]
    return Page(title=f"{recipe.name} {words.version}", parts=tuple(parts)).html()


def _learned(told: Learned) -> list[Part]:
    rows = [
        (
            preset,
            f"{100 * found.recall:.1f} of {found.mixtures_with_it}",
            "–" if found.detection_limit is None else f"{100 * found.detection_limit:.1f}",
            f"{found.named_in_them} of {found.mixtures_without_it}",
            f"{found.named_in_look_alikes} of {found.look_alikes}",
            f"{found.false_names_of_others.before:.3f}, {found.false_names_of_others.now:.3f}",
        )
        for preset, found in told.presets.items()
    ]
    header = ["preset", "found, %", "from a share of, %", "named where absent", "beside look-alikes", "others, false"]
    gate = told.gate
    return [
        Text(f"It rests on {told.spectra} spectra, of which {told.taught_by} taught. {told.limit}"),
        Table(header, rows),
        Text(
            "Others, false: false names of other compounds in a mixture that holds this one, before it was learned and "
            f"now. The gate's plane has {gate.dimensions_added} dimensions more; it refuses "
            f"{100 * gate.wrongly_refused:.1f} % of mixtures that hold the compound."
        ),
        *(Text(f"Remark: {remark}") for remark in told.remarks),
    ]


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
