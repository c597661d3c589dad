"""The first recipe for a folder asks for no more than the folder can promise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export.data.first_recipe import BALANCED, first_recipe
from export.data.spectra import Spectra
from export.recipe import parse_recipe

AXIS = np.linspace(900.0, 1700.0, 81)


def prepared(*, classes: int, preparations: int, scans: int = 5) -> Spectra:
    """So many preparations of each class, of so many scans."""
    labels = tuple(f"class {c}" for c in range(classes) for _ in range(preparations * scans))
    return Spectra(
        axis=AXIS.copy(),
        values=np.random.default_rng(1).normal(1.2, 0.1, size=(len(labels), len(AXIS))),
        labels=labels,
        scan=np.tile(np.arange(preparations * scans), classes),
        groups=np.repeat(np.arange(classes * preparations), scans),
    )


@pytest.mark.parametrize(
    ("classes", "preparations", "preset"),
    [
        (8, 3, "screen"),  # three parts: 16 calibrate, and promise 15 of 17
        (8, 4, "balanced"),  # four parts: 24 calibrate
        (5, 5, "balanced"),  # five parts: 20 calibrate
        (2, 5, "screen"),
        (2, 1, "screen"),  # five blocks of scans of each: 8 calibrate
    ],
)
def test_a_first_recipe_answers_by_a_preset_that_its_preparations_can_promise(
    classes: int, preparations: int, preset: str
) -> None:
    spectra = prepared(classes=classes, preparations=preparations, scans=5 if preparations > 1 else 20)

    recipe = parse_recipe(first_recipe(spectra, Path("mine")))

    assert recipe.default_preset == preset
    assert recipe.presets["balanced"].coverage == BALANCED
