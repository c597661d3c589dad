"""Fit the correction between two instruments from samples that both measured; `edged.spectra.transfer` applies it.

In go two files of spectra, row for row or title for title the same samples; out comes the file that a station is given.
Windows, strengths and, with `auto`, the kind itself are chosen by cross validation on these samples, whole samples at
a time, and on nothing else.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import scipy
from numpy.typing import NDArray

from edged.spectra.files import read_spectra
from edged.spectra.rows import Lost
from edged.spectra.spectrum import MIN_POINTS, AxisUnit, Quantity, Spectrum, SpectrumError
from edged.spectra.transfer import MAX_STANDARDS, Correction, Shift, Technique, Transfer, axis_shift, corrected_values
from export.errors import DataUnusable, NothingGained
from export.transfer.fits import (
    axis_polynomial,
    direct,
    mean_difference,
    one_slope_bias,
    piecewise,
    shape_of,
    slope_bias,
)

Rows: TypeAlias = NDArray[np.float64]
Fit: TypeAlias = Callable[[Rows, Rows, Rows], Correction]
Method = Literal["auto", "slope-bias", "shift", "pds", "ds"]

MIN_STANDARDS = 3  # two to fit and one to judge
FOLDS = 10  # up to ten samples are left out one at a time, more in ten groups
WINDOWS = (5, 15, 25)  # points of piecewise standardisation
STRENGTHS = (1e-1, 1e-2, 1e-3, 1e-4)  # its ridge, as a share of the window's total variance
DIRECT_STRENGTHS = (1e-1, 1e-2, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 1e-6)
LEAST_STRENGTH = 0.01  # over the square of the number of samples: five cannot prove that a tiny ridge is enough
SHIFT_DEGREES = (0, 1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """The same samples on both instruments, on the axis of the slave: master and slave float64 [samples, points].

    names: one a row; rows of one name are one sample, and leave and enter a cross validation together.
    """

    axis: Rows
    axis_unit: AxisUnit
    quantity: Quantity
    master: Rows
    slave: Rows
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.master.shape != self.slave.shape or self.slave.shape != (len(self.names), len(self.axis)):
            raise DataUnusable(f"{self.master.shape} values of the master, {self.slave.shape} of the other instrument")
        if len(self.axis) < MIN_POINTS:
            raise DataUnusable(
                f"the two axes have {len(self.axis)} points in common; a correction needs {MIN_POINTS}",
                hint="give two files that cover the same range, in the same unit",
            )
        samples = len(set(self.names))
        if samples < MIN_STANDARDS or len(self.names) > MAX_STANDARDS:
            raise DataUnusable(
                f"{samples} samples in {len(self.names)} rows; a correction needs {MIN_STANDARDS} samples, "
                f"and takes {MAX_STANDARDS} rows",
                hint="measure more of the same samples on both instruments; 10 to 25 are usual",
            )

    def folds(self) -> list[NDArray[np.int64]]:
        """Return the rows that are left out together, whole samples at a time."""
        samples = list(dict.fromkeys(self.names))
        fold = {name: number % min(FOLDS, len(samples)) for number, name in enumerate(samples)}
        numbers = np.array([fold[name] for name in self.names])
        return [np.flatnonzero(numbers == number) for number in range(numbers.max() + 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One way to fit, all its settings chosen. `fit` takes axis, master, slave; None leaves a spectrum as it is."""

    method: str
    settings: str
    fit: Fit | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What cross validation said of a candidate. shape: what is minimised; rms: of the values themselves."""

    candidate: Candidate
    shape: float
    rms: float


def read_pairs(master: Path, slave: Path, *, unit: AxisUnit | None = None, quantity: Quantity = "absorbance") -> Pairs:
    """Read the same samples from two files: by title where every row has one that occurs once, else by order.

    Where the axes differ the master is interpolated linearly onto the slave's, within what the master covers.
    Raises DataUnusable when a row cannot be read or the files do not hold the same samples.
    """
    of_master, of_slave = _read(master, unit, quantity), _read(slave, unit, quantity)
    titles = [[s.title for s in spectra] for spectra in (of_master, of_slave)]
    if all(all(names) and len(set(names)) == len(names) for names in titles):
        only = set(titles[0]) ^ set(titles[1])
        if only:
            raise DataUnusable(
                f"{len(only)} titles are in one of the two files only: {', '.join(sorted(only)[:5])}",
                hint="leave these rows out of both files",
            )
        where = {name: row for row, name in enumerate(titles[0])}
        of_master = [of_master[where[name]] for name in titles[1]]
    elif titles[0] != titles[1]:
        raise DataUnusable(
            f"{master} has {len(titles[0])} rows, {slave} {len(titles[1])}, and their titles do not pair them",
            hint="give both files the same rows in the same order, or a title that occurs once to every row",
        )
    first, second = of_master[0], of_slave[0]
    if first.axis_unit != second.axis_unit:
        raise DataUnusable(
            f"{master} is in {first.axis_unit}, {slave} in {second.axis_unit}", hint="give the unit: --unit"
        )
    if not all(np.array_equal(s.axis, second.axis) for s in of_slave):
        raise DataUnusable(f"{slave}: its spectra are on different axes", hint="resample them onto one axis first")
    inside = (second.axis >= first.axis[0]) & (second.axis <= first.axis[-1])
    axis = second.axis[inside]
    return Pairs(
        axis=axis.copy(),
        axis_unit=second.axis_unit,
        quantity=quantity,
        master=np.array([np.interp(axis, s.axis, s.values.astype(np.float64)) for s in of_master]),
        slave=np.array([s.values[inside].astype(np.float64) for s in of_slave]),
        names=tuple(s.title or f"row {row}" for row, s in enumerate(of_slave, 1)),
    )


def _read(path: Path, unit: AxisUnit | None, quantity: Quantity) -> list[Spectrum]:
    found = []
    try:
        for row in read_spectra(path, unit=unit, quantity=quantity):
            if isinstance(row, Lost):
                raise DataUnusable(f"{path}: row {row.row}: {row.error.message}", hint=row.error.hint)
            found.append(row.spectrum)
    except SpectrumError as error:
        raise DataUnusable(error.message, hint=error.hint) from error
    return found


def candidates(pairs: Pairs, method: Method = "auto") -> list[Candidate]:
    """Return what a method tries on these pairs; `auto` tries everything. The first is to do nothing."""
    least = LEAST_STRENGTH / len(set(pairs.names)) ** 2
    tried = {
        "slope-bias": [
            Candidate(method="slope-bias", settings="mean difference", fit=mean_difference),
            Candidate(method="slope-bias", settings="one for all points", fit=one_slope_bias),
            Candidate(method="slope-bias", settings="each point its own", fit=slope_bias),
        ],
        "shift": [
            Candidate(method="shift", settings=f"degree {degree}", fit=axis_polynomial(degree))
            for degree in SHIFT_DEGREES
        ],
        "pds": [
            Candidate(method="pds", settings=f"window {width}, ridge {strength:g}", fit=piecewise(width, strength))
            for width in WINDOWS
            if width <= len(pairs.axis)
            for strength in STRENGTHS
            if strength >= least
        ],
        "ds": [
            Candidate(method="ds", settings=f"ridge {strength:g}", fit=direct(strength))
            for strength in DIRECT_STRENGTHS
            if strength >= least
        ],
    }
    nothing = Candidate(method="none", settings="as measured", fit=None)
    return [nothing, *(one for name, ones in tried.items() if method in ("auto", name) for one in ones)]


def judge(pairs: Pairs, method: Method = "auto") -> list[Judged]:
    """Cross-validate what a method tries: each sample is corrected by what was fitted without it."""
    judged = []
    every = np.arange(len(pairs.names))
    target = shape_of(pairs.master)
    for one in candidates(pairs, method):
        corrected = pairs.slave.copy()
        for held in pairs.folds():
            if one.fit is not None:
                rest = np.setdiff1d(every, held)
                correction = one.fit(pairs.axis, pairs.master[rest], pairs.slave[rest])
                corrected[held] = corrected_rows(pairs.axis, pairs.slave[held], correction)
        judged.append(
            Judged(candidate=one, shape=_rms(shape_of(corrected) - target), rms=_rms(corrected - pairs.master))
        )
    return judged


def choose(judged: Sequence[Judged]) -> Judged:
    """Return the candidate with the least error of shape; the first of equals.

    The RMS of the values would not do: it is ruled by level and scatter, which models remove or ignore. Measured with
    the other properties of the corn set, and the validation tablets, it chose worse corrections.
    """
    return min(judged, key=lambda one: one.shape)


def fit_transfer(
    pairs: Pairs,
    method: Method,
    *,
    from_instrument: str,
    to_instrument: str,
    technique: Technique = "nir",
    date: datetime.date | None = None,
) -> tuple[Transfer, list[Judged]]:
    """Return the best correction of a method, fitted on all pairs, and how all that was tried did, none among it.

    date: None is today. Raises NothingGained when none is best, DataUnusable when the standards make no correction.
    """
    judged = judge(pairs, method)
    best = choose(judged)
    if best.candidate.fit is None:
        raise NothingGained(
            f"of {len(judged) - 1} corrections none comes closer to {to_instrument} than what was measured",
            hint="run without a correction; or measure more, and more different, samples on both instruments",
        )
    pair_digest = hashlib.sha256(np.ascontiguousarray([pairs.master, pairs.slave], dtype="<f8").tobytes()).hexdigest()
    try:
        transfer = Transfer(
            from_instrument=from_instrument,
            to_instrument=to_instrument,
            technique=technique,
            quantity=pairs.quantity,
            axis_unit=pairs.axis_unit,
            axis=pairs.axis.copy(),
            standards=tuple(dict.fromkeys(pairs.names)),
            date=(date or datetime.datetime.now(datetime.UTC).date()).isoformat(),
            correction=_rounded(best.candidate.fit(pairs.axis, pairs.master, pairs.slave)),
            provenance={
                "fitted by": f"edged-export transfer fit --method {method}",
                "settings": f"{best.candidate.method}: {best.candidate.settings}",
                "cross-validated RMS difference": f"{best.rms:.6g}, without correction {judged[0].rms:.6g}",
                "cross-validated RMS difference of shape": f"{best.shape:.6g}, without {judged[0].shape:.6g}",
                "sha256 of the pairs": pair_digest,
                "numpy": np.__version__,
                "scipy": scipy.__version__,
            },
        )
    except SpectrumError as error:
        raise DataUnusable(f"the fit gives no correction: {error.message}", hint=error.hint) from error
    return transfer, judged


def corrected_rows(axis: Rows, values: Rows, correction: Correction) -> Rows:
    """Return corrected values [samples, points] on the same axis: after a shift, interpolated, the ends held."""
    if not isinstance(correction, Shift):
        return corrected_values(values, correction)
    moved = axis + axis_shift(axis, correction, axis)
    return np.array([np.interp(axis, moved, row) for row in values])


def _rounded(correction: Correction) -> Correction:
    """Nine significant digits, as many as float32 values are worth: half the file."""
    arrays = {name: getattr(correction, name) for name in type(correction).__slots__}
    return type(correction)(
        **{
            name: np.array([float(f"{number:.9g}") for number in array.ravel()]).reshape(array.shape)
            for name, array in arrays.items()
        }
    )


def _rms(difference: Rows) -> float:
    return float(np.sqrt(np.mean(difference**2)))
