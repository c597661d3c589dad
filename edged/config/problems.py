"""What is wrong with a configuration, said so that it can be mended: where, which key, what was found, what may be."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake. `line` is None for a source without lines; `key` is empty when the whole source is meant."""

    source: str
    line: int | None
    key: str
    message: str
    found: str = ""
    allowed: str = ""
    suggestion: str = ""

    def __str__(self) -> str:
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        text = f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"
        if self.found:
            text += f"; found {self.found}"
        if self.allowed:
            text += f"; allowed: {self.allowed}"
        if self.suggestion:
            text += f"; {self.suggestion}"
        return text

    def as_json(self) -> dict[str, str | int | None]:
        """Return the fields for `edged check --json`."""
        return asdict(self)


class ConfigurationError(Exception):
    """The configuration cannot be used. `problems` holds every mistake, in the order of the files and lines."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = problems
