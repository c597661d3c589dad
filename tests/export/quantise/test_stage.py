"""The stage that quantises, on a folder whose labels tell amounts that the model is not asked for; and graphs of other
splits, quantised as the bundle's own was."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from export.job import Job
from export.quantise.chosen import TIMES, data_sheet, scheme_of_others, shipped
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


def test_where_a_recipe_leaves_the_choice_all_that_it_rests_on_stands_in_the_data_sheet(tmp_path: Path) -> None:
    found = capsules(tmp_path, tells="classes", scheme="auto")
    run(found, "train", "calibrate", "convert", "quantise")

    sheet = data_sheet(found)

    rows = {row["scheme"]: row for row in sheet["variants"]}
    assert sheet["scheme"] == sheet["best"]
    assert rows.keys() == {sheet["best"], *sheet["against"]}
    assert {"float", "weights", "static-s8s8", "static-u8s8"} <= rows.keys()
    assert all(row[name] > 0.0 for row in rows.values() for name in TIMES)
    assert sheet["processor"]["model"]
    assert "of float's time" in sheet["why"]
    assert sheet["rounding_in_the_loop"].startswith("no: ")


def test_where_a_recipe_names_the_scheme_no_time_is_told(job: Job) -> None:
    sheet = data_sheet(job)

    assert sheet["scheme"] == "static-s8s8"
    assert len(sheet["variants"]) > 3
    assert not any(name in row for row in sheet["variants"] for name in TIMES)
    assert not sheet.keys() & {"processor", "best", "why", "against"}
