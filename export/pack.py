"""Put a bundle together: manifest, graph, golden vectors, report and licences, in one sealed file.

Nothing in it tells of the day or the machine: one seed on one machine gives equal bytes.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from edged.bundle.archive import SUFFIX, Bundle, bundle_bytes, bundle_from_bytes, write_bundle
from edged.bundle.manifest import ClassInfo, Manifest
from export.calibrate import Calibrated, load_calibration
from export.conformal import supported, units_of
from export.data.origin import DataSet
from export.data.spectra import Spectra
from export.data.split import Split
from export.job import Job
from export.quantise.stage import data_sheet as quantisation

NAMING = "naming one of the classes, or saying that a sample is none of them; not for finding additions"
TELLING = "telling an amount with its interval, or saying that the sample is no such thing; not for other products"
TOOLS = ("torch", "onnx", "onnxscript", "onnxruntime", "numpy", "scikit-learn")
MODEL_TERMS = """The model in this bundle is licensed under the Apache License, Version 2.0: https://www.apache.org/licenses/LICENSE-2.0

It was trained on spectra from

    {origin}
    {paper}

and its golden vectors are some of them. Their licence: {licence}. {copyright}
"""
KEEP = """
NOT FOR DISTRIBUTION: these spectra may be measured, not given away; neither may this bundle.
"""
MIT = """
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES
OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def pack(job: Job, out: Path) -> Bundle:
    """Stage: write the bundle into the folder `out` and return it as read back."""
    manifest = manifest_of(job, job.spectra(), load_calibration(job), metrics=job.read_json("trial.json")["summary"])
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{manifest.name}-{manifest.version}{SUFFIX}"
    return write_bundle(target, manifest, _members(job, job.need("report.html").read_bytes()))


def draft(job: Job) -> Bundle:
    """Return the bundle in memory before its report is written: what the evaluation runs is what will be shipped."""
    manifest = manifest_of(job, job.spectra(), load_calibration(job), metrics={})
    return bundle_from_bytes(bundle_bytes(manifest, _members(job, b"<!doctype html><title>not written</title>")))


def manifest_of(job: Job, spectra: Spectra, found: Calibrated, *, metrics: dict[str, Any]) -> Manifest:
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
            **_answers(spectra, found),
            "procedures": recipe.procedures,
            "default_preset": recipe.default_preset,
            "gates": found.gates,
            "residuals": found.residuals,
            "golden_tolerance": recipe.quantisation.tolerance,
            "data_sheet": data_sheet(job, spectra),
            "metrics": metrics,
            "tool_versions": {tool: version(tool) for tool in TOOLS},
            "digests": {},
        }
    )


def _answers(spectra: Spectra, found: Calibrated) -> dict[str, Any]:
    """Amounts, or classes and what calibrates them."""
    if found.calibration is None:
        return {"amounts": found.amounts}
    classes = tuple(ClassInfo(label=label, title=spectra.title(label)) for label in spectra.classes)
    return {"classes": classes, "calibration": found.calibration}


def data_sheet(job: Job, spectra: Spectra) -> dict[str, Any]:
    """Return what a careful user asks of a model: from which spectra, split how, made how."""
    recipe, split = job.recipe, job.split(spectra)
    words = recipe.model_dump(mode="json")
    return {
        "purpose": TELLING if job.tells_amounts else NAMING,
        "quick": job.quick,
        "seed": job.seed,
        "recipe_sha256": recipe.digest(),
        "sources": [whence(job.source, spectra) | {"spectra": len(spectra.labels)}],
        "instruments": list(job.source.instruments),
        "conditions": job.source.conditions,
        "split": {
            "grouping": job.source.grouping,
            "words": words["data"]["split"],
            "development_spectra": len(split.development),
            "test_spectra": len(split.test),
            "values_sha256": split.digests(spectra),
            "calibration": "each member is calibrated on the one development part that it has not seen",
            "sets": _sets(job, spectra, split),
        },
        "preprocessing": words["steps"],
        "network": words["network"],
        "training": words["training"],
        "gate": words["gate"],
        "claims": words["claims"],
        "presets": words["presets"],
        "sets": words["sets"],
        "quantisation": {**words["quantisation"], **quantisation(job)},
    }


def _sets(job: Job, spectra: Spectra, split: Split) -> dict[str, Any] | None:
    """What the coverage of conformal sets rests on."""
    if job.tells_amounts:
        return None
    units = len(np.unique(units_of(split.part, spectra.groups)[split.development]))
    return {
        "calibrated_on": "held-out spectra and changed copies of them, every preparation with the same weight",
        "preparations": units,
        "largest_coverage_promised": round(supported(units), 4),
    }


def whence(source: DataSet, spectra: Spectra) -> dict[str, Any]:
    """Return what a data sheet says of the origin of spectra."""
    return {
        "name": source.folder,
        "from": source.origin,
        "paper": source.paper,
        "licence": source.licence,
        "copyright": source.copyright,
        "files_sha256": dict(spectra.digests),
    }


def licence_text(source: DataSet) -> str:
    """Return the terms that travel in the bundle: the model's own, and those of the spectra that it holds."""
    terms = MODEL_TERMS.format(
        origin=source.origin, paper=source.paper, licence=source.licence, copyright=source.copyright
    )
    return terms + (MIT if source.licence == "MIT" else "") + ("" if source.ships else KEEP)


def _members(job: Job, report: bytes) -> dict[str, bytes]:
    return {
        "model.onnx": job.need("model.onnx").read_bytes(),
        "golden.npz": job.need("golden.npz").read_bytes(),
        "report.html": report,
        "LICENSE.txt": licence_text(job.source).encode(),
    }
