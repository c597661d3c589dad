"""The out-of-model gates of one manifest: how far a spectrum lies from what the model knows. numpy only, any thread."""

from __future__ import annotations

import math
import sys

import numpy as np
from numpy.typing import NDArray

from edged.bundle.manifest import MahalanobisGate, Manifest, NormGate
from edged.infer.verdict import Gate, Preset, Reason

Row = NDArray[np.floating]


class Gates:
    """The gates with their tables as arrays. Holds no state between spectra."""

    def __init__(self, manifest: Manifest) -> None:
        self._gates = [(gate, _tables(gate)) for gate in manifest.gates]

    def measure(self, features: Row, preset: Preset) -> tuple[Gate, ...]:
        """Return every gate with its distance, for one row of features [k]."""
        found = []
        for (gate, _), distances in zip(self._gates, self.distances(features), strict=True):
            distance, limit = float(distances.min()), gate.limits[preset]
            if not math.isfinite(distance):
                distance = sys.float_info.max  # tables of absurd size; a record holds finite numbers only
            found.append(Gate(name=gate.name, distance=distance, limit=limit, passed=distance <= limit))
        return tuple(found)

    def distances(self, features: Row) -> tuple[NDArray[np.float64], ...]:
        """Return what each gate takes the smallest of, for one row of features: mostly a distance to each class."""
        return tuple(_distances(gate, tables, features) for gate, tables in self._gates)

    def refusals(self, measured: tuple[Gate, ...]) -> tuple[Reason, ...]:
        """Return a reason for each of the measured gates that stands shut."""
        return tuple(
            Reason(
                code="out_of_model",
                message=f"{found.name}: {found.distance:.4g} from the nearest class, allowed is {found.limit:.4g}",
                value=found.distance,
                limit=found.limit,
            )
            for found in measured
            if not found.passed
        )


def _tables(gate: MahalanobisGate | NormGate) -> tuple[NDArray[np.float64], ...]:
    match gate:
        case MahalanobisGate():
            return np.array(gate.means, dtype=np.float64), np.array(gate.precision, dtype=np.float64)
        case NormGate():
            return (np.array(gate.scales or [1.0], dtype=np.float64),)


def _distances(
    gate: MahalanobisGate | NormGate, tables: tuple[NDArray[np.float64], ...], features: Row
) -> NDArray[np.float64]:
    part = features[gate.columns[0] : gate.columns[1]].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        match gate:
            case MahalanobisGate():
                means, precision = tables
                offsets = part - means
                squares = np.einsum("ci,ij,cj->c", offsets, precision, offsets)
                return np.asarray(np.sqrt(np.maximum(squares, 0.0)))
            case NormGate():
                return np.asarray(part / tables[0])
