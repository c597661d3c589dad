"""Put a bundle of components together: manifest, graph, library, golden vectors, report, licences, in one sealed file.

Nothing in it tells of the day or the machine: one seed on one machine gives equal bytes.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from edged.bundle.archive import SUFFIX, Bundle, bundle_bytes, bundle_from_bytes, write_bundle
from edged.bundle.manifest import Manifest
from export.components.graph import DISTANCE, FEATURES
from export.components.job import ComponentsJob
from export.components.stages import load_table
from export.data.catalogue import known_set
from export.data.split import values_digest
from export.manifest import TOOLS, whence
from export.pack import licence_text

NEVER_SEEN = "mixtures made of scans that neither the member nor the library has seen"
SAME_SCANS = "mixtures made of the very scans that were learnt from: real samples differ more, and limits flatter"


def pack(job: ComponentsJob, out: Path) -> Bundle:
    """Stage: write the bundle into the folder `out` and return it as read back."""
    manifest = manifest_of(job, metrics=job.read_json("trial.json")["summary"])
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{manifest.name}-{manifest.version}{SUFFIX}"
    return write_bundle(target, manifest, _members(job, job.need("report.html").read_bytes()))


def draft(job: ComponentsJob) -> Bundle:
    """Return the bundle in memory before its report is written: what the trial runs is what will be shipped."""
    manifest = manifest_of(job, metrics={})
    return bundle_from_bytes(bundle_bytes(manifest, _members(job, b"<!doctype html><title>not written</title>")))


def manifest_of(job: ComponentsJob, *, metrics: dict[str, Any]) -> Manifest:
    """Return the manifest of a job's bundle; the digests are filled in when it is written."""
    recipe = job.recipe
    return Manifest.model_validate(
        {
            "schema": "edged.bundle/1",
            "name": recipe.name,
            "version": recipe.version,
            "technique": recipe.technique,
            "quantity": recipe.quantity,
            "axis": recipe.axis,
            "components": load_table(job),
            "procedures": recipe.procedures,
            "default_preset": recipe.default_preset,
            "gates": (_gate(job),),
            "golden_tolerance": recipe.quantisation.tolerance,
            "data_sheet": data_sheet(job),
            "metrics": metrics,
            "tool_versions": {tool: version(tool) for tool in TOOLS if tool != "scikit-learn"},
            "digests": {},
        }
    )


def _gate(job: ComponentsJob) -> dict[str, Any]:
    limit = job.read_json("calibration.json")["gate"]["limit"]
    limits = {preset: limit * job.recipe.gate.slack[preset] for preset in job.recipe.presets}
    return {"name": "mixtures", "metric": "norm", "columns": DISTANCE, "limits": limits}


def data_sheet(job: ComponentsJob) -> dict[str, Any]:
    """Return what a careful user asks of a model: from which spectra, split how, made how."""
    recipe, spectra, library = job.recipe, job.spectra, job.library
    words = recipe.model_dump(mode="json")
    return {
        "purpose": recipe.purpose,
        "quick": job.quick,
        "seed": job.seed,
        "recipe_sha256": recipe.digest(),
        "sources": [whence(job.source, spectra)],
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
        },
        "trials": {name: known_set(name).title for name in recipe.data.trials},
        "outsiders": {name: known_set(name).title for name in recipe.data.outsiders},
        "features": list(FEATURES),
        "preprocessing": words["steps"],
        "network": words["network"],
        "schooling": words["schooling"],
        "synthesis": words["synthesis"],
        "unmixing": words["unmixing"],
        "gate": words["gate"],
        "presets": words["presets"],
        "fractions": words["fractions"],
        "quantisation": {**words["quantisation"], **job.read_json("quantise.json")},
    }


def _members(job: ComponentsJob, report: bytes) -> dict[str, bytes]:
    confirms = any(words.confirm for words in job.recipe.presets.values())
    return {
        "model.onnx": job.need("model.onnx").read_bytes(),
        "golden.npz": job.need("golden.npz").read_bytes(),
        "report.html": report,
        "LICENSE.txt": licence_text(job.source).encode(),
    } | ({"library.npz": job.need("library.npz").read_bytes()} if confirms else {})
