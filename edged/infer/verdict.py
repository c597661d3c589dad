"""What we concluded, as it stands in the record. Serialises to JSON; its schema is published."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Procedure = Literal["identify", "verify", "components", "quantify"]
Outcome = Literal["identified", "pass", "fail", "resolved", "quantified", "inconclusive", "not_in_scope", "rejected"]
Preset = Literal["screen", "balanced", "confirm"]

ReasonCode = Literal[
    "axis_not_covered",  # the spectrum does not span the model's axis
    "out_of_model",  # farther from every class than the gate allows
    "set_empty",  # no class is conformal at this operating point
    "set_ambiguous",  # more than one class is conformal
    "low_probability",  # calibrated probability under the operating point's floor
    "residual_too_large",  # the claimed class leaves more of the spectrum unexplained than its own scans do
    "out_of_range",  # an amount outside what the model was trained on
    "saturated",
    "low_signal",
    "low_snr",
    "reference_missing",
    "reference_stale",
    "reference_mismatched",
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
    """A class in the conformal set, with its calibrated probability."""

    label: str
    title: str
    probability: Annotated[float, Field(ge=0, le=1)]


class Gate(Model):
    """One out-of-model distance against its limit; passed when distance <= limit. An energy may be negative."""

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


class Verdict(Model):
    """A conclusion. `label` is set only for identified, pass and fail: no class is named before the gates are passed.

    `candidates` is the conformal set, best first; empty whenever a gate stands shut. `amounts` is set only for
    quantified.
    """

    procedure: Procedure
    preset: Preset
    outcome: Outcome
    label: str | None = None
    title: str | None = None
    probability: Annotated[float, Field(ge=0, le=1)] | None = None
    p_value: Annotated[
        float | None,
        Field(ge=0, le=1, description="verify: share of the claimed class's own scans that fit it no better"),
    ] = None
    candidates: tuple[Candidate, ...] = ()
    amounts: tuple[Estimate, ...] = ()
    gates: tuple[Gate, ...] = ()
    reasons: tuple[Reason, ...] = ()

    def amounts_in_words(self) -> str:
        """Return what was quantified for people; with its title where there is more than one. Empty without."""
        many = len(self.amounts) > 1
        return ", ".join(f"{a.title} {a.in_words()}" if many else a.in_words() for a in self.amounts)
