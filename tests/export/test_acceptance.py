"""Criteria of acceptance: words that are refused, and what is met, missed or not measured; and known limits."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from export.acceptance import Acceptance, judged
from export.data.first_recipe import first_recipe
from export.errors import RecipeError
from export.evidence.limits import naming_limits, telling_limits
from export.evidence.parts import acceptance, golden_vectors, hashes, intended_use
from export.figures import Figure
from export.job import Job
from export.page import Page, Part
from export.recipe import RECIPES, load_recipe, parse_recipe
from tests.export.capsules import capsules

SHIPPED = ("api20", "isoniazid-dose", "powders12")


def figure(value: float, **interval: float) -> Figure:
    return Figure(value=value, low=interval.get("low"), high=interval.get("high"), spectra=240, units=24)


def shown(parts: list[Part]) -> str:
    """The text of a page, one space between any two words."""
    html = Page(title="", parts=tuple(parts)).html()
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html.split("</head>")[-1].split("</style>")[-1])).split())


def test_a_criterion_is_met_at_its_limit_on_either_side_and_not_judged_where_nothing_was_measured() -> None:
    words = Acceptance(accuracy=0.98, wrong_refusals=0.01, wrong_names=0.02, others_refused=0.99, macro_f1=0.9)
    found = {
        "accuracy": figure(0.979167),
        "wrong_refusals": figure(0.01),
        "wrong_names": figure(0.021),
        "others_refused": None,
        "macro_f1": figure(0.9),
        "kappa": figure(0.5),
    }

    rows = judged(words, found)

    assert {row["name"]: row["met"] for row in rows} == {
        "accuracy": False,
        "macro_f1": True,
        "wrong_names": False,
        "wrong_refusals": True,
        "others_refused": None,
    }


def test_every_word_says_of_what_it_is_and_which_models_have_it() -> None:
    assert set(Acceptance.known()) == set(Acceptance.model_fields)
    assert all(of.named or of.told for of in Acceptance.known().values())


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        ("powders12", "rmse = 12.0", "acceptance.rmse: a model that names classes has no such figure"),
        ("isoniazid-dose", "macro_f1 = 0.9", "acceptance.macro_f1: a model that tells an amount has no such figure"),
        ("powders12", "accuracy = 98", "acceptance.accuracy: 98"),
        ("powders12", "acuracy = 0.98", "acceptance.acuracy: unknown key; did you mean accuracy?"),
    ],
)
def test_a_criterion_that_can_not_be_judged_is_refused_before_training(name: str, line: str, said: str) -> None:
    text = (RECIPES / f"{name}.toml").read_text()
    text = re.sub(r"\[acceptance\][^\[]*", "", text) + f"\n[acceptance]\n{line}\n"

    with pytest.raises(RecipeError) as caught:
        parse_recipe(text)

    assert said in str(caught.value)


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_states_its_use_its_limits_and_what_it_must_reach(name: str) -> None:
    recipe = load_recipe(name)

    assert recipe.purpose
    assert recipe.limits
    assert {"wrong_refusals", "others_refused", "same_outcome"} <= recipe.acceptance.stated().keys()
    assert recipe.acceptance.same_outcome == 0.995


def test_the_page_shows_what_was_wanted_and_found_and_says_where_nothing_was_stated(tmp_path: Path) -> None:
    job = capsules(tmp_path)
    rows = judged(
        Acceptance(rmse=12.0, coverage=0.95), {"rmse": figure(9.84, low=8.0, high=12.5), "coverage": figure(0.94)}
    )

    page = shown(acceptance(job, rows, "mg"))

    assert "RMSE on the held-out part ≤ 12 mg 9.8 mg 8.0 to 12.5 240 (24) met" in page
    assert "intervals that hold the true amount, held out ≥ 95 % 94.0 % – 240 (24) missed" in page
    assert "1 of 2 missed" in page
    assert job.recipe.digest() in page
    assert "None were stated" in shown(acceptance(job, [], "mg"))
    assert "Not stated in the recipe" in shown(intended_use(job))


def test_hashes_of_both_sides_and_of_the_files_are_shown(tmp_path: Path) -> None:
    job = capsules(tmp_path)
    spectra = job.spectra()
    digests = job.split(spectra).digests(spectra)

    page = shown(hashes(job))

    assert f"development spectra 54 {digests['development']}" in page
    assert f"test spectra 18 {digests['test']}" in page
    assert f"all.csv – {spectra.digests['all.csv']}" in page


def test_golden_vectors_are_told_with_their_tolerance(tmp_path: Path) -> None:
    job = capsules(tmp_path)
    with job.running("verify"):
        job.write_json(
            "verify.json", {"spectra": 72, "float_answer_difference": 2e-6, "final_answer_difference": 0.0125}
        )

    page = shown(golden_vectors(job))

    assert "4 development spectra" in page
    assert "more than 0.02 of the range of amounts" in page
    assert "torch by at most 2e-06 of the range of amounts, the bundle's by 0.013" in page


def named(**changes: object) -> dict[str, object]:
    kinds = {"held-out": 0.979, "mild sessions": 0.975, "stress sessions": 0.93}
    return {
        "acceptance": judged(Acceptance(accuracy=0.98), {"accuracy": figure(0.979)}),
        "classes": {
            "lactose": {"spectra": 100, "right": 100, "taken_for": None},
            "tenth": {"spectra": 100, "right": 91, "taken_for": "lactose"},
        },
        "let_by": {"tenth": {"share": 0.85, "as": "lactose"}, "lactose": {"share": 0.4, "as": "tenth"}},
        "figures": {kind: {"accuracy": figure(value)} for kind, value in kinds.items()},
        "sensitivity": {"axis +2 nm": {"accuracy": 0.978}, "noise 0.002 AU": {"accuracy": 0.938}},
    } | changes


def test_limits_tell_what_was_missed_who_fares_worst_what_gates_let_by_and_where_accuracy_falls(
    tmp_path: Path,
) -> None:
    limits = naming_limits(capsules(tmp_path, tells="classes"), named())

    assert limits[0].startswith("Criterion missed: accuracy on the held-out part: 97.9 %, where at least 98.0 %")
    assert "worst is tenth: 91 of 100 spectra" in limits[1]
    assert "taken for lactose" in limits[1]
    assert "tenth (85.0 %, as lactose)" in limits[2]
    assert "lactose (40" not in limits[2]
    assert limits[3] == (
        "Accuracy, 97.9 % on the held-out part, falls with stress sessions 93.0 %, noise 0.002 AU 93.8 %."
    )
    assert any("is not stated" in limit for limit in limits[4:])
    assert any("spectra of other things" in limit for limit in limits[4:])


def test_the_recipes_own_limits_come_first_and_what_was_reached_is_none(tmp_path: Path) -> None:
    job = capsules(tmp_path, tells="classes")
    own = job.recipe.model_copy(update={"limits": ("Blends were not tried.",)})
    job = Job(recipe=own, data=job.data, work=job.work, seed=0, quick=False, beside=job.beside)
    met = judged(Acceptance(accuracy=0.97), {"accuracy": figure(0.979)})

    limits = naming_limits(job, named(acceptance=met, let_by={}))

    assert limits[0] == "Blends were not tried."
    assert not any("missed" in limit for limit in limits)


def test_limits_of_amounts_tell_the_amounts_the_worst_of_them_and_intervals_that_fall_short(tmp_path: Path) -> None:
    def kind(covered: float) -> dict[str, object]:
        return {"by_amount": {"10": 0.5, "30": 2.25, "20": 1.0}, "presets": {"balanced": {"covered": covered}}}

    known = {"held-out": kind(0.9), "stress sessions": kind(0.7)}
    limits = telling_limits(capsules(tmp_path), {"acceptance": [], "known": known})

    assert limits[0].startswith("Amounts of 10, 20 and 30 mg were measured")
    assert limits[1] == "Errors are largest at 30 mg: RMSE 2.2 mg."
    assert limits[2] == (
        "Intervals that are to hold 80.0 % of the amounts hold 90.0 % of held-out, 70.0 % of stress sessions."
    )
    assert limits[3].startswith("One split was tried")


def test_the_words_that_a_first_recipe_leaves_to_the_user_are_words_of_a_recipe(tmp_path: Path) -> None:
    job = capsules(tmp_path, tells="classes")
    text = first_recipe(job.spectra(), tmp_path / "capsules")

    silent, told = parse_recipe(text), parse_recipe(re.sub(r"(?m)^#(?=\S)", "", text))

    assert (silent.purpose, silent.limits, silent.acceptance.stated()) == (None, (), {})
    assert told.purpose
    assert told.limits
    assert set(told.acceptance.stated()) == {"accuracy", "wrong_refusals", "same_outcome"}
