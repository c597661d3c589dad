"""What the networks of a bank compute, layer by layer, and which numbers each compound has of its own.

Two kinds of network make a bank. `resuca`: a whole network for each compound. `resnet1d`: one trunk for all, and a row
of the last layer for each compound.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field

from export.models.resnet1d import FEWEST_POINTS, ResNet1dWords
from export.models.resuca import ResucaWords

BankWords = Annotated[ResucaWords | ResNet1dWords, Field(discriminator="kind")]

HEAD: Final = ("out.weight", "out.bias")
COUNTER: Final = "num_batches_tracked"  # of batch normalisation; nothing is computed from it
LARGEST: Final = "/largest"
"""After the name of a tensor: the largest absolute value in each of its channels, over the spectra of calibration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """A convolution with its batch normalisation, by the names of their modules; sizes are those of one member.

    reads, writes: tensors, named after the module that gives them; None is the spectrum. Where two convolutions write
    one tensor, or one of them a `sum`, the results are added before the ReLU.
    """

    name: str
    norm: str
    inputs: int
    outputs: int
    kernel: int
    stride: int
    reads: str | None
    writes: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A residual block: `inner`, then `path`, beside `shortcut`; without one the block's input is added as it is."""

    inner: Convolution
    path: Convolution
    shortcut: Convolution | None

    @property
    def convolutions(self) -> tuple[Convolution, ...]:
        """All of them."""
        return (self.inner, self.path) + ((self.shortcut,) if self.shortcut else ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A network from the spectrum to its last maps; a pool of two follows the stem."""

    stem: Convolution
    blocks: tuple[Block, ...]

    @property
    def convolutions(self) -> tuple[Convolution, ...]:
        """All of them, in order."""
        return (self.stem, *(found for block in self.blocks for found in block.convolutions))

    @property
    def channels(self) -> dict[str, int]:
        """The channels of every tensor, in order."""
        return {found.writes: found.outputs for found in self.convolutions}

    @property
    def last(self) -> Convolution:
        """What writes the last maps."""
        return self.blocks[-1].path

    def places(self, points: int) -> int:
        """Return how many places the last maps have."""
        return self.places_of(points)[self.last.writes]

    def places_of(self, points: int) -> dict[str, int]:
        """Return how many places each tensor has, in order."""
        found = {self.stem.writes: (_halved(points) if self.stem.stride == 2 else points) // 2}
        for block in self.blocks:
            assert block.inner.reads is not None
            before = found[block.inner.reads]
            found[block.inner.writes] = _halved(before) if block.inner.stride == 2 else before
            found[block.path.writes] = found[block.inner.writes]
        return found


@dataclass(frozen=True, slots=True)
class Layout:
    """The arrays that a row of numbers holds, one after another."""

    shapes: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def size(self) -> int:
        """How many numbers a row has."""
        return sum(int(np.prod(shape)) for _, shape in self.shapes)

    def split(self, rows: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Return the arrays of rows [n, size], each [n, *shape]."""
        found, start = {}, 0
        for name, shape in self.shapes:
            stop = start + int(np.prod(shape))
            found[name] = rows[:, start:stop].reshape(len(rows), *shape)
            start = stop
        return found

    def joined(self, arrays: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Return one row that holds these arrays."""
        return np.concatenate([np.asarray(arrays[name], np.float32).reshape(-1) for name, _ in self.shapes])


@cache
def plan_of(words: ResucaWords | ResNet1dWords) -> Plan:
    """Return the layers of a network of these sizes."""
    at = "stem" if isinstance(words, ResucaWords) else "stem.0"
    stem = Convolution(
        name=f"{at}.0", norm=f"{at}.1", inputs=1, outputs=words.stem, kernel=7, stride=2, reads=None, writes="stem"
    )
    blocks, before, reads = [], words.stem, "stem"
    for number, (width, stride) in enumerate(zip(words.widths, words.strides, strict=True)):
        here = f"blocks.{number}"
        blocks.append(_block(here, before, width, stride, reads))
        before, reads = width, here
    return Plan(stem=stem, blocks=tuple(blocks))


@cache
def trunk_layout(words: ResucaWords | ResNet1dWords) -> Layout | None:
    """Return the numbers that all compounds share; None where they share none."""
    if isinstance(words, ResucaWords):
        return None
    return Layout(tuple(entry for entry in _state(words) if entry[0] not in HEAD) + _ranges(words))


@cache
def member_layout(words: ResucaWords | ResNet1dWords) -> Layout:
    """Return the numbers that a compound has of its own."""
    if isinstance(words, ResucaWords):
        return Layout(_state(words) + _ranges(words))
    return Layout(tuple(entry for entry in _state(words) if entry[0] in HEAD))


def _block(here: str, before: int, width: int, stride: int, reads: str) -> Block:
    inner = Convolution(
        name=f"{here}.path.0.0",
        norm=f"{here}.path.0.1",
        inputs=before,
        outputs=width,
        kernel=5,
        stride=stride,
        reads=reads,
        writes=f"{here}.path.1",
    )
    path = Convolution(
        name=f"{here}.path.2.0",
        norm=f"{here}.path.2.1",
        inputs=width,
        outputs=width,
        kernel=5,
        stride=1,
        reads=inner.writes,
        writes=here,
    )
    shortcut = Convolution(
        name=f"{here}.shortcut.0",
        norm=f"{here}.shortcut.1",
        inputs=before,
        outputs=width,
        kernel=1,
        stride=stride,
        reads=reads,
        writes=here,
    )
    same = stride == 1 and before == width
    return Block(inner=inner, path=path, shortcut=None if same else shortcut)


def _state(words: ResucaWords | ResNet1dWords) -> tuple[tuple[str, tuple[int, ...]], ...]:
    with torch.device("meta"):  # shapes without weights
        state = words.build(points=FEWEST_POINTS, classes=1).state_dict()
    return tuple((name, tuple(value.shape)) for name, value in state.items() if not name.endswith(COUNTER))


def _ranges(words: ResucaWords | ResNet1dWords) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return tuple((name + LARGEST, (channels,)) for name, channels in plan_of(words).channels.items())


def _halved(points: int) -> int:
    return (points + 1) // 2
