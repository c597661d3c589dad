"""Strangers inside: real spectra with something added that the library does not hold, and what is then told of them.

A fit finds something in anything: where a stranger's bands look like a compound's, it takes the compound for it. Limits
stand on mixtures of the library alone, so that no preset promises anything here; it can only be measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edged.infer.verdict import Preset
from export.components.answers import Told
from export.components.evidence import Said
from export.components.job import ComponentsJob
from export.components.trials import Trial
from export.data.augment import as_absorbance, from_absorbance, resample
from export.data.spectra import Quantity

Law = Literal["absorbance", "reflectance", "intensity"]
Rows = NDArray[np.float32]
ALONE = 0.0
COUNTED = ("falsely", "nothing", "right")
SAID = "named falsely / told nothing / just what the host holds, %"
SHARES = (ALONE, 0.05, 0.1, 0.2, 0.3, 0.5)
MADE_SHARES = (0.0, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)  # edges between which made mixtures are told
HOSTS, FEW = 10, 1  # of each label; for a quick build


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """Real spectra, values [n, points] on the grid, that hold just what `present` [n, compounds] says.

    learnt: nothing but the spectra that taught was at hand.
    """

    values: NDArray[np.float64]
    present: NDArray[np.bool_]
    learnt: bool


def hosts_of(job: ComponentsJob, trials: tuple[Trial, ...]) -> Hosts:
    """Return a few spectra of each label of the trials that somebody tells the contents of, evenly taken; of a job
    without any, a few of each compound of the library."""
    values, present, most = [], [], FEW if job.quick else HOSTS
    for one in trials:
        rows = _few(np.flatnonzero(one.told), one.labels, most)
        values.append(resample(one.values[rows], one.spectra.axis, job.grid))
        present.append(one.present[rows])
    if sum(map(len, values)):
        return Hosts(values=np.concatenate(values), present=np.concatenate(present), learnt=False)
    library = job.library
    rows = _few(np.arange(len(library.compound)), np.array(library.names)[library.compound], most)
    return Hosts(
        values=resample(library.values[rows], library.axis, job.grid),
        present=library.compound[rows, None] == np.arange(len(library.names)),
        learnt=True,
    )


def laws_of(quantity: Quantity) -> tuple[Law, ...]:
    """Return the ways in which a stranger is added to what is measured so."""
    return ("intensity",) if quantity == "intensity" else ("absorbance", "reflectance")


def inside(
    hosts: NDArray[np.float64], strangers: NDArray[np.float64], share: float, law: Law, quantity: Quantity
) -> Rows:
    """Return each host [n, points] with so much of the stranger of its row, in the quantity of both.

    In absorbance and reflectance a stranger is first brought to its host's mean absorbance, since of some sets the
    level means nothing; intensities are added in parts of their highest.
    """
    if law == "intensity":
        tops = [np.abs(rows).max(axis=1, keepdims=True) for rows in (hosts, strangers)]
        return ((1.0 - share) * hosts + share * tops[0] / tops[1] * strangers).astype(np.float32)
    host, other = (as_absorbance(rows, quantity) for rows in (hosts, strangers))
    other = other + (host.mean(axis=1) - other.mean(axis=1))[:, None]
    if law == "absorbance":
        mixed = (1.0 - share) * host + share * other
    else:
        mixed = -np.log10((1.0 - share) * 10.0**-host + share * 10.0**-other)
    return from_absorbance(mixed, quantity).astype(np.float32)


def lots_of(job: ComponentsJob, hosts: Hosts, outsiders: tuple[Trial, ...]) -> dict[tuple[str, Law, float], Rows]:
    """Return spectra [n, points] by set, law and share: every host with one stranger of the set, the same at all
    shares; and once alone, under the set's name "alone"."""
    laws = laws_of(job.recipe.quantity)
    lots: dict[tuple[str, Law, float], Rows] = {("alone", laws[0], ALONE): hosts.values.astype(np.float32)}
    for number, one in enumerate(outsiders):
        drawn = job.rng(60, number).integers(len(one), size=len(hosts.values))
        strangers = resample(one.values[drawn], one.spectra.axis, job.grid)
        for law in laws:
            for share in SHARES[1:]:
                lots[one.name, law, share] = inside(hosts.values, strangers, share, law, job.recipe.quantity)
    return lots


def counted(said: Mapping[Preset, Told], present: NDArray[np.bool_]) -> dict[str, dict[str, float]]:
    """Return for each preset, as shares of the spectra: with a false name, told nothing, told nothing since there is an
    unknown component, told just what the host holds; and false names a spectrum."""
    return {
        preset: {
            "spectra": len(present),
            "falsely": float((of.found & ~present).any(axis=1).mean()),
            "nothing": float((of.outcome != "resolved").mean()),
            "unknown": float(of.unknown.mean()),
            "right": float((of.found == present).all(axis=1).mean()),
            "false_names": float((of.found & ~present).sum() / len(present)),
        }
        for preset, of in said.items()
    }


def by_share(
    said: Said, max_rest: float | None, present: NDArray[np.bool_], outsider: NDArray[np.floating]
) -> list[dict[str, float]]:
    """Return what a preset says of made mixtures by the share [n] of a stranger in them, lowest first: with a false
    name, told nothing, told just what else they hold; and false names a mixture.

    Nothing: no compound is found, or the rest is too large. `counted` has verdicts: there what a gate refuses and too
    many claims are nothing, too.
    """
    unknown = np.zeros(len(present), np.bool_) if max_rest is None else said.rest > max_rest
    found = said.found & ~unknown[:, None]
    rows = []
    for low, high in pairwise(MADE_SHARES):
        of = (outsider > low) & (outsider <= high)
        if of.any():
            rows.append(
                {
                    "from": low,
                    "to": high,
                    "mixtures": int(of.sum()),
                    "falsely": float((found & ~present)[of].any(axis=1).mean()),
                    "nothing": float((~found[of].any(axis=1)).mean()),
                    "right": float((found == present)[of].all(axis=1).mean()),
                    "false_names": float((found & ~present)[of].sum() / of.sum()),
                }
            )
    return rows


def as_table(found: Mapping[tuple[str, Law, float], Mapping[str, Mapping[str, float]]], hosts: Hosts) -> dict[str, Any]:
    """Return what the trial leaves: by set, law and share in percent, what `counted` gives."""
    table: dict[str, Any] = {"learnt": hosts.learnt, "hosts": len(hosts.values), "sets": {}}
    for (name, law, share), rows in found.items():
        if share == ALONE:
            table["alone"] = rows
        else:
            table["sets"].setdefault(name, {}).setdefault(law, {})[f"{100 * share:g}"] = rows
    return table


def in_percent(rows: Mapping[str, float], *names: str) -> str:
    """Return some shares for people, one beside the other."""
    return " / ".join(f"{100 * rows[name]:.0f}" for name in names)


def table_of(found: Mapping[str, Any]) -> tuple[list[str], list[tuple[str, ...]]]:
    """Return what the trial left as the header and the rows of a table."""
    presets = list(found["alone"])
    shares = [f"{100 * share:g}" for share in SHARES[1:]]
    header = [SAID, "preset", "alone", *(f"{share} %" for share in shares)]
    rows = [
        (
            f"{name}, in {law}",
            preset,
            in_percent(found["alone"][preset], *COUNTED),
            *(in_percent(by_share[share][preset], *COUNTED) for share in shares),
        )
        for name, laws in found["sets"].items()
        for law, by_share in laws.items()
        for preset in presets
    ]
    return header, rows


def made_table_of(found: Mapping[str, list[dict[str, float]]]) -> tuple[list[str], list[tuple[str, ...]]]:
    """Return what `by_share` says of each preset as the header and the rows of a table."""
    first = next(iter(found.values()))
    header = [SAID, *(f"{100 * row['from']:g} to {100 * row['to']:g} %" for row in first)]
    return header, [(preset, *(in_percent(row, *COUNTED) for row in rows)) for preset, rows in found.items()]


def known_limit(found: Mapping[str, Any], preset: str) -> str:
    """Say what a stranger inside a sample does at a preset, as measured."""
    tenth, half = (
        [by_share[share][preset] for laws in found["sets"].values() for by_share in laws.values()]
        for share in ("10", "50")
    )
    alone = found["alone"][preset]["falsely"]
    return (
        "What is not in the library is never named itself; inside a mixture it may be taken for what is. No promise "
        f"holds there: with a tenth of a stranger {_between(tenth, 'falsely')} % of spectra were told a compound that "
        f"they do not hold at {preset} ({100 * alone:.0f} % of the same spectra alone), and "
        f"{_between(tenth, 'nothing')} % were told nothing; with a half of one {_between(half, 'falsely')} and "
        f"{_between(half, 'nothing')} %."
    )


def _between(rows: list[Mapping[str, float]], name: str) -> str:
    """The smallest and the largest percentage of several lots."""
    least, most = (f"{100 * of([row[name] for row in rows]):.0f}" for of in (min, max))
    return least if least == most else f"{least} to {most}"


def _few(rows: NDArray[np.int64], labels: NDArray[np.str_], most: int) -> NDArray[np.int64]:
    """Of each label so many rows, evenly taken."""
    kept = []
    for label in dict.fromkeys(labels[rows].tolist()):
        own = rows[labels[rows] == label]
        kept.append(own[np.linspace(0, len(own) - 1, min(most, len(own))).round().astype(int)])
    return np.concatenate(kept) if kept else rows
