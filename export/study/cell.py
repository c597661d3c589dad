"""The unit of a study: one way of building a model, trained and tested on one split of one set. Words in, numbers out.

A cell says everything that its outcome depends on, so that its digest names the outcome, and a study that was stopped
goes on where it was.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal

from pydantic import Field

from edged.bundle.manifest import Axis
from export.data.augment import Session
from export.learning import Learning
from export.models.any import ModelWords
from export.preprocess.pipeline import StepWords
from export.quantise.schemes import Scheme
from export.words import Words


class RandomShare(Words):
    """Spectra drawn at random, class by class: `train` of them learn, the rest test. Groups are on both sides."""

    kind: Literal["random"] = "random"
    train: Annotated[float, Field(gt=0, lt=1)]
    seed: Annotated[int, Field(ge=0)]


class GroupPart(Words):
    """Whole groups dealt to `parts` parts by `seed`, of which the part `test` tests."""

    kind: Literal["groups"] = "groups"
    parts: Annotated[int, Field(ge=2)]
    test: Annotated[int, Field(ge=0)]
    seed: Annotated[int, Field(ge=0)]


class BlockPart(Words):
    """Blocks of `scans` contiguous scans in each class, of which the block `test` tests."""

    kind: Literal["blocks"] = "blocks"
    scans: Annotated[int, Field(ge=1)]
    test: Annotated[int, Field(ge=0)]


class Candidate(Words):
    """One way of building a model. name: what tables call it."""

    name: str
    steps: tuple[StepWords, ...]
    network: ModelWords
    learning: Learning


class Stress(Words):
    """Changes of session done to the test spectra, `sessions` times, by one seed for every model."""

    session: Session
    sessions: Annotated[int, Field(ge=1, le=100)]


class Cell(Words):
    """One measurement. With several candidates the best is chosen inside the training rows, whole groups left out.

    axis: what spectra are resampled onto; None keeps the set's own. members: networks that differ by seed, whose logits
    are averaged. scheme: what answers is their one ONNX graph, quantised so; None: torch, in float.
    """

    set: str
    axis: Axis | None = None
    split: Annotated[RandomShare | GroupPart | BlockPart, Field(discriminator="kind")]
    name: str
    candidates: Annotated[tuple[Candidate, ...], Field(min_length=1)]
    members: Annotated[int, Field(ge=1, le=20)] = 1
    stress: Stress | None = None
    scheme: Scheme | None = None
    seed: Annotated[int, Field(ge=0)] = 0

    def digest(self) -> str:
        """Return the SHA-256 of what is said, in hex; a cell without a scheme has the name that it had before."""
        exclude = {"scheme"} if self.scheme is None else None
        return hashlib.sha256(self.model_dump_json(exclude=exclude).encode()).hexdigest()


class Score(Words):
    """How well test spectra were named. mcc: Matthews' correlation coefficient, for many classes after Gorodkin 2004.

    kappa: Cohen's.
    """

    accuracy: float
    macro_f1: float
    mcc: float
    kappa: float


class Outcome(Words):
    """What a cell gave. predicted: the class column of each test spectrum, in the order of `tested` (row numbers).

    chosen: the candidate that was built. parameters: numbers that the model holds, preprocessing apart. seconds: CPU.
    alike: share of the test spectra that the quantised graph names as torch does. size_bytes: of that graph.
    """

    cell: Cell
    chosen: str
    score: Score
    stress: Score | None
    tested: tuple[int, ...]
    predicted: tuple[int, ...]
    parameters: int
    settings: dict[str, Any]
    seconds: float
    alike: float | None = None
    size_bytes: int | None = None
