"""Small networks learn fastest on one thread: with more, a busy machine spends its time handing over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.one_thread import one_thread


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield
