"""What gates refuse of things that the model does not know, at limits that wrongly refuse 1 % and 3 % of what it does.

Every block is held out in turn: a space is fitted on augmented copies of the other blocks, or a small network learns
them, and measures the block itself, the same block in simulated sessions, and the unknowns. Of production batches,
which the tablets have, whole ones are held out. `edged-export evaluate unknowns`.
"""
