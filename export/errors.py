"""What can go wrong while a bundle is built, sorted by cure.

ExportError
    RecipeError          the recipe is wrong: every problem at once
    DataUnusable         the spectra are absent or not what the recipe's data set is: get the data
    NotFetched           a public set could not be fetched: the network, or a copy by hand
    StageMissing         an earlier stage has not run in this work folder: run it
    NothingGained        no correction between two instruments is better than none: use none
    VerificationFailed   the graph does not compute what it should: do not ship it
    BankUnfit            a compound does not fit a bank, or is not there: other members, or other names
    BankDamaged          the folder of a bank is not what was written: copy it again, or train anew
"""

from __future__ import annotations


class ExportError(Exception):
    """Root of everything this package raises. `hint` tells a human what to do, and may be empty."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class RecipeError(ExportError, ValueError):
    """The recipe breaks its vocabulary. `problems` holds one line for each mistake."""

    def __init__(self, message: str, *, problems: tuple[str, ...] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.problems = problems  # not in args: what comes out of another process is given it afterwards


class DataUnusable(ExportError, ValueError):
    """The spectra are absent or damaged. Cure: get the data set again."""


class NotFetched(ExportError):
    """A public set could not be fetched. Cure: the network, or a copy of its folder."""


class StageMissing(ExportError, LookupError):
    """A stage needs what an earlier one writes. Cure: run that stage, or `build`."""

    def __str__(self) -> str:
        return ExportError.__str__(self)


class NothingGained(ExportError):
    """Cross validation found no correction better than none. Cure: run without one, or measure more standards."""


class VerificationFailed(ExportError, RuntimeError):
    """The graph does not compute what it should. Cure: another quantisation, or report the versions."""


class BankUnfit(ExportError, ValueError):
    """What is to enter a bank does not fit it, or asks for what is not there. Cure: other members, or other names."""


class BankDamaged(ExportError, ValueError):
    """The folder of a bank is not what was written. Cure: copy it again, or train the compound that is named."""
