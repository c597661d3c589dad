"""The recipe's words: all mistakes at once, each with its key."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from export.errors import RecipeError
from export.recipe import RECIPES, load_recipe, parse_recipe

TEXT = (RECIPES / "powders12.toml").read_text(encoding="utf-8")


def test_the_shipped_recipe_is_valid() -> None:
    recipe = load_recipe("powders12")

    assert recipe.name == "powders12"
    assert 901.6 < recipe.axis.start < recipe.axis.stop < 1700.7
    assert [step.kind for step in recipe.steps] == ["savgol", "snv", "standardise"]


def test_a_recipe_is_found_by_path_too(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(TEXT.replace('name = "powders12"', 'name = "own"'))

    assert load_recipe(str(path)).name == "own"


def test_a_folder_of_spectra_in_place_of_a_recipe_says_how_one_is_made(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="a folder, and no recipe") as caught:
        load_recipe(str(tmp_path))

    assert "edged-export recipe" in caught.value.hint


def test_all_mistakes_are_reported_at_once_with_their_keys() -> None:
    broken = (
        TEXT.replace("epochs = 120", "epoch = 120")
        .replace("window = 21\n", "window = 20\n")
        .replace('scheme = "auto"', 'scheme = "int4"')
        .replace("test = 4", "test = -1")
    )

    with pytest.raises(RecipeError) as caught:
        parse_recipe(broken, where="broken.toml")

    text = "\n".join(caught.value.problems)
    assert "training.epoch: unknown key; did you mean epochs?" in text
    assert "training.epochs: missing" in text
    assert "20 is even; a window has a middle point" in text
    assert "quantisation.scheme: 'int4'" in text
    assert "data.split.blocks.test: -1" in text
    assert len(caught.value.problems) == 5
    assert caught.value.message.startswith("broken.toml: 5 problems")


NETWORK = TEXT[TEXT.index("[network]") : TEXT.index("[training]")]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('kind = "snv"', 'kind = "snw"', "snw"),
        ("patch = 28 ", "patch = 27 ", "224 points are no whole number of patches of 27"),
        ('default_preset = "balanced"', 'default_preset = "sharp"', "default_preset: 'sharp'"),
        ("slack = { screen = 1.5, ", "slack = { ", "must name the same presets"),
        ("coverage = 0.95", "coverage = 95", "95"),
        ("order = 2", "order = 0", "at least the derivative"),
        ("start = 904.0", "start = 1704.0", "must be under axis.stop"),
        ('kind = "snv"\n', 'kind = "crop"\nstart = 904.0\nstop = 910.0\n', "steps.1.crop: 904 to 910 holds 2 points"),
        (
            'kind = "snv"\n',
            'kind = "crop"\nstart = 904.0\nstop = 1650.0\n',
            "210 points are no whole number of patches",
        ),
        ('procedures = ["identify", "verify"]', 'procedures = ["verify"]', "names classes offers identify"),
        (NETWORK, '[network]\nkind = "resuca"\n', "resuca says which compounds a mixture holds"),
        ('name = "first-derivative"', 'name = "second-derivative"', "spaces: two bear one name"),
        ('{ kind = "snv" }, { kind = "savgol"', '{ kind = "msc" }, { kind = "savgol"', "msc takes constants"),
    ],
)
def test_a_mistake_is_named(old: str, new: str, said: str) -> None:
    assert old in TEXT

    with pytest.raises(RecipeError, match=said):
        parse_recipe(TEXT.replace(old, new))


def test_a_file_that_is_not_toml_says_where() -> None:
    with pytest.raises(RecipeError, match="line 2"):
        parse_recipe('name = "x"\nversion = = 1\n')


def test_an_unknown_recipe_lists_the_known_ones() -> None:
    with pytest.raises(RecipeError, match="powders12") as caught:
        load_recipe("powders13")

    assert "powders12" in caught.value.hint


def test_the_digest_of_a_recipe_follows_its_meaning_only() -> None:
    commented = parse_recipe("# a remark\n" + TEXT)
    changed = parse_recipe(TEXT.replace("epochs = 120", "epochs = 121"))

    assert commented.digest() == load_recipe("powders12").digest()
    assert changed.digest() != commented.digest()


def test_a_mistake_that_another_process_finds_arrives_whole() -> None:
    sent = RecipeError("steps.0.savgol: too wide", problems=("steps.0.savgol: too wide",), hint="a narrower window")

    arrived = pickle.loads(pickle.dumps(sent))

    assert (arrived.message, arrived.problems, arrived.hint) == (sent.message, sent.problems, sent.hint)
