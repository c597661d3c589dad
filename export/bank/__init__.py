"""Banks: what is known of each compound by itself, kept apart on disk, and run as one int8 graph.

In the order of reading: `plan` says what the networks compute, `bank` is the value, `ranges` measures, `integers`
rounds, `fuse` writes the graph, `folder` keeps everything. Only `ranges` and `bank.network` run torch.
"""
