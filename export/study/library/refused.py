"""What the page of a SYNTHETIC library says of compounds that it does not hold: what refuses and what hides them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from export.page import Heading, Part, Table, Text
from export.study.library.banks import BankOutcome
from export.study.library.made import MARK
from export.study.library.strangers import EFFECTS, KINDS, REST, STRANGERS, WEIGHED, WRONGLY, Refusal
from export.study.library.wanted import MISSED, REFUSED, is_refused, wrongly_said


def strange(outcomes: Sequence[BankOutcome]) -> list[Part]:
    """Return what each statistic refuses, and which of them is the daemon's."""
    told = [outcome for outcome in outcomes if outcome.refusals]
    if not told:
        return []
    each = told[0].cell.unknowns
    found: list[Part] = [
        Heading(f"Compounds that are not in the library ({MARK})"),
        Text(
            f"{STRANGERS} strangers of another seed, none of a family of the library; {each} mixtures of each share, "
            "of the library and one of them. Refused, percent; in brackets by signal to noise, highest first. **Limits "
            f"are not chosen on scans of their own here**: of {2 * each:,} mixtures of the library alone, made of the "
            f"scans that are tried, half choose a limit that refuses {WRONGLY:.0%} of them, and *wrongly* is what it "
            f"refuses of the other half. All {MARK.lower()}."
        ),
    ]
    for outcome in told:
        rows = [
            [
                refusal.statistic,
                _by_lot(refusal.wrongly),
                *(_by_lot(refusal.refused[kind]) for kind in KINDS),
                *(f"{refusal.auroc[kind]:.3f}" for kind in KINDS),
            ]
            for refusal in outcome.refusals
        ]
        header = [f"{outcome.cell.name}, {MARK}", "wrongly", *KINDS, *(f"AUROC, {kind}" for kind in KINDS)]
        found += [Table(header, rows), Text(_answer(outcome))]
    return found


def hidden(told: Sequence[BankOutcome]) -> list[Part]:
    """Return what a fit refuses that is told what is there, and which effect of the instrument hides most."""
    if not told:
        return []
    text = (
        f"What hides a stranger ({MARK}): a fit is told which compounds of the library are there, so that none of them "
        "is missed, and its limit is each stretch's own 5 %. What is not refused even here, no better naming of the "
        "others can mend by the size of a rest: what noise and instrument leave of a mixture without one is as large. "
        f"{_hides_most(told)}Refused, percent."
    )
    rows = [
        [taken.effect, *(_by_lot(taken.refused[kind]) for kind in KINDS)]
        for outcome in told
        for taken in outcome.hidden
    ]
    return [Text(text), Table([MARK, *KINDS], rows)]


def _hides_most(told: Sequence[BankOutcome]) -> str:
    """Which effect gives most back of each kind when it alone is taken away."""
    refused = {taken.effect: taken.refused for outcome in told for taken in outcome.hidden}
    first, *single, _ = EFFECTS
    said = []
    for kind in KINDS:
        shares = {effect: float(np.mean(refused[effect][kind])) for effect in (first, *single)}
        best = max(single, key=shares.__getitem__)
        if shares[best] > shares[first]:
            said.append(f"{kind}: {best} ({100 * shares[first]:.1f} to {100 * shares[best]:.1f})")
    return f"The one effect without which most comes back, by the stranger's share: {'; '.join(said)}. " if said else ""


def _answer(outcome: BankOutcome) -> str:
    """What the daemon does, and beside it the most that any row refuses, which is no answer."""
    refusals = {refusal.statistic: refusal for refusal in outcome.refusals}
    daemon, weighed = (_of_kinds(refusals[name]) for name in (REST, WEIGHED))
    return (
        f"{outcome.cell.name}: the answer is *{REST}*, whose limit a bundle holds (`max_rest`). It refuses {daemon}. "
        f"*{WEIGHED[0].upper()}{WEIGHED[1:]}* is an upper mark and no answer: no bundle holds it, and it was picked "
        f"among these rows by the very mixtures that are refused here; it refuses {weighed}."
    )


def _of_kinds(refusal: Refusal) -> str:
    """What a statistic refuses, in words, and which kinds are short of what is wanted."""
    shares = {kind: float(np.mean(refusal.refused[kind])) for kind in KINDS}
    short = [kind for kind, share in shares.items() if not is_refused(share)]
    told = ", ".join(f"{100 * share:.1f} % ({kind})" for kind, share in shares.items())
    return f"{told}, and {wrongly_said(refusal)}" + (
        f"; under the {100 * REFUSED:.0f} % that are wanted, {MISSED}: {', '.join(short)}" if short else ""
    )


def _by_lot(shares: Sequence[float]) -> str:
    return f"**{100 * float(np.mean(shares)):.1f}** ({' / '.join(f'{100 * share:.0f}' for share in shares)})"
