"""A model with all it needs, in one file: manifest, archive, and the slots it is installed in."""
