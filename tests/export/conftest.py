"""What a build leaves until its process ends, and is no test's: torch's folder for compiled code, and Python's process
that watches over semaphores of the others."""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing import resource_tracker

import pytest


@pytest.fixture(autouse=True, scope="session")
def _compiler_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("torch")))
        yield


@pytest.fixture(autouse=True, scope="session")
def _resource_tracker() -> None:
    resource_tracker.ensure_running()
