"""The committed twin: refits to the same numbers, and what it draws is named right by a stranger."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from export.data.catalogue import load_set
from export.twin.classes import fit_twin
from export.twin.command import twin as export_twin
from firmware_sim.optics import light
from firmware_sim.sample import Twin
from tests.firmware_sim.raw_client import TWIN, client, counts, memory

MIXTURES = ("ACAA", "ACLA", "AALA")
LABELS = [share + pair for share in ("1090", "5050", "9010") for pair in MIXTURES] + ["100AC", "100AA", "100LA"]
DRAWS = 60


@pytest.fixture(scope="module")
def real(data_dir: Path) -> tuple[np.ndarray, np.ndarray]:
    folder = data_dir / "nir_pharma_powders_notredame"
    with (folder / "RawNIRData.csv").open(encoding="utf-8-sig") as file:
        spectra = np.array([row[1:] for row in list(csv.reader(file))[1:]], float).T
    with (folder / "ClassRef.csv").open(encoding="utf-8-sig") as file:
        labels = np.array([row[0] for row in list(csv.reader(file))[1:]])
    return spectra, labels


def drawn() -> tuple[np.ndarray, np.ndarray]:
    spectra = [
        TWIN.draw(label, np.random.default_rng([1, turn])).absorbance for label in TWIN.labels for turn in range(DRAWS)
    ]
    return np.array(spectra), np.repeat(TWIN.labels, DRAWS)


def test_the_twin_has_the_twelve_formulations_and_is_small(repository: Path) -> None:
    assert sorted(TWIN.labels) == sorted(LABELS)
    assert (repository / "firmware_sim" / "twins" / "powders12.npz").stat().st_size < 200_000


def test_refitting_the_real_powders_gives_the_committed_twin(data_dir: Path, tmp_path: Path) -> None:
    fit_twin(load_set("powders12", data_dir)).save(tmp_path / "again.npz")

    again = Twin.load(tmp_path / "again.npz")

    assert again.labels == TWIN.labels
    for name in ("wavelength_nm", "means", "components", "score_sds"):
        np.testing.assert_allclose(getattr(again, name), getattr(TWIN, name), atol=2e-5, err_msg=name)


def test_noise_free_draws_are_named_right_by_a_classifier_of_the_real_powders(real) -> None:
    judge = LinearDiscriminantAnalysis().fit(*real)
    spectra, labels = drawn()

    assert (judge.predict(spectra) == labels).mean() >= 0.97


def test_whole_scans_are_named_right_by_a_classifier_of_the_real_powders(real) -> None:
    spectra, labels = real
    judge = LinearDiscriminantAnalysis(solver="eigen", shrinkage=1e-4).fit(spectra, labels)
    line = memory(LABELS)
    white = counts(client(line).scan())

    scans = [np.log10(white / counts(client(line).scan())) for _ in range(20 * len(LABELS))]

    named = judge.predict(np.array(scans))
    assert (named == np.array(LABELS * 20)).mean() >= 0.97


def test_draws_stay_within_two_deviations_and_spread_like_the_real_ones(real) -> None:
    spectra, labels = drawn()
    for index, label in enumerate(TWIN.labels):
        scores = (spectra[labels == label] - TWIN.means[index]) @ TWIN.components[index].T / TWIN.score_sds[index]
        assert np.abs(scores).max() < 2.001
        true = real[0][real[1] == label]
        assert 0.5 < spectra[labels == label].std(axis=0).mean() / true.std(axis=0).mean() < 1.2


def test_a_twin_of_bare_counts_shows_a_simulated_handheld_the_shape_of_the_real_ones(data_dir: Path) -> None:
    """Counts of the real unit against white of the simulated one: what the simulator's lamp sends back again."""
    real, twin = load_set("api20", data_dir), Twin.named("api20")
    shape = -np.log10(real.values)

    for index, label in enumerate(twin.labels):
        light_again = twin.means[index] - np.log10(light(twin.wavelength_nm))
        off = light_again - shape[[own == label for own in real.labels]].mean(axis=0)
        assert np.ptp(off) < 1e-5, label
    assert twin.means.min() == pytest.approx(0.05)


def test_a_product_of_a_dose_twin_is_named_by_its_amount() -> None:
    assert Twin.named("isoniazid-dose").labels == ("100mg", "200mg", "300mg", "500mg")


def test_products_of_a_model_of_components_are_named_by_what_they_hold(data_dir: Path, tmp_path: Path) -> None:
    """9010ACLA is 90 % acetaminophen and 10 % lactose, as the source's table of samples says."""
    words = ["powders12", str(tmp_path / "again.npz"), "--data", str(data_dir), "--by-contents"]

    result = CliRunner().invoke(export_twin, words)

    assert result.exit_code == 0, result.output
    plain, named = Twin.named("powders12"), Twin.named("powders-components")
    assert Twin.load(tmp_path / "again.npz").labels == named.labels
    pairs = dict(zip(plain.labels, named.labels, strict=True))
    assert pairs["9010ACLA"] == "acetaminophen 90 lactose 10"
    assert pairs["100AA"] == "ascorbic acid"
    np.testing.assert_array_equal(named.means, plain.means)


@pytest.mark.parametrize("name", ["api20", "isoniazid"])
def test_the_other_twins_are_what_the_command_makes_of_the_real_spectra(
    name: str, data_dir: Path, tmp_path: Path
) -> None:
    result = CliRunner().invoke(export_twin, [name, str(tmp_path / "again.npz"), "--data", str(data_dir), "--json"])

    assert result.exit_code == 0, result.output
    again, committed = Twin.load(tmp_path / "again.npz"), Twin.named({"isoniazid": "isoniazid-dose"}.get(name, name))
    assert json.loads(result.output)["products"] == len(committed.labels)
    assert again.labels == committed.labels
    np.testing.assert_allclose(again.means, committed.means, atol=2e-5)
