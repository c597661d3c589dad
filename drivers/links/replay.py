"""Plays a recorded dialogue back: what is written must be what was sent then, and is answered with what came then.

The text of a recording, as `drivers.trace.RecordTrace` writes it:

    # anything: a remark
    > 41 42 43      bytes that we send; lines of one direction in a row are one piece
    < 41 42 43      bytes that come back
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from drivers.clock import ManualClock


class ReplayMismatch(AssertionError):
    """The dialogue went another way than the recording."""


class ReplayLink:
    """A link onto a recording, on its own clock: silence costs no time. Pass `clock` on to the session.

    As a context manager it asserts at the end that nothing of the recording remains, unless an error is under way.
    """

    def __init__(self, pieces: Iterable[tuple[str, bytes]], *, name: str = "replay") -> None:
        self.name = name
        self.clock = ManualClock()
        self._pieces = _joined(pieces)

    @classmethod
    def from_file(cls, path: Path) -> ReplayLink:
        """Read a recording. Raises ValueError naming the line that is wrong."""
        return cls.from_text(path.read_text(encoding="utf-8"), name=path.name)

    @classmethod
    def from_text(cls, text: str, *, name: str = "replay") -> ReplayLink:
        """Read a recording from a string."""
        return cls(parse_recording(text, name=name), name=name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None and self._pieces:
            direction, data = self._pieces[0]
            raise ReplayMismatch(
                f"{self.name}: {len(self._pieces)} pieces remain, the first is {direction} {data.hex(' ')}"
            )

    def read(self, limit: int, within_s: float) -> bytes:
        """Return what came at this point, or let `within_s` pass on the clock."""
        if self._pieces and self._pieces[0][0] == "<":
            _, data = self._pieces.pop(0)
            if data[limit:]:
                self._pieces.insert(0, ("<", data[limit:]))
            return data[:limit]
        self.clock.advance(within_s)
        return b""

    def write(self, data: bytes, within_s: float) -> None:
        """Compare with what was sent at this point. Raises ReplayMismatch."""
        direction, expected = self._pieces[0] if self._pieces else ("end", b"")
        if direction != ">" or not expected.startswith(data):
            raise ReplayMismatch(f"{self.name}: wrote {data.hex(' ')}, recorded {direction} {expected.hex(' ')}")
        self._pieces.pop(0)
        if expected[len(data) :]:
            self._pieces.insert(0, (">", expected[len(data) :]))

    def interrupt(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Nothing is held here."""


def parse_recording(text: str, *, name: str = "recording") -> list[tuple[str, bytes]]:
    """Return (">" or "<", bytes) for each line that holds bytes. Raises ValueError naming the line that is wrong."""
    pieces = []
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        direction, digits = stripped[0], stripped[1:].split("#")[0]
        try:
            data = bytes.fromhex(digits)
        except ValueError as error:
            raise ValueError(f"{name}, line {number}: {error}") from error
        if direction not in "<>" or not data:
            raise ValueError(f"{name}, line {number}: a line is '> hex', '< hex' or '# remark', not {stripped!r}")
        pieces.append((direction, data))
    return pieces


def _joined(pieces: Iterable[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    joined: list[tuple[str, bytes]] = []
    for direction, data in pieces:
        if joined and joined[-1][0] == direction:
            joined[-1] = (direction, joined[-1][1] + data)
        else:
            joined.append((direction, data))
    return joined
