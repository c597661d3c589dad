"""From positions and values as a file stores them to a row: the last step of every format that is no plain table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edged.spectra.axis import axis_of, shift_begins
from edged.spectra.formats.cells import MAX_MAGNITUDE
from edged.spectra.rows import Found, Lost, Row, clean_title
from edged.spectra.spectrum import AxisUnit, Quantity, Spectrum, SpectrumError

DAMAGED = "the file is damaged or incomplete: export it again"


def compose(
    axis: NDArray[np.float64],
    values: NDArray[np.float64],
    *,
    row: int,
    title: str,
    unit: AxisUnit | None,
    quantity: Quantity,
    where: str,
) -> Row:
    """Return the spectrum, or why it is lost, in words that begin with `where`.

    axis, values: float64, same length. A descending axis is reversed with its values: these formats store it so.
    unit: None takes a guess from the numbers.
    """
    title = clean_title(title)
    try:
        if len(axis) != len(values):
            raise SpectrumError(f"{where}: {len(axis)} positions for {len(values)} values", hint=DAMAGED)
        if not np.isfinite(axis).all():
            point = int(np.argmax(~np.isfinite(axis)))
            raise SpectrumError(f"{where}: the axis position at point {point + 1} is {axis[point]:g}", hint=DAMAGED)
        if len(axis) > 1 and axis[0] > axis[-1]:
            axis, values = axis[::-1], values[::-1]
        begin = shift_begins(axis, unit)
        positions, found = axis_of(axis[begin:], "", unit=unit, where=where)
        values = values[begin:]
        with np.errstate(invalid="ignore"):
            wrong = ~(np.abs(values) <= MAX_MAGNITUDE)
        if wrong.any():
            point = int(np.argmax(wrong))
            raise SpectrumError(
                f"{where}: the value at point {point + 1} is {values[point]:g}",
                hint="re-measure this spectrum, or remove it",
            )
        spectrum = Spectrum(
            axis=positions, values=values.astype(np.float32), axis_unit=found, quantity=quantity, title=title
        )
    except SpectrumError as error:
        return Lost(row=row, title=title, error=error)
    return Found(row=row, spectrum=spectrum)
