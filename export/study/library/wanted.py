"""What was wanted of names in a SYNTHETIC library, beside what is reached: each target is met or missed.

Figures are judged as they are printed. A target holds for the mean of the libraries that are measured.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edged.infer.verdict import Preset
from export.page import Heading, Part, Table, Text
from export.study.library.banks import TARGETS, BankOutcome, PresetOutcome
from export.study.library.made import MARK
from export.study.library.spread import title
from export.study.library.strangers import KINDS, REST, WRONGLY, Refusal

NEGATIVES = 20_000
"""Mixtures without a compound, at least, behind each rate of false names."""
REFUSED = 0.95
"""Of mixtures with a stranger, at least."""
MISSED = "**missed**"


def is_kept(preset: Preset, false_names: float) -> bool:
    """Whether so many false names a sample are no more than a preset allows."""
    return round(false_names, 3) <= TARGETS[preset]


def is_right(wrongly: float) -> bool:
    """Whether no more is refused wrongly than a limit was to refuse."""
    return round(wrongly, 3) <= WRONGLY


def is_refused(share: float) -> bool:
    """Whether enough mixtures with a stranger are refused."""
    return round(share, 3) >= REFUSED


def wanted(outcomes: Sequence[BankOutcome]) -> list[Part]:
    """Return the targets of false names and of strangers beside what each detector reaches; nothing of nobody."""
    rows = [(outcome, preset) for outcome in outcomes for preset in outcome.presets]
    if not rows:
        return []
    text = (
        "Of each detector the mean of the libraries that are measured; as wanted, or missed. False names of members "
        f"are told as if all were there. All {MARK.lower()}."
    )
    return [Heading(f"What was wanted ({MARK})"), Text(text), _of_names(rows), *_of_strangers(outcomes)]


def _of_names(rows: Sequence[tuple[BankOutcome, PresetOutcome]]) -> Table:
    table = []
    for name in dict.fromkeys(title(o, p) for o, p in rows):
        own = [(o, p) for o, p in rows if title(o, p) == name]
        negatives = min(p.negatives for _, p in own)
        cells = []
        for preset in TARGETS:
            found = [p.false_names for _, p in own if p.preset == preset]
            mean = float(np.mean(found)) if found else None
            cells.append("–" if mean is None else _of(mean, ".3f", ok=is_kept(preset, mean)))
        libraries = {o.cell.library.seed for o, _ in own}
        table.append([name, *cells, _of(negatives, ",", ok=negatives >= NEGATIVES), str(len(libraries))])
    header = [f"false names a sample, {MARK}", *TARGETS, "negatives, at least", "libraries"]
    at = ["wanted", *(f"at most {target:g}" for target in TARGETS.values()), f"{NEGATIVES:,}", ""]
    return Table(header, [at, *table])


def _of_strangers(outcomes: Sequence[BankOutcome]) -> list[Part]:
    table = []
    for name in dict.fromkeys(outcome.cell.name for outcome in outcomes if outcome.refusals):
        of = [r for o in outcomes if o.cell.name == name for r in o.refusals if r.statistic == REST]
        wrongly = float(np.mean([r.wrongly for r in of]))
        shares = {kind: float(np.mean([r.refused[kind] for r in of])) for kind in KINDS}
        cells = [_of(100 * share, ".1f", ok=is_refused(share)) for share in shares.values()]
        table.append([name, _of(100 * wrongly, ".1f", ok=is_right(wrongly)), *cells, str(len(of))])
    if not table:
        return []
    header = [f"refused, percent, {MARK}", "wrongly", *KINDS, "libraries"]
    at = ["wanted", f"at most {100 * WRONGLY:g}", *(f"{100 * REFUSED:g}" for _ in KINDS), ""]
    text = (
        "Mixtures with a stranger, by its share, that are refused by what the daemon asks. Wanted was that "
        f"{100 * REFUSED:g} % of unknown compounds are refused at {100 * WRONGLY:g} % wrong refusals, and not said how "
        "much of a mixture they are: so each share has its own verdict."
    )
    return [Text(text), Table(header, [at, *table])]


def _of(value: float, form: str, *, ok: bool) -> str:
    return f"{value:{form}}, {'met' if ok else MISSED}"


def wrongly_said(refusal: Refusal) -> str:
    """Return what a statistic refuses wrongly, percent, and that it is too much where it is."""
    wrongly = float(np.mean(refusal.wrongly))
    return f"{100 * wrongly:.1f} % wrongly" + ("" if is_right(wrongly) else f" (over {100 * WRONGLY:g} %: {MISSED})")
