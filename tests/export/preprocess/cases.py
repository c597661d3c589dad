"""Every step as a recipe may write it, and the real spectra that it is judged on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
from tests.export.preprocess.judges import Array, Judge, judge_of_all

Rows = NDArray[np.float32]
Steps = tuple[StepWords, ...]
LEAST = 1e-6  # of a spectrum's largest value: what a step leaves under it is rounding of the input, not an output
OFFSET = 1e3


def cases(axis: Array, *, knots: int = 8, rounds: int = 8) -> Mapping[str, Steps]:
    """Return every step by what it does. knots, rounds: of the baseline, whose graph grows with them."""
    low, high = np.quantile(axis, [0.1, 0.9])
    bump = np.exp(-(((axis - axis.mean()) / (0.1 * np.ptp(axis))) ** 2))
    return {
        "vector normalisation": (VectorStep(kind="vector-normalise"),),
        "SNV": (SnvStep(kind="snv"),),
        "min-max": (MinMaxStep(kind="min-max"),),
        "MSC": (MscStep(kind="msc"),),
        "EMSC, order 2": (EmscStep(kind="emsc"),),
        "EMSC with a constituent": (EmscStep(kind="emsc", constituents=(tuple(bump),)),),
        "z-score by wavelength": (StandardiseStep(kind="standardise"),),
        "z-score by spectrum": (StandardiseStep(kind="standardise", by="spectrum"),),
        "z-score of the set": (StandardiseStep(kind="standardise", by="set"),),
        "mean centre": (CentreStep(kind="mean-centre"),),
        "level and shape": (LevelAndShapeStep(kind="level-and-shape"),),
        "detrend, order 1": (DetrendStep(kind="detrend"),),
        "detrend, order 3": (DetrendStep(kind="detrend", order=3),),
        "baseline, arPLS": (BaselineStep(kind="baseline", knots=knots, rounds=rounds),),
        "negative log10": (LogStep(kind="negative-log"),),
        "reflectance": (ReflectanceStep(kind="reflectance"),),
        "Kubelka-Munk": (KubelkaMunkStep(kind="kubelka-munk"),),
        "crop": (CropStep(kind="crop", start=low, stop=high),),
        "moving average 11": (SmoothStep(kind="smooth", window=11),),
        "Savitzky-Golay 15, 2": (SavgolStep(kind="savgol", window=15, order=2),),
        "Savitzky-Golay 21, 2, first derivative": (SavgolStep(kind="savgol", window=21, order=2, derivative=1),),
        "Savitzky-Golay 27, 3, second derivative": (SavgolStep(kind="savgol", window=27, order=3, derivative=2),),
        "Savitzky-Golay 31, 5, fourth derivative": (SavgolStep(kind="savgol", window=31, order=5, derivative=4),),
        "wavelet smoothing db8, 2 levels": (WaveletStep(kind="wavelet", wavelet="db8", levels=2, rule="drop"),),
        "wavelet denoising db8, 3 levels": (WaveletStep(kind="wavelet", wavelet="db8", levels=3),),
        "wavelet denoising sym8, 3 levels": (WaveletStep(kind="wavelet", wavelet="sym8", levels=3),),
        "first derivative, SNV, z-score": (
            SavgolStep(kind="savgol", window=21, order=2, derivative=1),
            SnvStep(kind="snv"),
            StandardiseStep(kind="standardise"),
        ),
    }


@dataclass(frozen=True, kw_only=True)
class RealSet:
    """fitted_on and judged: other rows of one set, float32. axis: ascending, in nm or 1/cm."""

    axis: Array
    fitted_on: Rows
    judged: Rows

    def judge(self, steps: Steps) -> Judge:
        """Return the judge of steps that are fitted on this set."""
        return judge_of_all(steps, self.fitted_on.astype(np.float64), self.axis)

    def rows_for(self, judge: Judge) -> Rows:
        """Return the rows that are judged, with nasty ones behind them: spike, tiny, high level, flat."""
        plain = self.judged[0]
        spike = plain.copy()
        spike[len(spike) // 3] += 100 * np.ptp(plain)
        flat = [np.full_like(plain, 0.75)] if judge.of_flat else []
        return np.stack([*self.judged, spike, plain * np.float32(1e-6), plain + np.float32(OFFSET), *flat])


def largest_difference(found: NDArray[np.floating], expected: Array, rows: Rows) -> float:
    """Return the largest difference of all spectra, each in units of its own largest expected value."""
    scale = np.maximum(np.abs(expected).max(axis=1), LEAST * np.abs(rows.astype(np.float64)).max(axis=1))
    return float((np.abs(found - expected).max(axis=1) / scale).max())


def real_sets(data: Path) -> dict[str, RealSet]:
    """Return handheld NIR of powders, FT-NIR of tablets and Raman of solvent mixtures."""
    powders = np.genfromtxt(data / "nir_pharma_powders_notredame" / "RawNIRData.csv", delimiter=",", skip_header=1)
    folder = data / "nir_raman_tablets_dyrby"
    tablets = np.genfromtxt(folder / "nir_opensa_table.csv", delimiter=",")
    raman = np.load(data / "raman_solvent_mixtures_deepraman" / "Multi_component_mixture_Dataset.npy")
    return {
        "powders": _split(powders[:, 0], powders[:, 1::8].T),
        "tablets": _split(np.loadtxt(folder / "nir_axis_cm-1.txt"), tablets[::3, :404]),
        "Raman": _split(240.0 + 2.0 * np.arange(raman.shape[1]), raman),
    }


def _split(axis: Array, spectra: NDArray[np.floating]) -> RealSet:
    rows = spectra.astype(np.float32)
    assert np.isfinite(rows).all()
    return RealSet(axis=axis, fitted_on=rows[::2], judged=rows[1::2])
