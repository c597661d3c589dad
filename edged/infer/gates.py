"""The out-of-model gates of one manifest: how far a spectrum lies from what the model knows. numpy only, any thread."""

from __future__ import annotations

import math
import sys

import numpy as np
from numpy.typing import NDArray

from edged.bundle.manifest import EnergyGate, MahalanobisGate, Manifest, NormGate
from edged.infer.verdict import Gate, Preset, Reason

Row = NDArray[np.floating]


class Gates:
    """The gates with their tables as arrays. Holds no state between spectra."""

    def __init__(self, manifest: Manifest) -> None:
        self._gates = [(gate, _tables(gate)) for gate in manifest.gates]

    def measure(self, logits: Row, features: Row, preset: Preset) -> tuple[Gate, ...]:
        """Return every gate with its distance, for one row of logits [classes] and features [k]."""
        found = []
        for gate, tables in self._gates:
            distance, limit = _distance(gate, tables, logits, features), gate.limits[preset]
            if not math.isfinite(distance):
                distance = sys.float_info.max  # tables of absurd size; a record holds finite numbers only
            found.append(Gate(name=gate.name, distance=distance, limit=limit, passed=distance <= limit))
        return tuple(found)

    def refusals(self, measured: tuple[Gate, ...]) -> tuple[Reason, ...]:
        """Return a reason for each of the measured gates that stands shut."""
        return tuple(
            Reason(
                code="out_of_model",
                message=f"{found.name}: {_said(gate, found.distance)}, allowed is {found.limit:.4g}",
                value=found.distance,
                limit=found.limit,
            )
            for (gate, _), found in zip(self._gates, measured, strict=True)
            if not found.passed
        )


def _said(gate: MahalanobisGate | NormGate | EnergyGate, distance: float) -> str:
    return f"an energy of {distance:.4g}" if isinstance(gate, EnergyGate) else f"{distance:.4g} from the nearest class"


def _tables(gate: MahalanobisGate | NormGate | EnergyGate) -> tuple[NDArray[np.float64], ...]:
    match gate:
        case MahalanobisGate():
            return np.array(gate.means, dtype=np.float64), np.array(gate.precision, dtype=np.float64)
        case NormGate():
            return (np.array(gate.scales or [1.0], dtype=np.float64),)
        case EnergyGate():
            return ()


def _distance(
    gate: MahalanobisGate | NormGate | EnergyGate, tables: tuple[NDArray[np.float64], ...], logits: Row, features: Row
) -> float:
    match gate:
        case MahalanobisGate():
            means, precision = tables
            offsets = _part(features, gate.columns) - means
            with np.errstate(over="ignore", invalid="ignore"):
                squares = np.einsum("ci,ij,cj->c", offsets, precision, offsets)
            return float(np.sqrt(max(float(squares.min()), 0.0)))
        case NormGate():
            with np.errstate(over="ignore"):
                return float((_part(features, gate.columns) / tables[0]).min())
        case EnergyGate():
            scaled = logits.astype(np.float64) / gate.temperature
            top = float(scaled.max())
            return -gate.temperature * (top + float(np.log(np.exp(scaled - top).sum())))


def _part(features: Row, columns: tuple[int, int]) -> NDArray[np.float64]:
    return features[columns[0] : columns[1]].astype(np.float64)
