"""Fixtures of the drivers' tests."""

from __future__ import annotations

import hashlib

import pytest

from tests.drivers.nirscan_bytes import GOLDEN_BLOB_SHA256, scan_blob


@pytest.fixture(scope="session")
def golden_blob() -> bytes:
    """The transfer that the maker's own library wrote, known by its digest."""
    blob = scan_blob()
    assert hashlib.sha256(blob).hexdigest() == GOLDEN_BLOB_SHA256
    return blob
