"""Product twins: what a simulated instrument plays, from spectra that somebody measured."""
