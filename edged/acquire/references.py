"""The white reference: the light that a perfect reflector sends back, against which every sample is read. Any thread.

It is taken by command, checked, stored through the journal as a record of kind `reference` with its counts beside it,
and found there again after a restart.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from drivers.contract import RawScan
from edged.acquire.errors import Unfit
from edged.acquire.reading import Moment
from edged.spectra.spectrum import Spectrum, SpectrumError

State = Literal["fresh", "stale", "mismatched"]
SettingsText = Mapping[str, float | int | str | None]

OPTICAL = ("start_nm", "end_nm", "points", "width_px")  # what sample and reference must share, if the family has it
MAX_PACKED_BYTES = 1 << 20  # 65,536 points take 0.9 MB; bounds what a damaged attachment can make us read


@dataclass(frozen=True, slots=True, kw_only=True)
class WhiteReference:
    """A stored reference. `id` and `settings` are its record's; `gain` is the amplification it was taken at."""

    id: str
    serial_number: str
    settings: SettingsText
    gain: float
    counts: Spectrum
    moment: Moment

    def age_s(self, now: Moment) -> float | None:
        """Seconds since it was taken, or None when nobody knows: another boot, and a clock that was not synced."""
        if now.boot_id == self.moment.boot_id:
            return max(0.0, now.monotonic_s - self.moment.monotonic_s)
        if now.synced and self.moment.synced:
            return max(0.0, now.wall_s - self.moment.wall_s)
        return None

    def state_for(self, scan: RawScan, now: Moment, *, max_age_s: float) -> State:
        """Whether this reference may serve for that scan. Another gain is no mismatch: `scaled_to` allows for it."""
        here = settings_text(scan)
        if (
            scan.identity.serial_number != self.serial_number
            or any(here.get(name) != self.settings.get(name) for name in OPTICAL)
            or scan.axis_unit != self.counts.axis_unit
            or not np.array_equal(scan.axis, self.counts.axis)
        ):
            return "mismatched"
        age_s = self.age_s(now)
        return "fresh" if age_s is not None and age_s <= max_age_s else "stale"

    def scaled_to(self, gain: float) -> Spectrum:
        """Return its counts as they would have been at that gain; amplification is linear in it."""
        if gain == self.gain:
            return self.counts
        return Spectrum(
            axis=self.counts.axis,
            values=self.counts.values * np.float32(gain / self.gain),
            axis_unit=self.counts.axis_unit,
            quantity="counts",
            saturated=self.counts.saturated,
        )


def settings_text(scan: RawScan) -> dict[str, float | int | str | None]:
    """Return the settings of a scan as they stand in its record; `gain` is the one that was used."""
    return {**dataclasses.asdict(scan.settings), "gain": scan.gain}


def counts_of(scan: RawScan) -> Spectrum:
    """Return a scan's counts as a spectrum. Raises SpectrumError when the device's axis is no axis."""
    return Spectrum(
        axis=scan.axis.copy(),
        values=scan.counts.astype(np.float32),
        axis_unit=scan.axis_unit,
        quantity="counts",
        saturated=scan.saturated.copy(),
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
