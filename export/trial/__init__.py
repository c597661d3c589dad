"""What a model is measured by before it ships: the bundle itself on held-out spectra and in other sessions, beside
others."""
