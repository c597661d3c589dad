"""From public spectra to a bundle: train, calibrate, convert, quantise, verify, evaluate, report, pack. torch lives
here."""
