"""The commands of docs/install.md, so that the test installs exactly as a reader does."""

from __future__ import annotations

import re
from pathlib import Path

SHELL_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(document: Path, heading: str) -> str:
    """Return the shell blocks of one section as one script."""
    sections = re.split(r"^## ", document.read_text(encoding="utf-8"), flags=re.MULTILINE)
    (section,) = [text for text in sections if text.startswith(heading)]
    return "\n".join(SHELL_BLOCK.findall(section))
