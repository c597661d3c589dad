"""A detector that has learned every class, against scikit-learn's own decisions."""

from __future__ import annotations

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from export.study.seen import margins


def test_a_class_that_wins_every_pair_is_the_one_that_the_machine_names() -> None:
    rng = np.random.default_rng(0)
    targets = np.repeat(np.arange(4), 50)
    centres = 1.5 * rng.normal(size=(4, 6))
    learned, tested = (centres[targets] + rng.normal(size=(200, 6)) for _ in range(2))
    named = make_pipeline(StandardScaler(), SVC(kernel="linear")).fit(learned, targets).predict(tested)

    (found,) = margins(learned, targets, [tested])

    wins = (found > 0).sum(axis=1)
    assert found.shape == (200, 4)
    assert wins.max() == 1
    assert (wins == 1).mean() > 0.9
    assert (found.argmax(axis=1) == named)[wins == 1].all()


def test_a_margin_is_the_least_over_the_other_classes() -> None:
    """On a line, halfway rules: at 0.4 between classes at 0, 1 and 5, the first wins by a little over the second."""
    targets = np.repeat(np.arange(3), 2)
    learned = np.array([[-0.1], [0.1], [0.9], [1.1], [4.9], [5.1]])

    (found,) = margins(learned, targets, [np.array([[0.4], [0.5], [5.0]])])

    assert found[0, 0] > 0 > found[0, 1] > found[0, 2]
    assert found[0, 0] == -found[0, 1]
    assert abs(found[1, 0]) < 1e-6  # the machine stops when it is near enough
    assert found[2].argmax() == 2
