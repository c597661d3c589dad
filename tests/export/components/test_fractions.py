"""Fractions by mass: responses are found again where they are known, and half widths are those of the definition."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edged.bundle.components import Components, Compound
from edged.bundle.vocabulary import Axis
from export.components.evidence import Mixture
from export.components.fractions import Stated, fitted_responses, half_widths_of, teach, told_fractions_of
from export.components.operate import open_point
from export.components.recipe import FractionWords
from export.errors import DataUnusable

POINTS = 40
RESPONSES = np.array([0.3, 0.07, 1.0])


def mixtures(pairs: list[tuple[int, int]]) -> NDArray[np.float64]:
    """Fractions of three compounds: each pair at 10, 50 and 90 %."""
    rows = []
    for one, other in pairs:
        for share in (0.1, 0.5, 0.9):
            row = np.zeros(3)
            row[one], row[other] = share, 1.0 - share
            rows.append(row)
    return np.array(rows)


ALL = mixtures([(0, 1), (0, 2), (1, 2)])


def shown(fractions: NDArray[np.float64]) -> NDArray[np.float64]:
    seen = fractions * RESPONSES
    return seen / seen.sum(axis=1, keepdims=True)


def test_known_responses_are_found_again() -> None:
    assert fitted_responses(shown(ALL), ALL) == pytest.approx(RESPONSES, rel=1e-4)


def test_half_lactose_and_half_ascorbic_acid_that_look_like_93_and_7_are_told_as_halves() -> None:
    seen = np.array([[0.0, 0.07 / 1.07, 1.0 / 1.07]])

    assert told_fractions_of(seen, RESPONSES)[0] == pytest.approx([0.0, 0.5, 0.5])


def test_a_half_width_is_the_error_of_that_rank_and_the_widest_where_there_are_too_few() -> None:
    errors = np.array([[-0.09, 0.02], [0.01, np.nan], [0.05, np.nan], [-0.03, np.nan], [0.07, np.nan]])

    # of five: ceil(6 x 0.8) = the 5th smallest is 0.09, ceil(6 x 0.5) = the 3rd is 0.05; one error bears 0.5 only
    assert half_widths_of(errors, 0.8) == pytest.approx((0.09, 1.0))
    assert half_widths_of(errors, 0.5) == pytest.approx((0.05, 0.02))


def stated(fractions: NDArray[np.float64]) -> tuple[Components, dict[str, NDArray[np.float32]], Stated]:
    """Three compounds that have a third of the points each, so that least squares give the shares exactly."""
    references = np.zeros((3, POINTS))
    for column in range(3):
        references[column, 10 * column : 10 * column + 10] = 1.0
    table = Components.model_validate(
        {
            "compounds": [Compound(label=name, title=name) for name in ("a", "b", "c")],
            "presets": {"confirm": open_point(3, thresholds=(None,) * 3)},
            "confirmation": {
                "axis": Axis(unit="nm", start=1000.0, stop=1390.0, points=POINTS),
                "references": (0, 1, 2),
                "rest": "noise",
                "tolerance": 1e-4,
            },
        }
    )
    library = {"references": references, "whitener": np.full((1, POINTS), 100.0)}
    n = len(fractions)
    lot = Mixture(
        logits=np.zeros((n, 3), dtype=np.float32),
        prepared=(shown(fractions) @ references).astype(np.float32),
        present=fractions > 0,
        shares=fractions,
    )
    labels = np.array([f"{row[0]:.1f} {row[1]:.1f} {row[2]:.1f}" for row in fractions])
    return (
        table,
        {name: rows.astype(np.float32) for name, rows in library.items()},
        Stated(mixtures=lot, fractions=fractions, labels=labels),
    )


def test_mixtures_teach_the_table_of_fractions_through_the_fit_of_the_daemon() -> None:
    words = FractionWords(taught_by=("made",), coverage={"confirm": 0.8})

    found = teach(words, *stated(ALL))

    assert found.fractions.responses == pytest.approx(tuple(RESPONSES), rel=1e-3)
    assert max(found.fractions.half_widths["confirm"]) < 0.01
    assert found.evidence["compositions"] == list(dict.fromkeys(stated(ALL)[2].labels.tolist()))


def test_a_compound_that_no_mixture_links_to_the_others_is_named() -> None:
    words = FractionWords(taught_by=("made",), coverage={"confirm": 0.8})

    with pytest.raises(DataUnusable, match="how much of c is seen beside a"):
        teach(words, *stated(mixtures([(0, 1)])))


def test_a_link_that_is_lost_when_one_composition_is_left_out_is_named() -> None:
    words = FractionWords(taught_by=("made",), coverage={"confirm": 0.8})
    chain = np.concatenate([mixtures([(0, 1)]), mixtures([(1, 2)])[:1]])  # a with b in many ways, c with b in one

    with pytest.raises(DataUnusable, match=r"without 0\.0 .* no stated mixture tells how much of c is seen beside a"):
        teach(words, *stated(chain))
