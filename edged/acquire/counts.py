"""From a scan as the device gave it to counts on a physical axis, with every correction that was done named.

A scanning instrument removes its dark level itself. A detector array needs its dark taken off first: of frames in the
same scan, of masked pixels, or of a dark reference that was taken by command.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.contract import RawScan, ScanSettings
from edged.acquire.references import Reference
from edged.spectra.corrections.chain import Applied, Options, correct_frames
from edged.spectra.corrections.wavelength import raman_shift_cm1
from edged.spectra.spectrum import AxisUnit, Spectrum


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Counts on an ascending axis, and what was done to them. has_dark: the level without light is off."""

    spectrum: Spectrum
    applied: tuple[Applied, ...] = ()
    has_dark: bool = True

    @property
    def corrections(self) -> tuple[str, ...]:
        """Each correction as a record keeps it, such as "nonlinearity/1 order 7"."""
        return tuple(f"{done.name}/{done.version} {done.detail}".rstrip() for done in self.applied)


def counts_of(scan: RawScan, dark: Reference | None = None) -> Counts:
    """Return the corrected counts of a scan.

    dark: a dark reference that fits (`Reference.state_for`), used when the scan has no dark frames of its own.
    Raises SpectrumError when the device's axis is no axis, or its memory holds numbers that cannot be of its detector.
    """
    if isinstance(scan.settings, ScanSettings):
        return Counts(spectrum=_on_axis(scan, scan.axis, scan.counts, scan.saturated))
    unlit = scan.dark.astype(np.float64) if scan.dark is not None else None
    if unlit is None and dark is not None:
        unlit = dark.as_read(scan)[np.newaxis, :]
    corrected = correct_frames(
        scan.raw.astype(np.float64) * scan.count_scale,
        calibration=scan.calibration,
        saturated=np.broadcast_to(scan.saturated, scan.raw.shape),
        dark_frames=unlit,
        options=Options(cosmic_rays=scan.laser_mw is not None),
    )
    return Counts(
        spectrum=_on_axis(scan, scan.axis[corrected.pixels], corrected.counts, corrected.saturated),
        applied=corrected.applied,
        has_dark=unlit is not None or bool(scan.calibration.dark_pixels),
    )


def _on_axis(
    scan: RawScan,
    axis: NDArray[np.float64],
    values: NDArray[np.float64],
    saturated: NDArray[np.bool_],
) -> Spectrum:
    """Turn what runs from red to blue, and count from the laser's line where one was used."""
    turn = slice(None, None, -1 if axis[0] > axis[-1] else 1)
    unit: AxisUnit = scan.axis_unit
    axis = axis[turn].copy()
    if scan.laser_mw is not None and scan.calibration.excitation_nm is not None:
        axis, unit = raman_shift_cm1(axis, scan.calibration.excitation_nm), "cm-1"
        seen = axis > 0.0  # the Stokes side; what lies on the other is the laser's own light
        axis, values, saturated = axis[seen], values[turn][seen], saturated[turn][seen]
    else:
        values, saturated = values[turn], saturated[turn]
    return Spectrum(
        axis=axis,
        values=values.astype(np.float32),
        axis_unit=unit,
        quantity="counts",
        saturated=saturated.copy(),
    )
