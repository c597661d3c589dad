"""What the NIRscan Nano family can be asked to measure, how long that takes, and whether it was measured."""

from __future__ import annotations

import numpy as np

from drivers.contract import ScanSettings, Settings
from drivers.devices._nirscan_scan import GAINS, Scan
from drivers.errors import BadSettings, Reopen

RANGE_NM = (900.0, 1700.0)  # what the grating throws onto the mirrors
POINTS = (25, 829)  # the 25th brings the first dark reading; 829 patterns and their dark readings fill the array of 864
WIDTHS_PX = (2, 52)  # [inferred] a single column passes too little light, more than 52 leave no resolution
REPEATS = (1, 1000)
LONGEST_MS = 40_000  # nobody holds a handheld still for longer; a station waits for twice that and 10 s
NAME_BYTES = 39


def raise_bad_settings(settings: Settings) -> ScanSettings:
    """Return the settings if some unit of the family can do them. Raises BadSettings."""
    if not isinstance(settings, ScanSettings):
        raise BadSettings("a NIRscan chooses its own exposure", hint="remove integration_ms, laser_mw and detector_c")
    problems = []
    if not (settings.name.isascii() and settings.name.isprintable() and 0 < len(settings.name) <= NAME_BYTES):
        problems.append(f"name {settings.name!r} (1 to {NAME_BYTES} characters of plain text)")
    start_nm, end_nm = settings.start_nm, settings.end_nm
    if not RANGE_NM[0] <= start_nm < end_nm <= RANGE_NM[1] or start_nm % 1 or end_nm % 1:
        problems.append(f"range {start_nm:g} to {end_nm:g} nm (whole nm within {RANGE_NM[0]:g} to {RANGE_NM[1]:g})")
    limits = (
        ("points", settings.points, POINTS),
        ("width_px", settings.width_px, WIDTHS_PX),
        ("repeats", settings.repeats, REPEATS),
    )
    problems += [f"{name} {value} ({low} to {high})" for name, value, (low, high) in limits if not low <= value <= high]
    if settings.gain is not None and settings.gain not in GAINS:
        problems.append(f"gain {settings.gain} (one of {', '.join(map(str, GAINS))})")
    if not problems and (takes_ms := estimated_ms(settings)) > LONGEST_MS:
        problems.append(f"a scan of {takes_ms / 1000:.0f} s (at most {LONGEST_MS // 1000} s: fewer repeats or points)")
    if problems:
        raise BadSettings(f"settings outside what the NIRscan Nano family can do: {'; '.join(problems)}")
    return settings


def raise_unless_as_asked(scan: Scan, settings: ScanSettings) -> None:
    """Raise Reopen for a scan with other settings, BadSettings for one whose points fall on the same mirrors."""
    measured = (scan.start_nm, scan.end_nm, scan.width_px, scan.patterns, scan.repeats)
    asked = (settings.start_nm, settings.end_nm, settings.width_px, settings.points, settings.repeats)
    if measured != asked:
        raise Reopen(
            f"the instrument measured with other settings than asked: {measured} instead of {asked}",
            hint="it may have restarted; it is opened and configured anew",
        )
    if not (np.diff(scan.axis_nm) > 0).all():
        raise BadSettings(
            f"{settings.points} points in {settings.start_nm:g} to {settings.end_nm:g} nm are closer than the mirrors",
            hint="ask for fewer points or a wider range",
        )


def estimated_ms(settings: ScanSettings) -> int:
    """Return the time of a scan as the firmware estimates it: lamp, gain setting, and 24 patterns a frame at 60 Hz."""
    frames = settings.points // 24
    return int(300 + 625 + 150 + 100 + ((frames + 4) + settings.repeats * (frames + 1 + 3)) * 1000 / 60)
