"""Every bundle that ships: made of the recipe in the tree, small, licensed, the same in int8 and in float; and what
api20 and isoniazid-dose say of spectra that they have not seen. powders12 has a file of its own."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, cohen_kappa_score, f1_score, matthews_corrcoef

from edged.bundle.archive import Bundle, read_bundle
from edged.cli.main import main as edged
from edged.infer.engine import Engine
from edged.infer.judge import Judge
from edged.infer.verdict import Verdict
from export.compare import run_rows, session
from export.data.augment import resample
from export.data.catalogue import load_set
from export.data.spectra import Spectra
from export.data.split import values_digest
from export.job import Job
from export.recipe import load_recipe

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted((ROOT / "edged" / "bundle" / "default").glob("*.edgebundle"))
NAMES = ("api20", "isoniazid-dose", "powders12")
OF_COMPONENTS = ("powders-components", "solvents13")  # `tests/export/components` asks them
SAME_OUTCOME, ACCURACY_POINTS, SIZE = 0.995, 0.005, 0.3  # int8 against float


def shipped(name: str) -> Bundle:
    (path,) = [path for path in SHIPPED if path.name.startswith(f"{name}-")]
    return read_bundle(path)


def float_graph(bundle: Bundle) -> bytes:
    return (ROOT / "docs" / "models" / bundle.file_name.replace(".edgebundle", ".float.onnx")).read_bytes()


def held_out(name: str, data: Path) -> tuple[Spectra, NDArray[np.int64], NDArray[np.float32]]:
    """The set, the rows that no training has seen, and all rows on the model's axis."""
    job = Job(recipe=load_recipe(name), data=data, work=Path("not-used"), seed=0, quick=False)
    spectra = job.spectra()
    rows = resample(spectra.values, spectra.axis, job.grid).astype(np.float32)
    return spectra, job.split(spectra).test, rows


def verdicts(bundle: Bundle, rows: NDArray[np.float32], graph: bytes | None = None) -> list[Verdict]:
    manifest = bundle.manifest
    judge = Judge(manifest)
    question = judge.question(procedure=manifest.procedures[0])
    if graph is None:
        out = Engine.load(bundle).run(rows)
        logits, features, amounts = out.logits, out.features, out.amounts
    else:
        opened = session(graph)
        nothing = np.empty((len(rows), 0), dtype=np.float32)
        logits = run_rows(opened, rows, "logits") if manifest.classes else nothing
        amounts = run_rows(opened, rows, "amounts") if manifest.amounts else nothing
        features = run_rows(opened, rows, "features")
    return [judge.answer(question, logits[n], features[n], amounts=amounts[n]) for n in range(len(rows))]


def test_five_bundles_ship() -> None:
    assert sorted(read_bundle(path).manifest.name for path in SHIPPED) == sorted((*NAMES, *OF_COMPONENTS))


@pytest.mark.parametrize("name", NAMES)
def test_a_bundle_is_made_of_the_recipe_in_the_tree_and_of_licensed_spectra(name: str) -> None:
    bundle, recipe = shipped(name), load_recipe(name)

    assert bundle.manifest.data_sheet["recipe_sha256"] == recipe.digest()
    assert bundle.manifest.data_sheet["quick"] is False
    assert f"Copyright (c) {2022 if name == 'isoniazid-dose' else 2021} Olatunde" in bundle.license_text
    assert bundle.size_bytes < 1_000_000


@pytest.mark.parametrize("name", NAMES)
def test_int8_and_float_say_the_same_and_int8_is_small(name: str, data_dir: Path) -> None:
    bundle = shipped(name)
    _, tested, rows = held_out(name, data_dir)
    graph = float_graph(bundle)

    ours, floats = verdicts(bundle, rows), verdicts(bundle, rows, graph)

    same = np.mean([(a.outcome, a.label) == (b.outcome, b.label) for a, b in zip(ours, floats, strict=True)])
    assert same >= SAME_OUTCOME
    assert len(bundle.model) <= SIZE * len(graph)
    assert len(tested) > 0


@pytest.mark.parametrize("name", NAMES)
def test_no_golden_vector_is_a_held_out_spectrum(name: str, data_dir: Path) -> None:
    bundle = shipped(name)
    _, tested, rows = held_out(name, data_dir)

    scale = np.abs(rows).max()
    nearest = [np.abs(rows[tested] - golden).max(axis=1).min() / scale for golden in bundle.golden["spectra"]]

    assert min(nearest) > 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_a_report_holds_the_evidence_and_misses_what_its_manifest_says(name: str, data_dir: Path) -> None:
    bundle, recipe = shipped(name), load_recipe(name)
    spectra, tested, _ = held_out(name, data_dir)
    page = bundle.report.decode()

    for part in ("Intended use", "Criteria of acceptance", "Known limits", "Golden vectors", "Data sheet"):
        assert f"<h2>{part}</h2>" in page
    for digest in (recipe.digest(), values_digest(spectra, tested), *spectra.digests.values()):
        assert digest in page
    assert all(escape(limit) in page for limit in recipe.limits)
    missed = bundle.manifest.metrics["criteria_missed"]
    assert page.count("<b>missed</b>") == page.count("Criterion missed: ") == len(missed)
    assert set(missed) <= recipe.acceptance.stated().keys()
    assert "of float&#x27;s time</th>" in page


@pytest.mark.parametrize("name", ["api20", "powders12"])
def test_figures_of_the_manifest_are_those_of_scikit_learn_inside_their_intervals(name: str, data_dir: Path) -> None:
    bundle = shipped(name)
    spectra, tested, rows = held_out(name, data_dir)
    truth, best = spectra.targets[tested], Engine.load(bundle).run(rows[tested]).logits.argmax(axis=1)

    judges = {
        "accuracy": accuracy_score(truth, best),
        "macro_f1": f1_score(truth, best, average="macro"),
        "mcc": matthews_corrcoef(truth, best),
        "kappa": cohen_kappa_score(truth, best),
    }
    told, intervals = bundle.manifest.metrics, bundle.manifest.metrics["intervals"]
    assert {f: told[f"held_out_{f}"] for f in judges} == pytest.approx(judges, abs=1e-4)
    for figure, value in judges.items():
        low, high = intervals[figure]
        assert (low, high) == (None, None) if low is None else low <= value <= high
        assert low is not None or value == 1.0


def test_api20_names_the_scan_of_each_compound_that_was_left_out(data_dir: Path) -> None:
    spectra, tested, rows = held_out("api20", data_dir)

    said = verdicts(shipped("api20"), rows[tested])

    assert sum(v.label == spectra.labels[row] for v, row in zip(said, tested, strict=True)) >= 19


def test_api20_reads_the_counts_in_the_vendors_own_files(data_dir: Path, tmp_path: Path) -> None:
    spectra = load_set("api20", data_dir)
    scans = sorted((data_dir / "nir_api20_nirmr2" / "scans").iterdir())[4::10]
    path = next(path for path in SHIPPED if path.name.startswith("api20-"))

    result = CliRunner().invoke(edged, ["analyze", "--json", "--bundle", str(path), *map(str, scans)])

    assert result.exit_code == 0, result.output
    said = [json.loads(line)["verdict"] for line in result.stdout.splitlines()]
    assert len(said) == len(scans) == 10
    assert {verdict["outcome"] for verdict in said} == {"identified"}
    assert {verdict["label"] for verdict in said} <= set(spectra.classes)


def test_the_dose_of_held_out_capsules_lies_in_its_interval(data_dir: Path) -> None:
    spectra, tested, rows = held_out("isoniazid-dose", data_dir)
    assert spectra.amounts is not None

    said = verdicts(shipped("isoniazid-dose"), rows[tested])

    told = [(v.amounts[0], spectra.amounts[row]) for v, row in zip(said, tested, strict=True) if v.amounts]
    assert len(told) >= 0.97 * len(tested)
    assert np.mean([amount.low <= truth <= amount.high for amount, truth in told]) >= 0.93
    rmse = np.sqrt(np.mean([(amount.value - truth) ** 2 for amount, truth in told]))
    assert rmse < 15.0
    metrics = shipped("isoniazid-dose").manifest.metrics
    assert rmse == pytest.approx(metrics["held_out_rmse"], abs=0.01)
    low, high = metrics["intervals"]["rmse"]
    assert low < rmse < high


@pytest.mark.parametrize("other", ["powders12", "api20-ratios", "api20-log-counts"])
def test_no_dose_is_told_of_other_things(other: str, data_dir: Path) -> None:
    bundle = shipped("isoniazid-dose")
    axis = bundle.manifest.axis
    spectra = load_set(other, data_dir)
    rows = resample(spectra.values, spectra.axis, np.linspace(axis.start, axis.stop, axis.points)).astype(np.float32)

    assert np.mean([not v.amounts for v in verdicts(bundle, rows)]) >= 0.99
