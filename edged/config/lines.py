"""Where in a TOML text each key stands: the standard parser tells values but not lines.

`key_lines` expects text that `tomllib` has accepted. It must never be wrong about a value, because it reads none: it
only skips them, entering inline tables and arrays for the keys inside.
"""

from __future__ import annotations

import re

KeyPath = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]\}\#\r\n]+")
_ESCAPE = re.compile(r"\\(?:([btnfr\"\\])|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8}))")
_SHORT = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return the line, from 1, of every key, table header and array element in valid TOML. Elements count from 0."""
    return _Scanner(text).scan()


class _Scanner:
    """One pass over the text; `at` is the position of the next character."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self.tables: dict[KeyPath, int] = {}  # array of tables -> index of its last element

    def scan(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        while self._skip_blank(newlines=True):
            if self._peek() == "[":
                table = self._header()
            else:
                self._pair(table)
        return self.lines

    def _header(self) -> KeyPath:
        array = self.text.startswith("[[", self.at)
        line = self._line()
        self.at += 2 if array else 1
        path = self._through_arrays(self._key())
        self.at += 2 if array else 1
        if array:
            index = self.tables.get(path, -1) + 1
            self.tables[path] = index
            self._note(path, line)
            path = (*path, index)
        self.lines[path] = line
        for end in range(1, len(path)):
            self._note(path[:end], line)
        return path

    def _through_arrays(self, keys: tuple[str, ...]) -> KeyPath:
        """A header below an array of tables speaks of that array's last element."""
        path: KeyPath = ()
        for position, key in enumerate(keys):
            path = (*path, key)
            if path in self.tables and position < len(keys) - 1:
                path = (*path, self.tables[path])
        return path

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        keys = self._key()
        for end in range(1, len(keys) + 1):
            self._note((*table, *keys[:end]), line)
        self._expect("=")
        self._value((*table, *keys))

    def _key(self) -> tuple[str, ...]:
        keys = []
        while True:
            self._skip_blank()
            if self._peek() in "\"'":
                keys.append(self._string())
            else:
                match = _BARE.match(self.text, self.at)
                if match is None:
                    raise ValueError(f"no key at line {self._line()}")
                keys.append(match.group())
                self.at = match.end()
            self._skip_blank()
            if self._peek() != ".":
                return tuple(keys)
            self.at += 1

    def _value(self, path: KeyPath) -> None:
        self._skip_blank()
        match self._peek():
            case '"' | "'":
                self._string()
            case "[":
                self.at += 1
                index = 0
                while self._skip_blank(newlines=True) and self._peek() != "]":
                    self._note((*path, index), self._line())
                    self._value((*path, index))
                    index += 1
                    if self._skip_blank(newlines=True) and self._peek() == ",":
                        self.at += 1
                self._expect("]")
            case "{":
                self.at += 1
                while self._skip_blank(newlines=True) and self._peek() != "}":
                    self._pair(path)
                    if self._skip_blank(newlines=True) and self._peek() == ",":
                        self.at += 1
                self._expect("}")
            case _:
                match = _SCALAR.match(self.text, self.at)
                if match is None:
                    raise ValueError(f"no value at line {self._line()}")
                self.at = match.end()

    def _string(self) -> str:
        quote = self.text[self.at]
        fence = quote * 3 if self.text.startswith(quote * 3, self.at) else quote
        start = self.at + len(fence)
        end = start
        while not self.text.startswith(fence, end):
            end += 2 if quote == '"' and self.text[end] == "\\" else 1
            if end > len(self.text):
                raise ValueError(f"a string opened at line {self._line()} does not end")
        while len(fence) == 3 and self.text.startswith(fence, end + 1):
            end += 1  # up to two quotes may stand before the closing three
        self.at = end + len(fence)
        body = self.text[start:end]
        return _ESCAPE.sub(_unescape, body) if quote == '"' else body

    def _skip_blank(self, *, newlines: bool = False) -> bool:
        """Skip spaces, comments and, if asked, line ends; false at the end of the text."""
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in " \t" or (newlines and char in "\r\n"):
                self.at += 1
            elif char == "#" and newlines:
                end = self.text.find("\n", self.at)
                self.at = len(self.text) if end < 0 else end
            else:
                return True
        return False

    def _peek(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else " "

    def _expect(self, char: str) -> None:
        self._skip_blank(newlines=char in "]}")
        if self._peek() != char:
            raise ValueError(f"no {char} at line {self._line()}")
        self.at += 1

    def _note(self, path: KeyPath, line: int) -> None:
        self.lines.setdefault(path, line)

    def _line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1


def _unescape(match: re.Match[str]) -> str:
    short, four, eight = match.groups()
    return _SHORT[short] if short else chr(int(four or eight, 16))
