"""All networks that a recipe may name, by their `kind`; and the sizes that have names of their own."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from export.models.cnn import CnnWords
from export.models.deepcid import DeepCidWords
from export.models.ghostnet import GhostNetWords
from export.models.gru import GruWords
from export.models.invertresnet import InvertResNetWords
from export.models.lstm import LstmWords
from export.models.pair import PairWords
from export.models.resnet1d import ResNet1dWords
from export.models.resuca import ResucaWords
from export.models.sae import SaeWords
from export.models.spectratr import SpectraTrWords
from export.models.swin import SwinWords

NetworkWords = Annotated[
    GruWords
    | LstmWords
    | InvertResNetWords
    | ResNet1dWords
    | CnnWords
    | SaeWords
    | SpectraTrWords
    | GhostNetWords
    | SwinWords
    | ResucaWords
    | DeepCidWords
    | PairWords,
    Field(discriminator="kind"),
]

FIXED: dict[str, NetworkWords] = {
    "invertresnet": InvertResNetWords(),
    "invertresnet-lite": InvertResNetWords(stem=8, widths=(12, 12, 20, 20, 32), head=64),
    "resnet1d": ResNet1dWords(),
    "resnet1d-lite": ResNet1dWords(stem=16, widths=(16, 32, 48, 64)),
    "cnn": CnnWords(),
    "cnn-lite": CnnWords(width=16, edges="zeros"),
    "sae": SaeWords(),
    "spectratr": SpectraTrWords(),
    "spectratr-lite": SpectraTrWords(width=64, depth=2, heads=4, head_width=16, inner=128),
    "ghostnet": GhostNetWords(),
    "swin": SwinWords(),
    "resuca": ResucaWords(),
    "resuca-lite": ResucaWords(stem=8, widths=(8, 16, 24, 32)),
    "deepcid": DeepCidWords(),
    "pair": PairWords(),
}
CELLS = ("gru", "lstm", "bilstm")
LAYERS = (1, 2, 3)
NAMES: tuple[str, ...] = (*(f"{cell}-{layers}" for cell in CELLS for layers in LAYERS), *FIXED)

PATCH = 8  # points a step that a named recurrent network comes as near to as the number of points allows


def named(name: str, *, points: int) -> NetworkWords:
    """Return the words of a named network for spectra of so many points: one of NAMES, else ValueError.

    Recurrent networks are named by cell and layers, as in their paper; their patch divides the points.
    """
    if name in FIXED:
        return FIXED[name]
    cell, _, layers = name.partition("-")
    if name not in NAMES:
        raise ValueError(f"{name}: no such network; there are {', '.join(NAMES)}")
    patch = min((p for p in range(1, 2 * PATCH) if points % p == 0), key=lambda p: abs(p - PATCH))
    sizes: dict[str, Any] = {"patch": patch, "hidden": 64, "layers": int(layers), "features": 64, "dropout": 0.2}
    if cell == "gru":
        return GruWords(bidirectional=False, **sizes)
    return LstmWords(kind="lstm" if cell == "lstm" else "bilstm", **sizes)
