"""What the repository as a whole promises: self-contained files, documented modules, one version."""

from __future__ import annotations

import ast
import io
import re
import subprocess
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import edged
from tests.architecture.sources import files

MACHINE = re.compile(rb"/(?:home|Users)/[a-z]\w*/|/root/[.\w]|index[-_]url|find[-_]links|/simpl[e]/")


def contents(repository: Path) -> Iterator[tuple[str, bytes]]:
    """Every file under version control or about to be; the members of archives too, uncompressed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=repository,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        path = repository / name
        if not path.is_file():
            continue
        body = path.read_bytes()
        if zipfile.is_zipfile(io.BytesIO(body)):
            with zipfile.ZipFile(io.BytesIO(body)) as archive:
                yield from ((f"{name}!{member}", archive.read(member)) for member in archive.namelist())
        else:
            yield name, body


def test_no_file_of_ours_names_a_folder_of_a_machine_or_a_package_registry(repository: Path) -> None:
    here = re.escape(f"{repository}/".encode())
    pattern = re.compile(MACHINE.pattern + b"|" + here)

    found = [
        f"{name}:{len(body[: hit.start()].splitlines())}: {hit.group().decode()}"
        for name, body in contents(repository)
        for hit in pattern.finditer(body)
    ]

    assert not found, "\n".join(found)


def test_every_module_says_what_it_is_for() -> None:
    silent = [str(path) for path in files() if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))]

    assert not silent, "\n".join(silent)


def test_the_package_and_its_metadata_agree_on_the_version(repository: Path) -> None:
    metadata = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))

    assert edged.__version__ == metadata["project"]["version"]


def test_the_change_log_has_an_entry_for_this_version(repository: Path) -> None:
    assert f"\n## {edged.__version__}" in (repository / "CHANGELOG.md").read_text(encoding="utf-8")
