"""What can be unwell, declared once: code, severity, text, and how long it must last before it is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["warning", "fault"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A way to be unwell. A fault stops measuring or recording; a warning does not.

    text: one sentence with the cure. hides: while this one stands, these say nothing new about the same subject.
    """

    severity: Severity
    text: str
    after_s: float = 0.0
    hides: tuple[str, ...] = ()


_OF_AN_INSTRUMENT = ("reference_missing", "reference_stale", "record_damaged", "selftest_due", "selftest_failed")
CONDITIONS = {
    "thread_hangs": Condition(severity="fault", text="a thread does not answer; systemd will restart the service"),
    "store_fails": Condition(
        severity="fault", text="the journal cannot be written; nothing is measured until it can: edged doctor"
    ),
    "disk_low": Condition(
        severity="fault", text="less free space than storage.reserve_mb; measurements are refused: make room"
    ),
    "bundle_unusable": Condition(
        severity="fault", text="no model to judge with; measurements are refused: edged doctor"
    ),
    "station_parked": Condition(
        severity="fault",
        text="the instrument needs a human: follow the hint",
        hides=_OF_AN_INSTRUMENT,
    ),
    "station_absent": Condition(
        severity="warning",
        text="no instrument is plugged in",
        after_s=5.0,
        hides=_OF_AN_INSTRUMENT,
    ),
    "reference_missing": Condition(
        severity="warning", text="no white reference fits; take one: edged measure STATION --reference"
    ),
    "reference_stale": Condition(
        severity="warning", text="the white reference is old; take a new one: edged measure STATION --reference"
    ),
    "record_damaged": Condition(
        severity="warning",
        text="a stored reference or self test is damaged and not used; see what else is: edged journal verify",
    ),
    "selftest_due": Condition(
        severity="warning", text="no self test holds; put its material there, then: edged selftest STATION"
    ),
    "selftest_failed": Condition(
        severity="warning", text="a self test failed; do what its rows advise, then repeat it: edged selftest STATION"
    ),
    "drift_lamp": Condition(
        severity="warning",
        text="the lamp's light, or the white tile, changed; clean the tile and take a new white reference, and if it"
        " stays have the lamp looked at",
    ),
    "drift_axis": Condition(
        severity="warning", text="the axis moved; run a self test, and have the instrument adjusted"
    ),
    "drift_presentation": Condition(
        severity="warning", text="samples lie otherwise than they did; look at window, distance, filling, particle size"
    ),
    "drift_product": Condition(
        severity="warning", text="the product itself changed; keep a sample and have it assayed"
    ),
    "broker_away": Condition(
        severity="warning",
        text="no connection to the broker; results are kept and sent later",
        after_s=10.0,
        hides=("records_refused",),
    ),
    "records_refused": Condition(
        severity="warning",
        text="the broker does not take a record; it is kept and tried again: mend the broker's access rules or limits",
    ),
    "clock_unsynced": Condition(
        severity="warning", text="the clock follows no time server; records say so", after_s=120.0
    ),
    "task_restarts": Condition(severity="warning", text="a part of the daemon failed unexpectedly and was restarted"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ailment:
    """One condition that stands. `subject` is a station's name, or empty for the whole device."""

    code: str
    severity: Severity
    subject: str
    text: str
    detail: str
    since_s: float


class Health:
    """What stands now. Event loop only. `clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._standing: dict[tuple[str, str], tuple[float, str]] = {}

    def set(self, code: str, *, stands: bool, subject: str = "", detail: str = "") -> None:
        """Say whether a condition of CONDITIONS stands."""
        assert code in CONDITIONS, code
        key = (code, subject)
        if not stands:
            self._standing.pop(key, None)
        else:
            since_s = self._standing[key][0] if key in self._standing else self._clock()
            self._standing[key] = (since_s, detail)

    def warnings(self) -> list[Ailment]:
        """Return what has stood long enough to be shown, faults first."""
        now_s = self._clock()
        shown = [
            Ailment(
                code=code,
                severity=CONDITIONS[code].severity,
                subject=subject,
                text=CONDITIONS[code].text.replace("STATION", subject or "STATION"),
                detail=detail,
                since_s=since_s,
            )
            for (code, subject), (since_s, detail) in self._standing.items()
            if now_s - since_s >= CONDITIONS[code].after_s and not self._is_hidden(code, subject)
        ]
        return sorted(shown, key=lambda w: (w.severity != "fault", w.subject, w.code))

    def _is_hidden(self, code: str, subject: str) -> bool:
        return any(
            standing_subject == subject and code in CONDITIONS[standing].hides
            for standing, standing_subject in self._standing
        )
