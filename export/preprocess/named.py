"""The seven preprocessings that identification by recurrent networks was published with, and none, by name.

The papers name the methods and no parameters. Windows are in points and made for the broad bands of handheld NIR, some
200 to 400 points; a longer axis wants wider ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from export.preprocess.words import (
    MscStep,
    SavgolStep,
    StandardiseStep,
    StepWords,
    VectorStep,
    WaveletStep,
)

NAMED: Mapping[str, tuple[StepWords, ...]] = MappingProxyType(
    {
        "none": (),
        "vector": (VectorStep(kind="vector-normalise"),),
        "sg-smoothing": (SavgolStep(kind="savgol", window=15, order=2),),
        "msc": (MscStep(kind="msc"),),
        "first-derivative": (SavgolStep(kind="savgol", window=21, order=2, derivative=1),),
        "z-score": (StandardiseStep(kind="standardise"),),
        "wavelet-smoothing": (WaveletStep(kind="wavelet", wavelet="db8", levels=2, rule="drop"),),
        "wavelet-denoising": (WaveletStep(kind="wavelet", wavelet="sym8", levels=3, rule="universal"),),
    }
)
UNIT = StandardiseStep(kind="standardise", by="set")  # behind any of them: a network learns little from values of 1e-3
