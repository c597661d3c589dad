"""What every step should give, in float64, by the libraries that everybody uses: scipy, pywt, pybaselines, numpy.

Written without a look at `export.preprocess`; the words of a step are all that is read of it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
import pywt
from numpy.typing import NDArray
from pybaselines import Baseline
from scipy.ndimage import uniform_filter1d
from scipy.signal import detrend, savgol_filter
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from export.preprocess.words import (
    BaselineStep,
    CentreStep,
    CropStep,
    DetrendStep,
    EmscStep,
    KubelkaMunkStep,
    LevelAndShapeStep,
    LogStep,
    MinMaxStep,
    MscStep,
    ReflectanceStep,
    SavgolStep,
    SmoothStep,
    SnvStep,
    StandardiseStep,
    StepWords,
    VectorStep,
    WaveletStep,
)

Array = NDArray[np.float64]
LEAST_ROOT_SQUARED = 4e-4  # under which a spectrum has no root
Way = Callable[[Array], Array]


@dataclass(frozen=True, kw_only=True)
class Judge:
    """`name` says function and version. `way` takes and gives spectra [n, points].

    of_flat: whether a spectrum without any shape has a value at all; where it is zero over zero it has none.
    """

    name: str
    way: Way
    of_flat: bool = True


def judge(words: StepWords, fitted_on: Array, axis: Array) -> Judge:
    """Return the judge of one step, with its constants from the training spectra."""
    match words:
        case SnvStep():
            return Judge(name=_by("numpy"), way=_snv(1), of_flat=False)
        case VectorStep():
            return Judge(name=_by("numpy", "linalg.norm"), way=lambda x: x / np.linalg.norm(x, axis=1, keepdims=True))
        case MinMaxStep():
            return Judge(name=_by("numpy"), way=_min_max, of_flat=False)
        case MscStep():
            return Judge(name=_by("numpy"), way=_msc(fitted_on), of_flat=False)
        case EmscStep():
            return Judge(name=_by("numpy", "linalg.lstsq"), way=_emsc(words, fitted_on), of_flat=False)
        case StandardiseStep(by="spectrum"):
            return Judge(name=_by("numpy"), way=_snv(0), of_flat=False)
        case StandardiseStep():
            return Judge(name=_by("numpy"), way=_z_score(fitted_on, 0 if words.by == "wavelength" else None))
        case LevelAndShapeStep():
            return Judge(name=_by("sklearn", "StandardScaler, PCA"), way=_level_and_shape(fitted_on))
        case CentreStep():
            mean = fitted_on.mean(axis=0)
            return Judge(name=_by("numpy"), way=lambda x: x - mean)
        case DetrendStep():
            return _detrend(words.order)
        case BaselineStep():
            return Judge(name=_by("pybaselines", "pspline_arpls"), way=_baseline(words, len(axis)))
        case LogStep():
            return Judge(name=_by("numpy", "log10"), way=lambda x: -np.log10(np.maximum(x, words.floor)))
        case ReflectanceStep():
            return Judge(name=_by("numpy", "power"), way=lambda x: np.power(10.0, -np.clip(x, -2.0, 12.0)))
        case KubelkaMunkStep():
            return Judge(name=_by("numpy", "power"), way=_kubelka_munk)
        case CropStep():
            inside = (axis >= words.start) & (axis <= words.stop)
            return Judge(name=_by("numpy"), way=lambda x: x[:, inside])
        case SavgolStep():
            return Judge(name=_by("scipy", "signal.savgol_filter"), way=_savgol(words))
        case SmoothStep():
            way: Way = lambda x: uniform_filter1d(x, words.window, axis=1, mode="nearest")  # noqa: E731
            return Judge(name=_by("scipy", "ndimage.uniform_filter1d"), way=way)
        case WaveletStep():
            way = _wavelet(words.wavelet, words.levels, words.rule, len(axis))
            return Judge(name=_by("pywt", "wavedec, waverec"), way=way)


def _kubelka_munk(absorbance: Array) -> Array:
    reflectance = np.power(10.0, -np.clip(absorbance, -2.0, 12.0))
    return (1.0 - reflectance) ** 2 / (2.0 * reflectance)


def judge_of_all(steps: Sequence[StepWords], fitted_on: Array, axis: Array) -> Judge:
    """Return the judge of steps in a row, each fitted on what those before it give."""
    judges: list[Judge] = []
    for words in steps:
        judges.append(judge(words, fitted_on, axis))
        fitted_on = judges[-1].way(fitted_on)

    def way(x: Array) -> Array:
        for one in judges:
            x = one.way(x)
        return x

    names = dict.fromkeys(one.name for one in judges)
    return Judge(name="; ".join(names), way=way, of_flat=all(one.of_flat for one in judges))


def _by(library: str, function: str = "") -> str:
    package = {"pywt": "PyWavelets", "sklearn": "scikit-learn"}.get(library, library)
    return f"{library} {version(package)}" + (f", {function}" if function else "")


def _snv(correction: int) -> Way:
    return lambda x: (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, ddof=correction, keepdims=True)


def _min_max(x: Array) -> Array:
    low = x.min(axis=1, keepdims=True)
    return (x - low) / (x.max(axis=1, keepdims=True) - low)


def _z_score(fitted_on: Array, over: int | None) -> Way:
    mean, spread = fitted_on.mean(axis=over), fitted_on.std(axis=over)
    return lambda x: (x - mean) / spread


def _msc(fitted_on: Array) -> Way:
    reference = fitted_on.mean(axis=0)
    middle, shape = reference.mean(), reference - reference.mean()
    square = shape @ shape

    def way(x: Array) -> Array:
        offset = x - x.mean(axis=1, keepdims=True)
        return offset / (offset @ shape / square)[:, None] + middle

    return way


def _emsc(words: EmscStep, fitted_on: Array) -> Way:
    place = np.linspace(-1.0, 1.0, fitted_on.shape[1])
    powers = place[:, None] ** np.arange(words.order + 1)
    model = np.column_stack([powers, fitted_on.mean(axis=0), *words.constituents])

    def way(x: Array) -> Array:
        shares = np.linalg.lstsq(model, x.T, rcond=None)[0]
        return ((x.T - powers @ shares[: words.order + 1]) / shares[words.order + 1]).T

    return way


def _level_and_shape(fitted_on: Array) -> Way:
    floor = fitted_on.min() - 0.05 * np.ptp(fitted_on)

    def root(x: Array) -> Array:
        return np.sqrt(np.maximum(x - floor, LEAST_ROOT_SQUARED))

    scaler = StandardScaler().fit(fitted_on)
    levels = [PCA(1, svd_solver="full").fit(view) for view in (fitted_on, root(fitted_on))]

    def shape(x: Array, level: PCA) -> Array:
        return x - level.inverse_transform(level.transform(x))

    sizes = [
        np.sqrt(np.mean(shape(view, level) ** 2))
        for view, level in zip((fitted_on, root(fitted_on)), levels, strict=True)
    ]

    def way(x: Array) -> Array:
        shapes = [shape(x, levels[0]) / sizes[0], shape(root(x), levels[1]) / sizes[1]]
        return np.stack([scaler.transform(x), *shapes], axis=2).reshape(len(x), -1)

    return way


def _detrend(order: int) -> Judge:
    if order <= 1:
        kind = ("constant", "linear")[order]
        return Judge(name=_by("scipy", "signal.detrend"), way=lambda x: np.asarray(detrend(x, axis=1, type=kind)))

    def way(x: Array) -> Array:
        place = np.linspace(-1.0, 1.0, x.shape[1])
        return x - (np.vander(place, order + 1) @ np.polyfit(place, x.T, order)).T

    return Judge(name=_by("numpy", "polyfit"), way=way)


def _baseline(words: BaselineStep, points: int) -> Way:
    fitter = Baseline(np.arange(points))

    def under(row: Array) -> Array:
        fitted, _ = fitter.pspline_arpls(
            row, lam=words.stiffness, num_knots=words.knots, max_iter=words.rounds - 1, tol=-1.0
        )
        return np.asarray(fitted)

    def way(x: Array) -> Array:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of almost all points under the baseline of a spectrum without bands
            return np.array([row - under(row) for row in x])

    return way


def _savgol(words: SavgolStep) -> Way:
    return lambda x: savgol_filter(x, words.window, words.order, deriv=words.derivative, axis=1, mode="interp")


def _wavelet(name: str, levels: int, rule: str, points: int) -> Way:
    def way(x: Array) -> Array:
        parts = pywt.wavedec(x, name, mode="symmetric", level=levels)
        if rule == "drop":
            kept = [np.zeros_like(detail) for detail in parts[1:]]
        else:
            sigma = np.median(np.abs(parts[-1]), axis=1, keepdims=True) / 0.6745
            limit = sigma * np.sqrt(2 * np.log(points))
            kept = [pywt.threshold(detail, limit, "soft") for detail in parts[1:]]
        return np.asarray(pywt.waverec([parts[0], *kept], name, mode="symmetric"))[:, :points]

    return way
