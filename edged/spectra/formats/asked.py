"""What the caller wants of a file, against what the file says it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from edged.spectra.formats.words import Values
from edged.spectra.rows import FileError
from edged.spectra.spectrum import AxisUnit, Quantity

SHOWN: dict[AxisUnit, str] = {"nm": "nm", "cm-1": "1/cm"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the caller wants.

    unit, quantity: what the caller insists on; None takes what the file says. assumed: what the values are where
    neither the caller nor the file says it.
    """

    unit: AxisUnit | None = None
    quantity: Quantity | None = None
    assumed: Quantity = "absorbance"

    def unit_where_file_says(self, unit: AxisUnit, where: str) -> AxisUnit:
        """Return the unit of a file that names it. Raises FileError when another one is asked for."""
        if self.unit is not None and self.unit != unit:
            other = SHOWN[self.unit]
            raise FileError(f"{where}: its axis is in {SHOWN[unit]}, not in {other}", hint="leave --unit out")
        return unit

    def quantity_named(self, values: Values, where: str) -> Quantity:
        """Return what to take values for that a file names.

        Raises FileError as `quantity_of`, and for a foreign quantity, such as transmittance, on which nobody insists.
        """
        if values.foreign and self.quantity is None:
            raise FileError(
                f"{where}: holds {values.foreign!r}, which is none of {', '.join(get_args(Quantity))}",
                hint="export it as one of these, or say with --quantity what to take the numbers for",
            )
        return self.quantity_of(values.offers, where)

    def quantity_of(self, offers: tuple[Quantity, ...], where: str) -> Quantity:
        """Return what to take of a file that offers these, the likeliest first; none when it does not say.

        Raises FileError when another one is asked for.
        """
        if not offers:
            return self.quantity or self.assumed
        if self.quantity is None:
            return self.assumed if self.assumed in offers else offers[0]
        if self.quantity not in offers:
            raise FileError(f"{where}: holds {' and '.join(offers)}, not {self.quantity}", hint=f"ask for {offers[0]}")
        return self.quantity
