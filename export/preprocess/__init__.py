"""Each preprocessing step once, as a torch module that exports into the graph. `pipeline.build` makes them from a
recipe."""
