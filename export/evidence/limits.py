"""Known limits of a model: what its recipe says that it cannot do, and what the trial found, a sentence each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from export.acceptance import Judged
from export.job import Job
from export.workplace import Workplace

FALLEN = 0.01  # of accuracy: a change that costs more is named
NOTHING_ELSE = "It was shown nothing else: how often spectra of other things are refused is not known."
OPEN = 0.5  # share of a class that no gate would refuse as a stranger, from which on it is named


def naming_limits(job: Job, found: Mapping[str, Any]) -> list[str]:
    """Return the limits of a model that names classes. found: what the trial left."""
    return [
        *job.recipe.limits,
        *missed(found["acceptance"]),
        *_classes(found["classes"]),
        *_gates(found["let_by"]),
        *_changes(found),
        *_data(job),
    ]


def telling_limits(job: Job, found: Mapping[str, Any]) -> list[str]:
    """Return the limits of a model that tells an amount. found: what the trial left."""
    known, unit = found["known"], job.spectra().amount_unit
    held, preset = known["held-out"], job.recipe.default_preset
    amounts = listed([f"{amount:g}" for amount in sorted(map(float, held["by_amount"]))])
    worst = max(held["by_amount"], key=lambda amount: held["by_amount"][amount])
    limits = [
        *job.recipe.limits,
        *missed(found["acceptance"]),
        f"Amounts of {amounts} {unit} were measured: what is told between and beyond them was never tested.",
        f"Errors are largest at {worst} {unit}: RMSE {held['by_amount'][worst]:.1f} {unit}.",
    ]
    wanted = job.recipe.presets[preset].coverage
    short = {kind: share for kind, of in known.items() if (share := of["presets"][preset]["covered"]) is not None}
    if min(short.values(), default=1.0) < wanted:
        told = ", ".join(f"{_percent(share)} of {kind}" for kind, share in short.items())
        limits.append(f"Intervals that are to hold {_percent(wanted)} of the amounts hold {told}.")
    if not job.recipe.evaluation.rotation:
        limits.append("One split was tried: how much another would differ is not known.")
    return [*limits, *_data(job)]


def missed(acceptance: Sequence[Judged]) -> Iterator[str]:
    """Yield the criteria that were missed."""
    for row in acceptance:
        if row["met"] is False and row["found"] is not None:
            sense = "at least" if row["at_least"] else "at most"
            found, wanted = row["found"]["value"], row["wanted"]
            shown = f"{found:.4g}" if row["in_unit"] else _percent(found)
            asked = f"{wanted:g}" if row["in_unit"] else _percent(wanted)
            yield f"Criterion missed: {row['text']}: {shown}, where {sense} {asked} was wanted."


def _classes(classes: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    worst = min(classes, key=lambda name: classes[name]["right"] / classes[name]["spectra"])
    of = classes[worst]
    if of["right"] < of["spectra"]:
        yield (
            f"The class that fares worst is {worst}: {of['right']} of {of['spectra']} spectra are named rightly, gates "
            f"aside; most others are taken for {of['taken_for']}."
        )


def _gates(let_by: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    if named := {name: of for name, of in let_by.items() if of["share"] >= OPEN}:
        shown = listed([f"{name} ({_percent(of['share'])}, as {of['as']})" for name, of in named.items()])
        yield (
            f"If the model did not know these, its gates would let most of them by: {shown}. A stranger as near "
            "to a class as they are may be given its name."
        )


def _changes(found: Mapping[str, Any]) -> Iterator[str]:
    unchanged = found["figures"]["held-out"]["accuracy"]["value"]
    after = {kind: found["figures"][kind]["accuracy"]["value"] for kind in ("mild sessions", "stress sessions")}
    after |= {name: row["accuracy"] for name, row in found["sensitivity"].items()}
    fallen = {name: accuracy for name, accuracy in after.items() if accuracy < unchanged - FALLEN}
    if fallen:
        shown = ", ".join(f"{name} {_percent(accuracy)}" for name, accuracy in fallen.items())
        yield f"Accuracy, {_percent(unchanged)} on the held-out part, falls with {shown}."


def _data(job: Job) -> Iterator[str]:
    yield from instruments(job)
    if not job.outsiders:
        yield NOTHING_ELSE


def instruments(job: Workplace) -> Iterator[str]:
    """Yield what is not known of other instruments than those of the recipe's spectra."""
    if job.source.instruments == ("not stated",):
        yield "Which instruments measured the spectra is not stated: what another one shows is not known."
    elif len(job.source.instruments) == 1:
        yield (
            f"All spectra are of {job.source.instruments[0]}: other instruments, lamps, days and presentations of the "
            "sample were simulated, not measured."
        )


def listed(words: Sequence[str]) -> str:
    """Return words as a sentence lists them."""
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
