"""The one graph of a bundle that names components: detectors side by side, and the spectrum where mixtures add up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from edged.infer.verdict import Preset
from export.bank.alone import why_graph
from export.bank.bank import Bank
from export.bank.fuse import fused, joined
from export.components.gate import MixtureGate
from export.components.learn import Detector
from export.components.recipe import GateWords
from export.preprocess.pipeline import Pipeline
from export.preprocess.words import StepWords
from export.to_onnx import module_graph

FEATURES = ("height", "disagreement", "distance")
DISTANCE = (2, 3)  # columns of the features that the gate reads
OUTPUTS = ("logits", "features", "prepared")
READ_BY_BANK = "read_by_bank"  # what a bank's networks read, inside the graph


def gate_in_manifest(words: GateWords, limit: float, presets: Iterable[Preset]) -> dict[str, Any]:
    """Return what a manifest says of the gate: the output that it reads, and the limit of each preset."""
    limits = {preset: limit * words.slack[preset] for preset in presets}
    return {"name": "mixtures", "metric": "norm", "columns": DISTANCE, "limits": limits}


class ComponentsGraph(nn.Module):
    """Spectra float32 [n, points] on the manifest's axis in; logits [n, compounds], features [n, 3] and prepared [n, m]
    out.

    logits: mean of the members'. features: the length of `prepared` in units of a mean reference's, so that an empty
    window shows; the largest standard deviation of a logit between members, zero where there is one member; and the
    distance from all mixtures of the library.
    The names of the parts tell the quantiser what is network (`export.quantise.region`).
    """

    height: Tensor

    def __init__(
        self,
        detectors: Sequence[Detector],
        steps: Sequence[StepWords],
        unmixing: Pipeline,
        gate: MixtureGate,
        *,
        height: float,
    ) -> None:
        super().__init__()
        first = next((number for number, words in enumerate(steps) if words.fitted), len(steps))
        self.common = Pipeline(list(detectors[0].steps.steps)[:first], goes_on=True)
        self.own = nn.ModuleList(Pipeline(list(one.steps.steps)[first:]) for one in detectors)
        self.members = nn.ModuleList(one.network for one in detectors)
        self.unmixing, self.gate = unmixing, gate
        self.register_buffer("height", torch.tensor(1.0 / height, dtype=torch.float32))

    def forward(self, spectrum: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits, features and prepared."""
        common = self.common(spectrum)
        each = [member(own(common)) for own, member in zip(self.own, self.members, strict=True)]
        logits = torch.stack(each)
        mean = logits.mean(dim=0)
        apart = (logits - mean).square().mean(dim=0).sqrt().amax(dim=1, keepdim=True)
        prepared = self.unmixing(spectrum)
        height = prepared.square().sum(dim=1, keepdim=True).sqrt() * self.height
        return mean, torch.cat([height, apart, self.gate(spectrum)], dim=1), prepared


class Preparation(nn.Module):
    """What stands around a bank: spectra in; what the bank reads, features as above (one member: no disagreement), and
    prepared out."""

    height: Tensor

    def __init__(self, steps: Pipeline, unmixing: Pipeline, gate: MixtureGate, *, height: float) -> None:
        super().__init__()
        self.common, self.unmixing, self.gate = steps, unmixing, gate
        self.register_buffer("height", torch.tensor(1.0 / height, dtype=torch.float32))

    def forward(self, spectrum: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the bank reads, features and prepared."""
        prepared = self.unmixing(spectrum)
        height = prepared.square().sum(dim=1, keepdim=True).sqrt() * self.height
        features = torch.cat([height, torch.zeros_like(height), self.gate(spectrum)], dim=1)
        return self.common(spectrum), features, prepared


def with_bank(preparation: Preparation, bank: Bank, points: int) -> onnx.ModelProto:
    """Return the one graph of a bundle whose networks are a bank in int8; spectra have so many points."""
    around = module_graph(preparation, points, outputs=(READ_BY_BANK, *OUTPUTS[1:]))
    model = joined(around, fused(bank), prepared=READ_BY_BANK)
    told = [output for output in model.graph.output if output.name != READ_BY_BANK]
    del model.graph.output[:]
    model.graph.output.extend(told)
    return model


def beside_bank(model: bytes, bank: Bank) -> dict[str, bytes]:
    """Return what a bundle holds beside such a graph, by name: where no trunk is shared, the graph that asks compounds
    alone, for explanations."""
    if bank.trunk is not None:
        return {}
    return {"why.onnx": why_graph(model, bank, prepared=READ_BY_BANK).SerializeToString(deterministic=True)}
