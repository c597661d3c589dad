"""What a bank says of itself after it has learned: behind the gate, after a threshold by hand, of those unchanged."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from edged.bundle.archive import read_bundle
from edged.infer.engine import Engine
from export.bank.bank import Bank
from export.bank.bundle import write_bank_bundle
from export.bank.folder import held, load_bank, load_kit, save_bank
from export.bank.kit import Kit
from export.bank.learned import learn, learn_again
from export.bank.newcomer import Newcomer, extended
from export.components.answers import told
from export.components.job import ComponentsJob
from export.data.mixtures.synthesise import synthesise
from export.data.mixtures.synthetic import synthetic_library
from export.main import main
from tests.export.bank.kits import bank_and_kit, newcomer, pure, recipe, write_table
from tests.export.bank.made import network

WORDS = recipe(
    {"kind": "resuca", "stem": 4, "widths": [4, 8], "strides": [2, 2], "dropout": 0.0},
    schooling={"epochs": 4, "mixtures": 512, "learning_rate": 1e-2, "balanced": True},
    presets={"screen": {"false_names": 2.0, "confirm": False}},
)
REPOSITORY = Path(__file__).resolve().parents[3]
FIRST, SECOND, *_ = pure(4).names
NEVER, ALWAYS = 1000.0, -1000.0  # logits that nothing reaches, and that everything does


def bank_of(scans: int = 3) -> tuple[Bank, Kit]:
    return bank_and_kit(WORDS, pure(4, scans=scans), network(WORDS.network, 4, seed=1, points=128))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def spectra(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("spectra") / "fifth.csv", *newcomer(4))


@pytest.fixture(scope="module")
def careless(spectra: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A bank whose first compound is named in everything, after it has learned a fifth; and what was said."""
    folder = tmp_path_factory.mktemp("careless") / "a bank"
    bank, kit = bank_of()
    promises = {"screen": replace(kit.promises(FIRST)["screen"], threshold=ALWAYS)}
    kit = kit.with_compound(FIRST, promises, {})  # type: ignore[arg-type]
    save_bank(bank.with_thresholds(FIRST, {"screen": ALWAYS}), folder, kit)
    return folder, run("learn", folder, "fifth", spectra, "--out", folder.parent / "dist")


@pytest.fixture
def folder(careless: tuple[Path, Result], tmp_path: Path) -> Path:
    shutil.copytree(careless[0], tmp_path / "bank")
    return tmp_path / "bank"


def run(*said: str | Path) -> Result:
    return CliRunner().invoke(main, ["bank", *map(str, said)])


def kit_in(folder: Path) -> Kit:
    kit = load_kit(folder)
    assert kit is not None
    return kit


def noisy(scans: int, noise: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The axis and spectra of a fifth compound, with noise in parts of the highest band."""
    library = synthetic_library(5, 300, 1, scans=scans).library
    clean = library.values[library.compound == 4]
    added = np.random.default_rng(5).normal(0.0, noise, clean.shape)
    return library.axis.copy(), clean + added * clean.max(axis=1, keepdims=True)


def fifth(axis: NDArray[np.float64], values: NDArray[np.float64], groups: NDArray[np.int64] | None = None) -> Newcomer:
    own = np.arange(len(values)) if groups is None else groups
    return Newcomer(name="fifth", axis=axis, values=values, groups=own, remarks=(), digests={})


def write_pure(folder: Path) -> None:
    """A folder of four pure compounds, as a recipe takes it."""
    folder.mkdir()
    library = pure(4)
    write_table(folder / "all.csv", library.axis, library.values)
    rows = [f"all.csv,{row + 1},{library.names[column]}" for row, column in enumerate(library.compound)]
    (folder / "labels.csv").write_text("\n".join(["file,row,label", *rows]) + "\n")


def silent(stage: str) -> object:
    return lambda what, done, total: None


def test_what_is_told_of_a_noisy_newcomer_is_what_the_bundle_does_with_scans_that_nobody_had(tmp_path: Path) -> None:
    bank, kit = bank_of()
    axis, values = noisy(40, 0.05)
    done = learn(bank, kit, fifth(axis, values[:10]), data=tmp_path, work=tmp_path / "work", seed=0, stage=silent)  # type: ignore[arg-type]
    bundle = write_bank_bundle(done.bank, done.kit, tmp_path)
    fresh = extended(pure(4), fifth(axis, values[10:]))
    made = synthesise(fresh, WORDS.synthesis, 800, np.random.default_rng(99), grid=WORDS.grid, target="fifth")

    said = told(bundle, Engine.load(bundle).run(made.values), "screen")

    holds, promised = made.present[:, 4], done.told.presets["screen"]
    assert promised.not_in_scope > 0.2  # seven such spectra do not say where the others lie
    assert promised.not_in_scope == pytest.approx((said.outcome[holds] == "not_in_scope").mean(), abs=0.1)
    assert promised.recall == pytest.approx(said.found[holds, 4].mean(), abs=0.1)
    assert done.told.gate.wrongly_refused > promised.not_in_scope


def test_a_bundle_is_written_when_its_promises_hold_and_not_before(
    careless: tuple[Path, Result], folder: Path, tmp_path: Path
) -> None:
    first, said = careless

    anyway = run("pack", folder, "--anyway", "--out", tmp_path / "anyway")
    refused = run("pack", folder, "--out", tmp_path / "dist")
    done = run("learn", folder, FIRST, "--replace", "--out", tmp_path / "dist", "--json")

    assert said.exit_code == 1
    assert load_bank(first).compounds == (*pure(4).names, "fifth")
    assert not (first.parent / "dist").exists()
    assert f"screen: {FIRST} is named in 100 % of made mixtures with fifth and no {FIRST}" in said.output
    assert f"edged-export bank learn '{first}' '{FIRST}' --replace --out {first.parent / 'dist'}" in said.output
    assert "edged-export: no bundle: its manifest would promise what does not hold, in 1 case" in said.output
    assert anyway.exit_code == 0, anyway.output
    assert "Promises that do not hold" in read_bundle(next((tmp_path / "anyway").iterdir())).report.decode()
    assert refused.exit_code == 1
    assert "no bundle, since its manifest would promise what does not hold:\nscreen: " in refused.output
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["broken_promises"] == []
    assert read_bundle(tmp_path / "dist" / "synthetic-1.2.0.edgebundle").manifest.version == "1.2.0"


def test_a_threshold_by_hand_is_told_with_what_it_finds(folder: Path, tmp_path: Path) -> None:
    learned = run("threshold", folder, "fifth", "screen", str(NEVER))
    built = run("threshold", folder, SECOND, "screen", str(NEVER), "--json")
    packed = run("pack", folder, "--anyway", "--out", tmp_path / "dist")

    assert (learned.exit_code, built.exit_code, packed.exit_code) == (0, 0, 0), learned.output + built.output
    assert "screen: found in 0.0 % of 200 made mixtures with it" in learned.output
    assert json.loads(built.stdout)["tried"]["recall"] == 0.0
    words = kit_in(folder).words
    assert words.learned["fifth"].presets["screen"].threshold == NEVER
    assert words.by_hand[SECOND]["screen"].threshold == NEVER
    bundle = read_bundle(next((tmp_path / "dist").iterdir()))
    assert bundle.manifest.metrics == {f"recall_in_made_mixtures {name}": 0.0 for name in ("fifth", SECOND)}
    assert f"Threshold by hand: {SECOND}" in bundle.report.decode()


def test_only_what_is_unchanged_is_said_to_be(folder: Path, tmp_path: Path) -> None:
    """The first has another limit since the build, the second a network of its own; the two others have neither."""
    assert run("learn", folder, SECOND, "--replace").exit_code == 0

    report = write_bank_bundle(load_bank(folder), kit_in(folder), tmp_path, anyway=True).report.decode()

    same = ", ".join(pure(4).names[2:])
    assert f"Numbers, logits and limits are still the same to the bit of {same}." in report
    assert f"It does not cover samples that hold one that was learned later: fifth, {SECOND}." in report


def test_a_bank_that_another_command_holds_is_left_alone(folder: Path) -> None:
    before = (folder / "bank.json").read_bytes()

    with held(folder):
        refused = run("drop", folder, SECOND)
    left = (folder / "bank.json").read_bytes()
    done = run("drop", folder, SECOND)

    assert refused.exit_code == 1
    assert "another command is at work on this bank (wait until it has ended)" in refused.output
    assert left == before
    assert done.exit_code == 0


def test_compounds_whose_limits_stand_on_what_was_learnt_from_are_counted(tmp_path: Path) -> None:
    bank, kit = bank_of(scans=2)

    done = learn(bank, kit, fifth(*newcomer(4)), data=tmp_path, work=tmp_path / "work", seed=0, stage=silent)  # type: ignore[arg-type]

    assert done.told.remarks[-1].startswith("4 of 5 compounds have fewer than 3 preparations: ")


def test_preparations_stay_together_on_every_way(folder: Path, tmp_path: Path) -> None:
    axis, values = newcomer(4)
    pairs = np.repeat(np.arange(5), 2)
    whole = extended(pure(4), fifth(axis, values, pairs))
    own = kit_in(folder)
    save_bank(load_bank(folder), folder, own.with_library(whole.of(own.compounds), complete=True))
    shutil.copytree(folder, tmp_path / "again")

    dropped = run("drop", tmp_path / "again", "fifth")
    added = run("add", tmp_path / "again", folder, "fifth")

    assert (dropped.exit_code, added.exit_code) == (0, 0), added.output
    for library in (whole, kit_in(tmp_path / "again").own_library()):
        assert library is not None
        groups = library.groups[library.compound == library.names.index("fifth")]
        assert np.unique(groups, return_inverse=True)[1].tolist() == pairs.tolist()


def test_spectra_of_a_set_that_may_not_be_given_away_stay_out_of_the_kit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pure(tmp_path / "pure")
    monkeypatch.chdir(tmp_path)  # where the recipe's own folder lies
    bank, kit = bank_of()
    read = ComponentsJob(recipe=WORDS, data=tmp_path, work=tmp_path, seed=0, quick=True).library
    digest = hashlib.sha256(read.values.astype("<f8").tobytes()).hexdigest()
    kit = replace(kit, words=kit.words.model_copy(update={"values_sha256": digest})).with_library(None, complete=False)
    how = {"data": tmp_path, "work": tmp_path / "work", "seed": 0, "stage": silent}

    again = learn_again(bank, kit, FIRST, **how)  # type: ignore[arg-type]
    new = learn(bank, kit, fifth(*newcomer(4)), **how)  # type: ignore[arg-type]

    assert again.told.spectra == 3
    assert again.kit.own_library() is None
    own = new.kit.own_library()
    assert own is not None
    assert own.names == ("fifth",)


def test_a_build_that_would_write_over_what_was_learned_is_refused_before_it_trains(tmp_path: Path) -> None:
    write_pure(tmp_path / "pure")
    text = (REPOSITORY / "export" / "recipes" / "solvents13.toml").read_text()
    start, stop = text.index("[data]"), text.index("[axis]")
    text = text[:start] + '[data]\nfolder = "pure"\n\n' + text[stop:]
    (tmp_path / "bank.toml").write_text(text.replace('scheme = "float"', 'scheme = "bank"'))
    bank, kit = bank_of()
    save_bank(bank, tmp_path / "dist" / "solvents13-bank", kit.with_version("1.1.0"))
    said = ["build", tmp_path / "bank.toml", "--quick", "--work", tmp_path / "work", "--out", tmp_path / "dist"]

    refused = CliRunner().invoke(main, list(map(str, said)))

    assert refused.exit_code == 1
    assert "a bank that is not as a build left it: it would be lost" in refused.output
    assert not (tmp_path / "work" / "bank").exists()
