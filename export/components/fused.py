"""What the stages of a bank's recipe do in another way: one network becomes a bank, and its int8 graph answers."""

from __future__ import annotations

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from export.bank.bank import Bank
from export.bank.folder import load_bank, save_bank
from export.bank.fuse import fused
from export.bank.ranges import bank_from
from export.compare import session
from export.components.graph import Preparation, with_bank
from export.components.job import ComponentsJob
from export.components.learn import Detector
from export.data.mixtures.synthesise import synthesise
from export.models.network import Network
from export.models.resnet1d import ResNet1dWords
from export.models.resuca import ResucaWords
from export.preprocess.pipeline import Pipeline, build

BANK = "bank"  # folder below the work folder
CALIBRATED_ON = 2048  # made mixtures that ranges are taken from
ROWS = 64  # of one pass: the maps of hundreds of members are large


class Voice:
    """Spectra [n, points] on the grid to the logits of a bank, as its int8 graph gives them in any bundle."""

    def __init__(self, steps: Pipeline, bank: Bank) -> None:
        self._steps, self._session = steps, session(fused(bank))

    def say(self, spectra: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the logits, float32 [n, compounds]."""
        rows = torch.from_numpy(np.ascontiguousarray(spectra, dtype=np.float32))
        parts = [prepared(self._steps, part) for part in rows.split(ROWS)]
        said = [self._session.run(["logits"], {"prepared": part})[0] for part in parts]
        return np.asarray(np.concatenate(said), dtype=np.float32)


@torch.no_grad()
def prepared(steps: Pipeline, rows: torch.Tensor) -> NDArray[np.float32]:
    """Return what a bank reads of spectra on the grid."""
    return np.asarray(steps(rows).numpy(), dtype=np.float32)


def keep_bank(job: ComponentsJob, detector: Detector) -> None:
    """Leave the trained network as a bank; ranges are those of made mixtures such as it learnt from."""
    words = job.recipe.network
    assert isinstance(words, ResucaWords | ResNet1dWords)
    assert isinstance(detector.network, Network)
    made = synthesise(job.parts[0].learnt, job.recipe.synthesis, CALIBRATED_ON, job.rng(60), grid=job.grid)
    rows = prepared(detector.steps, torch.from_numpy(made.values))
    save_bank(bank_from(words, detector.network, job.library.names, rows), job.path(BANK))


def kept_bank(job: ComponentsJob) -> Bank:
    """Return the bank of the work folder. Raises StageMissing."""
    return load_bank(job.need("bank/bank.json").parent)


def voice_of(job: ComponentsJob) -> Voice:
    """Return what the bank of the work folder says. Raises StageMissing."""
    return Voice(build(job.recipe.steps, job.grid), kept_bank(job))


def bundled(job: ComponentsJob, preparation: Preparation) -> onnx.ModelProto:
    """Return the graph of the bundle."""
    return with_bank(preparation, kept_bank(job), job.recipe.axis.points)
