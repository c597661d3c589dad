"""One file a format: how to know it by its first bytes, and how to read its spectra. Any thread."""
