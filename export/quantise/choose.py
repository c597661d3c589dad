"""Which candidate is shipped: a rule that was stated before anything was measured.

    eligible   same outcome and name as float for at least 99.5 % of all spectra; accuracy within half a point;
               golden tolerance at least twice the spread between kernels; and at most 0.3 of float's size,
               unless no candidate that passes the rest is that small
    chosen     the fastest of the eligible; what is within 5 % of it, or as near as rounds differ from each other
               (quartiles overlap), is a tie: then the smaller file (1 % is equal), then the simpler scheme

Why twice: the golden vectors are computed by one machine's integer kernels and checked by another's. Each stands at
most one spread from what both approximate, so two of them at most two spreads from each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from export.errors import VerificationFailed
from export.quantise.measure import Measured
from export.quantise.schemes import SCHEMES, Scheme

SAME_OUTCOME = 0.995
ACCURACY_POINTS = 0.5
SIZE = 0.3
TIE = 0.05
EQUAL_SIZE = 0.01
SPREADS = 2.0
RULE = (
    f"eligible: same outcome at least {SAME_OUTCOME:.1%}, accuracy within {ACCURACY_POINTS} point, golden tolerance at "
    f"least {SPREADS:g} x the spread between kernels, at most {SIZE:g} of float's size where one passes; among these "
    f"the fastest here; within {TIE:.0%} or the quartiles of the rounds the smaller, then the simpler"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The chosen scheme, why it, and for each of the others why not."""

    scheme: Scheme
    why: str
    against: dict[Scheme, str]


def choose(table: Sequence[Measured], *, tolerance: float) -> Choice:
    """Apply the rule to what was measured. Raises VerificationFailed when not even float is eligible."""
    against: dict[Scheme, str] = {}
    passing: list[Measured] = []
    for row in table:
        if found := _faults(row, tolerance):
            against[_scheme(row)] = "; ".join(found)
        else:
            passing.append(row)
    if not passing:
        raise VerificationFailed(
            "no candidate may be shipped: " + ", ".join(f"{name}: {why}" for name, why in against.items()),
            hint="report the versions of onnx and onnxruntime: float must agree with itself",
        )
    small = [row for row in passing if row["size_ratio"] <= SIZE]
    for row in passing if small else []:
        if row["size_ratio"] > SIZE:
            against[_scheme(row)] = f"{row['size_ratio']:.2f} of float's size, and others need at most {SIZE:g}"
    eligible = small or passing
    fastest = min(eligible, key=lambda row: row["ratio"])
    within = max(fastest["ratio"] * (1 + TIE), fastest["ratio_high"])
    tied = [row for row in eligible if row["ratio"] <= within or row["ratio_low"] <= within]
    for row in eligible:
        if row not in tied:
            against[_scheme(row)] = f"{row['ratio'] / fastest['ratio']:.2f} x the time of the fastest eligible"
    smallest = min(row["file_bytes"] for row in tied)
    best = min(tied, key=lambda row: (row["file_bytes"] > smallest * (1 + EQUAL_SIZE), SCHEMES.index(_scheme(row))))
    for row in tied:
        if row is not best:
            larger = row["file_bytes"] > smallest * (1 + EQUAL_SIZE)
            against[_scheme(row)] = "as fast and larger" if larger else "as fast and as small, but less simple"
    why = f"{best['ratio']:.2f} of float's time, {best['size_ratio']:.2f} of its size, "
    why += f"same outcome {best['same_outcome']:.2%}, accuracy {100 * best['accuracy_difference']:+.2f} points"
    if not small:
        why += f"; no candidate that agrees is within {SIZE:g} of float's size"
    return Choice(scheme=_scheme(best), why=why, against=dict(sorted(against.items(), key=_order)))


def falling_short(table: Sequence[Measured]) -> str:
    """What verdicts by fixed scales cost, which learning with the rounding in the loop may mend; empty if nothing."""
    static = [row for row in table if row["scheme"].startswith("static")]
    return "; ".join(f"{row['scheme']}: {', '.join(found)}" for row in static if (found := _disagreement(row)))


def _scheme(row: Measured) -> Scheme:
    return next(scheme for scheme in SCHEMES if scheme == row["scheme"])


def _faults(row: Measured, tolerance: float) -> list[str]:
    found = _disagreement(row)
    if SPREADS * row["kernel_spread"] > tolerance:
        found.append(f"kernels differ by {row['kernel_spread']:.3g}: the golden tolerance {tolerance:g} is too narrow")
    return found


def _disagreement(row: Measured) -> list[str]:
    found = []
    if row["same_outcome"] < SAME_OUTCOME:
        found.append(f"same outcome {row['same_outcome']:.2%}, wanted {SAME_OUTCOME:.1%}")
    if abs(100 * row["accuracy_difference"]) > ACCURACY_POINTS:
        found.append(f"accuracy {100 * row['accuracy_difference']:+.2f} points, allowed are {ACCURACY_POINTS}")
    return found


def _order(pair: tuple[Scheme, str]) -> int:
    return SCHEMES.index(pair[0])
