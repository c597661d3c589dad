"""One row of a self test: a number, what it is worth, what to do about it; and the limits of all rows. Any thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edged.spectra.standards.outcome import CheckName, CheckReason, CheckVerdict, ReasonCode, verdict_of

HINTS: Mapping[ReasonCode, str] = {
    "material_not_recognised": "put the material into the focus, look whether the light is on, expose longer",
    "other_material": "put the right material there, or name the one that is: --material",
    "too_few_peaks": "expose longer, or take a standard with more bands in the range of this instrument",
    "shift_too_large": "do not measure with this instrument: have it serviced",
    "deviation": "let the instrument warm up and repeat; if it stays, have it serviced",
    "saturated": "expose shorter: settings.integration_ms, or exposure.auto",
    "peak_missing": "put the material into the focus, expose longer",
    "resolution": "repeat; if it stays, have slit and focus of the spectrometer looked at",
    "undersampled": "a width below two points is an upper bound only",
    "range_not_covered": "take the glass that is certified for this laser",
    "low_signal": "expose longer, look whether the laser is on",
    "response_changed": "clean window and glass, repeat; after a repair take a new baseline: --baseline",
    "noise": "shade the probe, let the detector cool down, repeat",
    "dark_level": "shade the probe, let the detector cool down, repeat",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTestLimits:
    """What a self test is held to; the same words as in the configuration, which says more of each.

    None: such a row is told and not judged, for what is quiet belongs to an instrument.
    """

    axis_warn_cm1: float = 1.5
    axis_fail_cm1: float = 3.0
    width_cm1: float = 15.0
    wavelength_warn_nm: float = 1.0
    wavelength_fail_nm: float = 2.0
    response_warn: float = 0.05
    response_fail: float = 0.10
    max_noise: float | None = None
    max_dark_counts: float | None = None
    max_dark_noise: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One row. verdict: None where there is no limit to judge by. unit: of value and limit; empty for a share."""

    name: CheckName
    verdict: CheckVerdict | None
    value: float | None
    unit: str
    limit: float | None
    message: str
    hint: str = ""


def told(name: CheckName, *, value: float | None, unit: str, message: str, hint: str = "") -> Check:
    """Return a row that nothing is judged by."""
    return Check(name=name, verdict=None, value=value, unit=unit, limit=None, message=message, hint=hint)


def judged(
    name: CheckName,
    reasons: Sequence[CheckReason],
    *,
    value: float | None,
    unit: str,
    limit: float | None,
    message: str = "",
) -> Check:
    """Return the row of a check that gave these reasons. limit: what it was held to where there are none.

    Of a reason that speaks of the same value, its own limit is shown.
    """
    verdict = verdict_of(reasons)
    worst = next((reason for reason in reasons if reason.severity == verdict), None)
    if worst is not None:
        limit = worst.limit if value is not None and worst.value == value else None
    return Check(
        name=name,
        verdict=verdict,
        value=value,
        unit=unit,
        limit=limit,
        message="; ".join(text for text in (*map(_said, reasons), message) if text),
        hint="" if worst is None else HINTS[worst.code],
    )


def _said(reason: CheckReason) -> str:
    if reason.code in ("material_not_recognised", "other_material") and reason.value is not None:
        return f"{reason.message} (likeness {reason.value:.2f} against {reason.limit:.2f})"
    return reason.message
