"""Banks with kits, of Raman spectra that no instrument has seen; and files of spectra of one compound more."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edged.bundle.components import Components, OperatingPoint
from edged.infer.verdict import Preset
from export.bank.bank import Bank
from export.bank.kit import Kit, KitWords, pure_words
from export.bank.ranges import bank_from
from export.components.fused import Voice, prepared
from export.components.gate import MixtureGate
from export.components.operate import compounds_of, confirmation_of
from export.components.recipe import ComponentsRecipe
from export.components.unmix import Unmixer
from export.data.mixtures.library import Library
from export.data.mixtures.synthesise import synthesise
from export.data.mixtures.synthetic import synthetic_library
from export.models.network import Network, NetworkKind
from export.preprocess.pipeline import build

Spectra = NDArray[np.float64]
NOISE = 0.005  # standard deviation of a spectrum that was "measured", in parts of its highest band


def recipe(network: dict[str, Any] | NetworkKind, *, points: int = 128, **changed: Any) -> ComponentsRecipe:
    """A small recipe of a bank in Raman scattering; `changed` replaces whole tables."""
    sizes = network.model_dump() if isinstance(network, NetworkKind) else network
    derivative = {"kind": "savgol", "window": 9, "order": 2, "derivative": 1}
    words: dict[str, Any] = {
        "name": "synthetic",
        "version": "1.0.0",
        "technique": "raman",
        "quantity": "intensity",
        "procedures": ["components"],
        "default_preset": "screen",
        "folds": 1,
        "wrongly_unknown": 0.02,
        "purpose": "tests",
        "data": {"folder": "pure"},
        "axis": {"unit": "cm-1", "start": 240.0, "stop": 1960.0, "points": points},
        "steps": [derivative, {"kind": "snv"}],
        "network": sizes,
        "schooling": {"epochs": 3, "mixtures": 256, "balanced": sizes["kind"] == "resuca"},
        "synthesis": {
            "composition": {"components": [1, 3], "fractions": "log-uniform", "least": 0.05, "neighbours": 0.2},
            "raman": {"shift_cm1": 0.5, "fluorescence": 0.2, "noise": [0.003, 0.01]},
        },
        "unmixing": {"steps": [derivative, {"kind": "vector-normalise"}], "shift": 1.0, "noise": 0.005},
        "gate": {"steps": [derivative, {"kind": "snv"}]},
        "presets": {
            "screen": {"false_names": 2.0, "confirm": False},
            "balanced": {"false_names": 1.0, "confirm": True, "passing": 0.97},
        },
        "held_out": {"choosing": 200, "trying": 200},
        "quantisation": {"scheme": "bank", "tolerance": 0.02, "golden_vectors": 4},
        "quick": {"epochs": 1, "mixtures": 64, "held_out": 200, "scans": 1},
    }
    whole = words | changed
    whole["gate"] = whole["gate"] | {"slack": dict.fromkeys(whole["presets"], 2.0)}
    return ComponentsRecipe.model_validate(whole)


def pure(compounds: int, *, scans: int = 3, points: int = 300) -> Library:
    """A library of that many compounds; the first ones of a larger library are those of a smaller one."""
    return synthetic_library(compounds, points, 1, scans=scans).library


def newcomer(known: int, *, scans: int = 10, points: int = 300, seed: int = 5) -> tuple[Spectra, Spectra]:
    """The axis and noisy spectra [scans, points] of the compound behind the first `known`."""
    library = synthetic_library(known + 1, points, 1, scans=scans).library
    values = library.values[library.compound == known]
    noise = np.random.default_rng(seed).normal(0.0, NOISE, values.shape)
    return library.axis.copy(), values + noise * values.max(axis=1, keepdims=True)


def write_table(path: Path, axis: Spectra, values: Spectra, titles: Sequence[str] = ()) -> Path:
    """Leave spectra as a table, one a row."""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["cm-1", *axis])
        for number, row in enumerate(values):
            table.writerow([titles[number] if titles else f"scan {number + 1}", *row])
    return path


def bank_and_kit(words: ComponentsRecipe, library: Library, network: Network) -> tuple[Bank, Kit]:
    """A bank of a network, and a kit whose promises are quantiles of what it says: nothing has tried them."""
    made = synthesise(library, words.synthesis, 500, np.random.default_rng(3), grid=words.grid)
    steps = build(words.steps, words.grid)
    rows = prepared(steps, torch.from_numpy(made.values))
    bank = bank_from(words.network, network, library.names, rows)  # type: ignore[arg-type]  # a bank's kind
    unmixer = Unmixer(library, words.unmixing, words.grid)
    said = Voice(steps, bank).say(made.values)
    points = {preset: _point(words, preset, said, made.present) for preset in words.presets}
    confirms = any(point.confirm for point in points.values())
    gate = MixtureGate(words.gate, words.grid, made.values)
    table = Components(
        compounds=compounds_of(library.names),
        presets=points,
        confirmation=confirmation_of(unmixer, tolerance=1e-3) if confirms else None,
    )
    bank = bank.with_replaced(
        replace(member, thresholds={preset: point.thresholds[column] or 0.0 for preset, point in points.items()})
        for column, member in enumerate(bank.members)
    )
    kit = KitWords(
        schema=1,
        recipe=words,
        version="1.0.0",
        built="1.0.0",
        seed=0,
        quick=True,
        rates={preset: point.false_names / len(library.names) for preset, point in points.items()},
        table=table,
        gate_limit=float(np.quantile(gate.distances(made.values), 0.99)),
        height=float(np.linalg.norm(unmixer.references, axis=1).mean()),
        pure=pure_words(library, like=library, complete=True),
        values_sha256="0" * 64,
        sheet={},
        licence="MIT",
        metrics={},
        as_built={},
    )
    arrays = {"mean": gate.laid.mean[None], "plane": gate.laid.rows, "golden": made.values[:4]}
    arrays |= {"spectra": library.values.astype(np.float32)} | (unmixer.arrays() if confirms else {})
    return bank, Kit(words=kit, arrays={name: rows.copy() for name, rows in arrays.items()}).built_of(bank)


def _point(
    words: ComponentsRecipe, preset: Preset, said: NDArray[np.float32], present: NDArray[np.bool_]
) -> OperatingPoint:
    n, confirm = said.shape[1], words.presets[preset].confirm
    limits = [float(np.quantile(said[~present[:, c], c], 0.98)) for c in range(n)]
    point = OperatingPoint(
        confirm=confirm,
        false_names=words.presets[preset].false_names,
        thresholds=tuple(limits),
        negatives=(1_000_000,) * n,
        named=(0,) * n,
        detection_limits=(None,) * n,
    )
    return point.model_copy(update={"min_support": (10.0,) * n, "max_rest": 50.0}) if confirm else point
