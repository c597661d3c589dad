"""The one door to onnxruntime: loaded late, and told to keep to itself.

Its official builds for Linux report to their maker unless told not to before they are loaded: a device identity and a
cache on disk, events over HTTPS. An instrument's computer speaks to nobody whom its owner did not name.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

OPT_OUT = (
    "ORT_DISABLE_TELEMETRY",
    "ORT_TELEMETRY_DISABLED",
)  # the second is the name in the first releases that report


def load_onnxruntime() -> ModuleType:
    """Return the module onnxruntime. Variables that the operator has set already are left as they are."""
    for name in OPT_OUT:
        os.environ.setdefault(name, "1")
    import onnxruntime

    module: ModuleType = onnxruntime
    return module
