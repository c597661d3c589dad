"""Asking again, as a conversation: the device file says what may be repeated, the session how often and after what."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from drivers.contract import Conversation, Recover
from drivers.errors import AskAgain, Resynchronise

T = TypeVar("T")


class Faults:
    """Counts faults by their cure, for a conversation that asks again."""

    def __init__(self) -> None:
        self._counts: dict[type[AskAgain | Resynchronise], int] = {}

    def recover(self, error: AskAgain | Resynchronise) -> Recover:
        """Return the step that lets the session decide about asking again."""
        cure = AskAgain if isinstance(error, AskAgain) else Resynchronise
        self._counts[cure] = self._counts.get(cure, 0) + 1
        return Recover(error=error, attempt=self._counts[cure])


def attempt(
    ask: Callable[[], Conversation[T]],
    cures: tuple[type[AskAgain] | type[Resynchronise], ...] = (AskAgain, Resynchronise),
) -> Conversation[T]:
    """Hold the conversation that `ask` begins, again from its start after a fault of these cures .

    Nested attempts should name different cures, or their patience multiplies.
    """
    faults: Faults | None = None  # as a rule there are none
    while True:
        try:
            return (yield from ask())
        except cures as error:
            faults = faults or Faults()
            yield faults.recover(error)
