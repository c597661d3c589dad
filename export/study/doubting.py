"""What a network itself gives a gate to go by: the energy of its logits, and where its features lie.

A small GRU of the shipped kind learns the copies that the spaces are fitted on, in few steps; a network is made once
for both. Energy: Liu et al. 2020, arXiv 2010.03759, at a temperature of 1. Features: the distance to the nearest class
by the scatter that all classes share, Lee et al. 2018, arXiv 1807.03888.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.models.gru import GruWords
from export.models.network import Network

Rows = NDArray[np.float64]

WORDS = GruWords(kind="gru", patch=28, hidden=32, layers=1, bidirectional=True, features=64, dropout=0.1)
STEPS, BATCH, RATE, SMOOTHING = 160, 64, 4e-3, 0.05
SHRINKAGE = 1e-3  # share of the mean variance that is added to the scatter of the features


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubting:
    """A network that has learned prepared spectra [n, points], and the classes in its features."""

    network: Network
    mean: Tensor
    spread: Tensor
    centres: Rows
    white: Rows

    def energy(self, prepared: Tensor) -> Rows:
        """Return -logsumexp of the logits: the larger, the less the network knows the spectrum."""
        return np.asarray(-self._logits(prepared).logsumexp(dim=1).double().numpy())

    def distance(self, prepared: Tensor) -> Rows:
        """Return the Mahalanobis distance of the features to the nearest class."""
        with torch.no_grad():
            found = self.network.embed(self._scaled(prepared)).double().numpy()
        off = (found[:, None, :] - self.centres) @ self.white
        return np.asarray(np.sqrt((off * off).sum(axis=2).min(axis=1)))

    def named(self, prepared: Tensor) -> NDArray[np.int64]:
        """Return the class of the largest logit."""
        return np.asarray(self._logits(prepared).argmax(dim=1).numpy(), dtype=np.int64)

    def _logits(self, prepared: Tensor) -> Tensor:
        with torch.no_grad():
            logits: Tensor = self.network(self._scaled(prepared))
        return logits

    def _scaled(self, prepared: Tensor) -> Tensor:
        return (prepared - self.mean) / self.spread


_LEARNED: dict[str, Doubting] = {}


def doubting(prepared: Tensor, targets: NDArray[np.int64]) -> Doubting:
    """Return the network that learns these; the same one for the same spectra. Deterministic on one thread."""
    digest = hashlib.sha256(prepared.numpy().tobytes() + targets.tobytes()).hexdigest()
    if digest not in _LEARNED:
        torch.set_num_threads(1)
        _LEARNED[digest] = _learn(prepared, torch.from_numpy(targets))
    return _LEARNED[digest]


def _learn(prepared: Tensor, targets: Tensor) -> Doubting:
    mean, spread = prepared.mean(dim=0), prepared.std(dim=0) + 1e-8
    scaled, classes = (prepared - mean) / spread, int(targets.max()) + 1
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = WORDS.build(points=scaled.shape[1], classes=classes)
        optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-4)
        rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=STEPS)
        for _ in range(STEPS):
            rows = torch.randint(len(scaled), (BATCH,))
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(scaled[rows]), targets[rows], label_smoothing=SMOOTHING).backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            rate.step()
    network.eval()
    with torch.no_grad():
        found = network.embed(scaled).double().numpy()
    told = targets.numpy()
    centres = np.stack([found[told == c].mean(axis=0) for c in range(classes)])
    off = found - centres[told]
    scatter = off.T @ off / (len(off) - classes)
    scatter[np.diag_indices_from(scatter)] += SHRINKAGE * np.trace(scatter) / len(scatter)
    return Doubting(
        network=network,
        mean=mean,
        spread=spread,
        centres=centres,
        white=np.linalg.inv(np.linalg.cholesky(scatter)).T,
    )
