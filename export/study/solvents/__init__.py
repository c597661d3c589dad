"""The Raman solvents: what each method names, who agrees with least squares, and what the spectra show of it all.

In the order of reading: `namings` measures one cell, `methods` lists the cells, `disputed` and `reasons` look at the
spectra themselves, `study` writes the page.
"""
