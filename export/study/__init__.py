"""Many models on many splits of public spectra, side by side: cells are measured, tables are drawn from them."""
