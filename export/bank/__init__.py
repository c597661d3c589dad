"""Banks: what is known of each compound by itself, kept apart on disk, and run as one int8 graph.

In the order of reading: `plan` says what the networks compute, `bank` is the value, `ranges` measures, `integers`
rounds, `layers` are the nodes, `fuse` writes the graph, `alone` the one that asks single compounds, `folder` keeps
everything.

A bank that a build has left has a `kit`, what its bundle needs besides, and learns: `newcomer` reads the spectra of a
compound, `school` teaches it, `limits` says what may be promised of it, `learned` puts all this together, `bundle`
writes what `edged` runs.
"""
