"""Figures of a trial with their 95 % intervals, which count what is new when a sample is, not scans.

A share has Wilson's interval (1927, J. Am. Stat. Assoc. 22, 209) of as many spectra as theirs are worth: scans of one
unit, a filling, say, are alike, and the number is divided by the design effect, the variance between units over that of
independent scans, with Student's t of the units (Korn and Graubard 1998, Survey Methodology 24, 193). Where all are
alike, none or all right, nothing tells the effect, and each unit counts as one spectrum. Other figures have the
percentiles of redraws of whole units (Field and Welsh 2007, J. R. Stat. Soc. B 69, 369).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

REDRAWS = 2000
AT_ONCE = 100  # redraws: made mixtures are units by the thousand
TAIL = 0.025  # on each side of an interval
Numbers = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Figure(TypedDict):
    """A figure and its 95 % interval: `low` and `high` are None where the data bear none.

    spectra, units: how many it was measured on; a unit is what the split keeps whole.
    """

    value: float
    low: float | None
    high: float | None
    spectra: int
    units: int


def wilson(share: float, n: float, z: float) -> tuple[float, float]:
    """Return Wilson's score interval of a share of n independent trials; n need not be whole."""
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    return max(0.0, middle - half), min(1.0, middle + half)


def share_of(hits: NDArray[np.bool_], units: Numbers) -> Figure:
    """Return the share of spectra [n] for which something is so. units [n]: which unit each is of."""
    _, place = np.unique(units, return_inverse=True)
    sizes = np.bincount(place)
    n, many, share = len(hits), len(sizes), float(hits.mean())
    if many < 2:
        return Figure(value=round(share, 6), low=None, high=None, spectra=n, units=many)
    off = np.bincount(place, weights=hits) - share * sizes
    between = many / (many - 1) * float((off**2).sum()) / n**2
    alone = share * (1 - share) / n
    worth = min(max(n * alone / between, many), n) if between > 0 and alone > 0 else many
    low, high = wilson(share, worth, float(student.ppf(1 - TAIL, many - 1)))
    return Figure(value=round(share, 6), low=round(low, 6), high=round(high, 6), spectra=n, units=many)


def together(units: Sequence[Numbers]) -> Numbers:
    """Return units of several sets as one's, none of which is shared."""
    told = np.concatenate([np.stack([np.full(len(of), part), of]) for part, of in enumerate(units)], axis=1)
    return np.asarray(np.unique(told, axis=1, return_inverse=True)[1].reshape(-1), dtype=np.int64)


def class_figures(truth: Numbers, best: Numbers, units: Numbers, *, rng: np.random.Generator) -> dict[str, Figure]:
    """Return accuracy, macro-F1, Matthews' coefficient and Cohen's kappa of the named classes `best` [n]."""
    names, columns = np.unique(np.concatenate([truth, best]), return_inverse=True)
    true, said = columns[: len(truth)], columns[len(truth) :]
    k = len(names)
    of_unit = _by_unit(np.eye(k * k)[true * k + said], units)
    drawn = (_draws(len(of_unit), rng) @ of_unit).reshape(-1, k, k)
    whole = of_unit.sum(axis=0).reshape(1, k, k)
    found = {"accuracy": share_of(truth == best, units)}
    for name, figure in (("macro_f1", _macro_f1), ("mcc", _mcc), ("kappa", _kappa)):
        found[name] = _redrawn(
            float(np.nan_to_num(figure(whole)[0])), figure(drawn), spectra=len(truth), units=len(of_unit)
        )
    return found


def error_figures(errors: NDArray[np.float64], units: Numbers, *, rng: np.random.Generator) -> dict[str, Figure]:
    """Return root mean square and mean of errors [n], in their own unit."""
    sums = _by_unit(np.column_stack([errors**2, errors, np.ones_like(errors)]), units)
    drawn, whole = _draws(len(sums), rng) @ sums, sums.sum(axis=0)
    squares, means = drawn[:, 0] / drawn[:, 2], drawn[:, 1] / drawn[:, 2]
    count = {"spectra": len(errors), "units": len(sums)}
    return {
        "rmse": _redrawn(float(np.sqrt(whole[0] / whole[2])), np.sqrt(squares), **count),
        "bias": _redrawn(float(whole[1] / whole[2]), means, **count),
    }


def set_figures(
    found: Bools, present: Bools, units: Numbers, *, rng: np.random.Generator
) -> tuple[dict[str, Figure], list[dict[str, Figure]]]:
    """Return figures of the sets that are told, found [n, c], of what is there, present [n, c]; and those of each of
    the c compounds, by the same redraws.

    exact: the share of spectra with every compound told and no other. precision, recall, f1, mcc, kappa: of all n c
    decisions. macro_f1: mean F1 of the compounds that any spectrum holds. false_names: a spectrum.
    """
    n, c = found.shape
    said = 2 * present.astype(np.int64) + found
    of_unit = _by_unit((said[:, :, None] == np.arange(4)).reshape(n, 4 * c).astype(np.float64), units)
    many = len(of_unit)
    draws = (rng.multinomial(many, np.full(many, 1 / many), size=AT_ONCE) @ of_unit for _ in range(REDRAWS // AT_ONCE))
    drawn, whole = (rows.reshape(-1, c, 2, 2) for rows in (np.concatenate(list(draws)), of_unit.sum(axis=0)))

    def figures(columns: slice) -> dict[str, Figure]:
        own, redrawn = whole[:, columns], drawn[:, columns]
        right = (found[:, columns] == present[:, columns]).all(axis=1)
        return {"exact": share_of(right, units)} | {
            name: _redrawn(float(np.nan_to_num(of(own)[0])), of(redrawn), spectra=n, units=many)
            for name, of in OF_SETS.items()
        }

    return figures(slice(None)), [figures(slice(column, column + 1)) for column in range(c)]


def _by_unit(rows: NDArray[np.float64], units: Numbers) -> NDArray[np.float64]:
    """Sum rows [n, m] unit by unit."""
    _, place = np.unique(units, return_inverse=True)
    sums = np.zeros((int(place.max()) + 1, rows.shape[1]))
    np.add.at(sums, place, rows)
    return sums


def _draws(units: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """How often each unit is drawn, [REDRAWS, units]."""
    return rng.multinomial(units, np.full(units, 1 / units), size=REDRAWS).astype(np.float64)


def _redrawn(value: float, drawn: NDArray[np.float64], *, spectra: int, units: int) -> Figure:
    bears = drawn[np.isfinite(drawn)]  # redraws of one class have neither Matthews' coefficient nor kappa
    if not len(bears) or np.ptp(bears) < 1e-9:  # no error among the spectra: redraws of them show none
        return Figure(value=round(value, 6), low=None, high=None, spectra=spectra, units=units)
    low, high = (float(q) for q in np.quantile(bears, [TAIL, 1 - TAIL]))
    return Figure(value=round(value, 6), low=round(low, 6), high=round(high, 6), spectra=spectra, units=units)


def _macro_f1(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean F1 of the classes that spectra are of, of confusions [n, true, named]. A class that redraws have left out
    and that a spectrum is taken for has no F1, not one of 0."""
    hits, true = np.diagonal(counts, axis1=1, axis2=2), counts.sum(axis=2)
    f1 = 2 * hits / np.maximum(true + counts.sum(axis=1), 1)
    return np.asarray(f1.sum(axis=1) / (true > 0).sum(axis=1))


def _mcc(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matthews' coefficient for several classes (Gorodkin 2004, Comput. Biol. Chem. 28, 367); nan of one class."""
    true, named = counts.sum(axis=2), counts.sum(axis=1)
    n = true.sum(axis=1)
    over = np.trace(counts, axis1=1, axis2=2) * n - (true * named).sum(axis=1)
    under = np.sqrt((n**2 - (true**2).sum(axis=1)) * (n**2 - (named**2).sum(axis=1)))
    return np.divide(over, under, out=np.full_like(over, np.nan), where=under > 0)


def _kappa(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cohen's kappa (1960, Educ. Psychol. Meas. 20, 37); nan of one class."""
    n = counts.sum(axis=(1, 2))
    agreed = np.trace(counts, axis1=1, axis2=2) / n
    chance = (counts.sum(axis=2) * counts.sum(axis=1)).sum(axis=1) / n**2
    return np.divide(agreed - chance, 1 - chance, out=np.full_like(n, np.nan), where=chance < 1)


def _macro_f1_of_sets(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of decisions [n, c, present, found]; nan where no spectrum holds any compound."""
    held = counts[:, :, 1, :].sum(axis=2) > 0
    f1 = _divided(2 * counts[:, :, 1, 1], counts[:, :, 1, :].sum(axis=2) + counts[:, :, :, 1].sum(axis=2))
    return _divided(np.where(held, f1, 0.0).sum(axis=1), held.sum(axis=1))


def _divided(over: NDArray[np.float64], under: NDArray[np.number]) -> NDArray[np.float64]:
    """The ratio; nan where there is nothing to divide by."""
    return np.asarray(np.divide(over, under, out=np.full(over.shape, np.nan), where=under > 0))


OF_SETS: Mapping[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {  # of decisions [n, c, present, found]
    "precision": lambda counts: _divided(counts[:, :, 1, 1].sum(axis=1), counts[:, :, :, 1].sum(axis=(1, 2))),
    "recall": lambda counts: _divided(counts[:, :, 1, 1].sum(axis=1), counts[:, :, 1, :].sum(axis=(1, 2))),
    "f1": lambda counts: _divided(
        2 * counts[:, :, 1, 1].sum(axis=1), (counts[:, :, 1, :] + counts[:, :, :, 1]).sum(axis=(1, 2))
    ),
    "macro_f1": _macro_f1_of_sets,
    "mcc": lambda counts: _mcc(counts.sum(axis=1)),
    "kappa": lambda counts: _kappa(counts.sum(axis=1)),
    "false_names": lambda counts: _divided(counts[:, :, 0, 1].sum(axis=1), counts[:, 0].sum(axis=(1, 2))),
}
