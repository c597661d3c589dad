"""Put a bundle together: manifest, graph, golden vectors, report and licences, in one sealed file.

Nothing in it tells of the day or the machine: one seed on one machine gives equal bytes.
"""

from __future__ import annotations

from pathlib import Path

from edged.bundle.archive import SUFFIX, Bundle, bundle_bytes, bundle_from_bytes, write_bundle
from export.calibrate import load_calibration
from export.data.origin import DataSet
from export.job import Job
from export.manifest import manifest_of

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
