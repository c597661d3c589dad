"""What the long tests share: the model that ships, and saying what they measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def shipped(repository: Path) -> Path:
    """The bundle that edged comes with."""
    (bundle,) = (repository / "edged" / "bundle" / "default").glob("powders12-*.edgebundle")
    return bundle


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print a line that is seen though the test passes."""

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n  {line}", end="", flush=True)

    return say
