"""Out-of-model gates: spaces fitted on preprocessed spectra in float64, measured inside the bundle's graph."""
