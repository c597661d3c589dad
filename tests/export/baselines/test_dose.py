"""Doses of real isoniazid capsules, against scikit-learn's own pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from sklearn.cross_decomposition import PLSRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from export.baselines.dose import PlsDoseWords, SvrDoseWords
from export.data.catalogue import load_set
from export.to_onnx import module_graph

Array = NDArray[np.float64]
PARITY_MG = 0.02  # of doses of 100 to 500 mg
CASES: dict[str, Any] = {
    "pls": PlsDoseWords(components=(2, 4, 6, 8, 10, 12)),
    "pls scaled": PlsDoseWords(components=(4, 8), scaled=True),
    "svr": SvrDoseWords(linear_costs=(), rbf_costs=(10.0, 100.0), widths=(0.3,)),
    "svr linear": SvrDoseWords(rbf_costs=(), linear_costs=(0.01, 0.1), margins=(0.1,)),
}


class Capsules:
    """Every third scan as first differences, doses in mg, and each regression tuned on the blocks not held out."""

    def __init__(self, data: Path) -> None:
        spectra = load_set("isoniazid", data)
        assert spectra.amounts is not None
        rows = np.flatnonzero(spectra.scan % 3 == 0)
        groups, mg = spectra.groups[rows], spectra.amounts[rows]
        x = np.diff(spectra.values[rows]).astype(np.float32).astype(np.float64)
        held = np.isin(groups, np.unique(groups)[::4])
        self.train, self.mg, self.test, self.truth = x[~held], mg[~held], x[held], mg[held]
        self.fitted = {n: words.tune(self.train, self.mg, groups[~held], seed=0) for n, words in CASES.items()}


@pytest.fixture(scope="module")
def capsules(data_dir: Path) -> Capsules:
    return Capsules(data_dir)


class SideBySide(torch.nn.Module):
    """Every regression at once: one export proves them all."""

    def __init__(self, capsules: Capsules) -> None:
        super().__init__()
        self.heads = torch.nn.ModuleList([fitted.head for fitted in capsules.fitted.values()])

    def forward(self, spectrum: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(head(spectrum) for head in self.heads)


def own_pipeline(name: str, won: dict[str, Any], x: Array, mg: Array, at: Array) -> Array:
    if name.startswith("pls"):
        return np.asarray(PLSRegression(won["components"], scale=name == "pls scaled").fit(x, mg).predict(at)).ravel()
    model = make_pipeline(StandardScaler(), SVR(**won)).fit(x, (mg - mg.mean()) / mg.std())
    return np.asarray(model.predict(at) * mg.std() + mg.mean())


@pytest.mark.parametrize("name", CASES)
def test_a_dose_is_the_one_that_scikit_learn_gives_and_so_is_its_error(name: str, capsules: Capsules) -> None:
    fitted = capsules.fitted[name]

    got = fitted.scores(capsules.test)

    expected = own_pipeline(name, fitted.settings, capsules.train, capsules.mg, capsules.test)
    assert got.shape == (len(capsules.test), 1)
    assert np.abs(got[:, 0] - expected).max() < PARITY_MG
    rmse, own = (np.sqrt(np.mean((found - capsules.truth) ** 2)) for found in (got[:, 0], expected))
    assert rmse == pytest.approx(own, rel=1e-4)
    assert rmse < 0.4 * capsules.truth.std()


def test_graphs_of_doses_say_what_their_heads_say_for_many_spectra_and_for_one(
    capsules: Capsules, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    names = tuple(name.replace(" ", "_") for name in CASES)
    graph = module_graph(SideBySide(capsules), capsules.train.shape[1], outputs=names)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    rows = capsules.test.astype(np.float32)

    whole, single = (session.run(None, {"spectrum": x}) for x in (rows, rows[:1]))

    for fitted, many, one in zip(capsules.fitted.values(), whole, single, strict=True):
        assert np.abs(many - fitted.scores(capsules.test)).max() < PARITY_MG
        assert np.abs(one - many[:1]).max() < PARITY_MG
