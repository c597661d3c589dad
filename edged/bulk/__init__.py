"""Archived spectra judged again by the million: many cores, bounded memory, and a run that a stop does not change."""
