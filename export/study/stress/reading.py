"""What the tables of one bundle come to, in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from export.study.stress.asked import SHIPPED, UNCHANGED, Asked, Figures, StressOutcome
from export.trust import COVERAGES

BREAKS = 0.05  # fewer of all spectra told rightly: a change that what ships does not bear
BETTER = 0.02  # by as much is one accuracy called better than another; a spread of draws is often a hundredth
WORSE_RMSE = 1.5  # times the RMSE of unchanged spectra: the same of amounts
ROUNDING = 1e-9  # of differences of shares


def reading(outcome: StressOutcome) -> list[str]:
    """Say which changes break what ships, whether it is then silent or wrong, what gates withhold for nothing, and
    where a classical model is better."""
    first = outcome.figures[0]
    assert outcome.cell.asked[0].title == UNCHANGED
    changed = list(zip(outcome.cell.asked, outcome.figures, strict=True))[1:]
    limit = first["right"][0] - BREAKS
    broken = [(asked, of) for asked, of in changed if of["right"][0] < limit]
    lost = {asked.title for asked, _ in broken}
    borne = [title for title in dict.fromkeys(asked.title for asked, _ in changed) if title not in lost]
    breaks = (
        f"**What breaks it.** Told rightly are {100 * first['right'][0]:.1f} % of the {outcome.spectra} unchanged "
        f"spectra ({outcome.fillings} fillings). At least {100 * BREAKS:g} points fewer are, first at: "
        f"{_listed(_first(changed, lambda of: of['right'][0] < limit), 'right')}. "
        f"In no size: {'; '.join(borne) or 'none'}."
    )
    loud = [(asked, of) for asked, of in changed if of["wrong"][0] >= first["wrong"][0] + BREAKS]
    wrongly = f"At least {100 * BREAKS:g} points more than of unchanged spectra are told wrongly at: "
    wrongly += f"{_listed(loud, 'wrong')}."
    if broken:
        cost = {name: sum(of[name][0] - first[name][0] for _, of in broken) for name in ("wrong", "silent", "gate")}
        share = {name: f"{100 * of / (cost['wrong'] + cost['silent']):.0f} %" for name, of in cost.items()}
        wrongly = (
            f"Of what the {len(broken)} changes of that kind cost together, {share['silent']} is not told "
            f"({share['gate']} refused by a gate), {share['wrong']} told wrongly. {wrongly}"
        )
    others = [_errors(outcome, changed)] if outcome.tells_amounts else _beside(outcome, changed)
    return [breaks, f"**Silent or wrong.** {wrongly}", *others]


def _beside(outcome: StressOutcome, changed: Sequence[tuple[Asked, Figures]]) -> list[str]:
    """What a gate refuses that is still named rightly, and where a classical model is better than what ships."""
    first = outcome.figures[0]
    idle = [
        (asked, of)
        for asked, of in changed
        if of["gate"][0] >= first["gate"][0] + BREAKS and of[SHIPPED][0] > first[SHIPPED][0] - BETTER
    ]
    pairs = [(asked, of[SHIPPED][0], *outcome.best_classical(of)) for asked, of in changed]
    better = [
        f"{asked.called} ({name}, {100 * (value - own):+.1f})"
        for asked, own, name, value in pairs
        if value >= own + BETTER - ROUNDING
    ]
    ahead = sum(own >= value + BETTER - ROUNDING for _, own, _, value in pairs)
    idly = (
        f"**Refused for nothing.** A gate refuses at least {100 * BREAKS:g} points more although the most likely class "
        f"is right as before (within {100 * BETTER:g} points) at: {_listed(idle, 'gate')}."
    )
    short = [
        f"{100 * share:g} %, first at: {_listed(_first(changed, partial(_under, share)), _sets(share))}"
        for share in COVERAGES
    ]
    beside = (
        "**Beside classical models.** The best of them, picked anew for each change, is more accurate by "
        f"{100 * BETTER:g} points or more in {len(better)} of {len(pairs)}"
        f"{': ' + '; '.join(better) if better else ''}. What ships is in {ahead}; the rest are nearer to each other."
    )
    return [idly, f"**Sets.** They hold the true class less often than {'. Than '.join(short)}.", beside]


def _errors(outcome: StressOutcome, changed: Sequence[tuple[Asked, Figures]]) -> str:
    unchanged = outcome.figures[0][SHIPPED][0]
    far = _first(changed, lambda of: of[SHIPPED][0] > WORSE_RMSE * unchanged)
    listed = "; ".join(f"{asked.called} ({of[SHIPPED][0]:.1f})" for asked, of in far)
    less = [asked.called for asked, of in changed if min(of[name][0] for name in outcome.settings) < of[SHIPPED][0]]
    return (
        f"**Errors.** RMSE is over {WORSE_RMSE:g} times that of unchanged spectra ({unchanged:.1f} mg) first at: "
        f"{listed or 'none'}. A classical regression has less in {len(less)} of "
        f"{len(changed)} changes{': ' + '; '.join(less) if less else ''}."
    )


def _first(changed: Sequence[tuple[Asked, Figures]], holds: Callable[[Figures], bool]) -> list[tuple[Asked, Figures]]:
    """Return the smallest size of each kind of which something holds."""
    found: dict[str, tuple[Asked, Figures]] = {}
    for asked, of in changed:
        if holds(of):
            found.setdefault(asked.title, (asked, of))
    return list(found.values())


def _sets(share: float) -> str:
    return f"{100 * share:g} %"


def _under(share: float, of: Figures) -> bool:
    """Whether sets of a coverage hold the true class less often."""
    return of[_sets(share)][0] < share


def _listed(rows: Sequence[tuple[Asked, Figures]], name: str) -> str:
    return "; ".join(f"{asked.called} ({100 * of[name][0]:.1f} %)" for asked, of in rows) or "none"
