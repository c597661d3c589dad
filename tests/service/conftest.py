"""What drift is followed with: the built-in model, and real scans of one powder that it names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edged.bundle.archive import Bundle, read_bundle
from edged.bundle.slots import built_in
from edged.infer.analyze import Analyzer
from tests.monitor.drifting import powders


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    path = built_in()
    assert path is not None
    return read_bundle(path)


@pytest.fixture(scope="module")
def analyzer(bundle: Bundle) -> Analyzer:
    return Analyzer(bundle)


@pytest.fixture(scope="module")
def rows(data_dir: Path) -> NDArray[np.float64]:
    return powders(data_dir)["1090ACAA"]
