"""A small network of every kind, and spectra of two classes that anybody can tell apart by their bands."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from export.models.catalogue import NetworkWords
from export.models.cnn import CnnWords
from export.models.deepcid import DeepCidWords
from export.models.ghostnet import GhostNetWords
from export.models.gru import GruWords
from export.models.invertresnet import InvertResNetWords
from export.models.lstm import LstmWords
from export.models.network import Network
from export.models.resnet1d import ResNet1dWords
from export.models.resuca import ResucaWords
from export.models.sae import SaeWords
from export.models.spectratr import SpectraTrWords
from export.models.swin import SwinWords

POINTS = 64
CLASSES = 2

SMALL: dict[str, NetworkWords] = {
    "gru": GruWords(patch=8, hidden=16, layers=1, bidirectional=True, features=8, dropout=0.0),
    "gru-mean": GruWords(patch=4, hidden=12, layers=2, bidirectional=False, features=8, dropout=0.0, read="mean"),
    "gru-points": GruWords(patch=1, hidden=12, layers=1, bidirectional=False, features=8, dropout=0.0, read="mean"),
    "lstm": LstmWords(kind="lstm", patch=8, hidden=16, layers=1, features=8, dropout=0.0),
    "bilstm": LstmWords(kind="bilstm", patch=8, hidden=12, layers=3, features=8, dropout=0.0),
    "invertresnet": InvertResNetWords(stem=8, widths=(8, 12), strides=(1, 2), expansion=2, head=16, dropout=0.0),
    "invertresnet-bilinear": InvertResNetWords(
        stem=8, widths=(8, 12), strides=(1, 2), expansion=2, head=16, dropout=0.0, fill="bilinear", serpentine=True
    ),
    "resnet1d": ResNet1dWords(stem=8, widths=(8, 12), strides=(1, 2), dropout=0.0),
    "cnn": CnnWords(width=8, kernels=(9, 7)),
    "cnn-zeros": CnnWords(width=8, edges="zeros"),
    "sae": SaeWords(widths=(32, 8)),
    "spectratr": SpectraTrWords(patch=8, width=16, depth=1, heads=2, head_width=8, inner=32, dropout=0.0),
    "ghostnet": GhostNetWords(
        stem=8, widths=(8, 12, 12), strides=(1, 2, 1), expansion=2, head=16, dropout=0.0, fill="bilinear"
    ),
    "resuca": ResucaWords(stem=8, widths=(8, 12), strides=(1, 2), dropout=0.0),
    "deepcid": DeepCidWords(dropout=0.0),
    "swin": SwinWords(patch=1, window=2, widths=(8, 16), heads=(2, 2), depth=2, inner=2, dropout=0.0),
}


def built(words: NetworkWords, *, points: int = POINTS, classes: int = CLASSES, seed: int = 1) -> Network:
    torch.manual_seed(seed)
    return words.build(points=points, classes=classes)


def two_classes(count: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Spectra with one broad band each, at a place that belongs to the class; and the classes in turn."""
    rng = np.random.default_rng(seed)
    place = np.linspace(0.0, 1.0, POINTS)
    targets = np.arange(count) % CLASSES
    middle = np.array([0.35, 0.55])[targets] + rng.normal(0.0, 0.01, count)
    bands = np.exp(-(((place - middle[:, None]) / 0.08) ** 2))
    spectra = 2.0 * bands * rng.uniform(0.8, 1.2, (count, 1)) - 0.5 + rng.normal(0.0, 0.05, (count, POINTS))
    return torch.from_numpy(spectra.astype(np.float32)), torch.from_numpy(targets)
