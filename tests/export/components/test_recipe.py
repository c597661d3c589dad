"""A recipe for a model of components: shipped ones are valid, and every mistake is told at once with its key."""

from __future__ import annotations

import pytest

from export.components.recipe import is_for_components, load_components_recipe, parse_components_recipe
from export.errors import RecipeError
from export.recipe import RECIPES, load_recipe

TEXT = (RECIPES / "powders-components.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "technique"), [("powders-components", "nir"), ("solvents13", "raman")])
def test_the_shipped_recipes_are_valid(name: str, technique: str) -> None:
    recipe = load_components_recipe(name)

    assert (recipe.name, recipe.technique, recipe.procedures) == (name, technique, ("components",))
    assert is_for_components(name)
    assert not is_for_components("powders12")


def test_other_commands_say_that_such_a_recipe_is_not_theirs() -> None:
    with pytest.raises(RecipeError, match="a model of components") as caught:
        load_recipe("powders-components")

    assert "build does" in caught.value.hint


def test_all_mistakes_are_reported_at_once_with_their_keys() -> None:
    broken = (
        TEXT.replace("epochs = 10", "epoch = 10")
        .replace('scheme = "weights"', 'scheme = "int4"')
        .replace("wrongly_unknown = 0.02", "wrongly_unknown = 2")
    )

    with pytest.raises(RecipeError) as caught:
        parse_components_recipe(broken, where="broken.toml")

    text = "\n".join(caught.value.problems)
    assert "schooling.epoch: unknown key; did you mean epochs?" in text
    assert "schooling.epochs: missing" in text
    assert "quantisation.scheme: 'int4'" in text
    assert "wrongly_unknown: 2" in text
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("start = 930.0", "start = 1730.0", "axis.start: must be under"),
        ('default_preset = "balanced"', 'default_preset = "screen"\nx = 1', "x: unknown key"),
        ('technique = "nir"', 'technique = "raman"', "synthesis.nir: is there for nir"),
        ("false_names = 0.5, confirm = false", "false_names = 0.5, confirm = false, passing = 0.9", "screen.passing"),
        ("coverage = { balanced = 0.9, confirm = 0.9 }", "coverage = { balanced = 0.9 }", "balanced, confirm"),
        (
            'steps = [{ kind = "savgol", window = 21, order = 2, derivative = 2 }]',
            'steps = [{ kind = "standardise" }]',
            "unmixing.steps: standardise learns from spectra",
        ),
        ("wrongly_refused = 0.01", "wrongly_refused = 1.01", "gate.wrongly_refused: 1.01"),
        ("widths = [16, 32, 48, 64]", "widths = [16]", "strides: 4 for 1 widths"),
        ('kind = "snv"\n', 'kind = "crop"\nstart = 930.0\nstop = 935.0\n', "steps.1.crop: 930 to 935 holds 2 points"),
    ],
)
def test_a_mistake_is_named(old: str, new: str, said: str) -> None:
    assert old in TEXT

    with pytest.raises(RecipeError, match=said):
        parse_components_recipe(TEXT.replace(old, new))


def test_a_quick_recipe_differs_in_what_its_table_says_only() -> None:
    recipe = load_components_recipe("powders-components")

    quick = recipe.quickened()

    assert (quick.schooling.epochs, quick.held_out.choosing) == (recipe.quick.epochs, recipe.quick.held_out)
    same = {"schooling": recipe.schooling, "held_out": recipe.held_out}
    assert quick.model_copy(update=same) == recipe
    assert quick.digest() != recipe.digest()
