"""The head of each baseline, in torch and as a graph, against scikit-learn fitted anew with the settings that won."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from export.baselines.catalogue import PUBLISHED
from export.baselines.fitted import Fitted
from export.baselines.forest import ForestWords
from export.baselines.lda import LdaWords, PcaLdaWords
from export.baselines.library import Library, LibraryWords
from export.baselines.logistic import LogisticWords
from export.baselines.neighbours import NeighboursWords
from export.baselines.plsda import PlsDaWords
from export.baselines.plslda import PlsLdaWords
from export.baselines.svm import SvmWords
from export.data.catalogue import load_set
from export.to_onnx import module_graph

SEED = 3
PARITY = 1e-4  # of the largest score: what float32 leaves of weights that nearly cancel
Array = NDArray[np.float64]
Judge = Callable[[Array, NDArray[np.int64], Array, dict[str, Any]], tuple[Array, NDArray[np.int64]]]
"""Training spectra and classes, test spectra, settings -> scores and classes."""


def pls_da(scale: bool = False) -> Judge:
    def judge(x: Array, y: NDArray[np.int64], at: Array, won: dict[str, Any]) -> tuple[Array, NDArray[np.int64]]:
        components = min(won["components"], len(x) - 1)
        scores = PLSRegression(components, scale=scale).fit(x, np.eye(y.max() + 1)[y]).predict(at)
        return scores, scores.argmax(axis=1)

    return judge


def pls_lda(scale: bool) -> Judge:
    def judge(x: Array, y: NDArray[np.int64], at: Array, won: dict[str, Any]) -> tuple[Array, NDArray[np.int64]]:
        one_hot = np.eye(y.max() + 1)[y]
        if scale:
            scaler = StandardScaler().fit(x)
            x, at = scaler.transform(x), scaler.transform(at)
        pls = PLSRegression(won["components"], scale=False).fit(x, one_hot)
        lda = LinearDiscriminantAnalysis().fit(pls.transform(x), y)
        scores = lda.decision_function(pls.transform(at))
        return (scores if scores.ndim == 2 else np.stack([0 * scores, scores], axis=1)), lda.predict(pls.transform(at))

    return judge


def decided(model: Any, name: str, **fixed: Any) -> Judge:
    def judge(x: Array, y: NDArray[np.int64], at: Array, won: dict[str, Any]) -> tuple[Array, NDArray[np.int64]]:
        model.set_params(**{f"{name}__{key}": value for key, value in {**fixed, **won}.items()}).fit(x, y)
        scores = model.decision_function(at)
        if scores.ndim == 1:
            svm = name == "svc"
            scores = np.stack([-scores if svm else np.zeros_like(scores), scores], axis=1)
        return scores, model.predict(at)

    return judge


def pca_lda(x: Array, y: NDArray[np.int64], at: Array, won: dict[str, Any]) -> tuple[Array, NDArray[np.int64]]:
    model = make_pipeline(PCA(**won, svd_solver="full"), LinearDiscriminantAnalysis()).fit(x, y)
    scores = model.decision_function(at)
    return (scores if scores.ndim == 2 else np.stack([0 * scores, scores], axis=1)), model.predict(at)


def forest(**fixed: Any) -> Judge:
    def judge(x: Array, y: NDArray[np.int64], at: Array, won: dict[str, Any]) -> tuple[Array, NDArray[np.int64]]:
        model = RandomForestClassifier(random_state=SEED, **{**fixed, **won}).fit(x, y)
        return np.log(np.maximum(model.predict_proba(at), 1e-3)), model.predict(at)

    return judge


def nearest(scale: bool = False) -> Judge:
    def judge(x: Array, y: NDArray[np.int64], at: Array, won: dict[str, Any]) -> tuple[Array, NDArray[np.int64]]:
        first = StandardScaler() if scale else "passthrough"
        model = make_pipeline(first, KNeighborsClassifier(**won, algorithm="brute")).fit(x, y)
        votes = model.predict_proba(at) * won["n_neighbors"]
        return np.log((votes + 1 / votes.shape[1]) / (won["n_neighbors"] + 1)), model.predict(at)

    return judge


def best_hits(x: Array, y: NDArray[np.int64], at: Array, won: dict[str, Any]) -> tuple[Array, NDArray[np.int64]]:
    if won["references"] == "mean":
        x, y = np.stack([x[y == c].mean(axis=0) for c in range(y.max() + 1)]), np.arange(y.max() + 1)
    if won["form"] == "first-derivative":
        x, at = np.diff(x), np.diff(at)
    quality = (1 - cdist(at, x, "correlation")) ** 2
    best = np.stack([quality[:, y == c].max(axis=1) for c in range(y.max() + 1)], axis=1)
    return -np.log(1 + 1e-9 - best), best.argmax(axis=1)


SCALED_SVC = make_pipeline(StandardScaler(), SVC(break_ties=True))
SHRUNKEN = decided(make_pipeline(LinearDiscriminantAnalysis(solver="eigen")), "lineardiscriminantanalysis")

CASES: dict[str, tuple[Any, Judge]] = {
    "PLS-DA": (PlsDaWords(components=(4, 8, 12)), pls_da()),
    "PLS-DA scaled": (PlsDaWords(components=(6, 10), scaled=True), pls_da(scale=True)),
    "PLS-LDA": (PlsLdaWords(components=(6, 8)), pls_lda(scale=False)),
    "PLS-LDA scaled": (PlsLdaWords(components=(8,), scaled=True), pls_lda(scale=True)),
    "linear SVM": (SvmWords(rbf_costs=()), decided(SCALED_SVC, "svc")),
    "Gaussian SVM": (SvmWords(linear_costs=(), rbf_costs=(10.0, 100.0)), decided(SCALED_SVC, "svc")),
    "SVM unscaled": (
        SvmWords(linear_costs=(), rbf_costs=(100.0, 1000.0), scaled=False),
        decided(make_pipeline("passthrough", SVC(break_ties=True)), "svc"),
    ),
    "forest": (ForestWords(trees=(12,), leaves=(2, 1)), forest()),
    "logistic regression": (
        LogisticWords(costs=(0.1, 1.0)),
        decided(make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)), "logisticregression"),
    ),
    "LDA": (LdaWords(shrinkages=(1e-2, 1e-3)), SHRUNKEN),
    "LDA hardly shrunken": (LdaWords(shrinkages=(1e-5,)), SHRUNKEN),
    "PCA-LDA": (PcaLdaWords(), pca_lda),
    "k-NN euclidean": (NeighboursWords(metrics=("euclidean",)), nearest()),
    "k-NN cosine": (NeighboursWords(metrics=("cosine",), neighbours=(5,)), nearest()),
    "k-NN scaled": (NeighboursWords(neighbours=(3,), scaled=True), nearest(scale=True)),
    "library": (LibraryWords(references=("all",)), best_hits),
    "library of derivatives": (LibraryWords(forms=("first-derivative",), references=("all",)), best_hits),
    "library of derivatives of means": (LibraryWords(forms=("first-derivative",), references=("mean",)), best_hits),
    "library tuned": (LibraryWords(), best_hits),
    "published PLS-DA": (PUBLISHED["PLS-DA"], pls_da()),
    "published SVM": (PUBLISHED["SVM"], decided(make_pipeline("passthrough", SVC(break_ties=True)), "svc")),
    "published RF": (PUBLISHED["RF"], forest(max_depth=3, min_samples_split=3)),
}
TWO_CLASSES = (
    "linear SVM",
    "Gaussian SVM",
    "logistic regression",
    "LDA",
    "PCA-LDA",
    "PLS-DA",
    "PLS-LDA",
    "library",
    "forest",
)


class Taught:
    """The real spectra of one task, and every baseline tuned on its training part."""

    def __init__(self, x: Array, y: NDArray[np.int64], groups: NDArray[np.int64], names: tuple[str, ...]) -> None:
        held = np.isin(groups, np.unique(groups)[::4])
        x = x.astype(np.float32).astype(np.float64)
        self.train, self.targets, self.test = x[~held], y[~held], x[held]
        self.fitted: dict[str, Fitted] = {
            name: CASES[name][0].tune(self.train, self.targets, groups[~held], seed=SEED) for name in names
        }

    def judged(self, name: str) -> tuple[Array, NDArray[np.int64]]:
        return CASES[name][1](self.train, self.targets, self.test, self.fitted[name].settings)


@pytest.fixture(scope="module")
def tablets(data_dir: Path) -> Taught:
    """Four classes whose batches are groups; absorbance as it is."""
    spectra = load_set("tablets", data_dir)
    return Taught(spectra.values, spectra.targets, spectra.groups, tuple(CASES))


@pytest.fixture(scope="module")
def two_classes(data_dir: Path) -> Taught:
    spectra = load_set("tablets", data_dir)
    rows = np.flatnonzero(spectra.targets < 2)
    return Taught(spectra.values[rows], spectra.targets[rows], spectra.groups[rows], TWO_CLASSES)


@pytest.fixture(scope="module")
def powders(data_dir: Path) -> Taught:
    """Twelve classes, 66 pairs, second differences: small numbers."""
    spectra = load_set("powders12", data_dir)
    rows = np.flatnonzero(spectra.scan % 3 == 0)
    curved = np.diff(spectra.values[rows], n=2)
    return Taught(curved, spectra.targets[rows], spectra.scan[rows] // 10, ("linear SVM", "Gaussian SVM", "LDA"))


class SideBySide(torch.nn.Module):
    """Every head at once: one export proves them all."""

    def __init__(self, taught: Taught) -> None:
        super().__init__()
        self.heads = torch.nn.ModuleList([fitted.head for fitted in taught.fitted.values()])

    def forward(self, spectrum: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(head(spectrum) for head in self.heads)


@pytest.fixture(scope="module")
def session(tablets: Taught, tmp_path_factory: pytest.TempPathFactory) -> onnxruntime.InferenceSession:
    graph = exported(SideBySide(tablets), tablets.train.shape[1], [label(name) for name in CASES], tmp_path_factory)
    return onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])


def exported(
    module: torch.nn.Module, points: int, outputs: list[str], folders: pytest.TempPathFactory
) -> onnx.ModelProto:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(folders.mktemp("torch")))
        return module_graph(module, points, outputs=tuple(outputs))


def label(name: str) -> str:
    return name.replace(" ", "_")


def assert_agrees(got: NDArray[np.float32], scores: Array, classes: NDArray[np.int64]) -> None:
    assert np.abs(got - scores).max() <= PARITY * np.abs(scores).max()
    assert (got.argmax(axis=1) == classes).all()


@pytest.mark.parametrize("name", CASES)
def test_a_head_says_what_scikit_learn_says(name: str, tablets: Taught) -> None:
    assert_agrees(tablets.fitted[name].scores(tablets.test), *tablets.judged(name))


@pytest.mark.parametrize("name", TWO_CLASSES)
def test_a_head_of_two_classes_has_two_logits(name: str, two_classes: Taught) -> None:
    assert_agrees(two_classes.fitted[name].scores(two_classes.test), *two_classes.judged(name))


@pytest.mark.parametrize("name", ["linear SVM", "Gaussian SVM", "LDA"])
def test_a_head_of_twelve_classes_agrees_too(name: str, powders: Taught) -> None:
    assert_agrees(powders.fitted[name].scores(powders.test), *powders.judged(name))


@pytest.mark.parametrize("name", CASES)
def test_a_graph_says_what_its_head_says_for_many_spectra_and_for_one(
    name: str, tablets: Taught, session: onnxruntime.InferenceSession
) -> None:
    x = tablets.test.astype(np.float32)

    head = tablets.fitted[name].scores(tablets.test)
    whole = session.run([label(name)], {"spectrum": x})[0]
    single = np.concatenate([session.run([label(name)], {"spectrum": row[None]})[0] for row in x[:10]])

    assert whole.dtype == np.float32
    assert np.abs(whole - head).max() <= PARITY * np.abs(head).max()
    assert np.abs(single - whole[:10]).max() <= PARITY * np.abs(head).max()
    assert (whole.argmax(axis=1) == head.argmax(axis=1)).all()


@pytest.mark.parametrize("name", CASES)
def test_a_spectrum_without_any_shape_gets_finite_logits(name: str, session: onnxruntime.InferenceSession) -> None:
    points = session.get_inputs()[0].shape[1]
    flat = np.stack([np.zeros(points), np.full(points, 0.7), np.full(points, -1e-9)]).astype(np.float32)

    assert np.isfinite(session.run([label(name)], {"spectrum": flat})[0]).all()


@pytest.mark.parametrize("name", ["LDA", "k-NN euclidean"])
def test_the_size_stated_is_that_of_the_graph_but_for_its_nodes(
    name: str, tablets: Taught, tmp_path_factory: pytest.TempPathFactory
) -> None:
    fitted = tablets.fitted[name]

    graph = exported(fitted.head, tablets.train.shape[1], ["logits"], tmp_path_factory)

    assert fitted.size_bytes <= graph.ByteSize() + 1024
    assert graph.ByteSize() < 1.25 * fitted.size_bytes + 20_000
    assert fitted.parameters == sum(held.numel() for held in fitted.head.buffers())


def test_a_library_also_states_its_hit_quality(tablets: Taught) -> None:
    head = tablets.fitted["library of derivatives of means"].head
    assert isinstance(head, Library)
    means = np.stack([tablets.train[tablets.targets == c].mean(axis=0) for c in range(4)])

    quality = head.hit_quality(torch.from_numpy(tablets.test.astype(np.float32))).numpy()

    expected = np.corrcoef(np.diff(tablets.test), np.diff(means))[: len(quality), len(quality) :] ** 2
    assert np.abs(quality - expected).max() < 1e-6
