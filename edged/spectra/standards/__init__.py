"""The science of the self test: spectra of known standards in, verdicts with numbers out. Pure functions, numpy only.

    axis_check    check_axis(polystyrene, POLYSTYRENE), check_lamp(neon, laser_nm=785.0), attribute_drift(raman, lamp)
    correction    check.correction.apply(axis): the session's axis, where check.correction is not None
    shapes        from the fitted top of a composite band to its maximum: data
    resolution    check_resolution(calcite): width of 1085 1/cm
    intensity     check_intensity(glass, SRM_2241, stored=response): ASTM E2911
    wavelength    check_wavelength(absorbance): NIR, centres of gravity
    noise         check_noise(scans, limits=...), check_dark(dark, limits=...)
    materials, certificates    what they are compared with: data
    known         all of it by the name that a self test is asked for, and a user's own certified values

Every check returns a frozen dataclass with `.verdict` ("pass", "warn", "fail") and `.reasons` (outcome.CheckReason).
Limits are arguments. A spectrum that cannot be such a standard at all (wrong unit or quantity) raises SpectrumError;
anything that a bad measurement can look like is a verdict. When a check was done, on which instrument, and how long it
holds, is the caller's to keep. What was measured with it: docs/selftest.md.
"""
