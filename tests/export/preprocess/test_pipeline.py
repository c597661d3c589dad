"""Steps as a recipe writes them: what they are fitted on, where they fit, and what is said where they do not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from export.errors import RecipeError
from export.preprocess.named import NAMED, UNIT
from export.preprocess.pipeline import axis_after, build, steps_in_two
from export.preprocess.words import CropStep, SavgolStep, SnvStep, StandardiseStep, StepWords

AXIS = np.linspace(900.0, 1700.0, 81)  # every 10 nm
STEP: TypeAdapter[StepWords] = TypeAdapter(StepWords)


def spectra(count: int, points: int = len(AXIS)) -> torch.Tensor:
    values = np.random.default_rng(count).normal(size=(count, points)).cumsum(axis=1)
    return torch.from_numpy(values.astype(np.float32))


def test_steps_are_fitted_on_what_the_steps_before_them_give() -> None:
    pipeline = build([SnvStep(kind="snv"), StandardiseStep(kind="standardise")], AXIS)
    x = spectra(30)
    pipeline.fit(x)

    out = pipeline(x).numpy()

    assert np.abs(out.mean(axis=0)).max() < 1e-5
    assert np.abs(out.std(axis=0) - 1).max() < 1e-4


def test_a_row_that_is_cut_in_two_loses_no_digits_at_the_cut() -> None:
    steps = (
        SavgolStep(kind="savgol", window=11, order=2, derivative=1),
        SnvStep(kind="snv"),
        StandardiseStep(kind="standardise"),
    )
    x = spectra(30)
    whole, (common, own) = build(steps, AXIS), steps_in_two(steps, AXIS)
    whole.fit(x)
    own.fit(common(x))

    prepared = common(x)

    assert prepared.dtype == torch.float64
    assert own(prepared).dtype == torch.float32
    assert torch.equal(own(prepared), whole(x))


@pytest.mark.parametrize("name", NAMED)
def test_a_spectrum_is_prepared_alike_alone_and_among_others_that_training_did_not_see(name: str) -> None:
    pipeline = build(NAMED[name], AXIS)
    pipeline.fit(spectra(30))
    new = spectra(9)

    alone = torch.cat([pipeline(row[None]) for row in new])

    assert alone.shape == new.shape
    torch.testing.assert_close(alone, pipeline(new), rtol=1e-5, atol=1e-5)


def test_the_seven_of_the_literature_and_none_have_names() -> None:
    seven = ["vector", "sg-smoothing", "msc", "first-derivative", "z-score", "wavelet-smoothing", "wavelet-denoising"]

    assert list(NAMED) == ["none", *seven]
    assert len(set(NAMED.values())) == 8


def test_the_unit_of_a_set_changes_no_shape() -> None:
    x = spectra(30)
    pipeline = build([UNIT], AXIS)
    pipeline.fit(x)

    out = pipeline(x).double().numpy()

    assert abs(out.mean()) < 1e-6
    assert abs(out.std() - 1) < 1e-6
    assert np.corrcoef(out.ravel(), x.double().numpy().ravel())[0, 1] > 1 - 1e-9


@pytest.mark.parametrize(
    ("words", "fitted"),
    [
        ({"kind": "snv"}, False),
        ({"kind": "baseline"}, False),
        ({"kind": "msc"}, True),
        ({"kind": "emsc"}, True),
        ({"kind": "mean-centre"}, True),
        ({"kind": "standardise"}, True),
        ({"kind": "standardise", "by": "set"}, True),
        ({"kind": "standardise", "by": "spectrum"}, False),
    ],
)
def test_a_step_says_whether_training_changes_it(words: dict[str, str], fitted: bool) -> None:
    step = STEP.validate_python(words)
    few, many = build([step], AXIS), build([step], AXIS)
    few.fit(spectra(3))
    many.fit(spectra(40))
    new = spectra(5)

    assert step.fitted is fitted
    assert torch.equal(few(new), many(new)) is not fitted


def test_a_crop_keeps_the_named_part_of_the_axis_and_later_steps_are_made_for_it() -> None:
    steps = (CropStep(kind="crop", start=1000.0, stop=1200.0), StandardiseStep(kind="standardise"))
    x = spectra(20)
    pipeline = build(steps, AXIS)
    pipeline.fit(x)

    assert axis_after(steps, AXIS).tolist() == [1000.0 + 10.0 * i for i in range(21)]
    cut = x[:, 10:31].double()
    expected = (cut - cut.mean(dim=0)) / cut.std(dim=0, correction=0)
    torch.testing.assert_close(pipeline(x).double(), expected, rtol=1e-5, atol=1e-5)


def test_a_crop_ends_at_points_that_the_axis_holds_but_for_rounding() -> None:
    axis = np.array([240.0 + 0.1 * i for i in range(500)])

    kept = axis_after([CropStep(kind="crop", start=240.3, stop=250.7)], axis)

    assert len(kept) == 105


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ({"kind": "crop", "start": 1000, "stop": 1050}, "holds 6 points of an axis from 900 to 1700; at least 8"),
        ({"kind": "crop", "start": 5000, "stop": 6000}, "holds 0 points"),
        ({"kind": "savgol", "window": 101, "order": 2}, "a window of 101 is wider than the 81 points"),
        ({"kind": "smooth", "window": 83}, "a window of 83 is wider than the 81 points"),
        ({"kind": "wavelet", "wavelet": "sym8", "levels": 8}, "81 points allow"),
        ({"kind": "emsc", "constituents": [[1.0, 2.0, 3.0]]}, "constituents.0: 3 values on an axis of 81 points"),
    ],
)
def test_a_step_that_does_not_fit_the_axis_is_named_with_the_reason(words: dict[str, object], problem: str) -> None:
    with pytest.raises(RecipeError) as caught:
        build([SnvStep(kind="snv"), STEP.validate_python(words)], AXIS)

    assert caught.value.problems[0].startswith(f"steps.1.{words['kind']}: ")
    assert problem in str(caught.value)


def test_a_crop_is_refused_where_only_the_number_of_points_is_known() -> None:
    with pytest.raises(RecipeError, match="a crop needs the axis"):
        build([CropStep(kind="crop", start=10.0, stop=60.0)], 81)


@pytest.mark.parametrize(
    "words",
    [
        {"kind": "savgol", "window": 20, "order": 2},
        {"kind": "savgol", "window": 21, "order": 1, "derivative": 2},
        {"kind": "smooth", "window": 4},
        {"kind": "crop", "start": 1200, "stop": 1100},
        {"kind": "crop", "start": float("nan"), "stop": 1100},
        {"kind": "negative-log", "floor": 0},
        {"kind": "baseline", "knots": 3},
        {"kind": "baseline", "stiffness": 0},
        {"kind": "detrend", "order": 2, "breaks": [100]},
        {"kind": "standardise", "by": "row"},
        {"kind": "emsc", "constituents": [[float("inf"), 1.0]]},
    ],
)
def test_words_that_make_no_sense_are_refused(words: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        STEP.validate_python(words)


def test_a_derivative_of_a_straight_line_is_its_slope_at_any_level() -> None:
    line = torch.linspace(0.0, 8.0, 81)[None]

    got = build([SavgolStep(kind="savgol", window=11, order=2, derivative=1)], AXIS)(torch.cat([line, line + 1000.0]))

    torch.testing.assert_close(got, torch.full((2, 81), 0.1), rtol=1e-3, atol=0)
