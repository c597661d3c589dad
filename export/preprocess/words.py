"""What a recipe may say of preprocessing: one class a step. The torch modules know nothing of these."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edged.spectra.spectrum import MAX_POINTS
from export.words import Words

Window = Annotated[int, Field(ge=3, le=201)]
MAX_CONSTITUENTS = 8  # more cannot be told apart on the broad bands of NIR


class Step(Words):
    """Base of all steps."""

    @property
    def fitted(self) -> bool:
        """Whether the step takes constants from training spectra, and so differs from member to member."""
        return False


class SnvStep(Step):
    """Standard normal variate of each spectrum."""

    kind: Literal["snv"]


class VectorStep(Step):
    """Euclidean length one for each spectrum."""

    kind: Literal["vector-normalise"]


class MinMaxStep(Step):
    """Each spectrum from 0 to 1."""

    kind: Literal["min-max"]


class MscStep(Step):
    """Multiplicative scatter correction against the training mean."""

    kind: Literal["msc"]

    @property
    def fitted(self) -> bool:
        """It is."""
        return True


class EmscStep(Step):
    """Extended MSC against the training mean: a polynomial of `order` goes, the path length goes.

    constituents: spectra on this step's axis, of what varies and is no scatter; they are fitted along and stay.
    """

    kind: Literal["emsc"]
    order: Annotated[int, Field(ge=0, le=4)] = 2
    constituents: Annotated[
        tuple[Annotated[tuple[float, ...], Field(min_length=2, max_length=MAX_POINTS)], ...],
        Field(max_length=MAX_CONSTITUENTS),
    ] = ()

    @property
    def fitted(self) -> bool:
        """It is."""
        return True


class StandardiseStep(Step):
    """Z-score: minus a mean, over a standard deviation.

    by: `wavelength`, of each point over the training spectra; `spectrum`, of each spectrum over its own points, which
    needs no training; `set`, one mean and one standard deviation of all training values, which changes the unit only.
    """

    kind: Literal["standardise"]
    by: Literal["wavelength", "spectrum", "set"] = "wavelength"

    @property
    def fitted(self) -> bool:
        """It is, but by spectrum."""
        return self.by != "spectrum"


class CentreStep(Step):
    """Each wavelength minus its mean over the training spectra."""

    kind: Literal["mean-centre"]

    @property
    def fitted(self) -> bool:
        """It is."""
        return True


class DetrendStep(Step):
    """Each spectrum minus its least-squares polynomial of `order`."""

    kind: Literal["detrend"]
    order: Annotated[int, Field(ge=0, le=8)] = 1


class BaselineStep(Step):
    """Each spectrum minus a spline under its bands (arPLS): fluorescence and drift, not scatter.

    knots: places where the spline may bend. stiffness: against bending between them. rounds: of reweighting.
    """

    kind: Literal["baseline"]
    knots: Annotated[int, Field(ge=4, le=24, description="the graph grows with their number")] = 8
    stiffness: Annotated[float, Field(gt=0, le=1e6)] = 0.01
    rounds: Annotated[int, Field(ge=1, le=20)] = 8


class LogStep(Step):
    """-log10 of reflectance, transmittance or counts. Values under `floor` count as the floor."""

    kind: Literal["negative-log"]
    floor: Annotated[float, Field(ge=1e-30, le=1e6)] = 1e-6


class ReflectanceStep(Step):
    """10^-A of absorbance: where grains lie side by side, each with light of its own, their spectra add up here."""

    kind: Literal["reflectance"]


class KubelkaMunkStep(Step):
    """(1 - R)^2 / 2R of absorbance, R = 10^-A: K/S of a thick layer of fine powder (Kubelka and Munk 1931)."""

    kind: Literal["kubelka-munk"]


class LevelAndShapeStep(Step):
    """Three views side by side: z-score, shape without the first principal component, and that of the square root.

    What follows sees three numbers a point; so it stands last.
    """

    kind: Literal["level-and-shape"]

    @property
    def fitted(self) -> bool:
        """It is."""
        return True


class CropStep(Step):
    """Only the points from `start` to `stop`, both included, in the unit of the recipe's axis."""

    kind: Literal["crop"]
    start: float
    stop: float

    @model_validator(mode="after")
    def _makes_sense(self) -> CropStep:
        if not self.start < self.stop:
            raise ValueError("stop: above start")
        return self


class SavgolStep(Step):
    """Savitzky-Golay smoothing (derivative 0) or derivative."""

    kind: Literal["savgol"]
    window: Window
    order: Annotated[int, Field(ge=0, le=8)]
    derivative: Annotated[int, Field(ge=0, le=4)] = 0

    @model_validator(mode="after")
    def _makes_sense(self) -> SavgolStep:
        _has_a_middle(self.window)
        if not self.derivative <= self.order < self.window:
            raise ValueError("order: at least the derivative and under the window")
        return self


class SmoothStep(Step):
    """Moving average."""

    kind: Literal["smooth"]
    window: Window

    @model_validator(mode="after")
    def _makes_sense(self) -> SmoothStep:
        _has_a_middle(self.window)
        return self


class WaveletStep(Step):
    """Wavelet denoising (`universal` soft threshold) or smoothing (`drop` the details)."""

    kind: Literal["wavelet"]
    wavelet: Literal["sym8", "db8"]
    levels: Annotated[int, Field(ge=1, le=8)]
    rule: Literal["universal", "drop"] = "universal"


StepWords = Annotated[
    SnvStep
    | VectorStep
    | MinMaxStep
    | MscStep
    | EmscStep
    | StandardiseStep
    | CentreStep
    | DetrendStep
    | BaselineStep
    | LogStep
    | ReflectanceStep
    | KubelkaMunkStep
    | LevelAndShapeStep
    | CropStep
    | SavgolStep
    | SmoothStep
    | WaveletStep,
    Field(discriminator="kind"),
]


def _has_a_middle(window: int) -> None:
    if window % 2 == 0:
        raise ValueError(f"window: {window} is even; a window has a middle point")
