"""The study of the tablets: its question, its cells and its page."""

from __future__ import annotations

from export.study.cell import Cell, Outcome
from export.study.measure import measure
from export.study.study import Study
from export.study.tablets.cells import GROUPED, GROUPINGS, MORE_GROUPINGS, PARTS, SEEDS, cells
from export.study.tablets.page import parts

QUESTION = f"""
310 tablets of 31 production batches (Dyrby et al., Appl. Spectrosc. 56(5) 579, 2002), the public set of the
InvertResNet, SpectraTr and OpenSA figures. A random split puts tablets of one batch on both sides, and is the
footnote that the literature prints; the headline is the column *{GROUPED}*: five parts, whole batches in each,
{GROUPINGS} ways of dealing them. Classical models are tuned, and choose among raw spectra, first derivative and
SNV, inside the training rows, whole batches left out. Networks (but the two at the end of the table, see below it)
see the spectra with each wavelength z-scored; their sizes, epochs and augmentation are one setting for all. Mean ±
standard deviation over {SEEDS} seeds, or over {GROUPINGS} x {PARTS} parts; the closest models over {MORE_GROUPINGS}
deals below. Neither these spectra nor weights trained on them are given away."""


def study() -> Study[Cell, Outcome]:
    """Return the study."""
    return Study(
        name="tablets",
        title="Four strengths of tablets from NIR transmission",
        question=(QUESTION,),
        cells=cells(),
        measure=measure,
        kind=Outcome,
        parts=parts,
    )
