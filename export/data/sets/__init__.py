"""Public sets of spectra, a file each: what it is, whose it is, and how its files become `Spectra`."""
