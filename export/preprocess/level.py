"""The level of a spectrum, taken off before arithmetic that its size would cost digits."""

from __future__ import annotations

from torch import Tensor


def centred(spectra: Tensor) -> tuple[Tensor, Tensor]:
    """Return spectra [n, points] minus their mean, and the mean [n, 1].

    The mean of a high level is rounded; what the rounding leaves is taken off once more.
    """
    level = spectra.mean(dim=1, keepdim=True)
    offset = spectra - level
    rest = offset.mean(dim=1, keepdim=True)
    return offset - rest, level + rest
