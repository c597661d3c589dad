"""368 compounds of a SYNTHETIC Raman library: false names, recall, and what no library holds.

In the order of reading: `made` makes spectra, `banks` measures one cell, `strangers` what is refused of others, `study`
writes the page, `refused` its part on strangers.
"""
