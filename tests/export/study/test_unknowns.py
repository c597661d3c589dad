"""The study of gates: what is told against counts by hand, and batches that a gate has not seen."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from export.data.spectra import Spectra, scans_of
from export.page import Table, Text
from export.study.unknowns.batches import refused_of
from export.study.unknowns.gates import ALONE, PAIR, WRONG, limit_of
from export.study.unknowns.measure import Found, Known, auroc, refused
from export.study.unknowns.wanted import section
from tests.export.study.spectra import made_up

STRANGE = 7  # the number of a batch


def counted(*shares: int) -> NDArray[np.float64]:
    """A hundred distances, of which so many lie above 0.5, above 1.5 and so on."""
    return np.sum([np.arange(100) < share for share in shares], axis=0, dtype=np.float64)


@pytest.fixture
def found() -> Found:
    """Held-out blocks lie at 0 but for two of a hundred; in stress sessions five of a hundred lie as far as these."""
    blocks, sessions = counted(2), counted(5)
    return Found(
        name="a gate",
        known=blocks,
        mild=counted(3),
        stress=sessions,
        others={"new": counted(100, 99), "near": counted(95, 60)},
        left_out=[
            (blocks, counted(90), sessions, counted(90, 40)),
            (blocks, counted(96, 80), sessions, counted(100)),
        ],
    )


@pytest.fixture
def known() -> Known:
    spectra = made_up(classes=2, groups=2, scans=3)
    return Known(
        name="made up",
        spectra=spectra,
        values=spectra.values,
        block=spectra.groups,
        grid=spectra.axis,
        others={},
        network="",
        shipped=ALONE,
        near=("near",),
    )


def test_a_limit_refuses_no_more_than_its_share_of_the_known() -> None:
    known = np.random.default_rng(0).permutation(np.arange(1.0, 101.0))

    assert [int((known > limit_of(known, wrong)).sum()) for wrong in (0.0, *WRONG, 0.5)] == [0, 1, 3, 50]


def test_auroc_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    known, unknown = rng.normal(size=60).round(1), rng.normal(1.0, size=40).round(1)  # with ties

    expected = roc_auc_score(np.repeat([0, 1], [60, 40]), np.concatenate([known, unknown]))

    assert auroc(known, unknown) == pytest.approx(expected)


def test_shares_are_counted_at_the_limit_of_blocks_or_of_their_sessions(found: Found) -> None:
    """Two of a hundred blocks are far, so that 1 % lies beyond them and 3 % before; of sessions five are far."""
    strict, usual = refused(found, 0.01), refused(found, 0.03)
    stressed = refused(found, 0.03, stressed=True)

    assert (strict.mild, strict.stress, strict.others) == (0.0, 0.0, {"new": 99.0, "near": 60.0})
    assert (usual.mild, usual.stress, usual.others) == (3.0, 5.0, {"new": 100.0, "near": 95.0})
    assert (strict.left_out, usual.left_out) == ((0.0, 80.0), (90.0, 96.0))
    assert (stressed.stress, stressed.others, stressed.left_out) == (0.0, {"new": 99.0, "near": 60.0}, (40.0, 0.0))


def test_what_was_wanted_is_met_or_missed_figure_by_figure(known: Known, found: Found) -> None:
    text, table = section([(known, found)])[1:]

    assert isinstance(text, Text)
    assert isinstance(table, Table)
    rows = {row[0]: list(row[2:]) for row in table.rows}
    missed = "**missed**"
    assert rows["new chemistry: the least of new"] == [
        f"99.0 {missed}",
        "100.0 met",
        f"99.0 {missed}",
        f"99.0 {missed}",
    ]
    assert rows["near"] == [f"60.0 {missed}", "95.0 met", f"60.0 {missed}", f"60.0 {missed}"]
    assert rows["classes left out, mean"] == [f"40.0 {missed}", "93.0 met", f"20.0 {missed}", f"20.0 {missed}"]
    assert rows["the worst of these classes"] == [
        "0.0 (class 0)",
        "90.0 (class 0)",
        "0.0 (class 1)",
        "0.0 (class 1)",
    ]
    assert "3 of 12 figures are met, **9 missed**. near was in sight" in text.text


def tablets(*, batches: int, strange: int | None) -> Spectra:
    """Ten tablets of each batch: a band that tells the type, and one whose height is the batch's own."""
    rng = np.random.default_rng(3)
    axis = np.linspace(7400.0, 10480.0, 404)
    groups = np.repeat(np.arange(3 * batches), 10)
    labels = tuple("ABC"[group // batches] for group in groups)

    def band(place: float) -> NDArray[np.float64]:
        return np.asarray(np.exp(-(((axis - place) / 250.0) ** 2)))

    own = np.stack([band(8000.0 + 900.0 * "ABC".index(label)) for label in labels])
    height = 0.3 * rng.normal(size=3 * batches)[groups] + 0.01 * rng.normal(size=len(groups))
    values = 1.0 + own + height[:, None] * band(9300.0) + 0.002 * rng.normal(size=(len(groups), len(axis)))
    if strange is not None:
        values[groups == strange] += band(7700.0) - band(8450.0)
    return Spectra(axis=axis, axis_unit="cm-1", values=values, labels=labels, groups=groups, scan=scans_of(labels))


@pytest.mark.deep
def test_limits_that_were_set_within_batches_refuse_more_of_batches_never_seen() -> None:
    found = refused_of(PAIR, tablets(batches=8, strange=None))

    for of in found.values():
        assert of.mixed.mean() > of.tablets.mean() + 0.05
    assert found[0.03].tablets.mean() >= found[0.01].tablets.mean()


def test_a_batch_unlike_all_others_is_refused_whenever_it_is_out() -> None:
    """With equal batches the mean over batches is that over tablets, if every batch was out once a deal."""
    found = refused_of(ALONE, tablets(batches=5, strange=STRANGE))

    for of in found.values():
        assert (of.batches[:, STRANGE] == 1.0).all()
        assert of.batches.mean(axis=1) == pytest.approx(of.tablets.mean(axis=1))
