"""What a bundle of components tells of itself: criteria, figures with their intervals, reliability, hashes, limits."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from edged.infer.verdict import Preset
from export.acceptance import judged
from export.components.acceptance import ComponentsAcceptance
from export.components.answers import Told
from export.components.figures import MADE, MIXED, PURE, by_kind, criteria_of, figures_of
from export.components.job import ComponentsJob
from export.components.limits import components_limits
from export.components.parts import figures, hashes, reliability
from export.components.recipe import load_components_recipe, parse_components_recipe
from export.components.reliability import BINS, Reliability, curve
from export.components.report import report
from export.components.stages import calibrate, convert, quantise, train, verify
from export.components.trial import SAME_SCANS, trial
from export.components.trials import Trial
from export.data.spectra import Spectra
from export.data.split import values_digest
from export.errors import RecipeError
from export.evidence.parts import acceptance
from export.page import Page, Part
from export.recipe import RECIPES
from tests.export.bank.kits import pure
from tests.export.components.test_job import folder, job, words

TEXT = (RECIPES / "solvents13.toml").read_text(encoding="utf-8")
NAMES = ("a", "b")
Answers = dict[str, dict[Preset, Told]]


def shown(parts: list[Part]) -> str:
    """The text of a page, one space between any two words."""
    return plain(Page(title="", parts=tuple(parts)).html())


def plain(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html.split("</style>")[-1])).split())


def told(found: list[list[int]], outcome: str = "resolved") -> Told:
    sets = np.array(found, dtype=bool)
    nothing = np.full(sets.shape, np.nan)
    return Told(
        outcome=np.array([outcome] * len(sets)),
        found=sets,
        shares=nothing,
        low=nothing,
        high=nothing,
        rest=nothing[:, 0],
        unknown=np.zeros(len(sets), dtype=bool),
    )


def tried(name: str, present: list[list[int]], groups: list[int]) -> Trial:
    sets = np.array(present, dtype=bool)
    n = len(sets)
    spectra = Spectra(
        axis=np.linspace(1000.0, 1070.0, 8),
        values=np.arange(n * 8, dtype=np.float64).reshape(n, 8),
        labels=("x",) * n,
        groups=np.array(groups),
        scan=np.zeros(n, dtype=np.int64),
    )
    return Trial(
        name=name,
        spectra=spectra,
        rows=np.arange(n),
        present=sets,
        told=np.asarray(sets.any(axis=1)),
        fractions=np.full(sets.shape, np.nan),
    )


def test_pure_scans_mixtures_and_made_ones_are_counted_apart_over_all_sets() -> None:
    trials = (
        tried("one", [[1, 0], [1, 1], [0, 1], [0, 0]], [0, 1, 2, 3]),  # of the last nobody tells what it holds
        tried("two", [[1, 1], [1, 1]], [0, 0]),
    )
    said: Answers = {
        "one": {"balanced": told([[1, 0], [1, 0], [1, 1], [1, 1]])},
        "two": {"balanced": told([[1, 1], [0, 1]])},
        MADE: {"balanced": told([[1, 0], [0, 1], [1, 1]])},
    }
    made = np.array([[True, False], [True, True], [True, False]])

    tested = by_kind(trials, said, "balanced", made)
    found = figures_of(tested, NAMES, np.random.default_rng(0))

    assert {kind: of["sets"]["exact"]["value"] for kind, of in found.items()} == pytest.approx(
        {PURE: 1 / 2, MIXED: 1 / 3, MADE: 1 / 3}, abs=1e-6
    )
    a, b = (found[MADE]["compounds"][name] for name in NAMES)
    assert (a["told"], a["missed"], a["falsely"], a["rightly_not"]) == (2, 1, 0, 0)
    assert (b["told"], b["missed"], b["falsely"], b["rightly_not"]) == (1, 0, 1, 1)
    assert found[MIXED]["sets"]["exact"]["units"] == 2  # one filling a set
    assert found[PURE]["sets"]["false_names"]["value"] == 0.5


def test_criteria_are_read_from_what_was_tried_and_absent_where_nothing_was() -> None:
    others = (tried("strange", [[0, 0]] * 4, [0, 0, 1, 1]), tried("odd", [[0, 0]], [0]))
    said: Answers = {
        "strange": {"balanced": told([[0, 0]] * 4, "not_in_scope")},
        "odd": {"balanced": told([[1, 0]])},
        MADE: {"balanced": told([[1, 0], [1, 1]])},
    }
    made = np.array([[True, False], [True, False]])
    same = {"strange": np.array([True, True, True, False]), "odd": np.array([True])}
    kinds = figures_of(by_kind((), said, "balanced", made), NAMES, np.random.default_rng(0))

    found = criteria_of(kinds, (), others, said, "balanced", same)

    values = {name: of["value"] for name, of in found.items() if of is not None}
    assert values == {"made_recall": 1.0, "made_false_names": 0.5, "others_refused": 0.8, "same_sets": 0.8}
    assert found["others_refused"] is not None
    assert (found["others_refused"]["spectra"], found["others_refused"]["units"]) == (5, 3)
    assert set(found) == set(ComponentsAcceptance.known()) == set(ComponentsAcceptance.model_fields)


def test_false_names_are_to_be_few_and_are_shown_as_they_are_counted(tmp_path: Path) -> None:
    folder(tmp_path / "pure", pure(3))
    figure = {"value": 0.0415, "low": 0.03, "high": 0.05, "spectra": 1300, "units": 130}
    wanted = ComponentsAcceptance(false_names=0.04, exact_sets=0.85)

    rows = judged(wanted, {"false_names": figure, "exact_sets": figure | {"value": 0.85}})  # type: ignore[dict-item]

    assert {row["name"]: row["met"] for row in rows} == {"exact_sets": True, "false_names": False}
    page = shown(acceptance(job(tmp_path, words()), rows, digits=3))
    assert "false names a spectrum of real mixtures ≤ 0.04 0.042 0.030 to 0.050 1300 (130) missed" in page
    assert "real mixtures with every compound told and no other ≥ 85 % 85.0 %" in page


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("accuracy = 0.9", "acceptance.accuracy: unknown key"),
        ("exact_set = 0.9", "acceptance.exact_set: unknown key; did you mean exact_sets?"),
        ("f1 = 96", "acceptance.f1: 96"),
        ("false_names = -1", "acceptance.false_names: -1"),
    ],
)
def test_a_criterion_that_can_not_be_judged_is_refused_before_training(line: str, said: str) -> None:
    text = re.sub(r"\[acceptance\][^\[]*", "", TEXT)

    with pytest.raises(RecipeError) as caught:
        parse_components_recipe(f"{text}\n[acceptance]\n{line}\n")

    assert said in str(caught.value)


def test_a_recipe_that_states_nothing_says_what_it_said_before_there_were_criteria() -> None:
    bare = re.sub(r"(?s)limits = \[.*?\]\n", "", re.sub(r"\[acceptance\][^\[]*", "", TEXT))
    stated = bare.replace("[data]", "[acceptance]\nmade_recall = 0.9\n[data]", 1)

    assert not {"limits", "acceptance"} & parse_components_recipe(bare).model_dump().keys()
    assert parse_components_recipe(stated).model_dump()["acceptance"] == {"made_recall": 0.9}
    assert parse_components_recipe(stated).digest() != parse_components_recipe(bare).digest()


@pytest.mark.parametrize("name", ["powders-components", "solvents13"])
def test_what_ships_states_its_use_its_limits_and_what_it_must_reach(name: str) -> None:
    recipe = load_components_recipe(name)

    assert recipe.purpose
    assert recipe.limits
    assert recipe.acceptance.others_refused == 0.99
    if name == "powders-components":
        wanted = {"exact_sets": 0.85, "f1": 0.965, "false_names": 0.04, "others_refused": 0.99, "same_sets": 0.995}
        assert recipe.acceptance.stated() == wanted


def test_errors_of_scores_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    score = rng.random((400, 3)).round(3)
    present = rng.random((400, 3)) < score**2  # too sure

    found = curve(score, present)

    said, there = score.ravel(), present.ravel()
    assert found["brier"] == pytest.approx(brier_score_loss(there, said), abs=1e-5)
    shares, means = calibration_curve(there, said, n_bins=BINS)
    weights = np.histogram(said, bins=np.linspace(0, 1, BINS + 1))[0] / len(said)
    assert found["ece"] == pytest.approx(float(weights @ np.abs(shares - means)), abs=2e-3)  # scores on an edge
    assert sum(one["decisions"] for one in found["bins"]) == said.size
    assert all(one["there"] < one["score"] + 0.1 for one in found["bins"])


def test_a_score_of_one_is_counted() -> None:
    found = curve(np.array([[1.0, 0.0]]), np.array([[True, False]]))

    assert [(one["decisions"], one["score"], one["there"]) for one in found["bins"]] == [(1, 0.0, 0.0), (1, 1.0, 1.0)]
    assert (found["ece"], found["brier"]) == (0.0, 0.0)


def of_label(exact: float, **told_of: float) -> dict[str, Any]:
    return {"spectra": 100, "exact": exact, "holds": ["first", "second"], "told": told_of}


def limits_of(work: ComponentsJob, **changes: Any) -> list[str]:
    general = [0.02, 0.117, None]
    found: dict[str, Any] = {"acceptance": [], "sets": {}, "strangers": {}, "fractions": {}} | changes
    return components_limits(work, found, {"screen": {"detection_limits": {"general": general}}})


def test_limits_tell_the_worst_mixture_what_is_too_faint_and_that_figures_flatter(tmp_path: Path) -> None:
    library = pure(3)
    folder(tmp_path / "pure", library)
    own = words().model_copy(update={"limits": ("Blends were not tried.",)})
    labels = {"easy": of_label(1.0, first=1.0, second=1.0), "hard": of_label(0.4, first=1.0, second=0.4, third=0.3)}
    row = {"name": "f1", "text": "F1 of compounds in real mixtures", "at_least": True, "in_unit": False}
    missed = [row | {"wanted": 0.9, "met": False, "found": {"value": 0.7}}]

    limits = limits_of(job(tmp_path, own), sets={"real": {"labels": labels}}, acceptance=missed)

    assert limits[0] == "Blends were not tried."
    assert limits[1] == "Criterion missed: F1 of compounds in real mixtures: 70.0 %, where at least 90.0 % was wanted."
    assert limits[2] == (
        "The real mixture that fares worst is hard: just what it holds is told of 40.0 % of 100 spectra; second is "
        "found in 40.0 %, third is told of 30.0 %."
    )
    first, second, third = library.names
    assert limits[3].endswith(f"2.0 % at best ({first}); most is needed of {first} 2.0 % and {second} 11.7 %.")
    assert limits[4] == f"Not found in 95 of 100 made mixtures at any share: {third}."
    assert any("shown nothing else" in limit for limit in limits)
    assert any("the figures flatter" in limit for limit in limits)
    assert any("Which instruments" in limit for limit in limits)


def test_without_a_real_mixture_that_is_said(tmp_path: Path) -> None:
    folder(tmp_path / "pure", pure(3))

    assert any(limit.startswith("No real mixture") for limit in limits_of(job(tmp_path, words())))


def test_the_shipped_sets_are_told_by_their_hashes(data_dir: Path, tmp_path: Path) -> None:
    work = ComponentsJob(
        recipe=load_components_recipe("powders-components"), data=data_dir, work=tmp_path, seed=0, quick=False
    )
    uses = work.rows_by_use()

    assert {use: len(rows) for use, rows in uses.items()} == {"learn": 240, "fractions": 720, "test": 240}
    assert sorted(np.concatenate(list(uses.values()))) == list(range(1200))
    labels = np.array(work.spectra.labels)
    assert set(labels[uses["learn"]]) == {"100AA", "100AC", "100LA"}
    sheet: dict[str, Any] = {
        "split": {
            "spectra": {use: len(rows) for use, rows in uses.items()},
            "values_sha256": {use: values_digest(work.spectra, rows) for use, rows in uses.items()},
        },
        "sources": [{"name": "powders", "files_sha256": {"a.csv": "00ff"}}],
        "trials": {"ternary": {"spectra": 400, "values_sha256": "0a0b", "files_sha256": {"b.csv": "11ee"}}},
        "outsiders": {},
    }
    page = shown(hashes(sheet))
    assert f"powders: pure spectra that teach 240 {sheet['split']['values_sha256']['learn']}" in page
    assert "ternary: tried 400 0a0b" in page
    assert "a.csv – 00ff b.csv – 11ee" in page


@pytest.mark.deep
def test_a_model_without_real_mixtures_tells_what_made_ones_show(tmp_path: Path) -> None:
    """All stages but the last on three compounds that nobody has measured, a few seconds of schooling."""
    folder(tmp_path / "pure", pure(3, scans=4))
    recipe = words().model_copy(update={"acceptance": ComponentsAcceptance(made_recall=0.99, exact_sets=0.5)})
    work = job(tmp_path, recipe)
    for stage, run in (("train", train), ("calibrate", calibrate), ("convert", convert), ("quantise", quantise)):
        with work.running(stage):
            run(work, lambda *_: None) if stage == "train" else run(work)  # type: ignore[call-arg,operator]
    with work.running("verify"):
        verify(work)
    with work.running("trial"):
        summary = trial(work, lambda *_: None)
    with work.running("report"):
        report(work)

    found, page = work.read_json("trial.json"), plain(work.need("report.html").read_text())
    assert summary["criteria_missed"] == ["made_recall"]
    assert found["acceptance"][0]["met"] is None  # exact sets of real mixtures: there are none
    assert found["figures"].keys() == {MADE}
    assert found["figures"][MADE]["sets"]["exact"]["spectra"] == work.recipe.held_out.trying
    assert found["reliability"]["decisions"] == 3 * work.recipe.held_out.trying
    for heading in ("Intended use", "Criteria of acceptance", "Known limits", "Confusion", "Reliability"):
        assert f"{heading} " in page
    assert "not measured" in page
    assert SAME_SCANS in page
    assert values_digest(work.spectra, np.arange(12)) in page


def test_the_page_of_figures_has_a_dash_where_nothing_can_be_told(tmp_path: Path) -> None:
    folder(tmp_path / "pure", pure(2))
    work = job(tmp_path, words())
    said: Answers = {MADE: {"balanced": told([[1, 0], [1, 0], [0, 0]])}}
    made = np.array([[True, False], [True, False], [True, False]])
    kinds = figures_of(by_kind((), said, "balanced", made), work.library.names, np.random.default_rng(0))

    page = shown(figures(work, kinds))

    first, second = work.library.names
    assert f"{first}, made mixtures 2 1 0 0 100.0 (–) 66.7 (0.0 to 100.0) – –" in page
    assert f"{second}, made mixtures 0 0 0 3 – – – –" in page


def test_the_page_of_scores_tells_the_temperature() -> None:
    one = curve(np.array([[0.2, 0.9]]), np.array([[False, True]]))
    page = shown(reliability(Reliability(temperature=1.234, decisions=2, before=one, after=one), "some scans"))

    assert "as shown 15.00 0.0250" in page
    assert "of the logit / 1.23 15.00 0.0250" in page
    assert "made of some scans" in page
