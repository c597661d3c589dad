"""Known limits of a model of components: what its recipe says that it cannot do, and what the stages found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from export.components.job import ComponentsJob
from export.components.strangers import known_limit
from export.evidence.limits import NOTHING_ELSE, instruments, listed, missed

HIDDEN = (
    "A compound that hides behind another is missed: detection limits say behind which, and from which share on not."
)
NO_MIXTURES = (
    "No real mixture whose contents somebody tells has tried it: what made mixtures show is all that is known."
)
FLATTERS = (
    "Limits were chosen and tried on mixtures of the very scans that were learnt from: real samples differ more, and "
    "the figures flatter."
)
OFTEN = 0.05  # of spectra: a false name that is told more often is named
SHOWN = 3  # compounds that a sentence names


def components_limits(job: ComponentsJob, found: Mapping[str, Any], evidence: Mapping[str, Any]) -> list[str]:
    """Return the limits. found: what the trial left; evidence: what calibrate left."""
    return [
        *job.recipe.limits,
        *missed(found["acceptance"]),
        *_mixtures(found["sets"]),
        *_traces(job, evidence),
        HIDDEN,
        *([known_limit(found["strangers"], job.recipe.default_preset)] if found["strangers"] else [NOTHING_ELSE]),
        *_fractions(job, found["fractions"]),
        *([FLATTERS] if len(job.parts) == 1 and not job.recipe.is_bank else []),
        *instruments(job),
    ]


def _mixtures(sets: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """The mixture that fares worst, and what is missed of it most."""
    labels = {label: of for one in sets.values() for label, of in one["labels"].items() if len(of["holds"]) > 1}
    if not labels:
        yield NO_MIXTURES
        return
    worst = min(labels, key=lambda label: labels[label]["exact"])
    of = labels[worst]
    if of["exact"] < 1.0:
        least = min(of["holds"], key=lambda name: of["told"][name])
        false = max(of["told"].keys() - set(of["holds"]), key=lambda name: of["told"][name], default=None)
        often = f", {false} is told of {_percent(of['told'][false])}" if false and of["told"][false] > OFTEN else ""
        yield (
            f"The real mixture that fares worst is {worst}: just what it holds is told of {_percent(of['exact'])} of "
            f"{of['spectra']} spectra; {least} is found in {_percent(of['told'][least])}{often}."
        )


def _traces(job: ComponentsJob, evidence: Mapping[str, Any]) -> Iterator[str]:
    """From which share on compounds are found, the faintest last."""
    general = evidence[job.recipe.default_preset]["detection_limits"]["general"]
    told = sorted((limit, name) for name, limit in zip(job.library.names, general, strict=True) if limit is not None)
    if told:
        faint = listed([f"{name} {_percent(limit)}" for limit, name in told[-SHOWN:]])
        yield (
            "Traces are missed: in 95 of 100 made mixtures a compound is found from a share of what is seen on, "
            f"{_percent(told[0][0])} at best ({told[0][1]}); most is needed of {faint}."
        )
    if untold := [name for name, limit in zip(job.library.names, general, strict=True) if limit is None]:
        more = f" and {len(untold) - SHOWN} more" if len(untold) > SHOWN else ""
        yield f"Not found in 95 of 100 made mixtures at any share: {', '.join(untold[:SHOWN])}{more}."


def _fractions(job: ComponentsJob, found: Mapping[str, Any]) -> Iterator[str]:
    """Intervals of fractions that hold less than they should, at the default preset."""
    words, preset = job.recipe.fractions, job.recipe.default_preset
    if words is None or preset not in words.coverage:
        return
    short = [
        f"{_percent(row['covered'])} of {compound} in {name}"
        for name, of in found.items()
        for compound, row in of[preset].items()
        if row["covered"] < words.coverage[preset]
    ]
    if short:
        yield f"Intervals that are to hold {_percent(words.coverage[preset])} of the fractions hold {listed(short)}."


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
