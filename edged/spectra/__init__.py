"""Spectra on a physical axis: what they are, how they are corrected, judged fit, and read from files."""
