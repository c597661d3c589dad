"""Why there is no verdict, sorted by cure.

InferError
    SpectrumUnfit       this spectrum cannot be put to this model: bring another
        AxisNotCovered  it does not span the model's axis; becomes a verdict `rejected` in `Analyzer`
        WrongKind       wrong axis unit or quantity
    NotOffered          the bundle does not offer this procedure, preset or class: ask for another
    EngineFault         the graph does not run here as its builder saw it: use another bundle
"""

from __future__ import annotations


class InferError(Exception):
    """Root of everything this room raises. `hint` tells a human what to do, and may be empty."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class SpectrumUnfit(InferError, ValueError):
    """This spectrum cannot be put to this model. Cure: another spectrum, or another bundle."""


class AxisNotCovered(SpectrumUnfit):
    """The spectrum does not span the model's axis. `missing` is how far it falls short, in the axis' unit."""

    def __init__(self, message: str, *, hint: str = "", missing: float) -> None:
        super().__init__(message, hint=hint)
        self.missing = missing


class WrongKind(SpectrumUnfit):
    """The spectrum's axis unit or quantity is not the model's."""


class NotOffered(InferError, LookupError):
    """The bundle does not offer what was asked for. Cure: ask for what the hint lists."""

    def __str__(self) -> str:
        return InferError.__str__(self)


class EngineFault(InferError, RuntimeError):
    """The graph does not load or run here as its builder saw it. Cure: another bundle, or report this CPU."""
