"""Log-odds of several sources added up: by hand, against exact posteriors by scipy, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import multivariate_normal, norm
from sklearn.linear_model import LogisticRegression

from export.components.late import fused_log_odds, prior_log_odds, temperature
from export.errors import DataUnusable

RNG = np.random.default_rng(5)
SAYS = RNG.normal(size=(2, 6, 3))
PRIOR = np.array([-1.0, 0.5, -2.0])
BOTH = np.ones((2, 6), dtype=bool)


def test_two_sources_are_added_and_the_prior_taken_off_once() -> None:
    """0.8 from either, of a compound that is in a fifth of samples: odds 4 times 4 over 1/4 are 64."""
    says = logit(np.array([[[0.8]], [[0.8]]]))

    fused = fused_log_odds(says, np.ones((2, 1), dtype=bool), logit(np.array([0.2])))

    assert np.exp(fused) == pytest.approx(np.array([[64.0]]))


def test_three_sources_take_the_prior_off_twice() -> None:
    fused = fused_log_odds(np.zeros((3, 1, 1)), np.ones((3, 1), dtype=bool), np.array([-0.7]))

    assert fused == pytest.approx(np.array([[1.4]]))


def test_of_independent_gaussians_the_exact_posterior_comes_out() -> None:
    share, means, widths = 0.3, ((0.0, 1.5), (2.0, -1.0)), (1.0, 2.5)
    x = RNG.normal(size=(200, 2)) * 3.0
    says = [
        logit(share) + norm.logpdf(x[:, s], with_it, width) - norm.logpdf(x[:, s], without, width)
        for s, ((without, with_it), width) in enumerate(zip(means, widths, strict=True))
    ]

    fused = fused_log_odds(np.stack(says)[:, :, None], np.ones((2, 200), dtype=bool), np.array([logit(share)]))

    without, with_it = (multivariate_normal(mean, np.diag(np.square(widths))) for mean in zip(*means, strict=True))
    likely = share * with_it.pdf(x)
    posterior = likely / (likely + (1.0 - share) * without.pdf(x))
    np.testing.assert_allclose(1.0 / (1.0 + np.exp(-fused[:, 0])), posterior, rtol=1e-9)


@pytest.mark.parametrize("left", [0, 1])
def test_where_one_source_does_not_count_the_other_is_told_to_the_bit(left: int) -> None:
    valid, says = BOTH.copy(), SAYS.copy()
    valid[1 - left, ::2] = False
    says[1 - left, ::2] = np.nan

    fused = fused_log_odds(says, valid, PRIOR)

    np.testing.assert_array_equal(fused[::2], SAYS[left, ::2])
    np.testing.assert_allclose(fused[1::2], SAYS[:, 1::2].sum(axis=0) - PRIOR)


def test_where_no_source_counts_the_prior_is_left() -> None:
    fused = fused_log_odds(SAYS, np.zeros((2, 6), dtype=bool), PRIOR)

    np.testing.assert_array_equal(fused, np.tile(PRIOR, (6, 1)))


def test_arrays_that_do_not_agree_are_refused() -> None:
    for valid, prior in ((BOTH[:1], PRIOR), (BOTH[:, :5], PRIOR), (BOTH, PRIOR[:2])):
        with pytest.raises(DataUnusable, match="do not agree") as caught:
            fused_log_odds(SAYS, valid, prior)
        assert caught.value.hint


@pytest.mark.parametrize("heat", [0.4, 1.0, 3.0])
def test_a_temperature_is_the_slope_of_a_logistic_regression(heat: float) -> None:
    true = RNG.normal(scale=2.0, size=(4000, 3))
    present = RNG.random(true.shape) < 1.0 / (1.0 + np.exp(-true))

    found = temperature(heat * true, present)

    judge = LogisticRegression(C=np.inf, fit_intercept=False).fit(heat * true.reshape(-1, 1), present.ravel())
    assert found == pytest.approx(1.0 / float(judge.coef_[0, 0]), rel=1e-2)
    assert found == pytest.approx(heat, rel=0.1)


def test_a_source_that_says_nothing_is_silenced() -> None:
    present = RNG.random((4000, 3)) < 0.5

    assert temperature(RNG.normal(scale=5.0, size=present.shape), present) > 50.0


def test_the_prior_is_that_of_the_samples_and_finite() -> None:
    present = np.zeros((99, 3), dtype=bool)
    present[:, 1], present[:33, 2] = True, True

    assert prior_log_odds(present) == pytest.approx([np.log(0.5 / 99.5), np.log(99.5 / 0.5), np.log(33.5 / 66.5)])
