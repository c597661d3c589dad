"""Three ways in which absorbances mix, each as a table in which mixtures are plain weighted sums, and the way back.

R is reflectance, 10 to the power of minus absorbance; F = K/S = (1 - R)^2 / 2R is the function of Kubelka and Munk.
"""

from __future__ import annotations

from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

Domain = Literal["absorbance", "reflectance", "kubelka_munk"]
DOMAINS: tuple[Domain, ...] = ("absorbance", "reflectance", "kubelka_munk")
DARKEST = 1e-6  # stands for a reflectance of zero, where its logarithm is taken
Float = TypeVar("Float", np.float32, np.float64)


def into(domain: Domain, absorbance: NDArray[Float]) -> NDArray[Float]:
    """Return absorbance, 0 or above, in the measure that adds up in this domain."""
    if domain == "absorbance":
        return absorbance
    reflectance = np.power(10.0, -absorbance, dtype=absorbance.dtype)
    if domain == "reflectance":
        return reflectance
    ratio = (1.0 - reflectance) ** 2 / (2.0 * reflectance)
    return ratio.astype(absorbance.dtype, copy=False)


def out_of(domain: Domain, mixed: NDArray[Float]) -> NDArray[Float]:
    """Return the absorbance of what has been mixed in this domain."""
    if domain == "absorbance":
        return mixed
    if domain == "reflectance":
        return -np.log10(np.maximum(mixed, DARKEST))
    ratio = np.maximum(mixed, 0.0)  # a difference of two scans may have taken it below
    return np.log10(1.0 + ratio + np.sqrt(ratio * (2.0 + ratio)))


def ground(absorbance: NDArray[Float], size: NDArray[Float]) -> NDArray[Float]:
    """Return absorbance as grains `size` [n, 1] times as large would show it: K/S is in proportion to their size."""
    return out_of("kubelka_munk", into("kubelka_munk", np.maximum(absorbance, 0.0)) * size)
