"""Put a bundle of components together: manifest, graph, library, golden vectors, report, licences, in one sealed file.

Nothing in it tells of the day or the machine: one seed on one machine gives equal bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edged.bundle.archive import SUFFIX, Bundle, bundle_bytes, bundle_from_bytes, write_bundle
from edged.bundle.manifest import Manifest
from export.bank.bank import Bank
from export.bank.folder import INDEX, held, load_bank, load_kit, save_bank
from export.bank.kit import Kit, KitWords, pure_words
from export.components.fused import kept_bank
from export.components.graph import FEATURES, beside_bank, gate_in_manifest
from export.components.job import TEACHING, ComponentsJob
from export.components.stages import gate_of, golden_spectra, height_of, load_table
from export.components.trials import Trial, foreign
from export.data.catalogue import known_set
from export.data.origin import DataSet
from export.data.spectra import Spectra
from export.data.split import values_digest
from export.errors import BankUnfit
from export.manifest import from_recipe, whence
from export.pack import licence_text

NEVER_SEEN = "mixtures made of scans that neither the member nor the library has seen"
AND_OF_STRANGERS = "\n\nAnd of spectra that taught it what is none of its compounds:\n\n"
TAUGHT_ONLY = "the networks, while they learn; limits and gate stand on mixtures of the library alone"
NEVER_MEASURED = (
    "made-up compounds, drawn from a seed: overtones and combinations of X-H bonds where such lie (Workman and Weyer, "
    "Practical Guide to Interpretive Near-Infrared Spectroscopy), on a level and a slope of scattering; no instrument "
    "has seen one"
)
SAME_SCANS = "mixtures made of the very scans that were learnt from: real samples differ more, and limits flatter"


def pack(job: ComponentsJob, out: Path) -> Bundle:
    """Stage: write the bundle into the folder `out`, a bank beside it, and return the bundle as read back."""
    manifest = manifest_of(job, metrics=job.read_json("trial.json")["summary"])
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{manifest.name}-{manifest.version}{SUFFIX}"
    members = _members(job, job.need("report.html").read_bytes())
    if not job.recipe.is_bank:
        return write_bundle(target, manifest, members)
    beside = _beside(job, out)
    beside.mkdir(exist_ok=True)
    with held(beside):
        refuse_to_lose(job, out)
        bundle = write_bundle(target, manifest, members)
        bank = _with_thresholds(kept_bank(job), manifest)
        save_bank(bank, beside, kit_of(job, bundle.manifest, bundle.license_text).built_of(bank))
    return bundle


def refuse_to_lose(job: ComponentsJob, out: Path) -> None:
    """Raise BankUnfit where a bank lies that has changed since it was built: what was learned would be lost."""
    folder = _beside(job, out)
    if not job.recipe.is_bank or not (folder / INDEX).exists():
        return
    kit = load_kit(folder)
    if kit is None or kit.words.version != kit.words.built or load_bank(folder).compounds != job.library.names:
        raise BankUnfit(
            f"{folder}: a bank that is not as a build left it: it would be lost", hint="move it away, or another --out"
        )


def draft(job: ComponentsJob) -> Bundle:
    """Return the bundle in memory before its report is written: what the trial runs is what will be shipped."""
    manifest = manifest_of(job, metrics={})
    return bundle_from_bytes(bundle_bytes(manifest, _members(job, b"<!doctype html><title>not written</title>")))


def manifest_of(job: ComponentsJob, *, metrics: dict[str, Any]) -> Manifest:
    """Return the manifest of a job's bundle."""
    limit = job.read_json("calibration.json")["gate"]["limit"]
    return Manifest.model_validate(
        {
            **from_recipe(job.recipe),
            "components": load_table(job),
            "gates": (gate_in_manifest(job.recipe.gate, limit, job.recipe.presets),),
            "data_sheet": data_sheet(job),
            "metrics": metrics,
        }
    )


def kit_of(job: ComponentsJob, manifest: Manifest, licence: str) -> Kit:
    """Return what the bank beside a bundle needs, so that compounds may enter it later; of no bank yet.

    Those of a public set that may not be given away stay out: whoever trains a compound has the set at hand.
    """
    recipe, table = job.recipe, manifest.components
    ships = job.source.ships or recipe.data.folder is not None
    assert table is not None
    laid = gate_of(job, job.library, 0).laid
    arrays = {"mean": laid.mean[None], "plane": laid.rows, "golden": golden_spectra(job)}
    arrays["golden"] = arrays["golden"][: recipe.quantisation.golden_vectors]
    if ships:
        arrays["spectra"] = job.library.values.astype(np.float32)
    if table.confirmation is not None:
        arrays |= job.unmixer.arrays()
    words = KitWords(
        schema=1,
        recipe=recipe,
        version=recipe.version,
        built=recipe.version,
        seed=job.seed,
        quick=job.quick,
        rates={preset: point.false_names / len(table.compounds) for preset, point in table.presets.items()},
        table=table,
        gate_limit=job.read_json("calibration.json")["gate"]["limit"],
        height=height_of(job.unmixer),
        pure=pure_words(job.library if ships else None, like=job.library, complete=ships),
        values_sha256=manifest.data_sheet["library"]["values_sha256"],
        sheet=manifest.data_sheet,
        licence=licence,
        metrics=manifest.metrics,
        as_built={},
    )
    return Kit(words=words, arrays={name: rows.copy() for name, rows in arrays.items()})


def _with_thresholds(bank: Bank, manifest: Manifest) -> Bank:
    """The bank, each compound with the least logit of each preset that has one."""
    table = manifest.components
    assert table is not None
    members = []
    for column, member in enumerate(bank.members):
        limits = {preset: point.thresholds[column] for preset, point in table.presets.items()}
        told = {preset: limit for preset, limit in limits.items() if limit is not None}
        members.append(replace(member, thresholds=told))
    return bank.with_replaced(members)


def _beside(job: ComponentsJob, out: Path) -> Path:
    """Where the bank lies."""
    return out / f"{job.recipe.name}-bank"


def data_sheet(job: ComponentsJob) -> dict[str, Any]:
    """Return what a careful user asks of a model: from which spectra, split how, made how."""
    recipe, spectra, library = job.recipe, job.spectra, job.library
    words, by_use = recipe.model_dump(mode="json"), job.rows_by_use()
    return {
        "purpose": recipe.purpose,
        "limits": list(recipe.limits),
        "acceptance": recipe.acceptance.stated(),
        "quick": job.quick,
        "seed": job.seed,
        "recipe_sha256": recipe.digest(),
        "sources": [whence(source, of) for source, of in _sources(job)],
        "instruments": list(job.source.instruments),
        "conditions": job.source.conditions,
        "library": {
            "scans": dict(zip(library.names, np.bincount(library.compound).tolist(), strict=True)),
            "values_sha256": values_digest(spectra, np.flatnonzero(~job.tested)),
            "scatter": len(job.unmixer.scatter_of),
        },
        "split": {
            "grouping": job.source.grouping,
            "words": words["data"]["split"],
            "folds": recipe.folds,
            "limits": SAME_SCANS if recipe.folds == 1 else NEVER_SEEN,
            "real_mixtures": "test, and teach fractions" if recipe.fractions is not None else "test",
            "in_sight": recipe.data.in_sight,
            "spectra": {use: len(rows) for use, rows in by_use.items()},
            "values_sha256": {use: values_digest(spectra, rows) for use, rows in by_use.items()},
        },
        "trials": {one.name: _tried(one) for one in job.trials()},
        "outsiders": {one.name: _tried(one) for one in job.outsiders()},
        "features": list(FEATURES),
        "preprocessing": words["steps"],
        "network": words["network"],
        "schooling": words["schooling"],
        "synthesis": words["synthesis"],
        **_strangers(job),
        "unmixing": words["unmixing"],
        "gate": words["gate"],
        "presets": words["presets"],
        "fractions": words["fractions"],
        "quantisation": {**words["quantisation"], **job.read_json("quantise.json")},
    }


def _tried(one: Trial) -> dict[str, Any]:
    """Which spectra of a set test the model."""
    return {
        "title": known_set(one.name).title,
        "spectra": len(one),
        "values_sha256": values_digest(one.spectra, one.rows),
        "files_sha256": dict(one.spectra.digests),
    }


def _sources(job: ComponentsJob) -> list[tuple[DataSet, Spectra]]:
    """What the model was made of: the library's set, and the public ones of its strangers."""
    return [(job.source, job.spectra), *((known_set(name), job.strangers[name]) for name in job.recipe.data.strangers)]


def _strangers(job: ComponentsJob) -> dict[str, Any]:
    """What stood in mixtures for what the library does not hold. Nothing where nobody asked for any."""
    share = job.recipe.synthesis.composition.outsiders
    if not share:
        return {}
    if not job.recipe.data.has_strangers:
        return {"strangers": f"none were at hand: no mixture held one, whatever its composition says ({share:g})"}
    told = {}
    for name, spectra in job.strangers.items():
        rows = foreign(name, spectra, job.library.names)
        labels = sorted({spectra.labels[row] for row in rows})
        told[name] = {"labels": labels, "spectra": len(rows), "values_sha256": values_digest(spectra, rows)}
    return {"strangers": {"share": share, "seen_by": TAUGHT_ONLY, "sets": told, **_synthetic(job)}}


def _synthetic(job: ComponentsJob) -> dict[str, Any]:
    """What the strangers were that no instrument has seen. Nothing where there were none."""
    if not job.recipe.data.synthetic_strangers:
        return {}
    made = job.synthetic(TEACHING)
    digest = hashlib.sha256(np.ascontiguousarray(made.values, dtype="<f8").tobytes()).hexdigest()
    return {"synthetic": {"compounds": len(made.names), "what": NEVER_MEASURED, "values_sha256": digest}}


def _licence(job: ComponentsJob) -> str:
    """The terms of the model and its library, and of strangers that taught it."""
    return AND_OF_STRANGERS.join(licence_text(source) for source, _ in _sources(job))


def _members(job: ComponentsJob, report: bytes) -> dict[str, bytes]:
    confirms = any(words.confirm for words in job.recipe.presets.values())
    model = job.need("model.onnx").read_bytes()
    return {
        "model.onnx": model,
        **(beside_bank(model, kept_bank(job)) if job.recipe.is_bank else {}),
        "golden.npz": job.need("golden.npz").read_bytes(),
        "report.html": report,
        "LICENSE.txt": _licence(job).encode(),
    } | ({"library.npz": job.need("library.npz").read_bytes()} if confirms else {})
