"""Training with the rounding in the loop, for networks whose answers suffer from fixed scales.

    round_layers   inputs and weights of dense and convolutional layers are rounded to int8 on the way forward; the
                   gradient passes as if they were not (straight-through)
    follow         the rounded network learns to give the logits of the float one; no labels are needed
    settle         ranges become constants, weights the rounded ones: the module exports with its QuantizeLinear nodes
    folded         the exported graph with its weights as int8 behind them

Weights have a scale a channel, so that folding batch normalisation into them later moves no weight off its grid.
Recurrent layers are left alone: they have no kernel with fixed scales, and their weights alone do no harm.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import torch
import torch.ao.quantization.fx._decomposed  # registers the operators that export
from torch import Tensor, nn
from torch.nn.utils import parametrize

from export.quantise.compact import compact
from export.quantise.graph import Graph, attributes
from export.quantise.weights import REDUCED_RANGE, fold_weights, int8_steps

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)
LOWEST, HIGHEST = -128, 127
MEMORY = 0.95  # of the range that a layer's input takes: a share of it is kept at each batch
PASSING = ("Relu", "Clip")  # what integer kernels of a convolution take in


class RoundedWeights(nn.Module):
    """Parametrisation: weights on the int8 grid of their channel, the first axis."""

    def forward(self, weights: Tensor) -> Tensor:
        """Return the rounded weights, with the gradient of the weights."""
        axes = tuple(range(1, weights.ndim))
        scale = weights.detach().abs().amax(dim=axes, keepdim=True).clamp_min(1e-8) / REDUCED_RANGE
        rounded = torch.clamp(torch.round(weights.detach() / scale), -REDUCED_RANGE, REDUCED_RANGE) * scale
        return weights + (rounded - weights.detach())


class RoundedInput(nn.Module):
    """What enters a layer, on an int8 grid over the range that it has been seen to take while training."""

    low: Tensor
    high: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))
        self.settled: tuple[float, int] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return the rounded values; outside the range they stick to its ends, and have no gradient."""
        if self.settled is not None:
            grid = (*self.settled, LOWEST, HIGHEST, torch.int8)  # these two export as QuantizeLinear and back
            operators = torch.ops.quantized_decomposed
            return operators.dequantize_per_tensor(operators.quantize_per_tensor(x, *grid), *grid)
        if self.training:
            self._widen(x.detach())
        scale, zero = self.grid()
        return torch.fake_quantize_per_tensor_affine(x, scale, zero, LOWEST, HIGHEST)

    def grid(self) -> tuple[float, int]:
        """The step between two values, and the integer that stands for zero."""
        scale = max(float(self.high - self.low), 1e-8) / (HIGHEST - LOWEST)
        return scale, int(np.clip(round(LOWEST - float(self.low) / scale), LOWEST, HIGHEST))

    def _widen(self, x: Tensor) -> None:
        low, high = x.amin().clamp(max=0.0), x.amax().clamp(min=0.0)
        if bool(self.high == self.low):
            self.low, self.high = low, high
        else:
            self.low = MEMORY * self.low + (1 - MEMORY) * low
            self.high = MEMORY * self.high + (1 - MEMORY) * high


def round_layers(network: nn.Module) -> None:
    """Put the rounding into every dense and convolutional layer, in place."""
    for layer in [module for module in network.modules() if type(module) in LAYERS]:
        parametrize.register_parametrization(layer, "weight", RoundedWeights())
        layer.add_module("rounded_input", RoundedInput())
        layer.register_forward_pre_hook(_round_input)


def follow(
    network: nn.Module,
    draw: Callable[[], Tensor],
    *,
    epochs: int,
    batch: int = 64,
    learning_rate: float = 1e-4,
    generator: torch.Generator,
) -> nn.Module:
    """Return a rounded copy of a network that was taught to give the network's own logits, and is settled.

    draw: gives prepared spectra [n, points], those of one epoch. Deterministic for one state of the generator.
    """
    teacher = copy.deepcopy(network).eval()
    pupil = copy.deepcopy(network)
    round_layers(pupil)
    pupil.eval()  # dropout and batch statistics stay as they are in use; ranges are watched
    for module in pupil.modules():
        if isinstance(module, RoundedInput):
            module.train()
    optimiser = torch.optim.Adam([p for p in pupil.parameters() if p.requires_grad], lr=learning_rate)
    for _ in range(epochs):
        prepared = draw()
        with torch.no_grad():
            wanted = teacher(prepared)
        for rows in torch.randperm(len(prepared), generator=generator).split(batch):
            optimiser.zero_grad()
            loss = nn.functional.mse_loss(pupil(prepared[rows]), wanted[rows])
            loss.backward()
            optimiser.step()
    settle(pupil)
    return pupil


def settle(network: nn.Module) -> None:
    """End the learning, in place: the ranges are constants, the weights plain and on their grids."""
    for module in list(network.modules()):
        if isinstance(module, RoundedInput):
            module.settled = module.grid()
        elif parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)
    network.eval()


def folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a settled network's graph with int8 weights: behind DequantizeLinear where an integer kernel takes them,
    folded to float elsewhere."""
    graph = Graph(model)
    for node in graph.network():
        if _has_kernel(graph, node):
            _dequantise(graph, node)
    graph.prepend()
    fold_weights(graph)
    return compact(graph.finished())


def _round_input(layer: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    first, *others = inputs
    return (layer.get_submodule("rounded_input")(first), *others)


def _has_kernel(graph: Graph, node: onnx.NodeProto) -> bool:
    """Dense layers give float; a convolution's kernel rounds its output too, so something must say to which grid."""
    if node.op_type not in ("Conv", "Gemm", "MatMul") or node.input[1] not in graph.values:
        return False
    made = graph.maker(node.input[0])
    while made is not None and made.op_type in ("Reshape", "Transpose", "Unsqueeze", "Squeeze", "Flatten"):
        made = graph.maker(made.input[0])
    if made is None or made.op_type != "DequantizeLinear":
        return False
    return node.op_type != "Conv" or _is_rounded(graph, node.output[0])


def _is_rounded(graph: Graph, name: str) -> bool:
    readers = graph.readers(name)
    if len(readers) == 1 and readers[0].op_type in PASSING:
        return _is_rounded(graph, readers[0].output[0])
    return bool(readers) and all(reader.op_type == "QuantizeLinear" for reader in readers)


def _dequantise(graph: Graph, node: onnx.NodeProto) -> None:
    name = node.input[1]
    weights = graph.values[name]
    if weights.dtype != np.float32 or any(reader is not node and reader != node for reader in graph.readers(name)):
        return
    channel = 1 if node.op_type == "MatMul" or (node.op_type == "Gemm" and not attributes(node).get("transB")) else 0
    axes = tuple(axis for axis in range(weights.ndim) if axis != channel)
    steps, scale = int8_steps(graph.values.pop(name), axes, REDUCED_RANGE)
    graph.give("DequantizeLinear", [graph.constant(steps), graph.constant(scale.reshape(-1))], name, axis=channel)
