"""Banks of random members, no two alike: weights as drawn, batch normalisations that have seen spectra."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from export.bank.bank import Bank
from export.bank.ranges import bank_from
from export.compare import session
from export.models.network import Network
from export.models.resnet1d import ResNet1dWords
from export.models.resuca import ResucaWords

POINTS = 64
SMALL = ResucaWords(stem=8, widths=(8, 12), strides=(1, 2), dropout=0.0)
SHARED = ResNet1dWords(stem=8, widths=(8, 12), strides=(1, 2), dropout=0.0)


def prepared(count: int, *, seed: int, points: int = POINTS) -> NDArray[np.float32]:
    """Standardised spectra of a few bands."""
    rng = np.random.default_rng(seed)
    place = np.linspace(0.0, 1.0, points)
    middles, widths = rng.uniform(0.0, 1.0, (count, 6, 1)), rng.uniform(0.02, 0.08, (count, 6, 1))
    bands = np.exp(-(((place - middles) / widths) ** 2)) * rng.uniform(0.2, 1.0, (count, 6, 1))
    spectra = bands.sum(axis=1) + rng.normal(0.0, 0.02, (count, points))
    spectra -= spectra.mean(axis=1, keepdims=True)
    return (spectra / spectra.std(axis=1, keepdims=True)).astype(np.float32)


def network(words: ResucaWords | ResNet1dWords, compounds: int, *, seed: int, points: int = POINTS) -> Network:
    torch.manual_seed(seed)
    made = words.build(points=points, classes=compounds)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.3, 2.0)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    with torch.no_grad():
        for step in range(5):
            made(torch.from_numpy(prepared(32, seed=1000 * seed + step, points=points)))
    return made.eval()


def mixtures(count: int, *, seed: int, points: int = POINTS) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Spectra of three compounds of four bands each, in every combination; and which are there."""
    fixed, rng = np.random.default_rng(0), np.random.default_rng(seed)
    place = np.linspace(0.0, 1.0, points)
    pure = np.exp(-(((place - fixed.uniform(0.05, 0.95, (3, 4, 1))) / 0.04) ** 2)).sum(axis=1)
    present = rng.random((count, 3)) < 0.5
    spectra = (present * rng.uniform(0.2, 1.0, (count, 3))) @ pure + rng.normal(0.0, 0.02, (count, points))
    spectra -= spectra.mean(axis=1, keepdims=True)
    return (spectra / spectra.std(axis=1, keepdims=True)).astype(np.float32), present


def trained(words: ResucaWords | ResNet1dWords, *, points: int = POINTS) -> Network:
    """A network that has seen 1,600 mixtures: enough to have something to say."""
    torch.manual_seed(1)
    made = words.build(points=points, classes=3)
    optimiser = torch.optim.AdamW(made.parameters(), 5e-3)
    for step in range(50):
        spectra, present = mixtures(32, seed=1000 + step, points=points)
        optimiser.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(
            made(torch.from_numpy(spectra)), torch.from_numpy(present).float()
        ).backward()
        optimiser.step()
    return made.eval()


def bank(
    names: Sequence[str], *, seed: int, words: ResucaWords | ResNet1dWords = SMALL, input_range: float = 20.0
) -> Bank:
    """A bank of new members; all made here agree on the range of the input."""
    made = network(words, len(names), seed=seed)
    return bank_from(words, made, names, prepared(64, seed=9), input_range=input_range)


def logits(graph: onnx.ModelProto, spectra: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = session(graph).run(["logits"], {"prepared": spectra})[0]
    return found
