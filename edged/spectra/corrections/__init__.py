"""What a detector array did to the light, taken back: one file a correction, and `chain.py` with their order.

Corrections are pure functions of counts (float64, last axis = pixels) that return new arrays; docs/corrections.md lists
them. Each file carries the VERSION of its formula, which is recorded with every spectrum it touched: a changed result
is a new version.
"""
