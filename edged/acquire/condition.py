"""What every self test tells beside its subject: noise between frames, level and spread without light, sharpness.

Only what has a limit in the configuration is judged: what is quiet belongs to an instrument and its exposure. Any
thread.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from drivers.contract import ExposureSettings, RawScan
from edged.acquire.check import Check, SelfTestLimits, judged, told
from edged.acquire.references import dark_counts
from edged.spectra.corrections import cosmic_rays
from edged.spectra.corrections.layout import layout_of
from edged.spectra.spectrum import Spectrum
from edged.spectra.standards.noise import DarkLimits, NoiseLimits, check_dark, check_noise
from edged.spectra.standards.outcome import CheckName
from edged.spectra.standards.peaks import find_peaks
from edged.spectra.standards.resolution import check_resolution

UNIT = {"nm": "nm", "cm-1": "1/cm"}
UNJUDGED = float("inf")
_SMOOTH = 1.0  # in the unit of the axis: less than any width of interest


def without_source(scan: RawScan) -> RawScan:
    """Return the scan's frames without the light source as a scan of their own; itself where it has none.

    What was saturated with the source on stays flagged: a lamp before the instrument shone then, too.
    """
    if scan.dark is None:
        return scan
    mean = scan.dark.mean(axis=0, dtype=np.float64) * scan.count_scale
    return dataclasses.replace(scan, raw=scan.dark, counts=mean, dark=None, laser_mw=None)


def frames_of(scan: RawScan) -> tuple[Spectrum, ...]:
    """Return each frame of a detector array in counts, cosmic rays out; what is never lit is cut off."""
    if not isinstance(scan.settings, ExposureSettings) or scan.raw.ndim != 2:
        return ()
    array = layout_of(scan.calibration, scan.raw.shape[1])
    rows = array.cut(scan.raw.astype(np.float64) * scan.count_scale)
    if len(rows) > 1 and rows.shape[1] >= cosmic_rays.MIN_PIXELS:
        rows = cosmic_rays.repair_between_frames(rows).counts
    axis = scan.axis[array.pixels]
    turn = slice(None, None, -1 if axis[0] > axis[-1] else 1)
    return tuple(
        Spectrum(
            axis=axis[turn].copy(),
            values=row[turn].astype(np.float32),
            axis_unit=scan.axis_unit,
            quantity="counts",
        )
        for row in rows
    )


def noise_rows(
    repeated: Sequence[Spectrum], limits: SelfTestLimits, *, dark_level: float | None = None
) -> tuple[Check, ...]:
    """Judge how far neighbouring frames or scans differ; nothing of a single one.

    dark_level: their mean without the light; with it, the noise is told as a share of the light, too.
    """
    if len(repeated) < 2:
        return ()
    limit = limits.max_noise
    held = UNJUDGED if limit is None else limit
    found = check_noise(repeated, limits=NoiseLimits(warn_noise=held, fail_noise=held))
    absorbance = repeated[0].quantity == "absorbance"
    unit, what = ("absorbance", "scans") if absorbance else ("counts", "frames")
    share = ""
    if dark_level is not None and found.level > dark_level:
        share = f", {100 * found.noise / (found.level - dark_level):.2g} % of the mean light"
    message = f"RMS between {len(repeated)} {what}{share}"
    if limit is None:
        return (told("noise", value=found.noise, unit=unit, message=message),)
    return (judged("noise", found.reasons, value=found.noise, unit=unit, limit=limit, message=message),)


def dark_rows(scan: RawScan, limits: SelfTestLimits) -> tuple[Check, ...]:
    """Judge level and spread of a scan without light, or of a scanning instrument the level that it took off."""
    if not isinstance(scan.settings, ExposureSettings):
        return (_row("dark_level", scan.dark_level, limits.max_dark_counts, "as the instrument took it off"),)
    dark = dark_counts(scan)
    found = check_dark(dark, limits=DarkLimits(max_level=UNJUDGED, max_noise=UNJUDGED, hot_counts=UNJUDGED))
    detector_c = scan.environment.detector_c
    circumstances = "median of all points" + (f" at {detector_c:.1f} C" if detector_c is not None else "")
    return (
        _row("dark_level", found.level, limits.max_dark_counts, circumstances),
        _row("dark_noise", found.noise, limits.max_dark_noise, "spread of the points"),
    )


def width_rows(spectrum: Spectrum) -> tuple[Check, ...]:
    """Tell the width of the strongest band or line; nothing where there is none with both flanks."""
    strongest = max(find_peaks(spectrum, smooth=_SMOOTH), key=lambda peak: peak.height, default=None)
    if strongest is None:
        return ()
    found = check_resolution(spectrum, near=strongest.position, reach=strongest.fwhm)
    if found.width is None or found.position is None or found.points is None:
        return ()
    unit = UNIT[spectrum.axis_unit]
    message = f"of the strongest, at {found.position:.1f} {unit}, {found.points:.1f} points wide"
    return (told("width", value=found.width, unit=unit, message=message),)


def _row(name: CheckName, value: float, limit: float | None, message: str) -> Check:
    if limit is None:
        return told(name, value=value, unit="counts", message=message)
    hint = "" if value <= limit else "shade the probe, let the detector cool down, repeat"
    return Check(
        name=name,
        verdict="pass" if value <= limit else "fail",
        value=value,
        unit="counts",
        limit=limit,
        message=message,
        hint=hint,
    )
