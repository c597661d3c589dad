"""The stage of a build: candidates of float.onnx are measured, the recipe's or the best becomes model.onnx."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from export.calibrate import load_calibration
from export.data.augment import resample
from export.job import Job
from export.processor import processor
from export.quantise.candidates import candidates, quantised
from export.quantise.choose import RULE, choose
from export.quantise.measure import Subject, measured
from export.quantise.schemes import Scheme

TIMES = ("latency_us", "ratio", "ratio_low", "ratio_high", "load_ms")


def quantise(job: Job) -> dict[str, Any]:
    """Stage: leave model.onnx, and in quantise.json every candidate's figures, the choice and its reasons."""
    model = onnx.load_from_string(job.need("float.onnx").read_bytes())
    subject = subject_of(job)
    built = candidates(model, subject.spectra)
    if job.recipe.quantisation.aware_epochs:
        built["aware"] = _aware(job, len(subject.manifest.classes or subject.manifest.amounts), subject.spectra)
    table = measured(built, subject, rounds=5 if job.quick else 100)
    choice = choose(table, tolerance=job.recipe.quantisation.tolerance)
    wanted = job.recipe.quantisation.scheme
    scheme: Scheme = choice.scheme if wanted == "auto" else wanted
    chosen = built[scheme] if scheme in built else quantised(model, scheme, subject.spectra)
    job.path("model.onnx").write_bytes(chosen.SerializeToString(deterministic=True))
    found = {
        "scheme": scheme,
        "wanted": wanted,
        "rule": RULE,
        "best": choice.scheme,
        "why": choice.why,
        "against": choice.against,
        "tolerance": job.recipe.quantisation.tolerance,
        "spectra": len(subject.spectra),
        "foreign": len(subject.foreign),
        "processor": processor(),
        "variants": table,
    }
    job.write_json("quantise.json", found)
    return {"scheme": scheme, "size_bytes": chosen.ByteSize(), "best": choice.scheme, "why": choice.why}


def shipped(job: Job, model: onnx.ModelProto) -> onnx.ModelProto:
    """Quantise another float graph of the same recipe as the bundle's own was. Raises StageMissing."""
    scheme: Scheme = job.read_json("quantise.json")["scheme"]
    return quantised(model, "weights" if scheme == "aware" else scheme, development_rows(job))


def data_sheet(job: Job) -> dict[str, Any]:
    """What the manifest says of the choice. Times and processor only where they decided: a bundle whose recipe names
    the scheme is the same bytes every time."""
    if not (job.work / "quantise.json").is_file():
        return {}
    found = job.read_json("quantise.json")
    if found["wanted"] != "auto":
        for name in ("processor", "best", "why", "against"):
            del found[name]
        for row in found["variants"]:
            for name in TIMES:
                del row[name]
    return {name: value for name, value in found.items() if name != "wanted"}


def subject_of(job: Job) -> Subject:
    """The development spectra with their targets, and the spectra of other things that the recipe names."""
    from export.pack import manifest_of
    from export.trial import load_outsiders

    spectra = job.spectra()
    rows = job.split(spectra).development
    targets = spectra.targets if spectra.amounts is None else spectra.amounts[:, None]
    others = [resample(other.values, other.axis, job.grid) for other in load_outsiders(job).values()]
    nothing = np.empty((0, job.recipe.axis.points))
    return Subject(
        manifest=manifest_of(job, spectra, load_calibration(job), metrics={}),
        spectra=development_rows(job),
        targets=targets[rows],
        foreign=np.concatenate([nothing, *others]).astype(np.float32),
    )


def _aware(job: Job, outputs: int, rows: NDArray[np.float32]) -> onnx.ModelProto:
    """Teach a rounded copy of each network to follow it on the development spectra, and return their graph."""
    import torch

    from export.models.network import Network
    from export.quantise.aware import folded, follow
    from export.to_onnx import float_graph
    from export.train import load_identifier

    torch.set_num_threads(1)
    identifier = load_identifier(job)
    generator = torch.Generator().manual_seed(job.seed)
    with torch.no_grad():
        common = identifier.common(torch.from_numpy(rows))
        prepared = [own(common) for own in identifier.own]
    for number, member in enumerate(identifier.members):
        if isinstance(member, Network):
            identifier.members[number] = follow(
                member,
                partial(prepared.__getitem__, number),
                epochs=job.recipe.quantisation.aware_epochs,
                generator=generator,
            )
    return folded(float_graph(identifier, job.recipe.axis.points))


def development_rows(job: Job) -> NDArray[np.float32]:
    """The development spectra on the model's axis."""
    spectra = job.spectra()
    values = spectra.values[job.split(spectra).development]
    return resample(values, spectra.axis, job.grid).astype(np.float32)
