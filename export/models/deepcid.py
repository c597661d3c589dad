"""DeepCID: a convolutional network for each compound, which says whether the compound is in a mixture.

Source: Fan, Ming, Zeng, Zhang, Lu, Analyst 144, 1789 (2019) and the code beside it (github.com/xiaqiong/DeepCID),
layer by layer: 3,683,586 parameters a compound on 881 points, nearly all in one dense layer. Hundreds of them are a
reference to compare with and no model for a board.

Not copied are the faults of the published training: batches in the order of the file, the last hundred spectra unused,
models and labels paired by the order of a directory, a scaling of the input for each compound, and 0.5 as the
threshold of every one. The published input is standardised point by point, which is a step of the recipe here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from export.models.convolution import same_padding
from export.models.members import FirstConvolution, MemberLinear, MemberNetwork, as_pictures, by_member
from export.models.network import NetworkKind

KERNEL, STRIDE, POOL = 5, 2, 2
CHANNELS = (32, 64)
DENSE = 1024
PRESENT, ABSENT = 0, 1  # of the two outputs whose softmax is published
SPREAD, LIFT = 0.1, 0.1  # of the first weights, cut at two deviations, and the first biases
FEWEST_POINTS = 8


class DeepCidWords(NetworkKind):
    """As published; `classes` are the compounds."""

    kind: Literal["deepcid"] = "deepcid"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5

    def check(self, *, points: int) -> None:
        """Raise ValueError where nothing would be left to convolve."""
        if points < FEWEST_POINTS:
            raise ValueError(f"kind: {points} points are too few; {FEWEST_POINTS} are the least")

    def build(self, *, points: int, classes: int) -> DeepCid:
        """Return an untrained bank."""
        self.check(points=points)
        return DeepCid(self, points=points, compounds=classes)


class DeepCid(MemberNetwork):
    """Prepared spectra in; logits [n, compounds] out: by how much the output for present exceeds that for absent.

    The sigmoid of that difference is the published softmax, and its cross-entropy the published loss.
    """

    def __init__(self, words: DeepCidWords, *, points: int, compounds: int) -> None:
        super().__init__(words, points=points, members=compounds)
        first, second = (compounds * channels for channels in CHANNELS)
        pooled = _halved(points)
        self.first = _layer(FirstConvolution(1, first, (1, KERNEL), (1, STRIDE)), points, words.dropout)
        self.second = _layer(
            nn.Conv2d(first, second, (1, KERNEL), (1, STRIDE), groups=compounds), pooled, words.dropout
        )
        self.dense = nn.Sequential(
            MemberLinear(CHANNELS[-1] * _halved(pooled), DENSE, members=compounds), nn.ReLU(), nn.Dropout(words.dropout)
        )
        self.out = MemberLinear(DENSE, 2, members=compounds)
        self.apply(_first_weights)

    def embed(self, prepared: Tensor) -> Tensor:
        """Return the dense layer of each member, member after member."""
        rows: Tensor = self.dense(self.second(self.first(as_pictures(prepared))).flatten(1))
        return rows

    def forward(self, prepared: Tensor) -> Tensor:
        """Return the logits."""
        said = by_member(self.out(self.embed(prepared)), self.members)
        return said[..., PRESENT] - said[..., ABSENT]


def _layer(convolution: nn.Conv2d, points: int, dropout: float) -> nn.Sequential:
    """A convolution and a pool that both round the number of places up, as TensorFlow's SAME does."""
    left, right = same_padding(points, KERNEL, STRIDE)
    return nn.Sequential(
        nn.ZeroPad2d((left, right, 0, 0)),
        convolution,
        nn.ReLU(),
        nn.MaxPool2d((1, POOL), ceil_mode=True),
        nn.Dropout(dropout),
    )


def _halved(points: int) -> int:
    """The places that a layer leaves: half of them after the convolution, half of those after the pool, rounded up."""
    places = (points + STRIDE - 1) // STRIDE
    return (places + POOL - 1) // POOL


def _first_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.trunc_normal_(module.weight, std=SPREAD, a=-2 * SPREAD, b=2 * SPREAD)
        assert module.bias is not None
        nn.init.constant_(module.bias, LIFT)
