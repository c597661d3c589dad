"""What we concluded, as it stands in the record. Serialises to JSON; its schema is published."""

from __future__ import annotations

import math
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

Procedure = Literal["identify", "verify", "components", "quantify"]
Outcome = Literal["identified", "pass", "fail", "resolved", "quantified", "inconclusive", "not_in_scope", "rejected"]
Preset = Literal["screen", "balanced", "confirm"]

OFF_BAND_LIMIT: Final = 0.5  # beyond it more of the relevance lies outside the reference's bands than in them
MAX_BANDS: Final = 6  # of one target: more is no explanation
MAX_TARGETS: Final = 8  # that are explained of one spectrum, the first of them

ReasonCode = Literal[
    "axis_not_covered",  # the spectrum does not span the model's axis
    "out_of_model",  # farther from every class than the gate allows
    "set_empty",  # no class is conformal at this operating point
    "set_ambiguous",  # more than one class is conformal
    "low_probability",  # calibrated probability under the operating point's floor
    "residual_too_large",  # the claimed class leaves more of the spectrum unexplained than its own scans do
    "out_of_range",  # an amount outside what the model was trained on
    "nothing_found",  # no compound above its limits
    "unknown_component",  # what was found leaves more of the spectrum unexplained than may be
    "under_detection_limit",  # a compound that is found, and so little of it that it is often missed
    "too_many_claimed",  # more compounds than any sample holds
    "saturated",
    "low_signal",
    "low_snr",
    "reference_missing",
    "reference_stale",
    "reference_mismatched",
    "reference_changed",  # a white reference of much less or more light than the one before
    "dark_missing",
    "dark_stale",
    "dark_mismatched",
    "selftest_required",  # none has been passed, or too long ago
    "selftest_advised",  # the same where the configuration only warns
]


class Model(BaseModel):
    """Frozen, closed base of everything that is stored or sent."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Reason(Model):
    """Why a verdict is not a plain yes. `value` and `limit` carry the numbers behind it where there are any."""

    code: ReasonCode
    message: str
    value: float | None = None
    limit: float | None = None


class Candidate(Model):
    """What the sample may be, or hold: a class with its calibrated probability, a compound with its score."""

    label: str
    title: str
    probability: Annotated[float, Field(ge=0, le=1)]


class Gate(Model):
    """One out-of-model distance against its limit; passed when distance <= limit."""

    name: str
    distance: float
    limit: float
    passed: bool


class Estimate(Model):
    """An amount in `unit`, and the interval that holds the true one at the operating point's coverage."""

    label: str
    title: str
    unit: str
    value: float
    low: float
    high: float

    def in_words(self) -> str:
        """Return it for people, such as "312 mg (295 to 329)": two digits of the half width, no more."""
        half = max((self.high - self.low) / 2.0, 1e-6)
        digits = min(max(1 - math.floor(math.log10(half)), 0), 6)
        value, low, high = (f"{round(x, digits) + 0.0:.{digits}f}" for x in (self.value, self.low, self.high))
        return f"{value} {self.unit} ({low} to {high})"


Share = Annotated[float, Field(ge=0, le=1)]


class Component(Model):
    """A compound that the sample holds. Null where the operating point does not confirm, or the model cannot tell."""

    label: str
    title: str
    score: Share = Field(description="1 / (1 + exp(-logit)) of the network; no probability among your samples")
    support: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="by how much the fit is worse without it, in units of the noise"
    )
    visible: Share | None = Field(default=None, description="its share of what is seen, which need not be that by mass")
    fraction: Share | None = Field(default=None, description="by mass")
    low: Share | None = Field(default=None, description="of the interval that holds the true fraction")
    high: Share | None = None
    detection_limit: Share | None = Field(default=None, description="smallest fraction that is found reliably here")

    @property
    def share(self) -> float | None:
        """The fraction, else the visible share, else None."""
        return self.visible if self.fraction is None else self.fraction

    def in_words(self) -> str:
        """Return it for people, such as "acetaminophen 62 % (57 to 67)"."""
        if self.share is None:
            return self.label
        percents = [_percent(self.share)]
        if self.low is not None and self.high is not None:
            percents.append(f"({_percent(self.low)} to {_percent(self.high)})")
        return f"{self.label} {percents[0]} %" + "".join(f" {more}" for more in percents[1:])


class Unexplained(Model):
    """What the components leave of the spectrum, in the model's own unit, against what may be left."""

    value: Annotated[float, Field(ge=0)]
    limit: float


class Verdict(Model):
    """A conclusion. `label` is set only for identified, pass and fail: no class is named before the gates are passed.

    `candidates` is the conformal set, best first, or the compounds that an inconclusive sample may hold; empty whenever
    a gate stands shut. `amounts` is set only for quantified. `components` is set only for resolved, the largest first;
    `unexplained` wherever claims were put to a fit.
    """

    procedure: Procedure
    preset: Preset
    outcome: Outcome
    label: str | None = None
    title: str | None = None
    probability: Annotated[float, Field(ge=0, le=1)] | None = None
    p_value: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            description="verify: share of the claimed class's held-out training scans, and of changed copies of them, "
            "that lie as far from the class or farther, this spectrum counted among them",
        ),
    ] = None
    candidates: tuple[Candidate, ...] = ()
    amounts: tuple[Estimate, ...] = ()
    components: tuple[Component, ...] = ()
    unexplained: Unexplained | None = None
    gates: tuple[Gate, ...] = ()
    reasons: tuple[Reason, ...] = ()

    def amounts_in_words(self) -> str:
        """Return what was quantified for people; with its title where there is more than one. Empty without."""
        many = len(self.amounts) > 1
        return ", ".join(f"{a.title} {a.in_words()}" if many else a.in_words() for a in self.amounts)

    def components_in_words(self) -> str:
        """Return what the sample holds for people, the largest first. Empty without."""
        seen = any(c.visible is not None and c.fraction is None for c in self.components)
        return ", ".join(c.in_words() for c in self.components) + (" of what is seen" if seen else "")

    def told_in_words(self) -> str:
        """Return amounts or components for people; empty where a class is named, or nothing."""
        return self.amounts_in_words() or self.components_in_words()


class Band(Model):
    """A stretch of the axis that an answer rests on, in the unit of its `Why`; `peak` is where it does most."""

    low: float
    high: float
    peak: float
    share: Share = Field(description="of all that speaks for the target")


class Why(Model):
    """What in the spectrum speaks for one class or compound: the stretches that it could least do without.

    score: the evidence, a logit. without: what is left of it when all the bands are replaced by straight lines.
    """

    label: str
    title: str
    unit: Literal["nm", "cm-1"]
    score: float
    without: float
    bands: Annotated[tuple[Band, ...], Field(max_length=MAX_BANDS, description="the largest share first")] = ()
    off_band: Share | None = Field(
        default=None, description="share of what speaks for it that lies where its reference has no band"
    )
    known: Share | None = Field(default=None, description="share of the axis on which its reference has bands")
    off_band_limit: Share = Field(default=OFF_BAND_LIMIT, description="more than this is a reason to look twice")

    @property
    def is_off_band(self) -> bool:
        """Whether the answer rests on what is no band of the target."""
        return self.off_band is not None and self.off_band > self.off_band_limit

    def in_words(self) -> str:
        """Return it for people, such as "1045 to 1070 nm (41 %), 1190 to 1210 nm (32 %)"."""
        unit = "1/cm" if self.unit == "cm-1" else self.unit
        told = ", ".join(f"{b.low:.0f} to {b.high:.0f} {unit} ({_percent(b.share)} %)" for b in self.bands)
        if self.is_off_band:
            assert self.off_band is not None
            told += f"; {_percent(self.off_band)} % of it lies outside the bands of its reference: look twice"
        return told or "no stretch of the spectrum speaks for it"


def _percent(share: float) -> str:
    """Two digits: no fraction of a mixture is known better."""
    return f"{100.0 * share:.0f}" if share >= 0.095 or share == 0.0 else f"{100.0 * share:.1f}"
