"""A bank in the files of other people's runtimes, by their own converters.

OpenVINO reads the ONNX files as they are; ncnn and LiteRT convert the network from torch. None of this is needed by
edged or its tests: what is not installed is left out, and said.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.bank.plan import plan_of
from export.models.resuca import Resuca, ResucaWords
from tests.bench.bank_runtimes import MODULES, is_installed
from tests.bench.bank_way import Way

NEEDED: Final = {
    "openvino": ("openvino",),
    "ncnn": ("ncnn", "pnnx"),
    "litert": ("ai_edge_litert", "litert_torch", "ai_edge_quantizer"),
}
Say = Callable[[str], None]


def peers(
    network: Resuca, *, int8: Path, real: Path, calibration: NDArray[np.float32], folder: Path, say: Say
) -> Iterator[Way]:
    """Convert for every runtime that is installed. int8, real: the two fused graphs. calibration: spectra [n, points]
    for a quantiser that measures ranges itself. say: is told what was left out."""
    makers: dict[str, Callable[[], Iterator[Way]]] = {
        "openvino": lambda: _openvino(int8, real),
        "ncnn": lambda: _ncnn(network, folder),
        "litert": lambda: _litert(network, calibration, folder),
    }
    for runtime, make in makers.items():
        absent = [module for module in NEEDED[runtime] if not is_installed(module)]
        if absent:
            say(f"left out: bank on {runtime}: not installed: {', '.join(absent)}")
        else:
            yield from make()


class AsConvolutions(nn.Module):
    """A `resuca` network as other people's converters like it: pools of fixed size, and a last layer of two grouped
    convolutions."""

    def __init__(self, network: Resuca) -> None:
        super().__init__()
        self.stem, self.blocks = network.stem, network.blocks
        weight = network.out.weight.detach()
        members, channels = len(weight), weight.shape[1] // 2
        assert isinstance(network.words, ResucaWords)
        whole = (1, plan_of(network.words).places(network.points))
        self.pools = nn.ModuleList([nn.AvgPool2d(whole), nn.MaxPool2d(whole)])
        self.mean = nn.Conv2d(members * channels, members, 1, groups=members)
        self.peak = nn.Conv2d(members * channels, members, 1, groups=members, bias=False)
        with torch.no_grad():
            self.mean.weight.copy_(weight[:, :channels, None, None])
            self.peak.weight.copy_(weight[:, channels:, None, None])
            assert self.mean.bias is not None
            self.mean.bias.copy_(network.out.bias)

    def forward(self, picture: Tensor) -> Tensor:
        """Return the logits of spectra as pictures of height 1, [n, 1, 1, points]."""
        maps = self.blocks(self.stem(picture))
        mean, peak = (pool(maps) for pool in self.pools)
        logits: Tensor = (self.mean(mean) + self.peak(peak)).flatten(1)
        return logits


def _openvino(int8: Path, real: Path) -> Iterator[Way]:
    yield Way(name="OpenVINO, our int8 graph", runtime="openvino", files=(int8,))
    yield Way(name="OpenVINO, float", runtime="openvino", files=(real,))


def _ncnn(network: Resuca, folder: Path) -> Iterator[Way]:
    """ncnn's converter reads what torch has traced; weights stay float32."""
    example = torch.zeros(1, 1, 1, network.points)
    torch.jit.trace(AsConvolutions(network).eval(), example).save(folder / "bank.pt")
    program, shape = Path(sys.executable).with_name("pnnx"), f"inputshape=[1,1,1,{network.points}]"
    subprocess.run([program, "bank.pt", shape, "fp16=0"], cwd=folder, check=True, capture_output=True, timeout=600)
    yield Way(name="ncnn, float", runtime="ncnn", files=(folder / "bank.ncnn.param", folder / "bank.ncnn.bin"))


def _litert(network: Resuca, calibration: NDArray[np.float32], folder: Path) -> Iterator[Way]:
    """LiteRT's converter for torch, then its own quantiser with a scale a tensor."""
    converter: Any = importlib.import_module("litert_torch")
    real, rounded = folder / "float.tflite", folder / "int8.tflite"
    converter.convert(AsConvolutions(network).eval(), (torch.zeros(1, 1, 1, network.points),)).export(str(real))
    yield Way(name="LiteRT, float", runtime="litert", files=(real,))
    quantiser: Any = importlib.import_module("ai_edge_quantizer.quantizer")
    recipes: Any = importlib.import_module("ai_edge_quantizer.recipe")
    litert: Any = importlib.import_module(MODULES["litert"][0])
    ((signature, ports),) = litert.Interpreter(str(real)).get_signature_list().items()
    rows = [{ports["inputs"][0]: row[None, None, None]} for row in calibration]
    work = quantiser.Quantizer(str(real))
    work.load_quantization_recipe(recipes.static_wi8_ai8())
    work.quantize(work.calibrate({signature: rows})).export_model(str(rounded), overwrite=True)
    yield Way(name="LiteRT, int8", runtime="litert", files=(rounded,))
