"""How near torch and the graph must come: what differences of answers are divided by, and a model of large logits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from export.data.augment import resample
from export.train import load_identifier
from export.verify import FLOAT_TOLERANCE, allowed_of, torch_outputs
from tests.export.capsules import capsules, run


@pytest.mark.deep
@pytest.mark.timeout(300)
def test_a_discriminant_of_classes_far_apart_is_built(tmp_path: Path) -> None:
    job = capsules(tmp_path, tells="classes")  # of which LDA's logits are in the hundreds

    run(job, "train", "calibrate", "convert", "quantise", "verify")

    found = json.loads((job.work / "verify.json").read_text())
    spectra, graph = job.spectra(), onnxruntime.InferenceSession(job.work / "float.onnx")
    rows = resample(spectra.values, spectra.axis, job.grid).astype(np.float32)
    logits, _ = torch_outputs(load_identifier(job), rows)
    (said,) = graph.run(["logits"], {"spectrum": rows})
    off = float(np.abs(said.astype(np.float64) - logits).max())
    assert float(np.abs(logits).max()) > 200.0
    assert (
        off / 3 < found["float_answer_difference"] < 3 * off
    )  # told in logits, as reports say; batches differ by digits


@pytest.mark.parametrize(("largest", "allowed"), [(3.0, 1e-3), (100.0, 1e-3), (-4700.0, 0.047)])
def test_what_is_allowed_of_logits_grows_with_large_ones_alone(largest: float, allowed: float) -> None:
    assert allowed_of(np.array([[0.5, largest]], dtype=np.float32)) == pytest.approx(allowed)


def test_float32_itself_is_no_nearer_than_what_is_allowed_of_large_logits() -> None:
    """The same discriminant, its products added up in two orders in float32, as two libraries do."""
    rng = np.random.default_rng(0)
    targets = np.repeat(np.arange(3), 40)
    rows = rng.normal(size=(120, 200)) * 1e-3 + np.sin(np.outer(1.0 + targets, np.linspace(0.0, 3.0, 200)))
    lda = LinearDiscriminantAnalysis(solver="eigen", shrinkage=1e-3).fit(rows, targets)
    products = rows[:, :, None].astype(np.float32) * lda.coef_.T[None].astype(np.float32)

    forwards, backwards = (np.add.accumulate(each, axis=1)[:, -1] for each in (products, products[:, ::-1]))

    off = np.abs(forwards.astype(np.float64) - backwards).max()
    answers = (forwards + lda.intercept_).astype(np.float32)
    assert off > FLOAT_TOLERANCE
    assert off < allowed_of(answers)
