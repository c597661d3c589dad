"""From public spectra to a bundle: train, calibrate, convert, quantise, verify, trial, report, pack. torch lives
here."""
