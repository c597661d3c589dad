"""Asking again, as a conversation: the device file says what may be repeated, the session how often and after what."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from drivers.contract import Conversation, Recover
from drivers.errors import AskAgain, Resynchronise

T = TypeVar("T")


def attempt(
    ask: Callable[[], Conversation[T]],
    cures: tuple[type[AskAgain] | type[Resynchronise], ...] = (AskAgain, Resynchronise),
) -> Conversation[T]:
    """Hold the conversation that `ask` begins, again from its start after a fault of these cures .

    Nested attempts should name different cures, or their patience multiplies.
    """
    failures = {AskAgain: 0, Resynchronise: 0}
    while True:
        try:
            return (yield from ask())
        except cures as error:
            cure = AskAgain if isinstance(error, AskAgain) else Resynchronise
            failures[cure] += 1
            yield Recover(error=error, attempt=failures[cure])
