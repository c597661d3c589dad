"""What tuning leaves behind: a head that runs inside the graph of a bundle, and the settings that won."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

BATCH = 256  # rows at a time: some heads hold rows x references numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A fitted baseline.

    head: prepared spectra float32 [n, points] to logits [n, classes], or to amounts [n, 1]; it exports with
    `module_graph`. settings: the point of the grid that won, by scikit-learn's names.
    """

    head: nn.Module
    settings: dict[str, Any]

    @property
    def parameters(self) -> int:
        """How many fitted numbers the head holds."""
        return sum(held.numel() for held in self.head.state_dict().values())

    @property
    def size_bytes(self) -> int:
        """What these numbers take in a graph; its nodes add some kilobytes."""
        return sum(held.numel() * held.element_size() for held in self.head.state_dict().values())

    def scores(self, spectra: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the head's logits, or amounts, of prepared spectra [n, points]."""
        rows = torch.from_numpy(np.array(spectra, dtype=np.float32))
        with torch.no_grad():
            return np.concatenate([self.head(part).numpy() for part in rows.split(BATCH)]).astype(np.float32)

    def classify(self, spectra: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return the class of the largest logit of each spectrum [n, points]."""
        return np.asarray(self.scores(spectra).argmax(axis=1), dtype=np.int64)
