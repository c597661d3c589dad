"""The science of the self test: spectra of known standards in, verdicts with numbers out. Pure functions, numpy only.

    check = check_axis(spectrum, POLYSTYRENE)            # Raman shift, ASTM E1840
    check.verdict                                        # "pass", "warn" or "fail"; why is in check.reasons
    check.correction.apply(spectrum.axis)                # the session's axis, where check.correction is not None
    lamp = check_lamp(neon, laser_nm=785.0)              # the pixel axis
    attribute_drift(check, lamp)                         # laser or pixel axis

Every check returns a frozen dataclass with `.verdict` and `.reasons`. Limits are arguments with stated defaults. When a
check was done, on which instrument, and how long it holds, is the caller's to keep. Measurements: docs/selftest.md.
"""
