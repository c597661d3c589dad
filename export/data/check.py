"""Whether spectra can be learned from, before hours are spent: spectra and the wanted split in, findings out."""

from __future__ import annotations

import difflib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from export.data.finding import Finding, refuse, some, warn
from export.data.labels import MAX_LABEL
from export.data.spectra import Spectra
from export.data.split import LEAST_PARTS, Blocks, Split, SplitWords, split_of
from export.errors import DataUnusable

LEAST_SPECTRA = 5  # of a class: one to test, one to calibrate in turn, and three that a member learns from
FEW_SPECTRA = 20
LEAST_GROUPS = 3  # of a class: one to test, one to calibrate, one to learn from
UNBALANCED = 5.0  # ratio of the largest class to the smallest
SAME_SCAN = 1.0 - 1e-9  # correlation; two real scans of one sample, not moved, reach some 1 - 1e-5
ROUNDED_SCAN = 1.0 - 1e-4  # correlation that rounding leaves where it leaves a spectrum that one can learn from
HALF_A_DIGIT = 0.5 + 1e-6  # of the last digit; the closest real repeats of public sets differ by 1.5 at three decimals
SINGLE = 2.0**-23  # files are read as float32
MOST_DECIMALS = 5  # rounding to more changes less than any instrument does
FLAT = 1e-6  # of the typical spread of a spectrum: nothing but the last digit
DULL = 0.02
CLIPPED = 5  # points side by side at the very largest value: no noise does that
LIKE = 0.9  # similarity of two labels of which the rare one may be a misprint
RARE = 4.0  # times rarer than the label that it resembles
MOST_ABSORBANCE, LEAST_ABSORBANCE = 10.0, -10.0  # beyond any instrument; -log10 of 16-bit counts is -4.8
MOST_REFLECTANCE = 2.0  # of a white reference: specular samples exceed 1, but not by that much
CHUNK = 512  # spectra whose correlations with all others are held at a time


def examine(
    spectra: Spectra, split: SplitWords | None = None, *, naming: bool = True, rotates: bool = True
) -> list[Finding]:
    """Return all that speaks against learning from these spectra, reasons to stop first.

    split: how they will be divided; None leaves out what depends on it. naming: whether classes are to be told apart,
    rather than amounts only, or compounds of mixtures. rotates: whether each part but the test calibrates what the
    others taught.
    """
    findings = [
        *(warn(remark) for remark in spectra.remarks),
        *_values(spectra),
        *_labels(spectra),
        *(_classes(spectra) if naming else ()),
    ]
    if split is not None:
        findings += _groups(spectra, split)
    divided: Split | None = None
    if split is not None and not any(finding.level == "refuse" for finding in findings):
        try:
            divided = split_of(spectra, split)
        except DataUnusable as error:
            findings.append(refuse(error.message, error.hint))
    if divided is not None:
        findings += _parts(spectra, divided, rotates=rotates)
    findings += _copies(spectra, divided)
    return sorted(findings, key=lambda finding: finding.level != "refuse")


def _values(spectra: Spectra) -> Iterator[Finding]:
    """Numbers that are no measurement, or not of the stated kind."""
    values = spectra.values
    spread = values.std(axis=1)
    typical = float(np.median(spread))
    flat = np.flatnonzero(spread <= FLAT * typical) if typical > 0 else np.arange(len(values))
    if len(flat):
        yield refuse(f"flat: {_named(spectra, flat)}", "no light, or a lost cable: measure again, or take them out")
    dull = np.flatnonzero((spread > FLAT * typical) & (spread < DULL * typical))
    if len(dull):
        yield warn(
            f"almost flat beside the others: {_named(spectra, dull)}", "was a sample in front of the instrument?"
        )
    clipped = np.flatnonzero(_plateau(values) >= CLIPPED)
    if len(clipped):
        yield warn(
            f"clipped at their largest value: {_named(spectra, clipped)}",
            "the detector was saturated, or no light came back: measure again with another exposure",
        )
    low, high = values.min(axis=1), values.max(axis=1)
    if spectra.quantity == "absorbance":
        wrong = np.flatnonzero((high > MOST_ABSORBANCE) | (low < LEAST_ABSORBANCE))
        if len(wrong):
            yield refuse(
                f"no absorbance: {low[wrong].min():.3g} to {high[wrong].max():.3g} in {_named(spectra, wrong)}",
                "counts are read with --quantity intensity; per cent are divided by 100 and are 'reflectance'",
            )
    if spectra.quantity == "reflectance":
        wrong = np.flatnonzero((high > MOST_REFLECTANCE) | (low < -MOST_REFLECTANCE))
        if len(wrong):
            yield refuse(
                f"no reflectance: {low[wrong].min():.3g} to {high[wrong].max():.3g} in {_named(spectra, wrong)}",
                "per cent are divided by 100; counts are read with --quantity intensity",
            )


def _plateau(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many neighbouring points of each spectrum are at its largest value."""
    top = values == values.max(axis=1, keepdims=True)
    longest = run = np.zeros(len(values), dtype=np.int64)
    for column in top.T:
        run = (run + 1) * column
        longest = np.maximum(longest, run)
    return longest


def _labels(spectra: Spectra) -> Iterator[Finding]:
    """Labels that were meant to be one."""
    counts = Counter(spectra.labels)
    long = [label[:20] for label in counts if not 0 < len(label) <= MAX_LABEL]
    if long:
        yield refuse(f"labels of no or more than {MAX_LABEL} characters: {some(long)}", "put the rest into title")
    alike: dict[str, list[str]] = defaultdict(list)
    for label in counts:
        alike[re.sub(r"[\s_-]+", " ", label).strip().casefold()].append(label)
    for labels in alike.values():
        if len(labels) > 1:
            shown = ", ".join(f"{label!r} ({counts[label]})" for label in labels)
            yield refuse(f"labels that differ by case or blanks only: {shown}", "write them alike")
    for rare, common in _misprints(counts):
        yield warn(
            f"{rare!r} ({counts[rare]} spectra) may be a misprint of {common!r} ({counts[common]})", "or leave it so"
        )


def _misprints(counts: Counter[str]) -> Iterator[tuple[str, str]]:
    """Pairs of a rare label and a common one that are written almost alike, numbers apart."""
    if len(counts) > 500:  # a library: the pairs grow with the square
        return
    for rare, few in counts.items():
        for common, many in counts.items():
            if many < RARE * few or re.sub(r"\d", "", rare) == re.sub(r"\d", "", common):
                continue
            if difflib.SequenceMatcher(None, rare.casefold(), common.casefold()).ratio() > LIKE:
                yield rare, common


def _classes(spectra: Spectra) -> Iterator[Finding]:
    """Too few classes, or too few spectra of one."""
    counts = Counter(spectra.labels)
    if len(counts) < 2:
        yield refuse(f"all spectra are {next(iter(counts))!r}: one class", "a model that names needs two or more")
        return
    few = [f"{label!r} ({n})" for label, n in counts.items() if n < LEAST_SPECTRA]
    if few:
        yield refuse(
            f"fewer than {LEAST_SPECTRA} spectra: {some(few)}",
            "one tests, one calibrates, the others teach: measure more, or leave the class out",
        )
    some_only = [f"{label!r} ({n})" for label, n in counts.items() if LEAST_SPECTRA <= n < FEW_SPECTRA]
    if some_only:
        yield warn(
            f"few spectra: {some(some_only)}",
            "the figures of the report will be coarse, and wide intervals are all that they can promise",
        )
    smallest, largest = min(counts, key=lambda c: counts[c]), max(counts, key=lambda c: counts[c])
    if counts[largest] > UNBALANCED * counts[smallest]:
        yield warn(
            f"unbalanced: {counts[largest]} spectra of {largest!r}, {counts[smallest]} of {smallest!r}",
            "the model will lean towards the larger class: leave some of its spectra out, or measure more of the other",
        )


def _groups(spectra: Spectra, split: SplitWords) -> Iterator[Finding]:
    """Groups that are missing, or that do not go round."""
    if len(np.unique(spectra.groups)) == len(spectra.labels):
        yield warn(
            "groups are missing, each spectrum is one of its own: the split cannot keep preparations apart",
            "say which spectra are of one preparation, batch or day; else the figures will flatter",
        )
        return
    if isinstance(split, Blocks):
        return
    groups = {label: len(np.unique(spectra.groups[_rows(spectra, label)])) for label in spectra.classes}
    single = [f"{label!r}" for label, n in groups.items() if n == 1]
    if single:
        yield refuse(
            f"all spectra of one group: {some(single)}",
            "a class is tested on a preparation that it was not trained on: measure another one, or split by blocks",
        )
    too_few = [f"{label!r} ({n})" for label, n in groups.items() if 1 < n < split.parts]
    if too_few:
        yield refuse(
            f"fewer groups than the {split.parts} parts of the split: {some(too_few)}",
            f"parts = {max(LEAST_GROUPS, min(groups.values()))}, or measure more preparations",
        )


def _parts(spectra: Spectra, split: Split, *, rotates: bool) -> Iterator[Finding]:
    """Classes that a side of the split does not have."""
    classes = set(spectra.classes)
    cut = [int(group) for group in np.unique(spectra.groups) if len(np.unique(split.part[spectra.groups == group])) > 1]
    if cut:
        firsts = [spectra.place(int(np.flatnonzero(spectra.groups == group)[0])) for group in cut]
        what = "1 group is" if len(cut) == 1 else f"{len(cut)} groups are"
        yield warn(
            f"{what} on both sides of the split, those of {some(firsts)}",
            "the figures will flatter: split by groups, or measure more of them",
        )

    def missing(rows: NDArray[np.int64]) -> list[str]:
        return sorted(repr(label) for label in classes - {spectra.labels[row] for row in rows})

    if absent := missing(split.test):
        yield warn(
            f"nothing to test on: {some(absent)}", "choose another part for the test, or the figures leave these out"
        )
    grouped = len(np.unique(spectra.groups)) < len(spectra.labels)
    if rotates and grouped and len(split.folds) < LEAST_PARTS and not cut:
        yield warn(
            f"{len(split.folds) + 1} parts: one tests, one calibrates in turn, and a member learns from one "
            "preparation of each class",
            "measure a fourth of each: a classical model has nothing to choose its settings by",
        )
    for fold in split.folds if rotates else ():
        if absent := missing(fold.train):
            yield refuse(
                f"nothing to learn from while part {fold.part} calibrates: {some(absent)}",
                "fewer parts, or more groups of that class",
            )


def _copies(spectra: Spectra, split: Split | None) -> Iterator[Finding]:
    """The same scan twice: under two labels, on both sides of the split, or merely twice; or one that is another,
    rounded."""
    disputed, leaked, twice = [], [], []
    for one, other in _pairs(spectra.values):
        text = f"{spectra.place(one)} = {spectra.place(other)}"
        if spectra.labels[one] != spectra.labels[other]:
            disputed.append(f"{text} ({spectra.labels[one]!r}, {spectra.labels[other]!r})")
        elif split is not None and split.part[one] != split.part[other]:
            leaked.append(text)
        else:
            twice.append(text)
    if disputed:
        yield refuse(f"one scan under two labels: {some(disputed)}", "take the wrong one out")
    if leaked:
        yield refuse(
            f"the same scan on both sides of the split: {some(leaked)}",
            "take the copies out, or put them into one group: a test on what was learned measures nothing",
        )
    if twice:
        yield warn(f"the same scan twice: {some(twice)}", "take the copies out")
    rounded = [f"{spectra.place(one)} = {spectra.place(other)}" for one, other in _rounded(spectra.values)]
    if rounded:
        yield warn(
            f"the same scan with other digits: {some(rounded)}",
            "take the copies out: on both sides of a split they measure nothing",
        )


def _pairs(values: NDArray[np.float64]) -> Iterator[tuple[int, int]]:
    """Pairs of spectra that are one scan, level and scale apart: their correlation is one but for rounding."""
    scaled = _scaled(values)
    for begin in range(0, len(scaled), CHUNK):
        rows = scaled[begin : begin + CHUNK]
        ones, others = np.nonzero(rows @ scaled[begin:].T > SAME_SCAN)
        for one, other in zip(ones.tolist(), others.tolist(), strict=True):
            if other > one:
                yield begin + one, begin + other


def _rounded(values: NDArray[np.float64]) -> Iterator[tuple[int, int]]:
    """Pairs of spectra of which one is the other with fewer decimals. Noise makes real repeats differ by more."""
    decimals, scaled, level = _decimals(values), _scaled(values), values.mean(axis=1)
    half = HALF_A_DIGIT * 10.0**-decimals
    for coarse in np.flatnonzero(decimals <= MOST_DECIMALS).tolist():
        near = (decimals > decimals[coarse]) & (np.abs(level - level[coarse]) <= half[coarse])
        fine = np.flatnonzero(near)
        correlation = scaled[fine] @ scaled[coarse]
        fine = fine[(correlation > ROUNDED_SCAN) & (correlation <= SAME_SCAN)]
        allowed = half[coarse] + SINGLE * np.abs(values[coarse])
        same = (np.abs(values[fine] - values[coarse]) <= allowed).all(axis=1)
        yield from ((coarse, int(other)) for other in fine[same])


def _decimals(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many decimals each spectrum was written with, as far as float32 tells; MOST_DECIMALS + 1 where more."""
    found = np.full(len(values), MOST_DECIMALS + 1)
    for decimals in range(MOST_DECIMALS, -1, -1):
        whole = values * 10.0**decimals
        found[(np.abs(whole - np.round(whole)) <= 1e-6 + SINGLE * np.abs(whole)).all(axis=1)] = decimals
    return found


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spectra without their level, each of length one."""
    scaled = values - values.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.divide(scaled, norms, out=np.zeros_like(scaled), where=norms > 0)


def _rows(spectra: Spectra, label: str) -> NDArray[np.int64]:
    return np.flatnonzero(np.array(spectra.labels) == label)


def _named(spectra: Spectra, rows: NDArray[np.int64]) -> str:
    return some([spectra.place(int(row)) for row in rows])
