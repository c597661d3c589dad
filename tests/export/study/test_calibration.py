"""The page of calibration: members are taken out of a bundle's graph rightly, and the page is of what ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from edged.bundle.archive import read_bundle
from edged.bundle.slots import built_ins
from export.study.calibration import BUNDLES, Found, Members, Said, _in_words
from export.trust import BINS, Covered, Trust, errors


def shipped(name: str) -> Path:
    return next(path for path in built_ins() if path.name.startswith(f"{name}-"))


@pytest.mark.parametrize("name", BUNDLES)
def test_the_mean_of_the_members_is_what_the_bundle_says(name: str) -> None:
    bundle = read_bundle(shipped(name))

    said = Members(bundle).say(bundle.golden["spectra"])

    assert said.shape[0] == len(bundle.golden["spectra"])
    assert said.shape[1] > 1
    np.testing.assert_allclose(said.mean(axis=1), bundle.golden["logits"], atol=bundle.manifest.golden_tolerance)
    assert np.abs(said[:, 0] - said[:, 1]).max() > 0.1


def test_calibration_errors_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    best = rng.uniform(0.5, 0.999, 3000)
    right = rng.random(3000) < best**2
    probability = np.column_stack([best, 1 - best])

    found = errors(probability, np.where(right, 0, 1))["ece"]

    shares, means = calibration_curve(right, best, n_bins=BINS)
    counts = np.histogram(best, np.linspace(0, 1, BINS + 1))[0]
    assert found == pytest.approx(float((np.abs(shares - means) * counts[counts > 0]).sum() / 3000), abs=1e-5)


@pytest.mark.parametrize("name", BUNDLES)
def test_the_page_is_of_the_bundle_that_ships(name: str, repository: Path) -> None:
    page = (repository / "docs" / "results" / "calibration.md").read_text(encoding="utf-8")
    manifest = read_bundle(shipped(name)).manifest

    assert f"## {manifest.name} {manifest.version}\n" in page, "edged-export evaluate calibration writes it anew"
    assert f"Temperature {manifest.calibration.temperature:g};" in page


def test_where_a_quantile_ships_the_page_agrees_with_what_the_build_measured(repository: Path) -> None:
    """The build's figures are those on the model's own page, told by another command."""
    told = rows(repository / "docs" / "models" / "powders12.md", columns=7)
    page = rows(repository / "docs" / "results" / "calibration.md", columns=10)
    own = {(cells[0], cells[1]): cells[3] for cells in told if cells[1] == "90" and "all blocks" not in cells[0]}
    here = {(cells[0].removesuffix(" block"), cells[1]): cells[4] for cells in page[::-1] if cells[2] == "ships"}

    assert len(own) == 3
    assert own.items() <= here.items()


def rows(page: Path, *, columns: int) -> list[list[str]]:
    lines = (line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| "))
    cells = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]
    return [line for line in cells if len(line) == columns]


def test_a_broken_promise_is_told_in_words() -> None:
    one = Covered(
        asked=0.9, promised=0.8, covered=0.75, error=0.0, low=None, high=None, by_class={0: 0.5, 1: 1.0}, mean_size=2.0,
        one=0.0,
    )  # fmt: skip
    row = Trust(spectra=4, before={"ece": 0.0, "brier": 0.0}, after={"ece": 0.0, "brier": 0.0}, sets=[one])
    bundle = read_bundle(shipped("api20"))
    empty = Said(logits=np.zeros((4, 2), np.float32), truth=np.zeros(4, np.int64), units=np.zeros(4, np.int64))

    words = _in_words(
        Found(bundle=bundle, kinds={"stress": empty}, table={"stress": row}, turned=(), units=4, shipped=()), ["a", "b"]
    )

    assert "Less than promised: stress at 90 %; less than asked: stress at 90 %." in words
    assert "Worst: a, whose sets at 90 % hold it in 50.0 % of its spectra in stress" in words
    assert "At 90 % the sets hold all 2 classes: they say nothing." in words
