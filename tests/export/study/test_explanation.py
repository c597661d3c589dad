"""The study of explanations, on a detector whose reasons are known: least squares on curvature, no training."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edged.infer.explain import positions
from export.components.learn import Detector
from export.data.mixtures.synthesise import Mixtures
from export.data.mixtures.synthetic import Bands, synthetic_library
from export.models.resuca import ResucaWords
from export.preprocess.pipeline import Pipeline
from export.study.explanation import (
    AXIS,
    BANK,
    DELETED,
    SEEDS,
    TILE,
    TRUNK,
    Pupil,
    Separate,
    Taught,
    _deletion_table,
    _pointing_table,
    _without_tiles,
    deletion,
    is_hit,
    page_of,
    pointing,
    saying,
)

AT = positions(AXIS)
COMPOUNDS = 5


@pytest.fixture(scope="module")
def subject() -> Taught:
    """Twelve mixtures of two compounds; a logit is 40 times the weight less 4."""
    made = synthetic_library(COMPOUNDS, 512, seed=3)
    pure = np.stack([np.interp(AT, made.library.axis, row) for row in made.library.means()])
    second = np.diff(np.eye(AXIS.points), 2, axis=1)
    linear = nn.Linear(AXIS.points, COMPOUNDS)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(40.0 * (second @ np.linalg.pinv(pure @ second)).T))
        linear.bias.fill_(-4.0)
    rng = np.random.default_rng(0)
    shares = np.zeros((12, COMPOUNDS), dtype=np.float32)
    for row in shares:
        row[rng.choice(COMPOUNDS, 2, replace=False)] = 0.5
    mixtures = Mixtures(
        grid=AT,
        names=made.library.names,
        values=(shares @ pure).astype(np.float32),
        shares=shares,
        outsider=np.zeros(12, dtype=np.float32),
        effective=shares,
    )
    detector = Detector(Pipeline([]), linear).eval()
    return Taught(made=made, say=saying(detector), mixtures=mixtures, logits=detector.say(mixtures.values))


def test_a_hit_lies_within_half_a_width_of_a_band() -> None:
    truth = Bands(centre_cm1=np.array([500.0, 900.0]), fwhm_cm1=np.array([8.0, 20.0]), height=np.ones(2))

    assert [is_hit(place, truth) for place in (496.0, 504.1, 890.0, 911.0)] == [True, False, True, False]
    assert is_hit(504.1, truth, beyond=0.2)


def test_a_tile_is_bridged_and_the_ends_of_the_axis_stay() -> None:
    row = np.array([0.0, 9.0, 2.0, 9.0, 4.0])
    tiles = np.array([0, 0, 1])

    assert _without_tiles(row, tiles, []).tolist() == row.tolist()
    assert _without_tiles(row, tiles, [0]).tolist() == [0.0, 3.0, 6.0, 9.0, 4.0]
    assert _without_tiles(row, tiles, [0, 1]).tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_what_least_squares_finds_is_pointed_at(subject: Taught) -> None:
    found = pointing(subject)

    assert len(found.hit) == 24
    assert found.hit.mean() > 0.9
    assert found.chance.mean() < 0.25
    np.testing.assert_allclose(found.score, 16.0, atol=0.1)
    assert (found.without < found.score).all()
    assert (found.close >= found.hit).all()
    assert found.off.mean() < 0.2 < found.off_of_others.mean()


def test_what_matters_is_deleted_first_and_nothing_is_faster_than_greedy(subject: Taught) -> None:
    few = replace(
        subject,
        logits=subject.logits[:2],
        mixtures=replace(subject.mixtures, values=subject.mixtures.values[:2], shares=subject.mixtures.shares[:2]),
    )

    by_relevance, at_random, greedy = deletion(few, np.random.default_rng(1))

    assert (by_relevance[0], at_random[0], greedy[0]) == pytest.approx((1.0, 1.0, 1.0))
    assert len(greedy) == DELETED + 1
    assert greedy[1] <= by_relevance[1] + 1e-6
    assert by_relevance[4] < 0.7 * at_random[4]
    assert (AXIS.points - 2) // TILE == 102


def test_separate_networks_are_asked_alone_and_say_what_the_bank_says() -> None:
    torch.manual_seed(0)
    words = ResucaWords(stem=4, widths=(4,), strides=(2,))
    detector = Detector(Pipeline([]), words.build(points=AXIS.points, classes=3)).eval()
    rows = np.random.default_rng(0).normal(size=(6, AXIS.points)).astype(np.float32)

    bank = Separate(words, detector, ("a", "b", "c"), rows)

    assert np.ptp(bank.say_all(rows)) > 0.0
    assert bank.say(rows, [2, 0]).tobytes() == bank.say_all(rows)[:, [2, 0]].tobytes()


@pytest.mark.parametrize("pupil", [TRUNK, BANK], ids=["trunk", "bank"])
def test_a_page_says_who_was_taught(subject: Taught, pupil: Pupil) -> None:
    found = [(pointing(subject), np.linspace(1.0, 0.0, 3 * (DELETED + 1)).reshape(3, -1))] * len(SEEDS)

    text = page_of(pupil, found, 2.4).markdown()

    assert pupil.told in text
    assert "2 minutes of CPU" in text
    assert f"{pupil.page}.png" in text


def test_the_tables_say_what_was_found(subject: Taught) -> None:
    found = pointing(subject)
    rows = {row[0]: row[1:] for row in _pointing_table([found]).rows}

    assert rows["compounds explained"] == ["24", "24"]
    assert rows["hit"][0] == f"{100 * found.hit.mean():.1f}%"
    curve = np.linspace(1.0, 0.0, 3 * (DELETED + 1)).reshape(3, -1)
    assert _deletion_table(curve).rows[0][-1] == f"{curve[0].mean():.2f}"


@pytest.mark.parametrize("pupil", [TRUNK, BANK], ids=["trunk", "bank"])
def test_a_page_has_the_words_of_today(subject: Taught, pupil: Pupil, repository: Path) -> None:
    """Its figures take minutes to measure anew; what is not in a table hangs on none of them but the minutes."""
    found = [(pointing(subject), np.linspace(1.0, 0.0, 3 * (DELETED + 1)).reshape(3, -1))] * len(SEEDS)

    kept = (repository / "docs" / "results" / f"{pupil.page}.md").read_text(encoding="utf-8")

    assert _words(kept) == _words(page_of(pupil, found, 2.4).markdown())


def _words(page: str) -> list[str]:
    lines = [line for line in page.splitlines() if not line.startswith("|")]
    return [re.sub(r"\d+ minutes of CPU", "minutes of CPU", line) for line in lines]


def test_a_page_says_what_was_made_and_what_was_left_out(subject: Taught) -> None:
    found = [(pointing(subject), np.linspace(1.0, 0.0, 3 * (DELETED + 1)).reshape(3, -1))] * len(SEEDS)
    bands = [own for seed in SEEDS for own in synthetic_library(24, 512, seed=seed).bands]

    text = page_of(TRUNK, found, 2.4).markdown()

    counts = sorted(len(own.centre_cm1) for own in bands)
    assert f"{counts[0]} to {counts[-1]} bands each" in text
    assert "Of the first 60 found compounds of each library" in text
    assert "same 3 pure scans of each compound that were learnt from" in text
    assert "tiles of 5 points, 17 cm-1," in text  # 1,780 / 511 * 5 = 17.4
