"""The spectra of a build of components: what is looked at before training, and strangers that teach what is none."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from export.components.job import TEACHING, TRYING, ComponentsJob
from export.components.learn import Lesson
from export.components.pack import data_sheet
from export.components.recipe import ComponentsRecipe, parse_components_recipe
from export.data.mixtures.library import Library
from export.data.mixtures.synthesise import synthesise
from export.errors import DataUnusable, RecipeError, StageMissing
from export.recipe import RECIPES
from tests.export.bank.kits import pure, recipe, write_table

TRUNK = {"kind": "resnet1d", "stem": 4, "widths": [4], "strides": [2], "dropout": 0.0}
POWDERS = (RECIPES / "powders-components.toml").read_text(encoding="utf-8")


def words(*, share: float = 0.0, **data: Any) -> ComponentsRecipe:
    """A small recipe without a bank."""
    return recipe(
        TRUNK,
        data={"folder": "pure", **data},
        synthesis={
            "composition": {
                "components": [1, 2],
                "fractions": "log-uniform",
                "least": 0.05,
                "outsiders": share,
            },
            "raman": {"normalised": "peak"},
        },
        quantisation={"scheme": "float", "tolerance": 0.02, "golden_vectors": 4},
    )


def folder(path: Path, library: Library, values: NDArray[np.float64] | None = None) -> None:
    path.mkdir()
    write_table(path / "all.csv", library.axis, library.values if values is None else values)
    rows = [f"all.csv,{row + 1},{library.names[column]}" for row, column in enumerate(library.compound)]
    (path / "labels.csv").write_text("\n".join(["file,row,label", *rows]) + "\n")


def job(tmp_path: Path, recipe: ComponentsRecipe) -> ComponentsJob:
    return ComponentsJob(
        recipe=recipe, data=tmp_path, work=tmp_path / "work", seed=0, quick=False, beside=tmp_path, called="my.toml"
    )


def strangers(tmp_path: Path, *, first: float = 0.0) -> Library:
    """Two compounds that the library of three lacks, in a folder; first: where their axis begins, at least."""
    library = pure(5)
    others = library.of(library.names[3:])
    others = others.on(others.axis[others.axis >= first])
    folder(tmp_path / "others", others)
    return others


def test_a_folder_is_looked_at_before_it_teaches(tmp_path: Path) -> None:
    library = pure(3)
    values = library.values.copy()
    values[4] = 1.5 * values[0] + 2.0
    folder(tmp_path / "pure", library, values)

    with pytest.raises(DataUnusable, match="one scan under two labels"):
        job(tmp_path, words()).examine()


def test_a_folder_with_a_wrong_file_is_looked_at_all_the_same(tmp_path: Path) -> None:
    library = pure(3)
    values = library.values.copy()
    values[4] = 1.5 * values[0] + 2.0
    folder(tmp_path / "pure", library, values)
    table = tmp_path / "pure" / "labels.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")

    with pytest.raises(DataUnusable, match="pure cannot be learned from, for 2 reasons") as caught:
        job(tmp_path, words()).examine()

    assert f"row {len(values)}: is not in labels.csv" in str(caught.value)
    assert "one scan under two labels" in str(caught.value)


def test_few_scans_of_a_compound_are_no_reason_to_stop_and_the_same_twice_is_told(tmp_path: Path) -> None:
    library = pure(3)
    values = library.values.copy()
    values[1] = values[0]
    folder(tmp_path / "pure", library, values)

    found = [str(finding) for finding in job(tmp_path, words()).examine()]

    assert any(said.startswith("the same scan twice: ") for said in found)
    assert any(said.startswith("one fold: ") for said in found)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("outsiders", "powders12 holds intensity over nm, the recipe wants intensity over cm-1"),
        ("trials", "powders12 holds absorbance over nm, the recipe wants intensity over cm-1"),
    ],
)
def test_what_is_tried_at_the_end_is_looked_at_before_training(
    where: str, said: str, data_dir: Path, tmp_path: Path
) -> None:
    folder(tmp_path / "pure", pure(3))

    with pytest.raises(DataUnusable, match=said) as caught:
        replace(job(tmp_path, words(share=0.0, **{where: ["powders12"]})), data=data_dir).examine()

    assert "leave" in caught.value.hint


def test_strangers_stand_in_what_teaches_and_in_nothing_else(tmp_path: Path) -> None:
    folder(tmp_path / "pure", pure(3))
    others = strangers(tmp_path, first=220.0)
    work = job(tmp_path, words(share=0.5, strangers_folder="others"))
    work.examine()

    library, beside = work.mixed(work.parts[0].learnt)

    assert beside is not None
    assert beside.names == tuple(f"others: {name}" for name in others.names)
    assert np.array_equal(library.axis, beside.axis)
    assert pure(3).axis[0] < library.axis[0] < 240.0
    how = {"library": library, "synthesis": work.recipe.synthesis, "grid": work.grid, "steps": work.recipe.steps}
    lessons = [
        Lesson(**how, network=work.recipe.network, schooling=work.recipe.schooling, seed=(0,), strangers=who)  # type: ignore[arg-type]
        for who in (None, beside)
    ]
    assert lessons[0].digest() != lessons[1].digest()
    rng = np.random.default_rng(0)
    made = synthesise(library, work.recipe.synthesis, 400, rng, grid=work.grid, outsiders=beside)
    assert (made.outsider > 0).mean() == pytest.approx(0.5, abs=0.1)


def powders(tmp_path: Path, data_dir: Path, **words: str) -> ComponentsJob:
    """The shipped recipe as it was before it knew strangers, isoniazid not tried, with these words in `data`."""
    text = re.sub(r"(?m)^(synthetic_strangers|outsiders = 0).*\n", "", POWDERS).replace('"isoniazid", ', "")
    said = "\n".join(f"{word} = {value}" for word, value in words.items())
    text = text.replace("in_sight", f"{said}\nin_sight", 1)
    text = text.replace("least = 0.02", "least = 0.02\noutsiders = 0.4", 1) if words else text
    return replace(job(tmp_path, parse_components_recipe(text)), data=data_dir)


def test_synthetic_strangers_teach_on_the_librarys_axis_as_bright_as_it_and_others_try(
    data_dir: Path, tmp_path: Path
) -> None:
    work = powders(tmp_path, data_dir, synthetic_strangers="30")
    work.examine()

    library, beside = work.mixed(work.parts[0].learnt)

    assert beside is not None
    assert beside.synthetic
    assert not library.synthetic
    assert len(beside.names) == 30
    assert all("synthetic" in name for name in beside.names)
    assert np.array_equal(library.values, work.parts[0].learnt.values)
    pure = [work.library.values[work.library.compound == column].mean() for column in range(3)]
    level = beside.values.mean(axis=1)
    assert min(pure) - 0.15 < level.min() < level.max() < max(pure) + 0.15
    again, others = work.synthetic(TEACHING), work.synthetic(TRYING)
    assert np.array_equal(again.values, beside.values)
    assert np.abs(others.values[:, None] - again.values).max(axis=2).min() > 1e-3
    assert not np.array_equal(replace(work, seed=1).synthetic(TEACHING).values, again.values)


def test_synthetic_strangers_are_told_of_and_want_another_training(data_dir: Path, tmp_path: Path) -> None:
    work = powders(tmp_path, data_dir, synthetic_strangers="30")
    with work.running("quantise"):
        work.write_json("quantise.json", {})

    told = data_sheet(work)["strangers"]

    values = work.mixed(work.library)[1].values  # type: ignore[union-attr]
    assert told["share"] == 0.4
    assert told["sets"] == {}
    assert told["synthetic"]["compounds"] == 30
    assert "no instrument has seen one" in told["synthetic"]["what"]
    assert told["synthetic"]["values_sha256"] == hashlib.sha256(values.astype("<f8").tobytes()).hexdigest()
    assert "strangers that teach 30 synthetic ones" in work.split_table().head["other sets"]
    assert powders(tmp_path, data_dir, synthetic_strangers="31").stamp("train") != work.stamp("train")


def test_real_and_synthetic_strangers_stand_beside_each_other(data_dir: Path, tmp_path: Path) -> None:
    work = powders(tmp_path, data_dir, synthetic_strangers="5", strangers='["isoniazid"]')

    _, beside = work.mixed(work.library)

    assert beside is not None
    assert not beside.synthetic  # an instrument has seen some
    assert sum(name.startswith("synthetic") for name in beside.names) == 5 < len(beside.names)


def test_the_data_sheet_tells_of_strangers_and_that_none_were_at_hand(tmp_path: Path) -> None:
    folder(tmp_path / "pure", pure(3))
    others = strangers(tmp_path)
    told: list[Any] = []
    for said in (words(), words(share=0.5), words(share=0.5, strangers_folder="others")):
        work = job(tmp_path, said)
        with work.running("quantise"):
            work.write_json("quantise.json", {})
        told.append(data_sheet(work).get("strangers"))

    assert told[0] is None
    assert told[1] == "none were at hand: no mixture held one, whatever its composition says (0.5)"
    assert told[2]["share"] == 0.5
    assert told[2]["sets"]["others"]["labels"] == sorted(others.names)
    assert told[2]["sets"]["others"]["spectra"] == len(others.values)
    assert any("no mixture holds one" in str(said) for said in job(tmp_path, words(share=0.5)).examine())


def test_other_strangers_want_another_training(tmp_path: Path) -> None:
    folder(tmp_path / "pure", pure(3))
    others = strangers(tmp_path)
    work = job(tmp_path, words(share=0.5, strangers_folder="others"))
    with work.running("train"):
        work.path("model.pt").write_bytes(b"")
    (tmp_path / "others").rename(tmp_path / "before")
    folder(tmp_path / "others", others, 1.1 * others.values + np.arange(len(others.axis)))

    with pytest.raises(StageMissing, match="from train on") as caught:
        replace(work).need("model.pt")

    assert "edged-export train my.toml" in caught.value.hint


def test_strangers_of_the_very_files_that_are_tried_are_refused(data_dir: Path, tmp_path: Path) -> None:
    work = powders(tmp_path, data_dir, strangers='["api20"]')

    with pytest.raises(DataUnusable, match="api20 and api20-ratios are of the same files"):
        work.examine()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("in_sight", 'strangers = ["isoniazid"]\nin_sight', "data.strangers: isoniazid is the library or tried too"),
        ("outsiders = 0.2", "outsiders = 0.0", "composition.outsiders is 0"),
        ("synthetic_strangers = 400", "synthetic_strangers = 9000", "data.synthetic_strangers: 9000"),
        ("visibility = 0.8", "visibility = 0.8\ncontainer = 0.1", "synthesis.nir.container: 0.1"),
    ],
)
def test_words_that_would_do_nothing_or_cheat_are_refused(old: str, new: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        parse_components_recipe(POWDERS.replace(old, new, 1))


def test_a_bank_takes_no_strangers() -> None:
    with pytest.raises(ValueError, match="would learn without them"):
        recipe(
            TRUNK,
            data={"folder": "pure", "strangers_folder": "others"},
            synthesis=words(share=0.5).synthesis.model_dump(),
        )


def test_a_bank_takes_no_synthetic_strangers_and_raman_scattering_has_none() -> None:
    bank = re.sub(r"(?s)\[fractions\].*?(?=\[quantisation\])", "", POWDERS).replace(
        'scheme = "weights"', 'scheme = "bank"'
    )

    with pytest.raises(RecipeError, match="would learn without them"):
        parse_components_recipe(bank.replace("folds = 4", "folds = 1"))
    with pytest.raises(ValueError, match="made for NIR absorbance or reflectance, not raman intensity"):
        words(share=0.5, synthetic_strangers=10)


def test_a_recipe_without_strangers_says_what_it_said_before(data_dir: Path, tmp_path: Path) -> None:
    before = {"strangers", "strangers_folder", "synthetic_strangers"}

    assert not before & set(powders(tmp_path, data_dir).recipe.model_dump()["data"])
    assert "synthetic_strangers" not in words(share=0.5, strangers_folder="others").model_dump()["data"]
