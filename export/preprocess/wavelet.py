"""Wavelet smoothing and denoising: decompose with symmetric ends, shrink or drop the details, put together again.

Float64 [n, points] in and out, float32 inside, for onnxruntime has no convolution in float64. The filters are the
published 16-tap Symlet 8 and Daubechies 8.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Rule = Literal["universal", "drop"]
MAD_TO_SIGMA = 0.6745  # median absolute value of a standard normal
LOW_PASS = {  # decomposition low-pass filters
    "sym8": (
        -0.0033824159510061256,
        -0.0005421323317911481,
        0.03169508781149298,
        0.007607487324917605,
        -0.1432942383508097,
        -0.061273359067658524,
        0.4813596512583722,
        0.7771857517005235,
        0.3644418948353314,
        -0.05194583810770904,
        -0.027219029917056003,
        0.049137179673607506,
        0.003808752013890615,
        -0.01495225833704823,
        -0.0003029205147213668,
        0.0018899503327594609,
    ),
    "db8": (
        -0.00011747678412476953,
        0.0006754494064505693,
        -0.00039174037337694705,
        -0.004870352993451574,
        0.008746094047405777,
        0.013981027917398282,
        -0.044088253930794755,
        -0.017369301001807547,
        0.12874742662047847,
        0.0004724845739132828,
        -0.2840155429615469,
        -0.015829105256349306,
        0.5853546836542067,
        0.6756307362972898,
        0.31287159091429995,
        0.05441584224310401,
    ),
}


class Wavelet(nn.Module):
    """Shrink the details of `levels` levels: softly by the universal threshold, or `drop` all of them.

    universal: threshold sigma * sqrt(2 ln points), sigma = median |finest details| / 0.6745, per spectrum.
    """

    analysis: Tensor
    synthesis: Tensor

    def __init__(self, points: int, *, wavelet: str, levels: int, rule: Rule) -> None:
        super().__init__()
        low = np.array(LOW_PASS[wavelet])
        high = low[::-1] * np.where(np.arange(len(low)) % 2 == 0, -1.0, 1.0)  # the quadrature mirror
        bank = np.stack([low, high])
        self.register_buffer("analysis", _float(bank[:, None, ::-1]))
        self.register_buffer("synthesis", _float(bank[:, None, ::-1]))
        self.rule = rule
        self.points = points
        self.threshold_factor = math.sqrt(2.0 * math.log(points)) / MAD_TO_SIGMA
        self.lengths = [points]
        for level in range(levels):
            length, taps = self.lengths[-1], len(low)
            if length < taps:
                raise ValueError(f"{points} points allow {level} levels of {wavelet}, not {levels}")
            count = (length + taps - 1) // 2
            mirrored = np.pad(np.arange(length), taps - 1, mode="symmetric")[1:]
            self.register_buffer(f"places_{level}", torch.from_numpy(mirrored[: 2 * (count - 1) + taps].copy()))
            self.lengths.append(count)

    def fit(self, spectra: Tensor) -> None:
        """Nothing to fit."""

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the smoothed spectra."""
        level_of = spectra.mean(dim=1, keepdim=True)  # a constant passes the transform unchanged and costs digits
        smooth = (spectra - level_of).float()
        details = []
        for level in range(len(self.lengths) - 1):
            extended = smooth.index_select(1, getattr(self, f"places_{level}"))
            both = nn.functional.conv1d(extended.unsqueeze(1), self.analysis, stride=2)
            smooth = both[:, 0]
            details.append(both[:, 1])
        threshold = self._threshold(details[0])
        for level in reversed(range(len(details))):
            kept = self._shrunk(details[level], threshold)
            both = torch.stack([smooth, kept], dim=1)
            length, taps = self.lengths[level], self.synthesis.shape[2]
            whole = nn.functional.conv_transpose1d(both, self.synthesis, stride=2).squeeze(1)
            smooth = whole[:, taps - 2 : taps - 2 + length]
        return smooth.double() + level_of

    def _threshold(self, finest: Tensor) -> Tensor:
        count = finest.shape[1]
        ordered = torch.topk(finest.abs(), count // 2 + 1, dim=1, largest=False).values
        middle = ordered[:, -1:] if count % 2 else 0.5 * (ordered[:, -1:] + ordered[:, -2:-1])
        return middle * self.threshold_factor

    def _shrunk(self, detail: Tensor, threshold: Tensor) -> Tensor:
        if self.rule == "drop":
            return torch.zeros_like(detail)
        return torch.sign(detail) * torch.relu(detail.abs() - threshold)


def _float(array: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
