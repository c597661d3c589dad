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
from export.manifest import manifest_of
from export.models.network import NetworkKind
from export.processor import processor
from export.quantise.candidates import candidates, quantised
from export.quantise.choose import RULE, choose, falling_short
from export.quantise.measure import Subject, measured
from export.quantise.schemes import Scheme

AWARE_EPOCHS = 40
"""Of learning with the rounding in the loop, where `auto` finds fixed scales to fall short and a recipe names none."""


def quantise(job: Job) -> dict[str, Any]:
    """Stage: leave model.onnx, and in quantise.json every candidate's figures, the choice and its reasons."""
    model = onnx.load_from_string(job.need("float.onnx").read_bytes())
    subject = subject_of(job)
    built = candidates(model, subject.spectra)
    wanted, epochs = job.recipe.quantisation.scheme, job.recipe.quantisation.aware_epochs
    rounds = 5 if job.quick else 100
    taught = f"for {epochs} epochs, as the recipe says"
    if not epochs:
        table = measured(built, subject, rounds=rounds)
        short = falling_short(table)
        taught = f"no: {short or 'fixed scales agree with float, or there is nothing that they fit'}"
        if short and wanted == "auto" and isinstance(job.recipe.network, NetworkKind):
            epochs, taught = AWARE_EPOCHS, f"for {AWARE_EPOCHS} epochs: {short}"
    if epochs:
        built["aware"] = _aware(job, subject.spectra, epochs=epochs)
        table = measured(built, subject, rounds=rounds)
    choice = choose(table, tolerance=job.recipe.quantisation.tolerance)
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
        "rounding_in_the_loop": taught,
        "tolerance": job.recipe.quantisation.tolerance,
        "spectra": len(subject.spectra),
        "foreign": len(subject.foreign),
        "processor": processor(),
        "variants": table,
    }
    job.write_json("quantise.json", found)
    return {"scheme": scheme, "size_bytes": chosen.ByteSize(), "best": choice.scheme, "why": choice.why}


def subject_of(job: Job) -> Subject:
    """The development spectra with their targets, and the spectra of other things that the recipe names."""
    spectra = job.spectra()
    rows = job.split(spectra).development
    targets: NDArray[np.int64] | NDArray[np.float64] = spectra.targets
    if job.tells_amounts and spectra.amounts is not None:
        targets = spectra.amounts[:, None]
    others = [resample(other.values, other.axis, job.grid) for other in job.load_outsiders().values()]
    nothing = np.empty((0, job.recipe.axis.points))
    return Subject(
        manifest=manifest_of(job, spectra, load_calibration(job), metrics={}),
        spectra=job.development_rows(),
        targets=targets[rows],
        foreign=np.concatenate([nothing, *others]).astype(np.float32),
    )


def _aware(job: Job, rows: NDArray[np.float32], *, epochs: int) -> onnx.ModelProto:
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
                epochs=epochs,
                generator=generator,
            )
    return folded(float_graph(identifier, job.recipe.axis.points))
