"""The report's pictures: arrays in, PNG bytes out. Equal arrays give equal bytes."""

from __future__ import annotations

import io
import itertools
from collections.abc import Mapping, Sequence

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import XAxis, YAxis
from matplotlib.figure import Figure
from numpy.typing import NDArray

INK, GOOD, BAD, SOFT = "#1f2933", "#1f6f8b", "#c44536", "#9aa5b1"
COLOURS = ("#1f6f8b", "#7fb069", "#c44536", "#e6aa2b", "#7b5ea7", "#9aa5b1")
DPI = 110
SMALL = 0.1  # distances below this are drawn as it
LABEL_GAP = 0.05  # absorbance between two labels of the class means
Shares = tuple[str, float, float, Sequence[float]]
"""A row: its label, the shares that are told rightly and not told, and shares to mark."""


def confusion(truth: NDArray[np.int64], best: NDArray[np.int64], labels: Sequence[str]) -> bytes:
    """True class in rows, named class in columns; counts."""
    n = len(labels)
    counts = np.zeros((n, n), dtype=np.int64)
    np.add.at(counts, (truth, best), 1)
    figure, axes = _figure(7.6, 6.6)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(np.where(np.eye(n, dtype=bool), share * 0.75, -share * 6), cmap="RdBu", vmin=-1, vmax=1)
    for row in range(n):
        for column in range(n):
            if counts[row, column]:
                light = row == column and share[row, column] > 0.5
                axes.text(
                    column,
                    row,
                    counts[row, column],
                    ha="center",
                    va="center",
                    color="white" if light else INK,
                    fontsize=9,
                )
    axes.set_xticks(range(n), labels, rotation=55, ha="right", fontsize=8)
    axes.set_yticks(range(n), labels, fontsize=8)
    axes.set_xlabel("most likely class")
    axes.set_ylabel("true class")
    return _png(figure)


def reliability(probability: NDArray[np.float64], right: NDArray[np.bool_], floor: float) -> bytes:
    """How often the most likely class is true, by its probability; and how often each probability occurs."""
    edges = np.array([0.2, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0 + 1e-9])
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for axis in (axes, below):
        _tidy(axis)
    axes.plot([0, 1], [0, 1], color=SOFT, lw=1, ls="--")
    for low, high in itertools.pairwise(edges):
        inside = (probability >= low) & (probability < high)
        if inside.any():
            hit, n = float(right[inside].mean()), int(inside.sum())
            error = 1.96 * np.sqrt(max(hit * (1 - hit), 0.25 / n) / n)
            axes.errorbar(
                float(probability[inside].mean()),
                hit,
                yerr=[[min(error, hit)], [min(error, 1 - hit)]],
                fmt="o",
                color=GOOD,
                ms=5,
                capsize=3,
            )
    axes.axvline(floor, color=BAD, lw=1)
    axes.text(floor, 0.03, " floor", color=BAD, fontsize=8)
    axes.set_ylabel("share that is right")
    axes.set_ylim(0, 1.04)
    below.hist(probability, bins=np.linspace(0.2, 1.0, 41), color=GOOD)
    below.set_yscale("log")
    below.set_ylabel("spectra")
    below.set_xlabel("calibrated probability of the most likely class")
    below.set_xlim(0.2, 1.01)
    return _png(figure)


def reliabilities(curves: Mapping[str, tuple[NDArray[np.float64], NDArray[np.bool_]]]) -> bytes:
    """How often the most likely class is true, by its probability: several curves, the ideal dashed."""
    figure, axes = _figure(7.2, 4.4)
    edges = np.array([0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0 + 1e-9])
    axes.plot([0, 1], [0, 1], color=SOFT, lw=1, ls="--")
    for (name, (probability, right)), colour in zip(curves.items(), COLOURS, strict=False):
        at, hits, bars = [], [], []
        for low, high in itertools.pairwise(edges):
            inside = (probability >= low) & (probability < high)
            if inside.any():
                hit, n = float(right[inside].mean()), int(inside.sum())
                at.append(float(probability[inside].mean()))
                hits.append(hit)
                bars.append(1.96 * np.sqrt(max(hit * (1 - hit), 0.25 / n) / n))
        below, above = np.minimum(bars, hits), np.minimum(bars, 1 - np.array(hits))
        axes.errorbar(at, hits, yerr=[below, above], color=colour, marker="o", ms=4, lw=1.2, capsize=3, label=name)
    axes.set_xlim(0.2, 1.01)
    axes.set_ylim(0, 1.04)
    axes.set_xlabel("probability of the most likely class")
    axes.set_ylabel("share that is right")
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    return _png(figure)


def distances(groups: Mapping[str, NDArray[np.float64]], limits: Mapping[str, float]) -> bytes:
    """Gate distances of known spectra and of other things, with the limits of the presets."""
    figure, axes = _figure(8.2, 4.4)
    edges = np.geomspace(SMALL, max(float(d.max()) for d in groups.values()) * 1.05, 70).tolist()
    for (name, values), colour in zip(groups.items(), COLOURS, strict=False):
        weights = np.full(len(values), 100.0 / len(values))
        axes.hist(
            np.maximum(values, SMALL),
            bins=edges,
            weights=weights,
            histtype="stepfilled",
            alpha=0.35,
            color=colour,
            label=name,
        )
        axes.hist(np.maximum(values, SMALL), bins=edges, weights=weights, histtype="step", color=colour, lw=1)
    top = axes.get_ylim()[1]
    for number, (preset, limit) in enumerate(sorted(limits.items(), key=lambda item: item[1])):
        axes.axvline(limit, color=INK, lw=1, ls=":")
        axes.text(limit, top * (0.98 - 0.07 * number), f" {preset} {limit:.1f}", fontsize=8, color=INK, va="top")
    axes.set_xscale("log")
    axes.set_xlabel("distance, in units of the limit, at the gate that is nearest to shut")
    axes.set_ylabel("share of spectra, %")
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    return _png(figure)


def amounts(truth: NDArray[np.float64], told: NDArray[np.float64], half_width: float, unit: str) -> bytes:
    """Told against true amounts, and the interval around the true one."""
    figure, axes = _figure(6.4, 5.0)
    low, high = float(min(truth.min(), told.min())), float(max(truth.max(), told.max()))
    line = np.array([low, high])
    axes.fill_between(line, line - half_width, line + half_width, color=SOFT, alpha=0.3, lw=0)
    axes.plot(line, line, color=SOFT, lw=1)
    spread = np.random.default_rng(0).uniform(-1, 1, len(truth)) * 0.012 * (high - low)  # points side by side
    axes.scatter(truth + spread, told, s=9, color=GOOD, alpha=0.6, lw=0)
    axes.set_xlabel(f"true, {unit}")
    axes.set_ylabel(f"told, {unit}")
    return _png(figure)


def recall(rows: Mapping[str, Sequence[tuple[float, float]]]) -> bytes:
    """Share of mixtures in which a compound is found, by its visible share; one line a preset of (share, recall)."""
    figure, axes = _figure(7.2, 3.8)
    for (name, line), colour in zip(rows.items(), COLOURS, strict=False):
        axes.plot([x for x, _ in line], [y for _, y in line], color=colour, lw=1.4, marker="o", ms=4, label=name)
    axes.set_xscale("log")
    _plain_ticks(axes.xaxis, {percent / 100: f"{percent}" for percent in (1, 2, 5, 10, 20, 50, 100)})
    axes.set_yticks([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], ["0", "20", "40", "60", "80", "100"])
    axes.set_ylim(0.0, 1.03)
    axes.set_xlabel("visible share, percent, middle of each group")
    axes.set_ylabel("found, percent")
    axes.legend(fontsize=8, frameon=False, loc="lower right")
    return _png(figure)


def scores(curves: Mapping[str, Sequence[tuple[float, float]]]) -> bytes:
    """How often a compound is there, by its score; one line a curve of (mean score, share), the ideal dashed."""
    figure, axes = _figure(5.4, 3.8)
    axes.plot([0, 1], [0, 1], color=SOFT, lw=1, ls="--")
    for (name, line), colour in zip(curves.items(), COLOURS, strict=False):
        axes.plot([x for x, _ in line], [y for _, y in line], color=colour, marker="o", ms=4, lw=1.2, label=name)
    axes.set_xlabel("score of a compound")
    axes.set_ylabel("share of mixtures that hold it")
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    return _png(figure)


def false_names(rows: Mapping[str, Sequence[tuple[float, float]]], *, note: str) -> bytes:
    """False names a sample against their target; one line a detector of (target, found). Above the line is too many."""
    figure, axes = _figure(7.2, 4.6)
    ends = [min(x for line in rows.values() for x, _ in line), max(x for line in rows.values() for x, _ in line)]
    axes.plot(ends, ends, color=SOFT, lw=1, ls="--")
    for number, (name, line) in enumerate(rows.items()):
        colour, style = COLOURS[number % len(COLOURS)], "--" if number >= len(COLOURS) else "-"
        axes.plot([x for x, _ in line], [y for _, y in line], color=colour, ls=style, marker="o", ms=4, label=name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        _plain_ticks(axis, {names: f"{names:g}" for names in (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)})
    axes.set_xlabel(f"false names a sample, target ({note})")
    axes.set_ylabel("found")
    axes.legend(fontsize=8, frameon=False, loc="lower right")
    return _png(figure)


def fractions(truth: NDArray[np.float64], told: NDArray[np.float64], names: Sequence[str]) -> bytes:
    """Told against true fractions [n, compounds]; what was not told, nan, is left out."""
    figure, axes = _figure(6.4, 5.0)
    axes.plot([0, 1], [0, 1], color=SOFT, lw=1)
    spread = np.random.default_rng(0).uniform(-0.008, 0.008, truth.shape)  # points side by side
    for column, (name, colour) in enumerate(zip(names, COLOURS, strict=False)):
        axes.scatter(
            truth[:, column] + spread[:, column], told[:, column], s=8, color=colour, alpha=0.5, lw=0, label=name
        )
    axes.set_xlabel("stated fraction by mass")
    axes.set_ylabel("told")
    axes.legend(fontsize=8, frameon=False, loc="upper left", markerscale=2)
    return _png(figure)


def spreads(
    series: Mapping[str, Mapping[str, tuple[float, float]]],
    marks: Mapping[str, float],
    *,
    label: str,
    limits: Mapping[str, float],
) -> bytes:
    """Percents: means and deviations by name, one line a name, one colour a series; crosses for what others say of it;
    and limits across all."""
    series = _known(series)
    names = list(dict.fromkeys(name for of in series.values() for name in of))
    figure, axes = _figure(8.0, 0.9 + 0.24 * len(names))
    for (title, of), colour in zip(series.items(), COLOURS, strict=False):
        at = [names.index(name) for name in of]
        means, deviations = np.array(list(of.values())).T
        axes.errorbar(means, at, xerr=deviations, fmt="o", ms=4, lw=1, capsize=2, color=colour, label=title)
    if marks:
        axes.scatter(
            list(marks.values()),
            [names.index(name) for name in marks],
            marker="x",
            s=26,
            color=BAD,
            zorder=3,
            label="published",
        )
    for title, limit in limits.items():
        axes.axvline(limit, color=INK, lw=1, ls=":", label=title)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(right=min(101.0, axes.get_xlim()[1]))
    axes.set_xlabel(label)
    figure.legend(fontsize=8, frameon=False, loc="outside lower center", ncols=3)
    return _png(figure)


def heat(
    panels: Mapping[str, NDArray[np.float64]], rows: Sequence[str], columns: Sequence[str], *, low: float
) -> bytes:
    """Percents [rows, columns] as colours and numbers, one panel a title side by side; what is not known, nan, is left
    blank. Colours begin at `low`."""
    figure = Figure(
        figsize=(1.4 + len(panels) * (0.6 + 0.44 * len(columns)), 2.0 + 0.24 * len(rows)), layout="constrained"
    )
    for number, (title, values) in enumerate(panels.items()):
        axes = figure.add_subplot(1, len(panels), number + 1)
        _tidy(axes)
        axes.imshow(values, cmap="viridis", vmin=low, vmax=100.0, aspect="auto")
        for row, column in zip(*np.nonzero(np.isfinite(values)), strict=True):
            share = values[row, column]
            dark = share < low + 0.6 * (100.0 - low)
            colour = "white" if dark else INK
            axes.text(column, row, f"{share:.0f}", ha="center", va="center", fontsize=7, color=colour)
        axes.set_xticks(range(len(columns)), columns, rotation=55, ha="right", fontsize=7)
        axes.set_yticks(range(len(rows)), rows if not number else [""] * len(rows), fontsize=7)
        axes.set_title(title, fontsize=9)
    return _png(figure)


def told_shares(panels: Mapping[str, Sequence[Shares]], *, marks: tuple[str, str]) -> bytes:
    """Shares told rightly, not told and told wrongly as bars, one panel a model with the same rows; a dot and a cross
    where a row has shares to mark."""
    names = [row[0] for row in next(iter(panels.values()))]
    at = np.arange(len(names))
    figure = Figure(figsize=(1.7 + 1.6 * len(panels), 0.9 + 0.135 * len(names)), layout="constrained")
    for number, (title, rows) in enumerate(panels.items()):
        axes = figure.add_subplot(1, len(panels), number + 1)
        _tidy(axes)
        right, silent = 100 * np.array([row[1:3] for row in rows]).T
        for left, width, colour, name in (
            (0 * right, right, GOOD, "told rightly"),
            (right, silent, SOFT, "not told"),
            (right + silent, 100 - right - silent, BAD, "told wrongly"),
        ):
            axes.barh(at, width, 0.8, left=left, color=colour, lw=0, label=None if number else name)
        for mark, (name, style) in enumerate(zip(marks, ("o", "x"), strict=True)):
            places = [(100 * shares[mark], y) for (*_, shares), y in zip(rows, at, strict=True) if shares]
            if places:
                x, y = zip(*places, strict=True)
                axes.scatter(x, y, s=8, marker=style, color=INK, lw=1, zorder=3, label=None if number else name)
        axes.set_yticks(at, [""] * len(names) if number else names, fontsize=6.5)
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlim(0, 101)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("percent of the spectra", fontsize=7)
    figure.legend(fontsize=7, frameon=False, loc="outside lower center", ncols=5)
    return _png(figure)


def bars(series: Mapping[str, Mapping[str, tuple[float, float]]], *, label: str) -> bytes:
    """Means with their deviations, bars side by side: one colour a series, one group a name."""
    series = _known(series)
    names = list(dict.fromkeys(name for of in series.values() for name in of))
    figure, axes = _figure(max(6.0, 1.5 + 0.24 * len(names) * (len(series) + 1)), 4.2)
    width = 0.8 / max(len(series), 1)
    for number, (title, of) in enumerate(series.items()):
        at = [names.index(name) + (number - (len(series) - 1) / 2) * width for name in of]
        means, deviations = np.array(list(of.values())).T
        colour = COLOURS[number % len(COLOURS)]
        axes.bar(at, means, width, yerr=deviations, color=colour, error_kw={"lw": 0.8, "ecolor": INK}, label=title)
    axes.set_xticks(range(len(names)), names, fontsize=8)
    axes.set_ylabel(label)
    figure.legend(fontsize=8, frameon=False, loc="outside lower center", ncols=4)
    return _png(figure)


def _known(series: Mapping[str, Mapping[str, tuple[float, float]]]) -> Mapping[str, Mapping[str, tuple[float, float]]]:
    """Without series of which nothing is measured yet."""
    return {title: of for title, of in series.items() if of}


def training(losses: Sequence[Sequence[float]]) -> bytes:
    """Training loss of each member by epoch."""
    figure, axes = _figure(7.2, 3.4)
    for number, (line, colour) in enumerate(zip(losses, COLOURS * 6, strict=False)):
        axes.plot(np.arange(1, len(line) + 1), line, color=colour, lw=1.2, label=f"member {number + 1}")
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel("epoch")
    axes.set_ylabel("cross-entropy on augmented spectra")
    axes.legend(fontsize=8, frameon=False)
    return _png(figure)


def class_means(axis: NDArray[np.float64], means: NDArray[np.float64], labels: Sequence[str]) -> bytes:
    """Mean spectrum of each class, set apart by one shift a class."""
    figure, axes = _figure(7.6, 5.2)
    step = 0.12
    colours = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.9, len(labels)))
    shifted = means - means.mean(axis=1, keepdims=True) + step * np.arange(len(means))[:, None]
    height = -np.inf
    for number in np.argsort(shifted[:, -1]):
        height = max(height + LABEL_GAP, float(shifted[number, -1]))
        axes.plot(axis, shifted[number], color=colours[number], lw=1.2)
        axes.text(axis[-1] + 6, height, labels[number], fontsize=8, color=colours[number], va="center")
    axes.set_xlim(axis[0], axis[-1] + 95)
    axes.set_xlabel("wavelength, nm")
    axes.set_ylabel("absorbance, each class shifted")
    return _png(figure)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    _tidy(axes)
    return figure, axes


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, colors=INK)


def _plain_ticks(axis: XAxis | YAxis, ticks: Mapping[float, str]) -> None:
    """Label a logarithmic axis with these, as far as it goes, and with no powers of ten."""
    low, high = axis.get_view_interval()
    axis.set_ticks([], minor=True)
    axis.set_ticks([at for at in ticks if low <= at <= high], [text for at, text in ticks.items() if low <= at <= high])


def _png(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=DPI, metadata={"Software": None})
    return out.getvalue()
