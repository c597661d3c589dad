"""The one graph of a bundle that names components: detectors side by side, and the spectrum where mixtures add up."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from export.components.gate import MixtureGate
from export.components.learn import Detector
from export.preprocess.pipeline import Pipeline
from export.preprocess.words import StepWords

FEATURES = ("height", "disagreement", "distance")
DISTANCE = (2, 3)  # columns of the features that the gate reads
OUTPUTS = ("logits", "features", "prepared")


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
