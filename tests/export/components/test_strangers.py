"""A stranger inside a sample: sums by the laws they are named after, and counts by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export.components.answers import Told
from export.components.evidence import Said
from export.components.job import ComponentsJob
from export.components.recipe import load_components_recipe
from export.components.strangers import (
    SHARES,
    by_share,
    counted,
    hosts_of,
    inside,
    known_limit,
    lots_of,
    made_table_of,
    table_of,
)
from export.data.augment import resample

RNG = np.random.default_rng(5)
HOSTS, STRANGERS = RNG.uniform(0.1, 0.6, size=(4, 30)), RNG.uniform(2.0, 3.0, size=(4, 30))


def test_absorbances_add_up_and_the_level_of_a_stranger_does_not_count() -> None:
    mixed = inside(HOSTS, STRANGERS, 0.3, "absorbance", "absorbance")

    shape = STRANGERS - STRANGERS.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(mixed.mean(axis=1), HOSTS.mean(axis=1), rtol=1e-6)
    off = mixed - 0.7 * HOSTS - 0.3 * shape
    np.testing.assert_allclose(off, np.broadcast_to(off[:, :1], off.shape), atol=1e-6)


def test_reflectances_add_up() -> None:
    level = STRANGERS - STRANGERS.mean(axis=1, keepdims=True) + HOSTS.mean(axis=1, keepdims=True)
    wanted = 0.8 * 10.0**-HOSTS + 0.2 * 10.0**-level

    in_absorbance = inside(HOSTS, STRANGERS, 0.2, "reflectance", "absorbance")
    in_reflectance = inside(10.0**-HOSTS, 10.0**-STRANGERS, 0.2, "reflectance", "reflectance")

    np.testing.assert_allclose(10.0**-in_absorbance, wanted, rtol=1e-5)
    np.testing.assert_allclose(in_reflectance, wanted, rtol=1e-5)


def test_intensities_add_up_in_parts_of_their_highest() -> None:
    mixed = inside(7.0 * HOSTS, STRANGERS, 0.5, "intensity", "intensity")

    parts = HOSTS / HOSTS.max(axis=1, keepdims=True) + STRANGERS / STRANGERS.max(axis=1, keepdims=True)
    np.testing.assert_allclose(mixed, 0.5 * 7.0 * HOSTS.max(axis=1, keepdims=True) * parts, rtol=1e-5)


def test_what_is_told_is_counted() -> None:
    present = np.array([[True, False], [True, False], [True, True], [False, True]])
    found = np.array([[True, True], [False, False], [True, True], [True, False]])
    nothing = np.full(found.shape, np.nan)
    said = Told(
        outcome=np.array(["resolved", "inconclusive", "resolved", "resolved"]),
        found=found,
        shares=nothing,
        low=nothing,
        high=nothing,
        rest=np.ones(4),
        unknown=np.array([False, True, False, False]),
    )

    assert counted({"balanced": said}, present)["balanced"] == {
        "spectra": 4,
        "falsely": 0.5,
        "nothing": 0.25,
        "unknown": 0.25,
        "right": 0.25,
        "false_names": 0.5,
    }


def test_made_mixtures_are_counted_by_the_share_of_the_stranger_in_them() -> None:
    present = np.array([[True, False], [True, False], [False, True], [False, True], [False, False]])
    said = Said(
        found=np.array([[True, True], [True, False], [True, True], [False, True], [True, False]]),
        supports=np.ones((5, 2)),
        rest=np.array([1.0, 1.0, 9.0, 1.0, 9.0]),
        visible=np.ones((5, 2)),
    )
    outsider = np.array([0.03, 0.04, 0.15, 0.2, 0.9])

    rows, screened = by_share(said, 2.0, present, outsider), by_share(said, None, present, outsider)

    assert [(row["from"], row["to"], row["mixtures"]) for row in rows] == [(0, 0.05, 2), (0.1, 0.2, 2), (0.7, 1, 1)]
    wanted = {
        "falsely": [0.5, 0.0, 0.0],
        "nothing": [0.0, 0.5, 1.0],
        "right": [0.5, 0.5, 1.0],
        "false_names": [0.5, 0.0, 0.0],
    }
    assert {key: [row[key] for row in rows] for key in wanted} == wanted
    assert [row["falsely"] for row in screened] == [0.5, 0.5, 1.0]
    header, table = made_table_of({"balanced": rows})
    assert header[1:] == ["0 to 5 %", "10 to 20 %", "70 to 100 %"]
    assert table == [("balanced", "50 / 0 / 50", "0 / 50 / 50", "0 / 100 / 100")]


def test_a_page_says_how_often_a_stranger_is_taken_for_a_compound() -> None:
    def rows(falsely: float, nothing: float) -> dict[str, dict[str, float]]:
        return {"balanced": {"falsely": falsely, "nothing": nothing, "right": 1 - falsely - nothing}}

    shares = ("5", "10", "20", "30", "50")
    sets = {
        "drugs": {"absorbance": {share: rows(0.2, 0.1) for share in shares}},
        "sugars": {"absorbance": {share: rows(0.35, 0.0) for share in shares}},
    }
    found = {"alone": rows(0.04, 0.0), "sets": sets}

    header, table = table_of(found)
    assert header[1:4] == ["preset", "alone", "5 %"]
    assert table[1] == ("sugars, in absorbance", "balanced", "4 / 0 / 96", *["35 / 0 / 65"] * 5)
    said = known_limit(found, "balanced")
    assert "with a tenth of a stranger 20 to 35 % of spectra were told a compound that they do not hold" in said
    assert "(4 % of the same spectra alone), and 0 to 10 % were told nothing" in said


@pytest.mark.parametrize(("name", "learnt", "labels"), [("powders-components", False, 16), ("solvents13", True, 13)])
def test_hosts_have_taught_nothing_where_there_are_such(
    name: str, learnt: bool, labels: int, data_dir: Path, tmp_path: Path
) -> None:
    job = ComponentsJob(recipe=load_components_recipe(name), data=data_dir, work=tmp_path, seed=0, quick=True)

    hosts = hosts_of(job, job.trials())
    lots = lots_of(job, hosts, job.outsiders()[:1])

    taught = resample(job.library.values, job.library.axis, job.grid)
    nearest = [np.abs(taught - row).max(axis=1).min() for row in hosts.values]
    assert (hosts.learnt, len(hosts.values)) == (learnt, labels)  # one of each label
    assert (max(nearest) == 0.0) if learnt else (min(nearest) > 0.0)
    assert hosts.present.any(axis=1).all()
    assert len(lots) == 1 + len(SHARES[1:]) * (1 if learnt else 2)
    assert all(rows.shape == hosts.values.shape and np.isfinite(rows).all() for rows in lots.values())
