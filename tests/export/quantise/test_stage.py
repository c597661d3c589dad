"""The stage that quantises, on a folder whose labels tell amounts that the model is not asked for; and graphs of other
splits, quantised as the bundle's own was."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest

from export.job import Job
from export.quantise.chosen import scheme_of_others, shipped
from tests.export.capsules import capsules, run

pytestmark = [pytest.mark.deep, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    found = capsules(tmp_path_factory.mktemp("classes"), tells="classes", scheme="static-s8s8")
    run(found, "train", "calibrate", "convert", "quantise")
    return found


def test_candidates_are_judged_by_the_classes_that_a_model_names_although_the_labels_tell_amounts(job: Job) -> None:
    graph = onnxruntime.InferenceSession(job.work / "float.onnx", providers=["CPUExecutionProvider"])
    (logits,) = graph.run(["logits"], {"spectrum": job.development_rows()})
    spectra = job.spectra()
    named = [spectra.classes[column] for column in logits.argmax(axis=1)]
    right = [spectra.labels[row] == name for row, name in zip(job.split(spectra).development, named, strict=True)]

    variants = json.loads((job.work / "quantise.json").read_text())["variants"]

    assert np.mean(right) > 0.9
    assert variants[0]["accuracy"] == round(float(np.mean(right)), 6)
    assert variants[0]["same_class"] == 1.0


def test_fixed_scales_of_another_split_rest_on_its_own_development_spectra(job: Job) -> None:
    model, rows = onnx.load(job.work / "float.onnx"), job.development_rows()

    own, bundles = shipped(job, model, 3.0 * rows[:12]), (job.work / "model.onnx").read_bytes()

    assert shipped(job, model, rows).SerializeToString(deterministic=True) == bundles
    assert own.SerializeToString(deterministic=True) != bundles


def test_only_what_is_learned_once_is_not_done_again_for_other_splits() -> None:
    assert scheme_of_others("aware") == "weights"
    assert scheme_of_others("static-s8s8") == "static-s8s8"
