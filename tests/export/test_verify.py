"""How near torch and the graph must come: what differences of answers are divided by, and a model of large logits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from export.train import load_identifier
from export.verify import FLOAT_TOLERANCE, unit_of
from tests.export.capsules import capsules, run


@pytest.mark.deep
@pytest.mark.timeout(300)
def test_a_discriminant_of_classes_far_apart_is_built(tmp_path: Path) -> None:
    job = capsules(tmp_path, tells="classes")  # of which LDA's logits are in the hundreds

    run(job, "train", "calibrate", "convert", "quantise", "verify")

    found = json.loads((job.work / "verify.json").read_text())
    with torch.no_grad():
        logits, _ = load_identifier(job)(torch.from_numpy(job.development_rows().copy()))
    assert float(logits.abs().max()) > 200.0
    assert 0.0 < found["float_answer_difference"] <= FLOAT_TOLERANCE


@pytest.mark.parametrize(("largest", "unit"), [(3.0, 1.0), (100.0, 1.0), (-4700.0, 47.0)])
def test_logits_are_compared_as_they_are_until_they_are_large(largest: float, unit: float) -> None:
    assert unit_of(np.array([[0.5, largest]], dtype=np.float32), amounts=None) == pytest.approx(unit)


def test_amounts_are_compared_by_the_range_that_was_told() -> None:
    assert unit_of(np.array([[7.0]], dtype=np.float32), amounts=np.array([50.0, 300.0])) == 250.0


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
    assert off / unit_of(answers, amounts=None) < FLOAT_TOLERANCE
