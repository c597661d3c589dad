"""The table of a JCAMP-DX file, (X++(Y..Y)): lines of one position and many values, packed in any of the ASDF forms.

A line is X, then values; in the packed forms a first character stands for sign and first digit of a number:

    AFFN, FIX   4000 10160 -2.5E+02     numbers between blanks or commas
    PAC         4000+10160-250          numbers told apart by their signs
    SQZ         @ 0, A..I 1..9, a..i -1..-9: a value
    DIF         % 0, J..R 1..9, j..r -1..-9: added to the value before
    DUP         S..Z 1..8, s 9: how often in all the number before it stands there

A line that ends in a difference is followed by one that repeats its last value at its last position: the check value.
Source: R. S. McDonald, P. A. Wilks, "JCAMP-DX: A Standard Form for Exchange of Infrared Spectra in Computer Readable
Form", Appl. Spectrosc. 42, 151 (1988); J. I. Baumbach et al., Pure Appl. Chem. 73, 1765 (2001) for its worked examples.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from edged.spectra.spectrum import MAX_POINTS, SpectrumError

MAX_LINE_CHARS = 65_536  # the standard allows 80; some programs write a spectrum in one line
MAX_NUMBER_CHARS = 40  # more digits than any float64 has
DAMAGED = "the file is damaged: export it again"

_PSEUDO_DIGITS = {
    **{letter: ("=", str(digit)) for digit, letter in enumerate("@ABCDEFGHI")},
    **{letter: ("=", f"-{digit}") for digit, letter in enumerate("abcdefghi", 1)},
    **{letter: ("+", str(digit)) for digit, letter in enumerate("%JKLMNOPQR")},
    **{letter: ("+", f"-{digit}") for digit, letter in enumerate("jklmnopqr", 1)},
    **{letter: ("*", str(digit)) for digit, letter in enumerate("STUVWXYZs", 1)},
    "+": ("=", ""),
    "-": ("=", "-"),
    "": ("=", ""),
}
_PACKED = re.compile(r"([@%A-Za-s+\-]?)((?:\d+\.?\d*|\.\d+)?)")
_SIGNED = re.compile(r"([+\-]?)((?:\d+\.?\d*|\.\d+)(?:[Ee][+\-]\d{1,3})?)")
_ONLY_EXPONENTS = re.compile(r"[\d\s.,;+\-]+(?:[Ee][+\-]\d[\d\s.,;+\-]*)+")
_BETWEEN = str.maketrans("", "", " \t,;\x0b\x0c")


@dataclass(frozen=True, slots=True)
class Position:
    """What a line says of its place.

    x: as printed, to within `rounding`. index: the value it stands at; `last`: or the other one it may stand at, where
    the line repeats a value: SPECTRAFILE-IR names the place of the one after.
    """

    line: int
    index: int
    last: int
    x: float
    rounding: float


class Table:
    """Values so far, as printed, and the positions that the lines name. Raises SpectrumError for a wrong line."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.positions: list[Position] = []
        self._ended_in_difference = False
        self._closed = False

    def add(self, number: int, line: str) -> None:
        """Take in one line, comments removed; `number` is its place in the file."""
        if len(line) > MAX_LINE_CHARS:
            raise SpectrumError(f"line {number} is longer than {MAX_LINE_CHARS} characters", hint=DAMAGED)
        if self._closed:
            raise SpectrumError(f"line {number} follows the end of the table", hint=DAMAGED)
        plain = _plain(line)
        if plain is not None:
            position, numbers = plain
            self._begin(number, position, numbers[0])
            self._extend(number, numbers[1:])
            return
        tokens = _tokens(number, line)
        if self._ended_in_difference and len(tokens) == 2 and tokens[1] == ("=", "0"):
            self._closed = True  # SPECTRAFILE-IR ends its tables with a zero where the check value belongs
            return
        if len(tokens) < 2:
            raise SpectrumError(f"line {number} holds a position and no value", hint=DAMAGED)
        (kind, position), (first_kind, first) = tokens[:2]
        if kind != "=" or first_kind != "=":
            raise SpectrumError(f"line {number} does not begin with a position and a value", hint=DAMAGED)
        self._begin(number, position, float(first))
        self._unpack(number, tokens[2:], float(first))

    def _begin(self, number: int, position: str, first: float) -> None:
        """Note the position, and the first value unless it is the check of the line before."""
        repeats = self._ended_in_difference
        if repeats:
            if abs(first - self.values[-1]) > 1e-9 * abs(first):  # sums of printed numbers: only their rounding
                raise SpectrumError(
                    f"line {number} repeats {first:g} for a check, the line before ended at {self.values[-1]:g}",
                    hint=DAMAGED,
                )
            self._ended_in_difference = False
        else:
            self._extend(number, [first])
        index = len(self.values) - 1
        self.positions.append(
            Position(line=number, index=index, last=index + repeats, x=float(position), rounding=_rounding(position))
        )

    def _extend(self, number: int, values: list[float]) -> None:
        if len(self.values) + len(values) > MAX_POINTS:
            raise SpectrumError(f"line {number}: more than {MAX_POINTS} points", hint="export a shorter range")
        self.values += values

    def _unpack(self, number: int, tokens: list[tuple[str, str]], first: float) -> None:
        last, step = first, 0.0
        difference = False
        for kind, digits in tokens:
            value = float(digits)
            if kind == "=":
                last, step, difference = value, 0.0, False
            elif kind == "+":
                last, step, difference = last + value, value, True
            else:
                self._repeat(number, last, step, value)
                last = self.values[-1]
                continue
            if len(self.values) >= MAX_POINTS:
                self._extend(number, [last])
            self.values.append(last)
        self._ended_in_difference = difference

    def _repeat(self, number: int, last: float, step: float, times: float) -> None:
        if not 1 <= times <= MAX_POINTS or times != int(times):
            raise SpectrumError(f"line {number} repeats a value {times:g} times", hint=DAMAGED)
        more = int(times) - 1
        self._extend(number, [last + step * i for i in range(1, more + 1)])


def _rounding(position: str) -> float:
    """Return half of the last place of a printed number; nothing for one with an exponent."""
    whole, _, decimals = position.lstrip("+-").partition(".")
    return 0.5 * 10.0 ** -len(decimals) if (whole + decimals).isdigit() else 0.0


def _plain(line: str) -> tuple[str, list[float]] | None:
    """Return position and values of a line in which blanks or commas stand between them, or None for a packed one."""
    words = line.replace(",", " ").replace(";", " ").split()
    if len(words) < 2 or not line.isascii() or "_" in line:
        return None
    try:
        numbers = list(map(float, words))
    except ValueError:
        return None
    return (words[0], numbers[1:]) if all(map(math.isfinite, numbers)) else None


def _tokens(number: int, line: str) -> list[tuple[str, str]]:
    pattern = _SIGNED if _ONLY_EXPONENTS.fullmatch(line) else _PACKED
    found = [match for match in pattern.findall(line) if match[0] or match[1]]
    known = sum(len(lead) + len(rest) for lead, rest in found)
    bare = line.translate(_BETWEEN)
    tokens = []
    for lead, rest in found:
        kind, digit = _PSEUDO_DIGITS.get(lead, ("?", ""))
        digits = digit + rest
        if kind == "?" or digits in ("", "-") or len(digits) > MAX_NUMBER_CHARS:
            raise SpectrumError(f"line {number} holds {(lead + rest)[:20]!r}, which is no number", hint=DAMAGED)
        tokens.append((kind, digits))
    if known != len(bare):
        missing = " (? stands for a missing value)" if "?" in bare else ""
        raise SpectrumError(f"line {number} is no line of numbers: {bare[:40]!r}{missing}", hint=DAMAGED)
    return tokens
