"""What a build chose: the scheme that other graphs of the recipe are quantised by, and what a manifest tells of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from export.job import Job
from export.quantise.candidates import quantised
from export.quantise.schemes import Scheme

TIMES = ("latency_us", "ratio", "ratio_low", "ratio_high", "load_ms")


def shipped(job: Job, model: onnx.ModelProto, rows: NDArray[np.float32]) -> onnx.ModelProto:
    """Quantise another float graph of the same recipe as the bundle's own was, or nearly: `scheme_of_others`.

    rows [n, points]: what fixed scales are measured on, the spectra that the graph's own split develops on. Raises
    StageMissing.
    """
    scheme = scheme_of_others(job.read_json("quantise.json")["scheme"])
    return quantised(model, scheme, rows)


def scheme_of_others(scheme: Scheme) -> Scheme:
    """By which scheme graphs of other splits and seeds are quantised: the bundle's, but that learning with the rounding
    in the loop is not done again for each of them."""
    return "weights" if scheme == "aware" else scheme


def data_sheet(job: Job) -> dict[str, Any]:
    """What the manifest says of the choice. Times and processor only where they decided: a bundle whose recipe names
    the scheme is the same bytes every time."""
    if not (job.work / "quantise.json").is_file():
        return {}
    found = job.read_json("quantise.json")
    if found["wanted"] != "auto":
        for name in ("processor", "best", "why", "against"):
            del found[name]
        for row in found["variants"]:
            for name in TIMES:
                del row[name]
    return {name: value for name, value in found.items() if name != "wanted"}
