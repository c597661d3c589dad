"""`edged-export bank learn`: a compound enters a bank with its promises, and not a bit is changed of the others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from click.testing import CliRunner, Result

from edged.bundle.archive import read_bundle
from edged.bundle.components import largest_rate
from edged.infer.engine import Engine
from export.bank.bank import Bank
from export.bank.folder import load_bank, load_kit, save_bank
from export.bank.kit import Kit
from export.components.answers import told
from export.data.mixtures.synthesise import synthesise
from export.main import main
from tests.export.bank.kits import bank_and_kit, newcomer, pure, recipe, write_table
from tests.export.bank.made import logits, network, prepared

WHOLE = {"kind": "resuca", "stem": 4, "widths": [4, 8], "strides": [2, 2], "dropout": 0.0}
SHARED = {"kind": "resnet1d", "stem": 8, "widths": [8, 16], "strides": [2, 2], "dropout": 0.0}
SCREEN = {"screen": {"false_names": 2.0, "confirm": False}}
SCHOOL = {"epochs": 4, "mixtures": 512, "learning_rate": 1e-2}


@pytest.fixture(scope="module")
def spectra(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("spectra") / "fifth.csv", *newcomer(4))


@pytest.fixture(scope="module")
def whole() -> tuple[Bank, Kit]:
    said = recipe(WHOLE, schooling={**SCHOOL, "balanced": True})
    return bank_and_kit(said, pure(4), network(said.network, 4, seed=1, points=128))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def learned(
    whole: tuple[Bank, Kit], spectra: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, dict[str, object]]:
    """A bank before and after it has learned a fifth compound, and what was told."""
    before, after = (tmp_path_factory.mktemp(name) for name in ("before", "after"))
    save_bank(*(whole[0], before, whole[1]))
    shutil.copytree(before, after, dirs_exist_ok=True)
    done = run("learn", after, "fifth", spectra, "--out", after / "dist", "--json")
    assert done.exit_code == 0, done.output
    return before, after, json.loads(done.stdout)


def run(*said: str | Path) -> Result:
    return CliRunner().invoke(main, ["bank", *map(str, said)])


def columns(folder: Path) -> dict[str, bytes]:
    said = logits(onnx.load(folder / "bank.onnx"), prepared(16, seed=3, points=128))
    return {name: said[:, place].tobytes() for place, name in enumerate(load_bank(folder).compounds)}


def test_the_others_say_the_same_to_the_byte_and_keep_their_files(
    learned: tuple[Path, Path, dict[str, object]],
) -> None:
    before, after, _ = learned

    first, last = columns(before), columns(after)

    assert first.items() < last.items()
    assert list(last) == [*first, "fifth"]
    files = {path.name: path.read_bytes() for path in (before / "members").iterdir()}
    assert files.items() <= {path.name: path.read_bytes() for path in (after / "members").iterdir()}.items()
    assert not (after / "learning").exists()


def test_what_was_promised_holds_on_mixtures_that_nobody_had(learned: tuple[Path, Path, dict[str, object]]) -> None:
    """The bundle itself, run and judged by the daemon's code, on mixtures of another seed and of other scans."""
    _, after, _ = learned
    bundle, kit = read_bundle(after / "dist" / "synthetic-1.1.0.edgebundle"), load_kit(after)
    assert kit is not None
    library = pure(5, scans=4)
    made = synthesise(library, kit.recipe.synthesis, 600, np.random.default_rng(77), grid=kit.recipe.grid)
    truth = made.present[:, 4]

    found = told(bundle, Engine.load(bundle).run(made.values), "screen").found[:, 4]

    rate = kit.words.rates["screen"]
    assert bundle.manifest.version == "1.1.0"
    assert [compound.label for compound in bundle.manifest.compounds] == [*pure(4).names, "fifth"]
    assert found[truth].mean() > 0.5
    assert found[~truth].mean() <= 1.5 * rate  # of some 360 mixtures without it


def test_the_graph_of_the_bundle_says_what_its_parts_say_in_torch(
    learned: tuple[Path, Path, dict[str, object]],
) -> None:
    bundle, bank, kit = (
        read_bundle(learned[1] / "dist" / "synthetic-1.1.0.edgebundle"),
        load_bank(learned[1]),
        load_kit(learned[1]),
    )
    assert kit is not None
    made = synthesise(pure(4), kit.recipe.synthesis, 40, np.random.default_rng(2), grid=kit.recipe.grid)

    said = Engine.load(bundle).run(made.values)

    with torch.no_grad():
        read, features, spectrum = (part.numpy() for part in kit.preparation()(torch.from_numpy(made.values)))
        in_float = bank.network()(torch.from_numpy(read)).numpy()
    assert np.allclose(said.features, features, atol=1e-5)
    assert np.allclose(said.features[:, 2], kit.gate().distances(made.values), rtol=1e-4)
    assert np.allclose(said.prepared, spectrum, atol=1e-6)
    assert np.corrcoef(said.logits[:, 4], in_float[:, 4])[0, 1] > 0.99  # int8 against float


def test_each_promise_is_borne_by_its_negatives(learned: tuple[Path, Path, dict[str, object]]) -> None:
    _, after, said = learned
    kit = load_kit(after)
    assert kit is not None

    for preset, point in kit.words.table.presets.items():
        assert point.negatives[4] == 200
        assert largest_rate(point.named[4], point.negatives[4]) <= kit.words.rates[preset]
        assert load_bank(after).member("fifth").thresholds[preset] == point.thresholds[4]
    assert said["version"] == "1.1.0"
    assert said["learned"]["spectra"] == 10  # type: ignore[index]
    assert said["learned"]["taught_by"] == 7  # type: ignore[index]
    assert "another lot" in said["learned"]["limit"]  # type: ignore[index]


def test_the_bundle_tells_what_the_compound_rests_on(learned: tuple[Path, Path, dict[str, object]]) -> None:
    bundle = read_bundle(learned[1] / "dist" / "synthetic-1.1.0.edgebundle")

    sheet = bundle.manifest.data_sheet
    assert sheet["built"]["version"] == "1.0.0"
    assert sheet["learned"]["fifth"]["spectra"] == 10
    assert "Learned: fifth" in bundle.report.decode()
    assert "It also holds the mean of spectra of fifth" in bundle.license_text
    assert bundle.library["references"].shape[0] == 5


def test_a_compound_that_is_there_wants_replace_and_then_stands_where_it_stood(
    learned: tuple[Path, Path, dict[str, object]], spectra: Path, tmp_path: Path
) -> None:
    shutil.copytree(learned[0], tmp_path / "bank")
    name = pure(4).names[1]
    first = columns(tmp_path / "bank")

    refused = run("learn", tmp_path / "bank", name, spectra)
    done = run("learn", tmp_path / "bank", name, spectra, "--replace")

    assert refused.exit_code == 1
    assert f"{name}: is in the bank (--replace learns it anew)" in refused.output
    assert done.exit_code == 0, done.output
    last = columns(tmp_path / "bank")
    assert list(last) == list(first)
    assert {one for one in first if first[one] != last[one]} == {name}


def test_a_compound_learns_again_from_its_own_spectra_with_what_has_entered_since(
    learned: tuple[Path, Path, dict[str, object]], tmp_path: Path
) -> None:
    shutil.copytree(learned[1], tmp_path / "bank")
    name = pure(4).names[2]
    first, before = columns(tmp_path / "bank"), load_kit(tmp_path / "bank")

    done = run("learn", tmp_path / "bank", name, "--replace", "--json")

    assert done.exit_code == 0, done.output
    last, after = columns(tmp_path / "bank"), load_kit(tmp_path / "bank")
    assert before is not None
    assert after is not None
    assert {one for one in first if first[one] != last[one]} == {name}
    assert json.loads(done.stdout)["learned"]["spectra"] == 3
    assert after.words.pure == before.words.pure
    assert np.array_equal(after.arrays["spectra"], before.arrays["spectra"])


def test_a_dropped_compound_comes_back_from_a_bank_of_its_kin(
    learned: tuple[Path, Path, dict[str, object]], tmp_path: Path
) -> None:
    _, after, _ = learned
    shutil.copytree(after, tmp_path / "bank")
    expected = columns(after)

    dropped = run("drop", tmp_path / "bank", "fifth", "--json")
    without = load_kit(tmp_path / "bank")
    added = run("add", tmp_path / "bank", after, "fifth")

    assert (dropped.exit_code, added.exit_code) == (0, 0), added.output
    assert without is not None
    assert without.compounds == pure(4).names
    assert json.loads(dropped.stdout)["version"] == "1.2.0"
    kit, whole = load_kit(tmp_path / "bank"), load_kit(after)
    assert kit is not None
    assert whole is not None
    assert columns(tmp_path / "bank") == expected
    assert kit.words.table.presets == whole.words.table.presets
    assert kit.words.version == "1.3.0"


def test_a_threshold_by_hand_is_tried_and_one_that_names_too_often_is_refused(
    learned: tuple[Path, Path, dict[str, object]], tmp_path: Path
) -> None:
    shutil.copytree(learned[1], tmp_path / "bank")
    kit = load_kit(tmp_path / "bank")
    assert kit is not None
    higher = (kit.words.table.presets["screen"].thresholds[4] or 0.0) + 1.0

    done = run("threshold", tmp_path / "bank", "fifth", "screen", str(higher))
    refused = run("threshold", tmp_path / "bank", "fifth", "screen", "--", "-100")

    assert done.exit_code == 0, done.output
    changed = load_kit(tmp_path / "bank")
    assert changed is not None
    point = changed.words.table.presets["screen"]
    assert point.thresholds[4] == higher
    assert point.named[4] <= kit.words.table.presets["screen"].named[4]
    assert refused.exit_code == 1
    assert "200 of 200 held-out mixtures without it are said to hold it" in refused.output


def test_heads_on_a_trunk_are_learned_by_the_same_command(spectra: Path, tmp_path: Path) -> None:
    said = recipe(SHARED, schooling=SCHOOL, presets=SCREEN)
    bank, kit = bank_and_kit(said, pure(4), network(said.network, 4, seed=1, points=128))  # type: ignore[arg-type]
    save_bank(bank, tmp_path, kit)
    first = columns(tmp_path)

    done = run("learn", tmp_path, "fifth", spectra)

    assert done.exit_code == 0, done.output
    after = load_bank(tmp_path)
    assert bank.trunk is not None
    assert after.trunk is not None
    assert np.array_equal(after.trunk, bank.trunk)
    assert first.items() < columns(tmp_path).items()


def test_what_cannot_be_learned_is_told_in_words_and_changes_nothing(
    learned: tuple[Path, Path, dict[str, object]], tmp_path: Path
) -> None:
    folder = learned[0]
    axis, values = newcomer(4)
    nine = write_table(tmp_path / "nine.csv", axis, values[:9])
    ten = write_table(tmp_path / "ten.csv", axis, values)
    save_bank(load_bank(folder), tmp_path / "bare")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    for said, expected in (
        (("learn", folder, "fifth", nine), "9 spectra; at least 10 are needed"),
        (("learn", folder, "sixth", ten, "--replace"), "'sixth': no such compound in the bank"),
        (("learn", folder, "sixth", "--replace"), "sixth: is not in the bank: it is learned from its spectra"),
        (("learn", folder, "a\nb", ten), "a compound's name is 1 to 64 printable characters"),
        (("learn", tmp_path / "bare", "fifth", ten), "has no kit"),
        (("replace", folder, tmp_path / "bare"), "has no kit, so nothing speaks for its compounds"),
        (("pack", tmp_path / "bare"), "has no kit"),
        (("drop", tmp_path / "bare", pure(4).names[0], "--out", tmp_path), "nothing to make a bundle of"),
    ):
        result = run(*said)
        assert result.exit_code == 1
        assert expected in result.output
        assert "Traceback" not in result.output

    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
