"""What a model of components is tried on: real mixtures with what they hold, and nothing that was learnt from."""

from __future__ import annotations

import numpy as np
import pytest

from export.components.trials import outsiders_in, trial_of
from export.data.spectra import Spectra
from export.errors import DataUnusable

LABELS = ("pure a", "pure a", "pure b", "half", "half", "some", "untold", "stranger")
COMPOUNDS = ("a", "b")


def spectra() -> Spectra:
    n = len(LABELS)
    return Spectra(
        axis=np.linspace(1000.0, 1070.0, 8),
        values=np.arange(n * 8, dtype=np.float64).reshape(n, 8),
        labels=LABELS,
        groups=np.arange(n),
        scan=np.array([0, 1, 0, 0, 1, 0, 0, 0]),
        contents={"pure a": {"a": 1.0}, "pure b": {"b": 1.0}, "half": {"b": 0.25, "a": 0.75}},
        holds={"some": ("b", "a")},
    )


def test_pure_scans_that_were_seen_are_not_tried_and_mixtures_are() -> None:
    seen = np.array([True, False, True, True, True, True, True, True])

    found = trial_of("made", spectra(), COMPOUNDS, seen=seen)

    assert found.labels.tolist() == ["pure a", "half", "half", "some", "untold", "stranger"]
    assert found.present.tolist() == [[True, False], [True, True], [True, True], [True, True], [False] * 2, [False] * 2]
    assert found.told.tolist() == [True, True, True, True, False, False]
    assert found.fractions[1].tolist() == [0.75, 0.25]
    assert np.isnan(found.fractions[3:]).all()
    assert found.values[0].tolist() == spectra().values[1].tolist()


def test_a_mixture_of_what_is_not_in_the_library_is_no_trial() -> None:
    with pytest.raises(DataUnusable, match="pure b holds b, which is not in the library"):
        trial_of("made", spectra(), ("a",), seen=np.zeros(len(LABELS), dtype=bool))


def test_outsiders_are_those_whose_labels_tell_of_no_compound_of_the_library() -> None:
    found = outsiders_in("made", spectra(), ("A", "untold"))

    assert found.labels.tolist() == ["pure b", "stranger"]
    assert not found.present.any()


def test_a_set_that_holds_the_library_in_every_label_has_no_outsiders() -> None:
    with pytest.raises(DataUnusable, match="every label holds a compound"):
        outsiders_in("made", spectra(), ("a", "b", "untold", "stranger"))


def test_of_each_label_a_few_are_taken_evenly() -> None:
    found = trial_of("made", spectra(), COMPOUNDS, seen=np.zeros(len(LABELS), dtype=bool), most=1)

    assert found.rows.tolist() == [0, 2, 3, 5, 6, 7]
