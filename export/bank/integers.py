"""From float members to integers, each member by itself: nothing here looks at two members at once.

Every tensor of the graph has a fixed scale, the same in every bank: 255 steps from 0 to 1 after a ReLU, 127 steps to
each side before an addition. Members reach it in units of their own: a ReLU lets a positive factor through, so each
channel is divided by the largest value it was seen to take, and the next convolution's weights are multiplied by it. So
a member's integers are what they would be alone, and banks share kernels although members share no scale.

Weights keep to seven bits: with eight, processors without VNNI saturate sums that others do not. The first convolution
reads the spectrum in 15 bits, since a faint compound is a small part of it: its integers stand in float32, whose
products and sums are exact as long as they stay under 2^24.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from export.bank.plan import HEAD, LARGEST, Convolution, Plan
from export.quantise.weights import REDUCED_RANGE

Arrays = Mapping[str, NDArray[np.float32]]
Floats = NDArray[np.float64]

AFTER_RELU: Final = (np.float32(1 / 255), 0)
BEFORE_SUM: Final = (np.float32(1 / 127), 128)
"""Scale and zero point of the two kinds of tensor, in units of the member."""

EVEN: Final = 0.5  # 0: one unit a member; 1: one a channel, which leaves its weights uneven; measured best between
FAINTEST: Final = 1e-3  # of a member's largest value: a channel that is dimmer shares this unit
LARGEST_BIAS: Final = float(1 << 30)  # half of what an int32 sum holds
INPUT_STEPS: Final = 16_383  # to each side of zero
STEM_WEIGHTS: Final = 890  # sum of a channel's weights: with their rounding, 893.5 x 16,383 + 2,000,000 < 2^24
STEM_BIAS: Final = 2_000_000.0
HEAD_RANGE: Final = 32_767
SMALLEST: Final = 1e-15  # scale: a channel of zeros has one too
EPSILON: Final = 1e-5  # of batch normalisation in torch


@dataclass(frozen=True, slots=True, kw_only=True)
class Integers:
    """A convolution of all members: weights [members, outputs, inputs, kernel], int8, of the first one int16; scales
    float32 and biases int32 [members, outputs]."""

    weights: NDArray[np.int8] | NDArray[np.int16]
    scales: NDArray[np.float32]
    biases: NDArray[np.int32]

    def of(self, members: slice) -> Integers:
        """Return those of some members."""
        return Integers(weights=self.weights[members], scales=self.scales[members], biases=self.biases[members])


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last layer: logit = scale * (weights . features) + bias.

    Features are integers: of each channel the sum over all places, then of each its peak times their number.
    weights: int16 [members, 2 * channels]; scales, biases: float64 [members].
    """

    weights: NDArray[np.int16]
    scales: Floats
    biases: Floats

    def of(self, members: slice) -> Head:
        """Return those of some members."""
        return Head(weights=self.weights[members], scales=self.scales[members], biases=self.biases[members])


def convolutions_of(plan: Plan, arrays: Arrays, *, input_range: float) -> dict[str, Integers]:
    """Return the integers of every convolution by its name. arrays: [members, ...] as `plan.Layout` splits them."""
    units = units_of(plan, arrays)
    found = {}
    for convolution in plan.convolutions:
        weights, biases = _folded(convolution, arrays)
        writes = units[convolution.writes]
        if convolution.reads is None:
            step = input_range / INPUT_STEPS
            found[convolution.name] = _first(weights * step / writes[:, :, None, None], biases / writes)
        else:
            reads = units[convolution.reads][:, None, :, None] * float(AFTER_RELU[0])
            found[convolution.name] = _rounded(weights * reads / writes[:, :, None, None], biases / writes)
    return found


def head_of(plan: Plan, own: Arrays, unit: Floats, *, points: int) -> Head:
    """Return the last layer of all members. unit: [members or 1, channels] of the last maps."""
    places = plan.places(points)
    weights, biases = (own[name].astype(np.float64) for name in HEAD)
    real = weights[:, 0] * np.concatenate([unit, unit], axis=1) * (float(AFTER_RELU[0]) / places)
    scales = np.maximum(np.abs(real).max(axis=1), 1e-300) / HEAD_RANGE
    return Head(
        weights=np.rint(real / scales[:, None]).astype(np.int16), scales=scales, biases=biases[:, 0].reshape(-1)
    )


def units_of(plan: Plan, arrays: Arrays) -> dict[str, Floats]:
    """Return the value that 1 stands for in each channel of each tensor, [members, channels]."""
    largest = {name: arrays[name + LARGEST].astype(np.float64) for name in plan.channels}
    for block in plan.blocks:
        if block.shortcut is None:  # what is added as it is has the unit of the sum
            assert block.inner.reads is not None
            both = np.maximum(largest[block.inner.reads], largest[block.path.writes])
            largest[block.inner.reads] = largest[block.path.writes] = both
    for block in reversed(plan.blocks):  # a chain of such blocks has one unit
        if block.shortcut is None:
            assert block.inner.reads is not None
            largest[block.inner.reads] = largest[block.path.writes]
    return {name: _units(values) for name, values in largest.items()}


def _units(largest: Floats) -> Floats:
    whole = np.maximum(largest.max(axis=1, keepdims=True), 1e-12)
    return whole ** (1 - EVEN) * np.maximum(largest, FAINTEST * whole) ** EVEN


def _folded(convolution: Convolution, arrays: Arrays) -> tuple[Floats, Floats]:
    """Weights [members, outputs, inputs, kernel] and biases [members, outputs] with batch normalisation in them."""
    weights = arrays[f"{convolution.name}.weight"][:, :, :, 0].astype(np.float64)
    gain, lift, mean, variance = (
        arrays[f"{convolution.norm}.{name}"].astype(np.float64)
        for name in ("weight", "bias", "running_mean", "running_var")
    )
    slope = gain / np.sqrt(variance + EPSILON)
    return weights * slope[:, :, None, None], lift - mean * slope


def _rounded(weights: Floats, biases: Floats) -> Integers:
    """Round what is to be multiplied by steps of a tensor: scales are as small as weights and biases let them be."""
    scales = _scales(np.abs(weights).max(axis=(2, 3)) / REDUCED_RANGE, np.abs(biases) / LARGEST_BIAS)
    steps = np.clip(_steps(weights, scales[:, :, None, None]), -REDUCED_RANGE, REDUCED_RANGE)
    return Integers(weights=steps.astype(np.int8), scales=scales, biases=_biases(biases, scales, LARGEST_BIAS))


def _first(weights: Floats, biases: Floats) -> Integers:
    """The same for steps of the spectrum."""
    scales = _scales(np.abs(weights).sum(axis=(2, 3)) / STEM_WEIGHTS, np.abs(biases) / STEM_BIAS)
    steps = _steps(weights, scales[:, :, None, None])
    return Integers(weights=steps.astype(np.int16), scales=scales, biases=_biases(biases, scales, STEM_BIAS))


def _scales(*least: Floats) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # whoever fuses looks for what is not finite
        return np.maximum.reduce([*least, np.full(least[0].shape, SMALLEST)]).astype(np.float32)


def _steps(values: Floats, scales: NDArray[np.float32]) -> Floats:
    return np.asarray(np.rint(values / scales.astype(np.float64)))  # a scale that is infinite leaves zeros


def _biases(biases: Floats, scales: NDArray[np.float32], limit: float) -> NDArray[np.int32]:
    return np.clip(_steps(biases, scales), -limit, limit).astype(np.int32)
