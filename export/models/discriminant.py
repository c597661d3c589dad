"""The discriminant under the name by which models kept by earlier versions refer to it."""

from export.gates.discriminant import Discriminant

__all__ = ["Discriminant"]
