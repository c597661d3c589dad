"""What we concluded, as it stands in the record. Serialises to JSON; its schema is published."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Procedure = Literal["identify", "verify", "components"]
Outcome = Literal["identified", "pass", "fail", "resolved", "inconclusive", "not_in_scope", "rejected"]
Preset = Literal["screen", "balanced", "confirm"]

ReasonCode = Literal[
    "axis_not_covered",  # the spectrum does not span the model's axis
    "out_of_model",  # farther from every class than the gate allows
    "set_empty",  # no class is conformal at this operating point
    "set_ambiguous",  # more than one class is conformal
    "low_probability",  # calibrated probability under the operating point's floor
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
    """One out-of-model distance against its limit; passed when distance <= limit."""

    name: str
    distance: float
    limit: float
    passed: bool


class Verdict(Model):
    """A conclusion. `label` is set only for identified, pass and fail: no class is named before the gates are passed.

    `candidates` is the conformal set, best first; empty whenever a gate stands shut.
    """

    procedure: Procedure
    preset: Preset
    outcome: Outcome
    label: str | None = None
    title: str | None = None
    probability: Annotated[float, Field(ge=0, le=1)] | None = None
    candidates: tuple[Candidate, ...] = ()
    gates: tuple[Gate, ...] = ()
    reasons: tuple[Reason, ...] = ()
