"""Convolutions with batch normalisation, which the export folds into them.

Spectra are convolved as pictures of height 1: onnxruntime has faster int8 kernels for two dimensions than for one.
Means and maxima over all places are pools of full size, which stay int8 where a reduction would not.
"""

from __future__ import annotations

from torch import Tensor, nn

Size = tuple[int, int]


def normalised(inputs: int, outputs: int, kernel: Size, *, stride: Size = (1, 1), groups: int = 1) -> nn.Sequential:
    """Return a convolution that keeps the size (divided by the stride, rounded up), and its batch normalisation."""
    half = (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, half, groups=groups, bias=False), nn.BatchNorm2d(outputs)
    )


def mean_over_places(maps: Tensor) -> Tensor:
    """Return the mean of each map, [n, channels]."""
    return nn.functional.avg_pool2d(maps, (maps.shape[2], maps.shape[3])).flatten(1)


def peak_over_places(maps: Tensor) -> Tensor:
    """Return the largest value of each map, [n, channels]."""
    return nn.functional.max_pool2d(maps, (maps.shape[2], maps.shape[3])).flatten(1)


def same_padding(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the zeros before and after with which TensorFlow's SAME keeps length / stride places, rounded up.

    Where their number is odd, the one more stands after.
    """
    missing = max((-(-length // stride) - 1) * stride + kernel - length, 0)
    return missing // 2, missing - missing // 2
