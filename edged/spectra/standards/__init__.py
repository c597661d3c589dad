"""The science of the self test: spectra of known standards in, verdicts with numbers out. Pure functions, numpy only.

    check = check_axis(spectrum, POLYSTYRENE)            # Raman shift, ASTM E1840
    check.verdict                                        # "pass", "warn" or "fail"; why is in check.reasons
    check.correction.apply(spectrum.axis)                # the session's axis, where check.correction is not None
    lamp = check_lamp(neon, laser_nm=785.0)              # the pixel axis
    attribute_drift(check, lamp)                         # laser or pixel axis

    check_resolution(calcite)                            # width of 1085 1/cm
    check_intensity(glass, SRM_2241, stored=response)    # relative intensity, ASTM E2911
    check_wavelength(absorbance)                         # NIR, centres of gravity
    check_noise(scans, limits=NoiseLimits(...))          # short-term noise and drift; check_dark for the dark level

Every check returns a frozen dataclass with `.verdict` and `.reasons`. Limits are arguments with stated defaults. When a
check was done, on which instrument, and how long it holds, is the caller's to keep. Measurements: docs/selftest.md.
"""

from edged.spectra.standards.axis_check import AxisCheck as AxisCheck
from edged.spectra.standards.axis_check import AxisLimits as AxisLimits
from edged.spectra.standards.axis_check import Drift as Drift
from edged.spectra.standards.axis_check import attribute_drift as attribute_drift
from edged.spectra.standards.axis_check import check_axis as check_axis
from edged.spectra.standards.axis_check import check_lamp as check_lamp
from edged.spectra.standards.correction import AxisCorrection as AxisCorrection
from edged.spectra.standards.correction import CorrectionRefused as CorrectionRefused
from edged.spectra.standards.intensity import IntensityCheck as IntensityCheck
from edged.spectra.standards.intensity import IntensityLimits as IntensityLimits
from edged.spectra.standards.intensity import Response as Response
from edged.spectra.standards.intensity import check_intensity as check_intensity
from edged.spectra.standards.noise import DarkCheck as DarkCheck
from edged.spectra.standards.noise import DarkLimits as DarkLimits
from edged.spectra.standards.noise import NoiseCheck as NoiseCheck
from edged.spectra.standards.noise import NoiseLimits as NoiseLimits
from edged.spectra.standards.noise import check_dark as check_dark
from edged.spectra.standards.noise import check_noise as check_noise
from edged.spectra.standards.outcome import CheckReason as CheckReason
from edged.spectra.standards.outcome import CheckVerdict as CheckVerdict
from edged.spectra.standards.resolution import ResolutionCheck as ResolutionCheck
from edged.spectra.standards.resolution import ResolutionLimits as ResolutionLimits
from edged.spectra.standards.resolution import check_resolution as check_resolution
from edged.spectra.standards.wavelength import WavelengthCheck as WavelengthCheck
from edged.spectra.standards.wavelength import WavelengthLimits as WavelengthLimits
from edged.spectra.standards.wavelength import check_wavelength as check_wavelength
