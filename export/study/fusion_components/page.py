"""The page of the study of component networks of two techniques: tables, a picture, and what they say in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from export.page import Heading, Part, Picture, Table, Text
from export.plots import bars
from export.study.fusion_components.measure import PairOutcome, Told
from export.study.fusion_components.pair import KINDS, TECHNIQUES, Kind
from export.study.fusion_components.spoilt import STATES, State
from export.study.library.made import MARK

NIR, RAMAN, EARLY, LATE, VALID, FIT = "NIR", "Raman", "early", "late", "late with validity", "NNLS of both"
WAYS = (NIR, RAMAN, EARLY, LATE, VALID, FIT)
FIGURES: tuple[tuple[str, str, float, int], ...] = (
    ("Exact sets, percent", "exact", 100.0, 1),
    ("False names a sample", "false_names", 1.0, 3),
    ("F1, percent", "f1", 100.0, 1),
    ("Precision, percent", "precision", 100.0, 1),
    ("Recall, percent", "recall", 100.0, 1),
)
SOUND = "nothing spoilt"
Read = Callable[[Told], float]
TO_INTEGRATORS = """
A station of the daemon has one instrument and one bundle: nothing of this runs there. Who has the logits of two
detectors of the same compounds fuses them with `export.components.late`: `temperature` and `prior_log_odds` on
samples that taught neither, `fused_log_odds` with a validity bit per source and sample. Limits are chosen on what is
fused, and for each set of sources that may count."""


class Found:
    """What all cells found, by way, state and library."""

    def __init__(self, outcomes: Sequence[PairOutcome]) -> None:
        self._told = {
            (told.way, told.state, outcome.cell.pair.seed): told for outcome in outcomes for told in outcome.told
        }
        self.seeds = sorted({seed for _, _, seed in self._told})
        self.ways = [way for way in WAYS if any(way == known for known, _, _ in self._told)]

    def each(self, way: str, state: State, read: Read) -> list[float]:
        """Return a figure of each library; none where nothing was asked in any sample."""
        told = [self._told.get((way, state, seed)) for seed in self.seeds]
        return [read(one) for one in told if one is not None and one.unasked < 1.0]

    def mean(self, way: str, state: State, figure: str) -> float:
        """Return the mean of a figure over the libraries."""
        return float(np.mean(self.each(way, state, _reader(figure))))

    def ahead(self, way: str, other: str, state: State, figure: str) -> list[float]:
        """Return by how much a way is ahead of another, library by library."""
        pairs = [[self._told.get((name, state, seed)) for name in (way, other)] for seed in self.seeds]
        read = _reader(figure)
        return [read(one) - read(two) for one, two in pairs if one is not None and two is not None]


def parts(outcomes: Sequence[PairOutcome], data: Path) -> Sequence[Part]:
    """Return tables, a picture and words. `data` is not read: nothing is measured on what an instrument saw."""
    del data
    found = Found(outcomes)
    shown: list[Part] = [*(Text(text) for text in said(found))]
    for title, figure, scale, digits in FIGURES:
        heading = f"{title} ({MARK})"
        if figure == "false_names" and outcomes:
            heading = f"{title}, target {outcomes[0].cell.target:g} ({MARK})"
        shown += [Heading(heading), _by_state(found, _reader(figure), scale, digits)]
        if figure == "exact":
            name = "fusion-components.png"
            shown.append(Picture(name, f"exact sets by way and by what is spoilt, {MARK}", _drawn(found)))
    return [
        *shown,
        *_kinds(found),
        *_validity(outcomes, found),
        *_cost(outcomes),
        Text(" ".join(TO_INTEGRATORS.split())),
    ]


def said(found: Found) -> list[str]:
    """What the tables say: every number is read from outcomes, and a sentence about what is not measured is left
    out."""
    return [text for text in (_of_sound(found), _of_spoilt(found), _of_absent(found)) if text]


def _of_sound(found: Found) -> str:
    if not {NIR, RAMAN, LATE, EARLY} <= set(found.ways):
        return ""
    best = max((NIR, RAMAN), key=lambda way: found.mean(way, "nothing", "exact"))
    gains = _points(found.ahead(LATE, best, "nothing", "exact"))
    against = found.ahead(LATE, EARLY, "nothing", "exact")
    verdict = f"against early {_points(against)}"
    if len(against) > 1 and abs(float(np.mean(against))) <= float(np.std(against, ddof=1)):
        verdict += ", which is no more than it varies from library to library"
    return (
        f"**Sound.** Exact sets of late fusion against {best} alone, the better of the two: {gains} points; {verdict}. "
        f"Of compounds that show {_most_gained(found, best)}."
    )


def _most_gained(found: Found, best: str) -> str:
    """The kind of compound of which late fusion finds most that the best source alone does not."""
    shares = {
        kind: [float(np.mean(found.each(way, "nothing", partial(_of_kind, kind)))) for way in (best, LATE)]
        for kind in KINDS
    }
    kind = max(shares, key=lambda kind: shares[kind][1] - shares[kind][0])
    alone, both = shares[kind]
    return f"{kind}, {best} alone finds {100 * alone:.0f} %, both {100 * both:.0f} %; of no other kind is more gained"


def _of_spoilt(found: Found) -> str:
    if not {NIR, RAMAN, EARLY, LATE, VALID} <= set(found.ways):
        return ""
    told = []
    spoilt: tuple[tuple[State, str], ...] = (("Raman drowned", NIR), ("NIR wet", RAMAN), ("NIR empty", RAMAN))
    for state, sound in spoilt:
        figures = ", ".join(
            f"{way} {100 * found.mean(way, state, 'exact'):.1f} % and {found.mean(way, state, 'false_names'):.2f}"
            for way in (EARLY, LATE, VALID, sound)
        )
        told.append(f"*{state}*: {figures}")
    left = [f"{found.mean(VALID, state, 'left_out'):.2f} ({state})" for state, _ in spoilt]
    return (
        f"**Spoilt** (exact sets, and false names a sample; last the source that is sound, alone). {'; '.join(told)}. "
        "No limit was chosen for a spoilt source, so no promise of false names holds there. The validity bit is only "
        f"as good as its gate. Sources left out a sample, where one is spoilt: {', '.join(left)}; what is let through "
        "counts. With a gate that is never wrong it would be as if the spoilt source were absent."
    )


def _of_absent(found: Found) -> str:
    if not {NIR, RAMAN, EARLY, LATE} <= set(found.ways):
        return ""
    absent: tuple[tuple[State, str, str], ...] = (("Raman absent", RAMAN, NIR), ("NIR absent", NIR, RAMAN))
    told = [
        f"without {gone} late is {left} alone, {100 * found.mean(LATE, state, 'exact'):.1f} % exact; early has "
        f"{100 * found.mean(EARLY, state, 'exact'):.1f} % and {found.mean(EARLY, state, 'false_names'):.1f} false "
        "names a sample"
        for state, gone, left in absent
    ]
    return f"**Absent**: {'; '.join(told)}: its network has never seen a row with half of it missing."


def _points(values: Sequence[float]) -> str:
    mean, more = 100 * float(np.mean(values)), len(values) > 1
    return f"{mean:+.1f}" + (f" ± {100 * float(np.std(values, ddof=1)):.1f}" if more else "")


def _of_kind(kind: Kind, told: Told) -> float:
    return told.found[kind]


def _reader(figure: str) -> Read:
    return lambda told: float(getattr(told, figure))


def _by_state(found: Found, read: Read, scale: float, digits: int) -> Table:
    rows = [[way, *(_shown(found.each(way, state, read), scale, digits) for state in STATES)] for way in found.ways]
    return Table([MARK, SOUND, *STATES[1:]], rows)


def _drawn(found: Found) -> bytes:
    series: dict[str, dict[str, tuple[float, float]]] = {}
    for state in STATES:
        for way in found.ways:
            values = [100 * value for value in found.each(way, state, _reader("exact"))]
            if values:
                spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
                series.setdefault(SOUND if state == "nothing" else state, {})[way] = (float(np.mean(values)), spread)
    return bars(series, label=f"exact sets, percent ({MARK})")


def _kinds(found: Found) -> list[Part]:
    """What fusion gains, by how compounds show."""
    rows = []
    for way in found.ways:
        cells = [found.each(way, "nothing", partial(_of_kind, kind)) for kind in KINDS]
        rows.append([way, *(_shown(values, 100.0, 1) for values in cells)])
    text = "Found, percent of what is there, nothing spoilt."
    return [Heading(f"By how a compound shows ({MARK})"), Text(text), Table([MARK, *KINDS], rows)]


def _validity(outcomes: Sequence[PairOutcome], found: Found) -> list[Part]:
    """Which sources did not count, and what each is divided by."""
    own = [outcome for outcome in outcomes if outcome.temperatures]
    if not own:
        return []
    left = [_shown(found.each(VALID, state, _reader("left_out")), 1.0, 3) for state in STATES]
    none = [_shown(found.each(VALID, state, _reader("unasked")), 100.0, 2) for state in STATES]
    alone = [
        [
            name,
            _shown([outcome.temperatures[name] for outcome in own], 1.0, 3),
            _shown([outcome.knows[name] for outcome in own], 100.0, 1),
            _shown([outcome.likeness[name] for outcome in own if outcome.likeness], 1.0, 2),
        ]
        for name in TECHNIQUES
    ]
    fused = [outcome.fused_temperature for outcome in own if outcome.fused_temperature is not None]
    alone.append(["both, fused", _shown(fused, 1.0, 3), "–", "–"])
    header = [MARK, "temperature", "sound ones known, %", "likeness of relatives"]
    text = (
        "Sources that gave a spectrum and did not count, a sample; then samples of which none counted, percent. "
        "Likeness: mean correlation of the slopes of relatives that show in both. What fused log-odds would be "
        "divided by, on the tried pairs, is not applied; above 1 they are too sure, since sources of one sample are "
        "not quite independent."
    )
    rows = [["sources left out", *left], ["no source counts, %", *none]]
    return [
        Heading(f"Sources left out ({MARK})"),
        Text(text),
        Table([MARK, SOUND, *STATES[1:]], rows),
        Table(header, alone),
    ]


def _cost(outcomes: Sequence[PairOutcome]) -> list[Part]:
    """What teaching took."""
    names = dict.fromkeys(outcome.cell.name for outcome in outcomes if outcome.taught_seconds)
    told = [f"*{name}* {np.mean([o.taught_seconds for o in outcomes if o.cell.name == name]):.0f} s" for name in names]
    return [Text(f"Taught, CPU time a library, mixtures included: {', '.join(told)}.")] if told else []


def _shown(values: Sequence[float], scale: float, digits: int) -> str:
    """Mean ± standard deviation; of one value, the value."""
    if not values:
        return "–"
    mean = f"{scale * float(np.mean(values)):.{digits}f}"
    return f"{mean} ± {scale * float(np.std(values, ddof=1)):.{digits}f}" if len(values) > 1 else mean
