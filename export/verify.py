"""Prove that the graphs compute what torch computes, and leave the golden vectors that prove it again on every
device."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edged.bundle.archive import pack_golden
from export.compare import run_rows, session
from export.data.augment import resample
from export.errors import VerificationFailed
from export.job import Job
from export.models.identifier import Identifier
from export.train import load_identifier

FLOAT_TOLERANCE = 1e-3
"""Largest difference between torch and the float graph, of a logit, of an amount relative to the range of amounts, or
of a feature relative to the largest feature: two libraries sum some hundred float32 products in different orders."""
LARGE_LOGIT = 100.0
"""Discriminants of classes far apart run to thousands, in which float32 has no thousandths left: from here on the
difference that is allowed of a logit grows with the largest."""


def verify(job: Job) -> dict[str, Any]:
    """Stage: compare torch, float graph and final graph on all spectra; leave golden.npz. Raises VerificationFailed."""
    spectra = job.spectra()
    rows = resample(spectra.values, spectra.axis, job.grid).astype(np.float32)
    identifier = load_identifier(job)
    answers, features = torch_outputs(identifier, rows)
    float_graph = session(job.need("float.onnx").read_bytes())
    final = session(job.need("model.onnx").read_bytes())
    scale = float(np.abs(features).max())
    unit = 1.0 if spectra.amounts is None or not job.tells_amounts else float(np.ptp(spectra.amounts))
    allowed = {"float_answer_difference": FLOAT_TOLERANCE if job.tells_amounts else allowed_of(answers)}
    final_answers, final_features = run_rows(final, rows, job.answer), run_rows(final, rows, "features")
    found = {
        "spectra": len(rows),
        "float_answer_difference": _largest(run_rows(float_graph, rows, job.answer), answers) / unit,
        "float_feature_difference": _largest(run_rows(float_graph, rows, "features"), features) / scale,
        "final_answer_difference": _largest(final_answers, answers) / unit,
        "final_feature_difference": _largest(final_features, features) / scale,
    }
    if not job.tells_amounts:
        found["final_same_class"] = float((final_answers.argmax(1) == answers.argmax(1)).mean())
    for name in ("float_answer_difference", "float_feature_difference", "final_feature_difference"):
        most = allowed.get(name, FLOAT_TOLERANCE)
        if found[name] > most:
            raise VerificationFailed(
                f"{name.replace('_', ' ')} is {found[name]:.2g}, allowed is {most:.2g}",
                hint="report the versions of torch, onnx and onnxruntime",
            )
    golden = golden_rows(job, spectra.targets)
    told = {job.answer: final_answers[golden]}
    job.path("golden.npz").write_bytes(
        pack_golden(rows[golden], told.get("logits"), final_features[golden], told.get("amounts"))
    )
    job.write_json("verify.json", found)
    return found


def allowed_of(logits: NDArray[np.float32]) -> float:
    """Return the difference that is allowed of logits [n, classes]."""
    return FLOAT_TOLERANCE * max(1.0, float(np.abs(logits).max()) / LARGE_LOGIT)


def torch_outputs(identifier: Identifier, rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return logits, or amounts, and features of an identifier in torch."""
    with torch.no_grad():
        logits, features = identifier(torch.from_numpy(rows))
    return logits.numpy(), features.numpy()


def golden_rows(job: Job, targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows of the golden vectors: every class in turn, from its first scan on, never the test block."""
    development = job.split(job.spectra()).development
    count = job.recipe.quantisation.golden_vectors
    by_class = [development[targets[development] == target] for target in np.unique(targets)]
    turns = [rows[turn] for turn in range(-(-count // len(by_class))) for rows in by_class]
    return np.array(turns[:count])


def _largest(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.abs(one.astype(np.float64) - other).max())
