"""From a recipe's name or text to its words, whatever kind of recipe it is: all mistakes at once, each with its key."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from export.errors import RecipeError
from export.words import Words

RECIPES = Path(__file__).parent / "recipes"
Kind = TypeVar("Kind", bound=Words)


def recipe_text(name: str) -> tuple[str, str]:
    """Return the text of a recipe by path, or by the name of one that comes with the package; and what to call it.

    Raises RecipeError.
    """
    path = Path(name)
    if path.is_dir():
        why = "a folder, and no recipe"
        raise RecipeError(f"{name}: {why}", problems=(why,), hint=f"make one: edged-export recipe {name} > my.toml")
    if not path.suffix:
        path = RECIPES / f"{name}.toml"
    try:
        return path.read_text(encoding="utf-8"), str(path)
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(sorted(p.stem for p in RECIPES.glob("*.toml")))
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        raise RecipeError(f"{name}: {why}", problems=(why,), hint=f"the path of one, or one of: {known}") from error


def recipe_fields(text: str, *, where: str) -> dict[str, Any]:
    """Read TOML. `where` names it in messages. Raises RecipeError."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{where}: {error}", problems=(str(error),), hint="the file is not TOML") from error


def recipe_words(kind: type[Kind], fields: dict[str, Any], *, where: str) -> Kind:
    """Return the words that the fields say. Raises RecipeError with all problems."""
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        problems = tuple(_problem(detail, kind) for detail in error.errors())
        listed = "\n".join(f"  {problem}" for problem in problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise RecipeError(f"{where}: {count}\n{listed}", problems=problems) from error


def names_components(fields: dict[str, Any]) -> bool:
    """Whether these are the fields of a recipe for a model that names the components of mixtures."""
    return fields.get("procedures") == ["components"]


def _problem(detail: ErrorDetails, kind: type[Words]) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    match detail["type"]:
        case "extra_forbidden":
            near = difflib.get_close_matches(str(detail["loc"][-1]), _keys(kind), n=1)
            return f"{key}: unknown key" + (f"; did you mean {near[0]}?" if near else "")
        case "missing":
            return f"{key}: missing"
        case "value_error":
            text = detail["msg"].removeprefix("Value error, ")
            return f"{key}.{text}" if key else text
        case _:
            return f"{key}: {_shown(detail['input'])}: {detail['msg'][:1].lower()}{detail['msg'][1:]}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _keys(kind: type[Words]) -> list[str]:
    found: set[str] = set()

    def visit(schema: dict[str, Any]) -> None:
        found.update(schema.get("properties", {}))
        for part in schema.get("$defs", {}).values():
            visit(part)

    visit(kind.model_json_schema())
    return sorted(found)
