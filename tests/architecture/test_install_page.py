"""docs/install.md takes away whatever it has put there; that it installs is tried in tests/deep/test_systemd.py."""

from __future__ import annotations

import shlex
from pathlib import Path

from tests.deep.documents import commands


def lines(repository: Path, heading: str) -> list[list[str]]:
    script = commands(repository / "docs" / "install.md", heading).replace("\\\n", " ")
    return [words for line in script.splitlines() if (words := shlex.split(line.removeprefix("sudo "), comments=True))]


def test_whatever_is_installed_is_removed_and_the_record_last(repository: Path) -> None:
    put = {"/var/lib/edged"}
    for words in (*lines(repository, "2. Program"), *lines(repository, "3. Configuration")):
        if words[0] in ("install", "ln") or words[1:3] == ["-m", "venv"]:
            put.add(words[-1])
    removal = lines(repository, "Removal")
    taken = [word for words in removal if words[0] == "rm" for word in words[1:] if not word.startswith("-")]

    left = [place for place in put if not any(place == path or place.startswith(f"{path}/") for path in taken)]

    assert len(put) == 8
    assert not left
    assert taken[-1] == "/var/lib/edged"
    assert removal[0] == ["systemctl", "disable", "--now", "edged"]
    assert ["userdel", "edged"] in removal
