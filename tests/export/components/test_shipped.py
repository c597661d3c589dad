"""The bundles of components that ship: made of the recipes in the tree, small, licensed, the same in int8 and in float;
and what they say of real spectra that taught nothing of what is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edged.bundle.archive import Bundle, read_bundle
from edged.infer.engine import Engine
from edged.infer.verdict import Preset
from export.compare import run_all, session
from export.components.answers import Told, told
from export.components.recipe import load_components_recipe
from export.data.augment import resample
from export.data.catalogue import load_set

ROOT = Path(__file__).resolve().parents[3]
NAMES = ("powders-components", "solvents13")
TRIALS = {"powders-components": ("powders12", "powders-ternary"), "solvents13": ("raman-solvents",)}
SAME_SETS, SIZE = 0.995, 0.35  # int8 against float
EVERY = 5  # th spectrum of a set


def shipped(name: str) -> Bundle:
    (path,) = (ROOT / "edged" / "bundle" / "default").glob(f"{name}-*.edgebundle")
    return read_bundle(path)


def float_graph(bundle: Bundle) -> bytes:
    return (ROOT / "docs" / "models" / bundle.file_name.replace(".edgebundle", ".float.onnx")).read_bytes()


def rows_of(bundle: Bundle, name: str, data: Path) -> tuple[NDArray[np.float32], tuple[str, ...], NDArray[np.int64]]:
    """Every fifth spectrum of a set on the model's axis, with its label and number in its class."""
    axis, spectra = bundle.manifest.axis, load_set(name, data)
    values = resample(spectra.values, spectra.axis, np.linspace(axis.start, axis.stop, axis.points))
    return values[::EVERY].astype(np.float32), spectra.labels[::EVERY], spectra.scan[::EVERY]


def said(bundle: Bundle, rows: NDArray[np.float32]) -> Told:
    return told(bundle, Engine.load(bundle).run(rows), bundle.manifest.default_preset)


@pytest.mark.parametrize("name", NAMES)
def test_a_bundle_is_made_of_the_recipe_in_the_tree_and_of_licensed_spectra(name: str) -> None:
    bundle, recipe = shipped(name), load_components_recipe(name)

    assert bundle.manifest.data_sheet["recipe_sha256"] == recipe.digest()
    assert bundle.manifest.data_sheet["quick"] is False
    assert "MIT" in bundle.license_text
    assert bundle.size_bytes < 1_000_000


def test_int8_and_float_tell_the_same_compounds_and_int8_is_small(data_dir: Path) -> None:
    name = "powders-components"  # solvents13 stays float
    bundle = shipped(name)
    graph = float_graph(bundle)
    rows = np.concatenate([rows_of(bundle, one, data_dir)[0] for one in TRIALS[name]])

    reference = told(bundle, run_all(session(graph), rows), bundle.manifest.default_preset)

    assert said(bundle, rows).same_as(reference).mean() >= SAME_SETS
    assert len(bundle.model) <= SIZE * len(graph)


@pytest.mark.parametrize("name", NAMES)
def test_no_golden_vector_is_a_real_mixture(name: str, data_dir: Path) -> None:
    bundle = shipped(name)
    rows = np.concatenate([rows_of(bundle, one, data_dir)[0] for one in TRIALS[name]])

    nearest = [np.abs(rows - golden).max(axis=1).min() for golden in bundle.golden["spectra"]]

    assert min(nearest) > 1e-6 * np.abs(rows).max()


def test_powders_that_were_held_out_are_told_pure(data_dir: Path) -> None:
    bundle = shipped("powders-components")
    rows, labels, scan = rows_of(bundle, "powders12", data_dir)
    codes = {"100AC": "acetaminophen", "100AA": "ascorbic acid", "100LA": "lactose"}
    held = [place for place, label in enumerate(labels) if label in codes and scan[place] >= 80]

    found = said(bundle, rows[held]).found

    names = [compound.label for compound in bundle.manifest.compounds]
    wanted = np.array([[name == codes[labels[place]] for name in names] for place in held])
    assert len(held) == 12
    assert (found == wanted).all(axis=1).mean() >= 0.9


@pytest.mark.parametrize("other", ["isoniazid", "api20-ratios", "api20-log-counts"])
def test_nothing_is_told_of_other_things(other: str, data_dir: Path) -> None:
    bundle = shipped("powders-components")
    rows, _, _ = rows_of(bundle, other, data_dir)

    assert (said(bundle, rows).outcome != "resolved").mean() >= 0.99


@pytest.mark.parametrize("preset", ["screen", "balanced", "confirm"])
def test_no_solvent_is_told_of_powders_in_raman_scattering(preset: Preset, data_dir: Path) -> None:
    bundle, spectra = shipped("solvents13"), load_set("raman-powders", data_dir)
    known = {compound.label for compound in bundle.manifest.compounds}
    powders = [row for row, label in enumerate(spectra.labels) if not known & set(spectra.compounds_in(label))]
    axis = bundle.manifest.axis
    values = resample(spectra.values, spectra.axis, np.linspace(axis.start, axis.stop, axis.points))[powders]

    found = told(bundle, Engine.load(bundle).run(values.astype(np.float32)), preset)

    assert len(powders) == 6  # three pure, three mixtures
    assert "resolved" not in found.outcome
    assert not found.found.any()
