"""Where a key stands, told by a scanner of our own: checked with texts whose lines are known, and with any text."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.config.lines import KeyPath, key_lines

TEXT = '''\
# a comment with = and [brackets] and "quotes"
site = "a # b"

[mqtt]   # trailing
host = 'c:\\temp'
"quoted key" = 1
tls.ca = "x"
note = """
port = 1
[station]
\\""" ""quotes"""
lit = \'\'\'
]] = [[
\'\'\'
[station . "left one"]
list = [
  1,   # one
  [2, "]"],
  { a = 1, b.c = [true] },
]
inline = { points = 3, deep = { x = "}" } }
when = 1979-05-27T07:32:00Z
[[many]]
n = 1
[[many]]
n = 2
[many.below]
k = 1
'''

LINES: dict[KeyPath, int] = {
    ("site",): 2,
    ("mqtt",): 4,
    ("mqtt", "host"): 5,
    ("mqtt", "quoted key"): 6,
    ("mqtt", "tls", "ca"): 7,
    ("mqtt", "note"): 8,
    ("mqtt", "lit"): 12,
    ("station", "left one"): 15,
    ("station", "left one", "list"): 16,
    ("station", "left one", "list", 0): 17,
    ("station", "left one", "list", 1, 1): 18,
    ("station", "left one", "list", 2, "b", "c"): 19,
    ("station", "left one", "inline", "deep", "x"): 21,
    ("station", "left one", "when"): 22,
    ("many", 0, "n"): 24,
    ("many", 1, "n"): 26,
    ("many", 1, "below", "k"): 28,
}


def paths(value: Any, at: KeyPath = ()) -> list[KeyPath]:
    """Every key and element that the standard parser sees."""
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [p for key, below in items for p in [(*at, key), *paths(below, (*at, key))]]


@pytest.mark.parametrize("path", LINES, ids=str)
def test_every_key_is_found_on_its_line(path: KeyPath) -> None:
    assert key_lines(TEXT)[path] == LINES[path]


def test_every_key_that_the_parser_sees_has_a_line() -> None:
    assert set(paths(tomllib.loads(TEXT))) <= set(key_lines(TEXT))


keys = st.text(st.characters(codec="utf-8", exclude_characters="\x7f", exclude_categories=("Cs", "Cc")), max_size=8)
scalars = st.one_of(
    st.integers(-(2**40), 2**40),
    st.booleans(),
    keys,
    st.sampled_from(["]", "}", "a]b", "#", '"', "'", "[x]\n[y]", "=", ","]),
)
values = st.recursive(
    scalars, lambda v: st.one_of(st.lists(v, max_size=3), st.dictionaries(keys, v, max_size=3)), max_leaves=8
)


def quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def written(value: Any) -> str:
    """A value as TOML, by an independent and simple writer."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(k)} = {written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",\n ".join(written(v) for v in value) + "]"
    return quoted(value)


@given(st.dictionaries(keys, st.dictionaries(keys, values, max_size=3), min_size=1, max_size=4))
def test_any_document_is_scanned_to_the_line(document: dict[str, dict[str, Any]]) -> None:
    text = ""
    expected: dict[KeyPath, int] = {}
    for table, content in document.items():
        text += f"# {table!r}\n[{quoted(table)}]\n"
        expected[table,] = text.count("\n")
        for key, value in content.items():
            text += f"{quoted(key)} = {written(value)} # ]}}\n"
            expected[table, key] = text.count("\n") - written(value).count("\n")

    lines = key_lines(text)

    assert {path: lines[path] for path in expected} == expected
    assert set(paths(tomllib.loads(text))) <= set(lines)
