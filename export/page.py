"""A page of results: text, tables and pictures once, written as Markdown for a repository and as HTML for a browser
without a network."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

STYLE = """body{font:15px/1.5 system-ui,sans-serif;color:#1f2933;max-width:64rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.2rem;border-bottom:1px solid #d8dee4;padding-bottom:.2rem}
table{border-collapse:collapse;margin:.8rem 0;font-variant-numeric:tabular-nums;display:block;overflow-x:auto}
th,td{padding:.25rem .8rem;text-align:right;border-bottom:1px solid #e4e9ee}
th:first-child,td:first-child{text-align:left}
img{max-width:100%}code,pre{font-size:.85rem;background:#f4f6f8}pre{padding:.8rem;overflow:auto}"""
_CODE = re.compile(r"`([^`]+)`")
_BOLD = re.compile(r"\*\*(?!\*\*)([^*]*(?:\*[^*]+\*[^*]*)*)\*\*")  # may hold italics
_ITALIC = re.compile(r"(?<![\w*])\*([^\s*](?:[^*]*[^\s*])?)\*(?![\w*])")  # no product of two numbers
_TAKEN = "\0"  # stands for a code span, in which nothing is marked


@dataclass(frozen=True, slots=True)
class Heading:
    """The title of a section."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph; `code`, **bold** and *italic* are marked as in Markdown."""

    text: str


QUICK = Text("**Quick build for tests: small network, few epochs, not for use.**")


@dataclass(frozen=True, slots=True)
class Code:
    """A command, on a line of its own."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under a header; the first column is text, the others are numbers."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG. name: of its file beside the Markdown page; alternative: what it shows."""

    name: str
    alternative: str
    png: bytes


Part = Heading | Text | Code | Table | Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A title and what is under it."""

    title: str
    parts: tuple[Part, ...]

    def write(self, folder: Path, name: str) -> tuple[Path, ...]:
        """Leave `name`.md, `name`.html and the pictures of both; return what was written."""
        folder.mkdir(parents=True, exist_ok=True)
        files = {f"{name}.md": self.markdown().encode(), f"{name}.html": self.html(inside=False).encode()}
        files |= {part.name: part.png for part in self.parts if isinstance(part, Picture)}
        for file, content in files.items():
            (folder / file).write_bytes(content)
        return tuple(folder / file for file in files)

    def markdown(self) -> str:
        """Return the page as Markdown."""
        return "\n\n".join([f"# {self.title}", *(_markdown(part) for part in self.parts)]) + "\n"

    def html(self, *, inside: bool = True) -> str:
        """Return the page as one HTML file that needs nothing from outside; or, not `inside`, the pictures beside it.

        A repository keeps every version of a file: pictures that stand in pages would be kept twice.
        """
        body = "\n".join([f"<h1>{escape(self.title)}</h1>", *(_html(part, inside) for part in self.parts)])
        head = f"<meta charset=utf-8><title>{escape(self.title)}</title><style>{STYLE}</style>"
        return f"<!doctype html><html lang=en>{head}{body}</html>\n"


def _markdown(part: Part) -> str:
    match part:
        case Heading(text):
            return f"## {text}"
        case Text(text):
            return text
        case Code(text):
            return "\n".join(f"    {line}" for line in text.splitlines())
        case Table(header, rows):
            lines = [header, ["---", *("---:" for _ in header[1:])], *rows]
            return "\n".join("| " + " | ".join(line) + " |" for line in lines)
        case Picture(name, alternative, _):
            return f"![{alternative}]({name})"


def _html(part: Part, inside: bool) -> str:
    match part:
        case Heading(text):
            return f"<h2>{_marked(text)}</h2>"
        case Text(text):
            return f"<p>{_marked(text)}</p>"
        case Code(text):
            return f"<pre>{escape(text)}</pre>"
        case Table(header, rows):
            head = "".join(f"<th>{_marked(cell)}</th>" for cell in header)
            body = "".join("<tr>" + "".join(f"<td>{_marked(cell)}</td>" for cell in row) + "</tr>" for row in rows)
            return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        case Picture(name, alternative, png):
            source = f"data:image/png;base64,{base64.b64encode(png).decode()}" if inside else escape(name)
            return f'<p><img alt="{escape(alternative)}" src="{source}"></p>'


def _marked(text: str) -> str:
    text = escape(text.replace(_TAKEN, ""))
    codes = iter(_CODE.findall(text))
    text = _BOLD.sub(r"<b>\1</b>", _CODE.sub(_TAKEN, text))
    text = _ITALIC.sub(r"<i>\1</i>", text)
    return re.sub(_TAKEN, lambda _: f"<code>{next(codes)}</code>", text)
