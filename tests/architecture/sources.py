"""The files of the four packages, and what each of them imports, read from their syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("drivers", "edged", "export", "firmware_sim")


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One imported name. `lazy` means inside a function; `typing_only` means under `if TYPE_CHECKING`."""

    path: Path
    line: int
    module: str
    lazy: bool
    typing_only: bool

    @property
    def place(self) -> str:
        """The file and line, as an editor opens them."""
        return f"{self.path.relative_to(REPOSITORY)}:{self.line}"


def files(*packages: str) -> list[Path]:
    """Return every Python file of these packages (default: all four)."""
    return sorted(path for package in packages or PACKAGES for path in (REPOSITORY / package).rglob("*.py"))


def module_name(path: Path) -> str:
    """Return the dotted name under which a file is imported."""
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> list[Import]:
    """Return what a file imports, anywhere in it; `from a import b` is a.b, relative names are resolved."""
    return list(_walk(ast.parse(path.read_text(encoding="utf-8"), str(path)), path, lazy=False, typing_only=False))


def _walk(node: ast.AST, path: Path, *, lazy: bool, typing_only: bool) -> Iterator[Import]:
    for name in _names(node, path):
        yield Import(path=path, line=node.lineno, module=name, lazy=lazy, typing_only=typing_only)  # type: ignore[attr-defined]
    lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
        for statement in node.body:
            yield from _walk(statement, path, lazy=lazy, typing_only=True)
        for statement in node.orelse:
            yield from _walk(statement, path, lazy=lazy, typing_only=typing_only)
        return
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, path, lazy=lazy, typing_only=typing_only)


def _names(node: ast.AST, path: Path) -> list[str]:
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom(level=0):
            return [f"{node.module}.{alias.name}" for alias in node.names]
        case ast.ImportFrom():
            parents = path.relative_to(REPOSITORY).parts[: -node.level]
            return [".".join((*parents, *([node.module] if node.module else []), alias.name)) for alias in node.names]
        case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(name)), *_]):
            return [name]
        case _:
            return []
