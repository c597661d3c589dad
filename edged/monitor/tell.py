"""A drift in words for people: what, where, since when, how far, by which chart."""

from __future__ import annotations

from edged.monitor.product import Alarm, Ended
from edged.monitor.words import HINTS, SIGNALS, WHITE_SIGNALS, Signal, SignalName

_SIGNALS: dict[SignalName, Signal] = {signal.name: signal for signal in (*SIGNALS, *WHITE_SIGNALS)}


def unit_of(name: SignalName, axis_unit: str) -> str:
    """Return the unit of a signal's changes; empty for absorbance and the like."""
    unit = _SIGNALS[name].unit
    return axis_unit if unit == "axis" else unit


def alarm_text(alarm: Alarm, *, product: str | None, since: str, axis_unit: str) -> str:
    """Return one sentence. since: when the first reading after the change was taken."""
    change = f"{alarm.changes[alarm.signal]:+.3g} {unit_of(alarm.signal, axis_unit)}".rstrip()
    what = f"{alarm.cause}: {_SIGNALS[alarm.signal].text} changed by {change}"
    if alarm.chart == "white":
        return f"{what} since {since}, {alarm.limit:.3g} % is allowed"
    readings = f"{alarm.readings} readings of {product}"
    return f"{what} since {since} ({readings}; CUSUM {alarm.value:.3g}, limit {alarm.limit:.3g})"


def ended_text(ended: Ended, text: str) -> str:
    """Return the same sentence, of an alarm that stands no more."""
    return f"{'not watched any more' if ended.forgotten else 'over'}: {text}"


def gone_text(text: str) -> str:
    """Return the same sentence, of an alarm that charts learned anew do not show."""
    return f"not found again when the journal was read anew: {text}"


def hint_for(alarm: Alarm, station: str) -> str:
    """Return what to do."""
    return HINTS[alarm.cause].replace("STATION", station)
