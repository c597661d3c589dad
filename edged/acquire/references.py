"""References: the light that a perfect reflector sends back, and what the detector reads without light. Any thread.

They are taken by command, checked, stored through the journal as records of kind `reference` and `dark` with their
counts beside them, and found there again after a restart.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from drivers.contract import RawScan
from edged.acquire.errors import Unfit
from edged.acquire.reading import Moment
from edged.spectra.spectrum import Spectrum, SpectrumError

State = Literal["fresh", "stale", "mismatched"]
Role = Literal["white", "dark"]
SettingsText = Mapping[str, float | int | str | None]

OPTICAL = ("start_nm", "end_nm", "points", "width_px")  # what sample and reference must share, if the family has it
MAX_PACKED_BYTES = 1 << 20  # 65,536 points take 0.9 MB; bounds what a damaged attachment can make us read
DARK_WITHIN_C = 2.0  # the dark current of silicon and InGaAs changes by a fifth over as much
MAX_HOT_SHARE = 0.01  # of the pixels; single ones are hot in any array at long exposure
TIME_WITHIN = 1e-3  # share by which two integration times may differ and still be the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A stored reference: `white`, or `dark` for a detector array. `id` and `settings` are its record's.

    gain is the amplification it was taken at, detector_c the detector's temperature if that was known. counts: of a
    white one corrected as a sample's, of a dark one the mean as read.
    """

    role: Role
    id: str
    serial_number: str
    settings: SettingsText
    gain: float
    counts: Spectrum
    moment: Moment
    detector_c: float | None = None

    def state_for(self, scan: RawScan, counts: Spectrum, now: Moment, *, max_age_s: float) -> State:
        """Whether this reference may serve for that scan, whose corrected counts are `counts`.

        To a white one another gain or integration time is no mismatch: `scaled_to` allows for it. A dark one fits
        only the same exposure of a detector as cold.
        """
        fits = self._is_dark_of(scan) if self.role == "dark" else self._is_white_of(scan, counts)
        if scan.identity.serial_number != self.serial_number or not fits:
            return "mismatched"
        age_s = self.moment.age_s(now)
        return "fresh" if age_s is not None and age_s <= max_age_s else "stale"

    def scaled_to(self, scan: RawScan) -> Spectrum:
        """Return its counts as they would have been in that scan; they are linear in gain and integration time."""
        factor = scan.gain / self.gain
        ours_ms, theirs_ms = self.settings.get("integration_ms"), settings_text(scan).get("integration_ms")
        if isinstance(ours_ms, float) and isinstance(theirs_ms, float):
            factor *= theirs_ms / ours_ms
        if factor == 1.0:
            return self.counts
        return dataclasses.replace(self.counts, values=self.counts.values * np.float32(factor))

    def as_read(self, scan: RawScan) -> NDArray[np.float64]:
        """Return the counts of a dark one in the order of that scan's pixels."""
        values = self.counts.values.astype(np.float64)
        return values[::-1] if scan.axis[0] > scan.axis[-1] else values

    def _is_white_of(self, scan: RawScan, counts: Spectrum) -> bool:
        here = settings_text(scan)
        return (
            all(here.get(name) == self.settings.get(name) for name in OPTICAL)
            and counts.axis_unit == self.counts.axis_unit
            and np.array_equal(counts.axis, self.counts.axis)
        )

    def _is_dark_of(self, scan: RawScan) -> bool:
        here = settings_text(scan)
        ours_ms, theirs_ms = self.settings.get("integration_ms"), here.get("integration_ms")
        if not isinstance(ours_ms, float) or not isinstance(theirs_ms, float):
            return False
        there_c = scan.environment.detector_c
        as_cold = self.detector_c is None or there_c is None or abs(self.detector_c - there_c) <= DARK_WITHIN_C
        as_long = abs(ours_ms - theirs_ms) <= TIME_WITHIN * ours_ms
        return as_cold and as_long and self.gain == scan.gain and len(self.counts.axis) == len(scan.axis)


def settings_text(scan: RawScan) -> dict[str, float | int | str | None]:
    """Return the settings of a scan as they stand in its record; `gain` is the one that was used."""
    return {**dataclasses.asdict(scan.settings), "gain": scan.gain}


def dark_counts(scan: RawScan) -> Spectrum:
    """Return the mean as read on an ascending axis. Raises SpectrumError when the device's axis is no axis."""
    turn = slice(None, None, -1 if scan.axis[0] > scan.axis[-1] else 1)
    return Spectrum(
        axis=scan.axis[turn].copy(),
        values=scan.counts[turn].astype(np.float32),
        axis_unit=scan.axis_unit,
        quantity="counts",
        saturated=scan.saturated[turn].copy(),
    )


def require_dark(counts: Spectrum) -> None:
    """Raise Unfit when these counts cannot be those of a detector without light."""
    saturated = float(np.mean(counts.saturated)) if counts.saturated is not None else 0.0
    if saturated > MAX_HOT_SHARE:
        raise Unfit(
            f"the dark reference is saturated at {saturated:.0%} of its pixels",
            hint="cover the probe and switch the lamp off, or choose a shorter integration time",
        )


def require_white(counts: Spectrum, *, min_peak_counts: int) -> None:
    """Raise Unfit when these counts cannot be those of a white tile in the instrument's light."""
    saturated = int(np.count_nonzero(counts.saturated)) if counts.saturated is not None else 0
    if saturated:
        raise Unfit(
            f"the white reference is saturated at {saturated} of {len(counts.axis)} points",
            hint="lower the gain in the station's settings, or leave it unset",
        )
    peak = float(counts.values.max())
    if peak < min_peak_counts:
        raise Unfit(
            f"the white reference peaks at {peak:.0f} counts, at least {min_peak_counts} are needed",
            hint="put the white tile on the window, and look whether the lamp burns",
        )
    dark = int(np.count_nonzero(counts.values <= 0))
    if dark:
        raise Unfit(
            f"the white reference is dark at {dark} of {len(counts.axis)} points",
            hint="put the white tile flat on the window and shade it from other light",
        )


def pack_spectrum(spectrum: Spectrum) -> bytes:
    """Return the bytes of a .npz (axis, values, saturated, unit, quantity). Equal spectra give equal bytes."""
    file = io.BytesIO()
    saturated = spectrum.saturated if spectrum.saturated is not None else np.zeros(0, dtype=bool)
    np.savez(
        file,
        axis=spectrum.axis,
        values=spectrum.values,
        saturated=saturated,
        unit=np.array(spectrum.axis_unit),
        quantity=np.array(spectrum.quantity),
    )
    return file.getvalue()


def unpack_spectrum(data: bytes) -> Spectrum:
    """Read back what `pack_spectrum` wrote. Raises SpectrumError for anything else."""
    if len(data) > MAX_PACKED_BYTES:
        raise SpectrumError(f"{len(data)} bytes are no stored spectrum; at most {MAX_PACKED_BYTES}")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            saturated = file["saturated"].astype(bool)
            axis = file["axis"].astype(np.float64)
            values = file["values"].astype(np.float32)
            unit, quantity = str(file["unit"]), str(file["quantity"])
    except Exception as error:
        raise SpectrumError(f"not a stored spectrum: {error}") from error
    if unit not in ("nm", "cm-1") or quantity not in ("counts", "reflectance", "absorbance", "intensity"):
        raise SpectrumError(f"not a stored spectrum: unit {unit!r}, quantity {quantity!r}")
    return Spectrum(
        axis=axis,
        values=values,
        axis_unit=unit,  # type: ignore[arg-type]
        quantity=quantity,  # type: ignore[arg-type]
        saturated=saturated if len(saturated) else None,
    )
