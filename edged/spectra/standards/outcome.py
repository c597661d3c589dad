"""How every check of a self test answers: a verdict, and the reasons that are not a plain yes. Any thread."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

CheckVerdict = Literal["pass", "warn", "fail"]
Subject = Literal["axis", "lamp", "resolution", "intensity", "wavelength", "dark"]
"""What a standard tells of an instrument: `axis` by a Raman material, `lamp` where the pixels are."""
CheckName = Literal[
    "axis",
    "correction",
    "lamp",
    "resolution",  # of the band that a pharmacopoeia names
    "width",  # of the strongest band or line there is
    "intensity",
    "wavelength",
    "noise",
    "dark_level",
    "dark_noise",
]
"""A row of a self test: one number, and what it is worth."""

ReasonCode = Literal[
    "material_not_recognised",  # too little of the table's pattern is in the spectrum
    "other_material",  # another material's table explains the spectrum better
    "too_few_peaks",  # of those that count
    "shift_too_large",  # beyond what a session correction may hide
    "deviation",  # a peak stands away from its published place
    "saturated",
    "peak_missing",  # the band that the check rests on is not there
    "resolution",
    "undersampled",  # too few points a width for a width to mean much
    "range_not_covered",  # the spectrum does not span the certified range
    "low_signal",
    "response_changed",  # of the session against the stored one
    "noise",
    "dark_level",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReason:
    """Why a check is not a plain pass. `value` and `limit` carry the numbers behind it where there are any."""

    code: ReasonCode
    severity: Literal["warn", "fail"]
    message: str
    value: float | None = None
    limit: float | None = None


def verdict_of(reasons: Iterable[CheckReason]) -> CheckVerdict:
    """Return the worst severity among the reasons, `pass` where there is none."""
    severities = {reason.severity for reason in reasons}
    if "fail" in severities:
        return "fail"
    return "warn" if severities else "pass"


def graded(
    code: ReasonCode, message: str, *, value: float, warn: float, fail: float, above_is_bad: bool = True
) -> tuple[CheckReason, ...]:
    """Return the one reason, or none, that `value` against two limits gives. A value on a limit is within it."""
    sign = 1.0 if above_is_bad else -1.0
    if sign * value > sign * fail:
        return (CheckReason(code=code, severity="fail", message=message, value=value, limit=fail),)
    if sign * value > sign * warn:
        return (CheckReason(code=code, severity="warn", message=message, value=value, limit=warn),)
    return ()
