"""From a float graph to the int8 one that is shipped: candidates are built, judged, timed, and one is chosen.

A file a family: `weights`, `dynamic` (with its Scan), `static`, `aware`; `one_step` first makes small what is small.
`candidates` names them all, `measure` and `choose` have the rule, `stage` is what a build runs. Nothing here but
`aware` and `stage` loads torch.
"""
