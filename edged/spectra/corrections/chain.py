"""All corrections of one scan of a detector array, in the vendors' order, each named with its version when it was done.

Raw frames go in, as the detector read them; counts of the pixels that see the spectrum come out. A correction whose
data the instrument does not store is not there. Why this order: docs/corrections.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from drivers.contract import Calibration
from edged.spectra.corrections import (
    bad_pixels,
    cosmic_rays,
    dark,
    even_odd,
    intensity,
    layout,
    nonlinearity,
    smoothing,
    stray_light,
)
from edged.spectra.corrections import frames as repeated
from edged.spectra.corrections.arrays import checked
from edged.spectra.corrections.bad_pixels import Gaps
from edged.spectra.corrections.layout import Layout, layout_of
from edged.spectra.spectrum import SpectrumError


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A correction that was done: which formula (name, version) and with what, as in ("nonlinearity", 1, "order 7")."""

    name: str
    version: int
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Which corrections are wanted where the instrument stores what they need.

    cosmic_rays: for Raman; a detector for NIR does not see them. stray_light: off, because no vendor says how its
    stored number is meant. boxcar: pixels to each side.
    """

    even_odd: bool = True
    electric_dark: bool = True
    bad_pixels: bool = True
    nonlinearity: bool = True
    intensity: bool = True
    cosmic_rays: bool = False
    stray_light: bool = False
    boxcar: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """One spectrum in counts. All arrays have one length and are read-only.

    pixels: which pixel as read each point is, so that `axis[pixels]` is its axis. saturated: reached the range in any
    frame, or rests on such a pixel. repaired: not wholly measured here: a bad pixel, or struck by a cosmic ray.
    """

    counts: NDArray[np.float64]
    pixels: NDArray[np.intp]
    saturated: NDArray[np.bool_]
    repaired: NDArray[np.bool_]
    applied: tuple[Applied, ...]

    def __post_init__(self) -> None:
        for array in (self.counts, self.pixels, self.saturated, self.repaired):
            array.flags.writeable = False


def correct_frames(
    frames: NDArray[np.float64],
    *,
    calibration: Calibration,
    saturated: NDArray[np.bool_],
    dark_frames: NDArray[np.float64] | None = None,
    options: Options | None = None,
) -> Corrected:
    """Correct one scan.

    frames: (repeats, pixels) as read; saturated: the same shape; dark_frames: (any number, pixels), without the light.
    Non-linearity needs a dark level, from dark frames or dark pixels; stray light and intensity need it taken off; they
    are not there without. Raises SpectrumError for frames that do not fit together and for stored numbers that cannot
    be of this detector.
    """
    options = options or Options()
    light, unlit = _fitting(frames, saturated, dark_frames)
    array = layout_of(calibration, light.shape[1])
    done = _array_steps(calibration, array, options)
    lit, level = _prepared(light, calibration, array, options)
    flags = array.cut(saturated)
    over = np.asarray(flags.any(axis=0))
    repaired = np.zeros(len(array.pixels), dtype=np.bool_)
    if options.bad_pixels and len(array.bad.pixels):
        over, repaired[array.bad.pixels] = _resting_on(over, array.bad), True

    if options.cosmic_rays and len(lit) > 1:
        found = cosmic_rays.repair_between_frames(lit, flags)
        lit, repaired = found.counts, repaired | found.rays.any(axis=0)
        done.append(_rays(found, f"{len(lit)} frames compared"))
    counts = repeated.average(lit)
    done.append(Applied(name="average", version=repeated.VERSION, detail=_many(len(lit), "frame")))
    if unlit is not None:
        counts = dark.subtract(counts, _dark_spectrum(unlit, calibration, array, options))
        done.append(Applied(name="dark", version=dark.VERSION, detail=_many(len(unlit), "frame")))
    if options.cosmic_rays and len(lit) == 1:
        found = cosmic_rays.repair_single_frame(counts, over)
        counts, repaired = found.counts, repaired | found.rays
        done.append(_rays(found, "single frame"))

    off = unlit is not None or (level is not None and options.electric_dark)
    if options.nonlinearity and calibration.nonlinearity and (off or level is not None):
        counts = nonlinearity.linearise(counts, calibration.nonlinearity, level=0.0 if off or level is None else level)
        done.append(_order("nonlinearity", nonlinearity.VERSION, calibration.nonlinearity))
    if options.stray_light and calibration.stray_light and off:
        share = calibration.stray_light[0]
        counts = stray_light.remove(counts, share)
        done.append(Applied(name="stray_light", version=stray_light.VERSION, detail=f"share {share:g}"))
    if options.boxcar:
        counts = smoothing.boxcar(counts, options.boxcar)
        over, repaired = _spread(over, options.boxcar), _spread(repaired, options.boxcar)
        done.append(Applied(name="boxcar", version=smoothing.VERSION, detail=f"half width {options.boxcar}"))
    if options.intensity and calibration.intensity and off:
        counts = intensity.correct(counts, _intensity_factor(calibration, array.length))
        done.append(_order("intensity", intensity.VERSION, calibration.intensity))
    return Corrected(counts=counts, pixels=array.pixels, saturated=over, repaired=repaired, applied=tuple(done))


@lru_cache(maxsize=16)
def _intensity_factor(calibration: Calibration, length: int) -> NDArray[np.float64]:
    return intensity.polynomial_factor(layout_of(calibration, length).positions, calibration.intensity)


def _fitting(
    frames: NDArray[np.float64], saturated: NDArray[np.bool_], dark_frames: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    light = checked(frames, "frames")
    unlit = None if dark_frames is None else checked(dark_frames, "dark frames")
    if light.ndim != 2 or saturated.shape != light.shape:
        raise SpectrumError(f"frames of shape {light.shape} and flags of saturation {saturated.shape} do not fit")
    if unlit is not None and (unlit.ndim != 2 or unlit.shape[1] != light.shape[1]):
        raise SpectrumError(
            f"dark frames have shape {unlit.shape}, frames with light {light.shape}",
            hint="take the dark with the settings of the sample",
        )
    return light, unlit


def _prepared(
    frames: NDArray[np.float64], calibration: Calibration, array: Layout, options: Options
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """What is done to every frame, with the light or without; also the mean electric dark, None without dark pixels."""
    odd = _odd(calibration, options)
    if odd is not None:
        frames = even_odd.match_odd(frames, gain=odd[0], offset=odd[1])
    level = dark.electric_level(frames, array.dark) if array.dark else None
    if level is not None and options.electric_dark:
        frames = dark.subtract(frames, level)
    frames = array.cut(frames)
    if options.bad_pixels and len(array.bad.pixels):
        frames = bad_pixels.bridge(frames, array.bad)
    return frames, None if level is None else level.mean(axis=0)


def _dark_spectrum(
    frames: NDArray[np.float64], calibration: Calibration, array: Layout, options: Options
) -> NDArray[np.float64]:
    """The mean of the dark frames. One alone is not searched for rays: hot pixels look alike, and have to stay."""
    unlit, _ = _prepared(frames, calibration, array, options)
    if options.cosmic_rays and len(unlit) > 1:
        unlit = cosmic_rays.repair_between_frames(unlit).counts
    return repeated.average(unlit)


def _odd(calibration: Calibration, options: Options) -> tuple[float, float] | None:
    gain, offset = calibration.odd_gain, calibration.odd_offset
    if not options.even_odd or (gain is None and offset is None):
        return None
    return 1.0 if gain is None else gain, offset or 0.0


def _array_steps(calibration: Calibration, array: Layout, options: Options) -> list[Applied]:
    done = []
    odd = _odd(calibration, options)
    if odd is not None:
        detail = f"odd pixels: gain {odd[0]:g}, offset {odd[1]:g}"
        done.append(Applied(name="even_odd", version=even_odd.VERSION, detail=detail))
    if array.dark and options.electric_dark:
        detail = _many(len(array.dark), "dark pixel")
        done.append(Applied(name="electric_dark", version=dark.VERSION, detail=detail))
    if len(array.pixels) < array.length:
        detail = f"pixels {array.pixels.min()} to {array.pixels.max()} of {array.length}"
        done.append(Applied(name="active_range", version=layout.VERSION, detail=detail))
    if calibration.invert:
        done.append(Applied(name="invert", version=layout.VERSION, detail=""))
    if options.bad_pixels and len(array.bad.pixels):
        detail = _many(len(array.bad.pixels), "pixel")
        done.append(Applied(name="bad_pixels", version=bad_pixels.VERSION, detail=detail))
    return done


def _resting_on(over: NDArray[np.bool_], bad: Gaps) -> NDArray[np.bool_]:
    """A bad pixel's own flag says nothing; it is as saturated as the neighbours that stand in for it."""
    flags = over.copy()
    flags[bad.pixels] = over[bad.left] | over[bad.right]
    return flags


def _spread(mask: NDArray[np.bool_], half_width: int) -> NDArray[np.bool_]:
    """Every pixel that a boxcar mixes with one of these; at the ends, where it is narrower, a few more."""
    spread = np.zeros(len(mask) + 2 * half_width, dtype=np.bool_)
    spread[np.flatnonzero(mask)[:, None] + np.arange(2 * half_width + 1)] = True
    return spread[half_width : half_width + len(mask)]


def _rays(found: cosmic_rays.Repaired, how: str) -> Applied:
    detail = f"{how}, {_many(int(np.count_nonzero(found.rays)), 'pixel')} repaired"
    return Applied(name="cosmic_rays", version=cosmic_rays.VERSION, detail=detail)


def _order(name: str, version: int, coefficients: tuple[float, ...]) -> Applied:
    return Applied(name=name, version=version, detail=f"order {len(coefficients) - 1}")


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
