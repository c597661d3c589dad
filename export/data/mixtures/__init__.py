"""Spectra of mixtures, made from a library of pure ones: what the networks that name components learn from."""
