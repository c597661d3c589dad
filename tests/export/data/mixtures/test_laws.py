"""What mixtures hold, against the distributions that the words name, as scipy knows them."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from pydantic import ValidationError

from export.data.mixtures.laws import Drawn, draw
from export.data.mixtures.recipes import A0, A1
from export.data.mixtures.words import Composition, Domains
from tests.export.data.mixtures.made import composition

LEAST_P = 1e-3  # of a test of goodness of fit at a fixed seed
NOBODY = np.empty((12, 0), dtype=np.int64)
RING = (np.arange(12)[:, None] + np.array([1, 2, 11])) % 12  # three neighbours of each of twelve


def drawn(words: Composition, n: int = 20_000, *, target: int | None = None, neighbours: np.ndarray = RING) -> Drawn:
    return draw(words, neighbours, n, np.random.default_rng(20261126), target=target)


def totals(found: Drawn) -> np.ndarray:
    return found.shares.sum(axis=1) + found.outsider


def test_there_are_as_many_mixtures_of_each_number_of_compounds() -> None:
    count = (drawn(composition(components=(2, 5))).shares > 0).sum(axis=1)

    assert scipy.stats.chisquare(np.bincount(count, minlength=6)[2:6]).pvalue > LEAST_P
    assert set(count) == {2, 3, 4, 5}


def test_every_compound_is_drawn_as_often() -> None:
    held = (drawn(composition()).dense(12) > 0).sum(axis=0)

    assert scipy.stats.chisquare(held).pvalue > LEAST_P


@pytest.mark.parametrize("concentration", [0.5, 1.0, 3.0])
def test_a_share_of_a_dirichlet_law_is_beta_distributed(concentration: float) -> None:
    shares = drawn(composition(components=(3, 3), concentration=concentration)).shares

    for slot in range(3):
        law = scipy.stats.beta(concentration, 2 * concentration)
        assert scipy.stats.kstest(shares[:, slot], law.cdf).pvalue > LEAST_P


def test_the_compound_in_question_has_a_log_uniform_share_and_the_others_divide_the_rest_evenly() -> None:
    found = drawn(composition(components=(3, 3), fractions="log-uniform", least=0.02), target=4)
    share = found.dense(12)[::2, 4]

    # where the rest is too little for two, the traces are left out: the law is compared where that cannot be
    inside = share[share < 0.9]
    law = scipy.stats.loguniform(0.02, 0.9)
    assert scipy.stats.kstest(inside, law.cdf).pvalue > LEAST_P
    untouched = found.shares[::2][share < 0.5]
    untouched = untouched[(untouched > 0).all(axis=1)]
    ratio = untouched[:, 1] / untouched[:, 1:].sum(axis=1)
    assert scipy.stats.ttest_1samp(ratio, 0.5).pvalue > LEAST_P


@pytest.mark.parametrize("words", [A0.composition, A1.composition, composition(least=0.05, outsiders=0.5)])
def test_shares_are_those_of_a_whole_or_of_a_blank(words: Composition) -> None:
    found = drawn(words)

    blank = totals(found) == 0
    assert totals(found)[~blank] == pytest.approx(1.0, abs=1e-12)
    assert (found.shares >= 0).all()
    assert (found.outsider >= 0).all()
    assert blank.mean() == pytest.approx(words.blanks, abs=0.005)


def test_nothing_is_below_the_least() -> None:
    found = drawn(composition(components=(1, 6), fractions="log-uniform", least=0.03, outsiders=0.5), target=0)

    for shares in (found.shares, found.outsider):
        assert shares[shares > 0].min() > 0.03 - 1e-9


@pytest.mark.parametrize("words", [A0.composition, A1.composition])
def test_half_of_the_mixtures_of_one_compound_hold_it(words: Composition) -> None:
    held = drawn(words, target=7).dense(12)[:, 7] > 0

    assert held[::2].all()
    assert not held[1::2].any()


def test_a_look_alike_dominates_the_mixtures_that_lack_the_compound() -> None:
    """Of the negatives, `neighbours` have one of the three at half or more; others do by accident, with few compounds
    at all."""
    words = composition(components=(5, 6), neighbours=0.4, neighbour_share=0.5, concentration=20.0)

    negatives = drawn(words, target=3).dense(12)[1::2]

    dominated = negatives[:, RING[3]].max(axis=1) >= 0.5
    assert dominated.mean() == pytest.approx(0.4, abs=0.02)
    assert scipy.stats.chisquare(np.bincount(negatives[dominated].argmax(axis=1), minlength=12)[RING[3]]).pvalue > (
        LEAST_P
    )


def test_without_a_compound_in_question_look_alikes_are_of_any() -> None:
    found = drawn(composition(components=(4, 4), neighbours=1.0, neighbour_share=0.6, concentration=20.0))

    assert (found.shares.max(axis=1) >= 0.6).all()
    assert scipy.stats.chisquare(np.bincount(found.compounds[:, 0], minlength=12)).pvalue > LEAST_P


def test_strangers_come_as_often_as_asked_and_in_traces_too() -> None:
    outsider = drawn(composition(components=(1, 1), least=0.02, outsiders=0.3)).outsider

    assert (outsider > 0).mean() == pytest.approx(0.3, abs=0.01)
    inside = outsider[(outsider > 0) & (outsider < 0.9)]  # above, nothing else would reach the least
    assert scipy.stats.kstest(inside, scipy.stats.loguniform(0.02, 0.9).cdf).pvalue > LEAST_P


def test_a_mixture_that_must_hold_a_compound_keeps_its_least_beside_a_stranger() -> None:
    found = drawn(composition(fractions="log-uniform", least=0.02, outsiders=1.0), target=0)

    assert found.dense(12)[::2, 0].min() >= np.float32(0.02 - 1e-9)


def test_without_outsiders_there_are_none() -> None:
    found = draw(composition(least=0.02, outsiders=1.0), RING, 100, np.random.default_rng(0), strangers=False)

    assert not found.outsider.any()


def test_a_library_of_one_has_only_blanks_and_strangers_beside_it() -> None:
    found = draw(composition(least=0.1, outsiders=0.5), NOBODY[:1], 1000, np.random.default_rng(0), target=0)

    assert (found.shares[::2, 0] >= 0.1 - 1e-12).all()
    assert set(np.unique(found.outsider[1::2])) == {0.0, 1.0}
    assert not found.shares[1::2].any()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"components": (3, 2)}, "3 at least and 2 at most"),
        ({"fractions": "log-uniform"}, "needs a smallest one"),
        ({"outsiders": 0.1}, "needs a smallest one"),
        ({"components": (1, 6), "least": 0.2}, "leave no choice"),
        ({"components": (0, 2)}, "components"),
        ({"colour": 1}, "colour"),
    ],
)
def test_words_that_contradict_each_other_are_refused(words: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        composition(**words)


def test_the_shares_of_domains_are_together_one() -> None:
    with pytest.raises(ValidationError, match="together 1"):
        Domains(absorbance=0.5, reflectance=0.4)
