"""All that can be made of one float graph, by name."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from export.quantise.compact import compact
from export.quantise.dynamic import dynamic, has_gru, has_integer_kernel
from export.quantise.graph import Graph
from export.quantise.one_step import without_recurrence
from export.quantise.schemes import DERIVED, Scheme
from export.quantise.static import quantisable, static
from export.quantise.weights import fold_weights

MOST_CALIBRATION = 256
"""Spectra that fixed scales are measured on: taken evenly from those given. More change no scale that is worth it."""


def quantised(model: onnx.ModelProto, scheme: Scheme, spectra: NDArray[np.float32] | None = None) -> onnx.ModelProto:
    """Return a rewritten copy of a float graph; `float` returns a plain copy.

    spectra [n, points]: what the static schemes measure their scales on; they need it. Raises ValueError for `aware`,
    which no float graph gives.
    """
    if scheme == "float":
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        return copy
    small = without_recurrence(model)
    match scheme:
        case "weights":
            graph = Graph(small)
            fold_weights(graph)
            return compact(graph.finished())
        case "dynamic" | "scan":
            return compact(dynamic(small, scan=scheme == "scan"))
        case "static-s8s8" | "static-u8s8":
            if spectra is None:
                raise ValueError(f"{scheme} needs spectra to measure its scales on")
            chosen = spectra[:: -(-len(spectra) // MOST_CALIBRATION)]
            return compact(static(small, chosen, "u8" if scheme == "static-u8s8" else "s8"))
        case "aware":
            raise ValueError("aware is made in training, not from a float graph")


def candidates(model: onnx.ModelProto, spectra: NDArray[np.float32]) -> dict[Scheme, onnx.ModelProto]:
    """Return every candidate that differs from the others; float, the yardstick, is the first."""
    return {scheme: quantised(model, scheme, spectra) for scheme in applicable(model)}


def applicable(model: onnx.ModelProto) -> tuple[Scheme, ...]:
    """Return the schemes that make something of their own of this graph."""
    small = without_recurrence(model)
    fits = {
        "dynamic": has_integer_kernel(small),
        "scan": has_gru(small),
        "static-s8s8": bool(quantisable(small)),
        "static-u8s8": bool(quantisable(small)),
    }
    return tuple(scheme for scheme in DERIVED if fits.get(scheme, True))
