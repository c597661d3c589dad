"""Put a bundle together: manifest, graph, golden vectors, report and licences, in one sealed file.

Nothing in it tells of the day or the machine: one seed on one machine gives equal bytes.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

from edged.bundle.archive import SUFFIX, Bundle, bundle_bytes, bundle_from_bytes, write_bundle
from edged.bundle.manifest import ClassInfo, Manifest
from export.calibrate import Calibrated, load_calibration
from export.data import powders
from export.data.powders import Spectra
from export.job import Job

TOOLS = ("torch", "onnx", "onnxscript", "onnxruntime", "numpy", "scikit-learn")
LICENCE_TEXT = """The model in this bundle is licensed under the Apache License, Version 2.0: https://www.apache.org/licenses/LICENSE-2.0

It was trained on public spectra, and its golden vectors are some of them:

    {source}
    {paper}

MIT License

{copyright}

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
    manifest = manifest_of(job, job.spectra(), load_calibration(job), metrics=job.read_json("evaluate.json")["summary"])
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
            "classes": tuple(ClassInfo(label=label, title=powders.title(label)) for label in spectra.classes),
            "procedures": recipe.procedures,
            "default_preset": recipe.default_preset,
            "calibration": found.calibration,
            "gates": (found.gate,),
            "golden_tolerance": recipe.quantisation.tolerance,
            "data_sheet": data_sheet(job, spectra),
            "metrics": metrics,
            "tool_versions": {tool: version(tool) for tool in TOOLS},
            "digests": {},
        }
    )


def data_sheet(job: Job, spectra: Spectra) -> dict[str, Any]:
    """Return what a careful user asks of a model: from which spectra, split how, made how."""
    recipe, split = job.recipe, job.split(spectra)
    words = recipe.model_dump(mode="json")
    return {
        "purpose": "naming one of the classes, or saying that a powder is none of them; not for finding additions",
        "quick": job.quick,
        "seed": job.seed,
        "recipe_sha256": recipe.digest(),
        "sources": [
            {
                "name": powders.POWDERS,
                "from": powders.SOURCE,
                "paper": powders.PAPER,
                "licence": powders.LICENCE,
                "copyright": powders.COPYRIGHT,
                "files_sha256": spectra.digests,
                "spectra": len(spectra.labels),
            }
        ],
        "instruments": [powders.INSTRUMENT],
        "conditions": "one instrument and one preparation a class; other sessions and units are only simulated",
        "split": {
            "grouping_key": f"block of {recipe.data.block_scans} contiguous scans within a class",
            "test_block": recipe.data.test_block,
            "development_spectra": len(split.development),
            "test_spectra": len(split.test),
            "values_sha256": split.digests(spectra),
            "calibration": "each member is calibrated on the one development block that it has not seen",
        },
        "preprocessing": words["steps"],
        "network": words["network"],
        "training": words["training"],
        "gate": words["gate"],
        "presets": words["presets"],
        "quantisation": words["quantisation"],
    }


def _members(job: Job, report: bytes) -> dict[str, bytes]:
    licences = LICENCE_TEXT.format(source=powders.SOURCE, paper=powders.PAPER, copyright=powders.COPYRIGHT)
    return {
        "model.onnx": job.need("model.onnx").read_bytes(),
        "golden.npz": job.need("golden.npz").read_bytes(),
        "report.html": report,
        "LICENSE.txt": licences.encode(),
    }
