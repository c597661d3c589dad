"""What is wrong with the keys of a request or a table, in words for people: from pydantic's findings. Any thread."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pydantic_core import ErrorDetails

MOST_TOLD = 3  # of one request; a person mends one after the other anyway
SHOWN_CHARACTERS = 30  # of what a stranger wrote, each time that it is shown; the longest key of ours has 10
SEARCHED_CHARACTERS = 64  # of what a stranger wrote, for the word that was meant


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One of them. is_shown: whether what was found is worth showing. `allowed`, `suggestion`: empty where unknown."""

    message: str
    is_shown: bool = True
    allowed: str = ""
    suggestion: str = ""


def mistake(detail: ErrorDetails, known: Collection[str]) -> Mistake:
    """Say what one finding means. known: the keys that may stand where it was found."""
    message, context = detail["msg"], detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            suggestion = near(detail["loc"][-1], known)
            return Mistake(message="unknown key", is_shown=False, allowed=", ".join(known), suggestion=suggestion)
        case "missing":
            return Mistake(message="is missing", is_shown=False)
        case "literal_error":
            allowed = str(context.get("expected", "")).replace(" or ", ", ")
            suggestion = near(detail["input"], re.findall(r"'([^']*)'", allowed))
            return Mistake(message="is not one of the choices", allowed=allowed, suggestion=suggestion)
        case "value_error":
            return Mistake(message=message.removeprefix("Value error, "), is_shown=False)
        case _:
            for opening in ("Input should be ", "String should have ", "a valid "):
                message = message.removeprefix(opening)
            return Mistake(message="does not fit", allowed=message)


def request_mistakes(details: Sequence[ErrorDetails], known: Collection[str]) -> tuple[str, str]:
    """Return message and hint for a request that is none: an object with other keys or values than `known` may have.

    Whatever a stranger sent, both are short, and show little of it.
    """
    first = details[0]
    if first["type"] == "json_invalid":
        return f"the request is no JSON: {first.get('ctx', {}).get('error', '')}", ""
    if not first["loc"]:
        return "the request is no JSON object", ""
    said: list[str] = []
    hints: list[str] = []
    for detail in details[:MOST_TOLD]:
        found, key = mistake(detail, known), str(detail["loc"][-1])
        if key not in known:
            key = shown(key, SHOWN_CHARACTERS)
        value = f", found {shown(detail['input'], SHOWN_CHARACTERS)}" if found.is_shown else ""
        said.append(f"{key}: {found.message}{value}")
        if found.allowed:
            what = "allowed keys" if detail["type"] == "extra_forbidden" else f"allowed for {key}"
            hints.append(f"{what}: {found.allowed}")
        if found.suggestion:
            hints.append(found.suggestion)
    if len(details) > MOST_TOLD:
        said.append(f"and {len(details) - MOST_TOLD} more")
    return "; ".join(said), "; ".join(dict.fromkeys(hints))


def near(written: object, known: Collection[str]) -> str:
    """Return a question for whoever wrote something else than one of `known`; empty where none is near."""
    close = difflib.get_close_matches(str(written)[:SEARCHED_CHARACTERS], known, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else ""


def shown(value: object, most: int) -> str:
    """Return a value as JSON on one line of at most so many characters, all of which can be printed."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= most else text[: most - 3] + "..."
