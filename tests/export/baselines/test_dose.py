"""Doses of real isoniazid capsules, against scikit-learn's own pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
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


@pytest.fixture(scope="module")
def capsules(data_dir: Path) -> tuple[Array, Array, NDArray[np.int64], NDArray[np.bool_]]:
    """Every third scan: first differences, doses in mg, blocks of scans, and which blocks are held out."""
    spectra = load_set("isoniazid", data_dir)
    assert spectra.amounts is not None
    rows = np.flatnonzero(spectra.scan % 3 == 0)
    groups = spectra.groups[rows]
    x = np.diff(spectra.values[rows]).astype(np.float32).astype(np.float64)
    return x, spectra.amounts[rows], groups, np.isin(groups, np.unique(groups)[::4])


def own_pipeline(name: str, won: dict[str, Any], x: Array, mg: Array, at: Array) -> Array:
    if name.startswith("pls"):
        return np.asarray(PLSRegression(won["components"], scale=name == "pls scaled").fit(x, mg).predict(at)).ravel()
    model = make_pipeline(StandardScaler(), SVR(**won)).fit(x, (mg - mg.mean()) / mg.std())
    return np.asarray(model.predict(at) * mg.std() + mg.mean())


@pytest.mark.parametrize("name", CASES)
def test_a_dose_is_the_one_that_scikit_learn_gives_and_so_is_its_error(
    name: str,
    capsules: tuple[Array, Array, NDArray[np.int64], NDArray[np.bool_]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, mg, groups, held = capsules
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))

    fitted = CASES[name].tune(x[~held], mg[~held], groups[~held], seed=0)
    graph = module_graph(fitted.head, x.shape[1], outputs=("amount",))
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])

    got = fitted.scores(x[held])
    expected = own_pipeline(name, fitted.settings, x[~held], mg[~held], x[held])
    assert got.shape == (held.sum(), 1)
    assert np.abs(got[:, 0] - expected).max() < PARITY_MG
    rmse, own = (np.sqrt(np.mean((found - mg[held]) ** 2)) for found in (got[:, 0], expected))
    assert rmse == pytest.approx(own, rel=1e-4)
    assert rmse < 0.5 * mg[held].std()
    rows = x[held].astype(np.float32)
    assert np.abs(session.run(None, {"spectrum": rows})[0] - got).max() < PARITY_MG
    assert np.abs(session.run(None, {"spectrum": rows[:1]})[0] - got[:1]).max() < PARITY_MG
