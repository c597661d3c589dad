"""The picture of `edged-export transfer evaluate --plot`: what stays between two instruments, before and after."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib.figure import Figure

from export.plots import BAD, DPI, GOOD, INK
from export.transfer.correction import choose, corrected_rows, judge
from export.transfer.study import kennard_stone, standards_of, tasks

STANDARDS = 25


def differences(data: Path) -> bytes:
    """Return a PNG: for each task of the study, master minus other instrument over the test samples, median and the
    band that holds nine of ten; uncorrected, and corrected by `auto` fitted on 25 Kennard-Stone standards.
    """
    found = tasks(data, splits=0)
    figure = Figure(figsize=(10.5, 3.2), layout="constrained")
    for axes, task in zip(figure.subplots(1, len(found)), found, strict=True):
        rows = task.train[kennard_stone(task.master[task.train], STANDARDS)]
        pairs = standards_of(task, rows)
        best = choose(judge(pairs)).candidate
        after = before = task.slave[task.test]
        if best.fit is not None:
            after = corrected_rows(task.axis, before, best.fit(pairs.axis, pairs.master, pairs.slave))
        for values, colour, label in ((before, BAD, "as measured"), (after, GOOD, f"{best.method}, {best.settings}")):
            low, middle, high = np.percentile(task.master[task.test] - values, [5, 50, 95], axis=0)
            axes.fill_between(task.axis, low, high, color=colour, alpha=0.25, lw=0)
            axes.plot(task.axis, middle, color=colour, lw=1.2, label=label)
        axes.axhline(0, color=INK, lw=0.6)
        axes.set_title(task.name, fontsize=10, color=INK)
        axes.set_xlabel("nm")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    figure.axes[0].set_ylabel("absorbance, master minus other")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()
