"""Canonical JSON as in RFC 8785 (JCS): one value, one text, in every language. Plain functions, any thread.

Object keys sorted by their UTF-16 code units; no white space; strings with only the escapes that JSON demands, in
their short form; numbers as ECMAScript prints a double, the shortest digits that read back to the same value. Integers
outside +-(2**53 - 1) are refused, since other languages could not read them back, and so are NaN and infinities.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable

Json = None | bool | int | float | str | list["Json"] | tuple["Json", ...] | dict[str, "Json"]

MAX_INTEGER = 2**53 - 1  # beyond it a double skips integers
_string = json.JSONEncoder(ensure_ascii=False).encode


def canonical(value: Json) -> bytes:
    """Return the only canonical text of this value, in UTF-8. Raises ValueError for what canonical JSON cannot say."""
    parts: list[str] = []
    _write(value, parts.append)
    return "".join(parts).encode("utf-8")


def parsed(text: bytes) -> Json:
    """Read JSON so that `canonical` writes the same number again: what is beyond MAX_INTEGER was a double."""
    value: Json = json.loads(text, parse_int=_whole)
    return value


def _whole(digits: str) -> int | float:
    value = int(digits)
    return value if abs(value) <= MAX_INTEGER else float(digits)


def number(value: float) -> str:
    """Return a finite double as ECMAScript prints it (ECMA-262, Number::toString)."""
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a JSON number")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    leading = len(whole + fraction) - len(digits)
    point = len(whole) - leading + int(exponent or 0)  # the value is 0.DIGITS times ten to this power
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    power = point - 1
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{'+' if power > 0 else '-'}{abs(power)}"


def _write(value: Json, put: Callable[[str], None]) -> None:
    match value:
        case None:
            put("null")
        case bool():
            put("true" if value else "false")
        case str():
            put(_string(value))
        case int():
            if abs(value) > MAX_INTEGER:
                raise ValueError(f"{value} is too large an integer for canonical JSON")
            put(str(value))
        case float():
            put(number(value))
        case list() | tuple():
            mark = "["
            for item in value:
                put(mark)
                _write(item, put)
                mark = ","
            put("[]" if mark == "[" else "]")
        case dict():
            mark = "{"
            for key in sorted(value, key=_utf16):
                put(mark)
                put(_string(key))
                put(":")
                _write(value[key], put)
                mark = ","
            put("{}" if mark == "{" else "}")
        case _:
            raise ValueError(f"{type(value).__name__} has no JSON form")


def _utf16(key: str) -> bytes:
    return key.encode("utf-16-be")
