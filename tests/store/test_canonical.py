from __future__ import annotations

import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.store.canonical import Json, canonical, number, parsed

# RFC 8785, appendix B: bits of a double and its text
APPENDIX_B = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]


@pytest.mark.parametrize(("bits", "text"), APPENDIX_B)
def test_a_number_reads_as_the_standard_shows(bits: str, text: str) -> None:
    (value,) = struct.unpack(">d", bytes.fromhex(bits))

    assert number(value) == text


def test_keys_are_sorted_as_the_standard_shows() -> None:
    value: Json = {"€": 5, "\r": 1, "\ufb33": 7, "1": 2, "😀": 6, "\u0080": 3, "ö": 4}

    assert list(json.loads(canonical(value)).values()) == [1, 2, 3, 4, 5, 6, 7]


def test_strings_are_escaped_as_the_standard_shows() -> None:
    assert canonical({"string": '€$\x0f\nA\'B"\\\\"/'}) == '{"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'.encode()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_double_reads_back_to_itself(value: float) -> None:
    assert float(json.loads(number(value))) == value


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_reading_and_writing_again_changes_nothing(value: object) -> None:
    text = canonical(value)  # type: ignore[arg-type]

    assert parsed(text) == value
    assert canonical(parsed(text)) == text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 2**53, -(2**53), "\ud800", b"bytes", {1: 2}])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises((ValueError, AttributeError)):
        canonical({"x": value})  # type: ignore[dict-item]
