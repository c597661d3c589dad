"""The kit of a bank: read as written, told where it was damaged; compounds come and go in columns of their own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from export.bank.bank import Bank
from export.bank.folder import load_bank, load_kit, save_bank
from export.bank.kit import Kit, Promise, raised
from export.components.gate import MixtureGate
from export.errors import BankDamaged
from tests.export.bank.kits import bank_and_kit, pure, recipe
from tests.export.bank.made import network

WORDS = recipe({"kind": "resuca", "stem": 4, "widths": [4], "strides": [2], "dropout": 0.0})
PROMISES = {
    "screen": Promise(threshold=1.5, min_support=None, negatives=900, named=1),
    "balanced": Promise(threshold=-1.0, min_support=12.0, negatives=900, named=2),
}


@pytest.fixture(scope="module")
def made() -> tuple[Bank, Kit]:
    return bank_and_kit(WORDS, pure(4), network(WORDS.network, 4, seed=1, points=128))  # type: ignore[arg-type]


@pytest.fixture
def folder(made: tuple[Bank, Kit], tmp_path: Path) -> Path:
    save_bank(made[0], tmp_path / "bank", made[1])
    return tmp_path / "bank"


def kit_file(folder: Path, suffix: str) -> Path:
    (path,) = (folder / "kit").glob(f"*{suffix}")
    return path


def test_a_kit_is_read_as_it_was_written(made: tuple[Bank, Kit], folder: Path) -> None:
    read = load_kit(folder)

    assert read is not None
    assert read.words == made[1].words
    assert read.arrays.keys() == made[1].arrays.keys()
    assert all(np.array_equal(read.arrays[name], rows) for name, rows in made[1].arrays.items())
    library = read.own_library()
    assert library is not None
    assert np.allclose(library.values, pure(4).values, rtol=1e-6)
    assert np.array_equal(library.axis, pure(4).axis)


def test_a_bank_that_a_program_made_has_none_and_reads_as_before(made: tuple[Bank, Kit], tmp_path: Path) -> None:
    save_bank(made[0], tmp_path)

    assert load_kit(tmp_path) is None
    assert load_bank(tmp_path).compounds == made[0].compounds


def test_another_kit_leaves_no_file_of_the_one_before(made: tuple[Bank, Kit], folder: Path) -> None:
    save_bank(made[0], folder, made[1].with_version("1.1.0"))

    assert len(list((folder / "kit").iterdir())) == 2
    read = load_kit(folder)
    assert read is not None
    assert read.words.version == "1.1.0"


@pytest.mark.parametrize(
    ("suffix", "change", "said"),
    [
        (".json", lambda raw: raw.replace(b"1.0.0", b"1.0.1", 1), "has changed since it was written"),
        (".npz", lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), "the arrays have changed since they were written"),
        (".npz", None, "no such file"),
        (".json", None, "no such file"),
    ],
)
def test_a_damaged_kit_is_told(folder: Path, suffix: str, change: object, said: str) -> None:
    path = kit_file(folder, suffix)
    if callable(change):
        path.write_bytes(change(path.read_bytes()))
    else:
        path.unlink()

    with pytest.raises(BankDamaged, match=said):
        load_kit(folder)


def test_a_kit_of_other_compounds_than_the_bank_is_refused(folder: Path) -> None:
    index = json.loads((folder / "bank.json").read_text())
    index["members"] = index["members"][::-1]
    (folder / "bank.json").write_text(json.dumps(index))

    with pytest.raises(BankDamaged, match="speaks of other compounds than the bank"):
        load_kit(folder)


def test_arrays_of_another_shape_are_refused(made: tuple[Bank, Kit], tmp_path: Path) -> None:
    bank, kit = made
    odd = Kit(words=kit.words, arrays=kit.arrays | {"golden": np.zeros((4, 127), np.float32)})
    save_bank(bank, tmp_path, odd)

    with pytest.raises(BankDamaged, match=r"golden is \(4, 127\)"):
        load_kit(tmp_path)


def test_a_compound_more_changes_no_entry_of_the_others_and_is_held_to_their_rate(made: tuple[Bank, Kit]) -> None:
    kit = made[1]
    ways = {"references": np.ones((1, 128), np.float32), "scatter": np.full((2, 128), 0.5, np.float32)}

    more = kit.with_compound("fifth", PROMISES, ways)  # type: ignore[arg-type]

    before, after = kit.words.table, more.words.table
    assert more.compounds == (*kit.compounds, "fifth")
    for preset, point in before.presets.items():
        now = after.presets[preset]
        assert (now.thresholds[:-1], now.negatives[:-1], now.named[:-1]) == (
            point.thresholds,
            point.negatives,
            point.named,
        )
        assert now.false_names == pytest.approx(point.false_names * 5 / 4)
    assert after.presets["balanced"].min_support == (10.0,) * 4 + (12.0,)
    assert (after.presets["screen"].thresholds[-1], after.presets["screen"].named[-1]) == (1.5, 1)
    assert after.confirmation is not None
    assert after.confirmation.references == (0, 1, 2, 3, 4)
    assert after.confirmation.scatter[-2:] == (4, 4)
    assert np.array_equal(more.arrays["references"][:4], kit.arrays["references"])
    assert np.array_equal(more.arrays["whitener"], kit.arrays["whitener"])


def test_limits_beside_a_compound_that_is_another_now_are_unknown(made: tuple[Bank, Kit]) -> None:
    kit = made[1]
    first, second, *_ = kit.compounds
    table = kit.words.table
    beside = {first: (None, 0.1, 0.2, 0.3), second: (0.4, None, 0.5, 0.6)}
    point = table.presets["balanced"].model_copy(update={"detection_limits_in": beside})
    told = table.model_copy(update={"presets": table.presets | {"balanced": point}})
    kit = replace(kit, words=kit.words.model_copy(update={"table": told}))
    ways = {"references": np.ones((1, 128), np.float32), "scatter": np.full((2, 128), 0.5, np.float32)}

    changed = kit.with_compound(second, PROMISES, ways)  # type: ignore[arg-type]
    more = kit.with_compound("fifth", PROMISES, ways)  # type: ignore[arg-type]

    assert changed.words.table.presets["balanced"].detection_limits_in == {first: (None, None, 0.2, 0.3)}
    assert more.words.table.presets["balanced"].detection_limits_in == {n: (*row, None) for n, row in beside.items()}


def test_a_compound_that_comes_and_goes_leaves_the_kit_as_it_was(made: tuple[Bank, Kit]) -> None:
    kit = made[1]
    ways = {"references": np.ones((1, 128), np.float32), "scatter": np.full((2, 128), 0.5, np.float32)}

    back = kit.with_compound("fifth", PROMISES, ways).without(("fifth",))  # type: ignore[arg-type]

    assert back.words.table.compounds == kit.words.table.compounds
    assert back.words.table.confirmation == kit.words.table.confirmation
    assert back.words.table.presets["balanced"] == kit.words.table.presets["balanced"]
    assert all(np.array_equal(back.arrays[name], rows) for name, rows in kit.arrays.items())


def test_a_dropped_compound_takes_its_rows_along_and_the_others_keep_theirs(made: tuple[Bank, Kit]) -> None:
    kit = made[1]
    name = kit.compounds[1]

    less = kit.without((name,))

    assert less.compounds == tuple(one for one in kit.compounds if one != name)
    assert np.array_equal(less.arrays["references"], kit.arrays["references"][[0, 2, 3]])
    library = less.own_library()
    assert library is not None
    assert library.names == less.compounds
    assert np.array_equal(library.values[library.compound == 1], kit.arrays["spectra"][6:9].astype(np.float64))


def test_a_wider_plane_lets_newcomers_in_and_nothing_out() -> None:
    rng = np.random.default_rng(0)
    grid = WORDS.grid
    bands = np.exp(-0.5 * ((grid - np.array([[400.0], [800.0], [1200.0], [1600.0]])) / 30.0) ** 2)
    old = (rng.dirichlet(np.ones(3), 400) @ bands[:3] + rng.normal(0.0, 0.004, (400, 128))).astype(np.float32)
    shares = rng.dirichlet(np.ones(4), 400)
    new = (shares @ bands + rng.normal(0.0, 0.004, (400, 128))).astype(np.float32)
    gate = MixtureGate(WORDS.gate, grid, old)
    limit = float(np.quantile(gate.distances(old), 0.99))
    assert (gate.distances(new) > limit).mean() > 0.5

    wider = MixtureGate(WORDS.gate, grid, gate.widened(new, limit=limit, wrongly_refused=0.01))

    assert (wider.distances(new) > limit).mean() <= 0.011
    assert (wider.distances(old) <= gate.distances(old) + 1e-5).all()
    rows = wider.laid.rows.astype(np.float64)
    assert np.allclose(rows @ rows.T, np.eye(len(rows)), atol=1e-5)
    assert len(rows) < gate.dimensions + 10


@pytest.mark.parametrize(("version", "next_one"), [("1.0.0", "1.1.0"), ("2.9.7", "2.10.0")])
def test_the_minor_version_is_raised(version: str, next_one: str) -> None:
    assert raised(version) == next_one
