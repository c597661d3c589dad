"""The gates of a recipe as the daemon reads them from the graph's columns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from edged.bundle.manifest import MahalanobisGate, NormGate
from export.gates.bank import Bank
from export.gates.words import Gate, Space
from export.preprocess.words import CropStep, SnvStep

POINTS, CLASSES = 16, 3
WORDS = Gate(name="discriminant", shrinkage=1e-3, copies=1, quantile=0.99, slack={"balanced": 1.0})
OWN = Space(name="one", steps=(SnvStep(kind="snv"),), strength=1.0, shrinkage=1e-3, pooled=0.2)
CENTRES = Space(name="two", kind="discriminant", steps=(SnvStep(kind="snv"),), strength=1.0, shrinkage=1e-3)


@pytest.mark.parametrize("spaces", [(), (OWN, OWN.model_copy(update={"name": "two", "pooled": 0.9})), (OWN, CENTRES)])
def test_the_tables_of_the_manifest_give_the_distances_of_the_bank(spaces: tuple[Space, ...]) -> None:
    rng, targets = np.random.default_rng(3), np.repeat(np.arange(CLASSES), 80)
    spectra = rng.normal(size=(CLASSES, POINTS))[targets] + 0.1 * rng.normal(size=(240, POINTS))
    bank = Bank(
        WORDS.model_copy(update={"spaces": spaces}),
        (SnvStep(kind="snv"),),
        grid=np.arange(float(POINTS)),
        classes=CLASSES,
    )

    bank.fit(lambda strength: spectra, targets)
    columns = bank(torch.from_numpy(spectra.astype(np.float32))).numpy()
    tables = bank.tables([{"balanced": 1.0}] * max(1, len(spaces)))

    for number, table in enumerate(tables):
        part = columns[:, slice(*table.columns)].astype(np.float64)
        match table:
            case MahalanobisGate():
                expected = np.sqrt(((part[:, None] - np.array(table.means)) ** 2).sum(axis=2).min(axis=1))
            case NormGate():
                expected = part.min(axis=1)
        assert bank.distances(columns)[:, number] == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_each_space_is_fitted_on_copies_of_its_own_strength() -> None:
    rng, targets = np.random.default_rng(4), np.repeat(np.arange(CLASSES), 40)
    spaces = (OWN, OWN.model_copy(update={"name": "two", "strength": 0.5}))
    bank = Bank(WORDS.model_copy(update={"spaces": spaces}), (), grid=np.arange(float(POINTS)), classes=CLASSES)
    asked: list[float | None] = []

    def draw(strength: float | None) -> np.ndarray:
        asked.append(strength)
        return rng.normal(size=(120, POINTS))

    bank.fit(draw, targets)

    assert asked == [1.0, 0.5]


@pytest.mark.parametrize("spaces", [(), (OWN,), (CENTRES,)])
def test_a_gate_behind_a_crop_sees_nothing_of_what_was_cut_off(spaces: tuple[Space, ...]) -> None:
    rng, targets = np.random.default_rng(5), np.repeat(np.arange(CLASSES), 40)
    steps = (CropStep(kind="crop", start=4.0, stop=13.0), SnvStep(kind="snv"))
    words = WORDS.model_copy(update={"spaces": tuple(space.model_copy(update={"steps": steps}) for space in spaces)})
    bank = Bank(words, steps, grid=np.arange(float(POINTS)), classes=CLASSES)
    spectra = rng.normal(size=(CLASSES, POINTS))[targets] + 0.1 * rng.normal(size=(120, POINTS))
    other = spectra.copy()
    other[:, :4], other[:, 14:] = 7.0, -7.0

    bank.fit(lambda strength: spectra, targets)
    seen, cut = (bank(torch.from_numpy(rows.astype(np.float32))).numpy() for rows in (spectra, other))

    assert np.ptp(seen) > 1.0
    assert cut.tolist() == seen.tolist()


@pytest.mark.parametrize("wrong", [OWN.model_dump() | {"pooled": None}, CENTRES.model_dump() | {"pooled": 0.2}])
def test_only_a_scatter_of_each_class_is_drawn_towards_the_mean_of_all(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="pooled: class-scatter needs it, and a discriminant has none"):
        Space.model_validate(wrong)
