"""Two techniques on the same tablets: the pairing, and what each way of adding them does with a spoilt source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from export.data.catalogue import load_set
from export.data.sets.tablets import pairs
from export.study import fusion
from export.study.fusion import FusionCell, FusionOutcome, Spoilt, Way, fitted, measure


def outcome(data: Path, way: Way, spoilt: Spoilt = "nothing") -> FusionOutcome:
    return measure(FusionCell(name=way, spoilt=spoilt, deal=0), data)


def test_both_techniques_saw_the_same_tablets(data_dir: Path) -> None:
    nir, raman = load_set("tablets", data_dir), load_set("tablets-raman", data_dir)
    rows = pairs(data_dir)

    assert len(raman.labels) == len(rows) == 120
    assert raman.labels == tuple(nir.labels[row] for row in rows)
    assert nir.amounts is not None
    assert raman.amounts is not None
    np.testing.assert_array_equal(raman.amounts, nir.amounts[rows])
    assert (raman.axis[0], raman.axis[-1]) == (200.0, 3600.0)
    assert [raman.labels.count(label) for label in "ABCD"] == [30] * 4


def test_the_row_of_the_file_is_the_tablets_own(data_dir: Path) -> None:
    """The Raman file tells each row's assay: it must be that of the tablet which the pairing names."""
    from scipy.io import loadmat

    from export.data.sets.tablets import FOLDER, RAMAN

    table = loadmat(data_dir / FOLDER / RAMAN)["Matrix"]
    raman = load_set("tablets-raman", data_dir)
    by_assay = {round(float(row[0]), 4): row for row in table}
    assert len(by_assay) > 100
    assert raman.amounts is not None
    matched = [
        (spectrum, by_assay.get(round(float(a), 4))) for spectrum, a in zip(raman.values, raman.amounts, strict=True)
    ]
    known = [(spectrum, row) for spectrum, row in matched if row is not None]
    assert len(known) > 100
    same = [np.array_equal(spectrum, row[:1:-1]) for spectrum, row in known]
    assert np.mean(same) > 0.95  # two tablets of one assay have one entry here


def test_raman_tells_a_and_cannot_tell_sizes(data_dir: Path) -> None:
    found = outcome(data_dir, "Raman")

    assert found.active > 0.85
    assert found.accuracy < 0.6


def test_a_spoilt_source_ruins_early_fusion_and_not_late_fusion_with_validity(data_dir: Path) -> None:
    sound, spoilt = outcome(data_dir, "NIR"), outcome(data_dir, "late with validity", "Raman")

    assert outcome(data_dir, "early", "Raman").accuracy < sound.accuracy - 0.2
    assert spoilt.accuracy == pytest.approx(sound.accuracy, abs=0.02)
    assert spoilt.left_out >= 0.99


def test_a_source_says_the_probabilities_of_scikit_learn_where_its_temperature_is_one() -> None:
    rng = np.random.default_rng(0)
    targets, groups = np.repeat([0, 1, 2], 60), np.tile(np.repeat(np.arange(6), 10), 3) + np.repeat([0, 10, 20], 60)
    values = np.eye(3)[targets] @ (0.25 * rng.normal(size=(3, 30))) + rng.normal(size=(180, 30))

    source = fitted(values, targets, groups)

    scores = (values - source.mean) @ source.loadings.T
    judge = LinearDiscriminantAnalysis().fit(scores, targets)
    assert 1.0 <= source.temperature < 3.0  # data of the model's own kind are calibrated as they are
    tempered = judge.predict_log_proba(scores) / source.temperature
    tempered -= np.log(np.exp(tempered).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(source.says(values), tempered, atol=1e-6)


def test_a_tablet_of_which_no_source_counts_is_not_named(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fusion, "KNOWN", 0.0)  # nothing but the nearest training spectrum is near enough

    found = outcome(data_dir, "late with validity")

    assert found.left_out > 1.8
    assert found.accuracy < 0.2
    assert found.active < 0.2
