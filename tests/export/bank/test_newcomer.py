"""The spectra of a compound that is to be learned: what is read, what is refused with its reason, what is remarked."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from export.bank.newcomer import FEWEST, Newcomer, extended, likeness, read_newcomer
from export.errors import DataUnusable
from tests.export.bank.kits import newcomer, pure, recipe, write_table

WORDS = recipe({"kind": "resuca", "stem": 4, "widths": [4], "strides": [2]})
AXIS, VALUES = newcomer(4)


def read(*paths: Path) -> Newcomer:
    return read_newcomer("fifth", paths, WORDS)


def test_ten_spectra_are_read_from_one_table_and_from_a_folder_of_files(tmp_path: Path) -> None:
    table = write_table(tmp_path / "all.csv", AXIS, VALUES)
    (tmp_path / "scans").mkdir()
    for number, row in enumerate(VALUES):
        write_table(tmp_path / "scans" / f"{number:02d}.csv", AXIS, row[None])

    together, apart = read(table), read(tmp_path / "scans")

    assert np.allclose(together.values, VALUES, rtol=1e-6)
    assert np.array_equal(together.values, apart.values)
    assert (len(together.digests), len(apart.digests)) == (1, 10)
    assert together.remarks == ()


def test_files_of_one_name_in_two_folders_are_both_told(tmp_path: Path) -> None:
    for folder, rows in (("first", VALUES[:5]), ("second", VALUES[5:])):
        (tmp_path / folder).mkdir()
        write_table(tmp_path / folder / "scans.csv", AXIS, rows)

    found = read(tmp_path / "first", tmp_path / "second")

    assert found.digests == {
        name: hashlib.sha256((tmp_path / folder / "scans.csv").read_bytes()).hexdigest()
        for name, folder in (("scans.csv", "first"), ("second/scans.csv", "second"))
    }


@pytest.mark.parametrize(
    ("axis", "values", "said"),
    [
        (AXIS, VALUES[:9], "9 spectra; at least 10 are needed"),
        (AXIS, np.repeat(VALUES[:5], 2, axis=0), "5 different spectra; at least 10 are needed"),
        (AXIS[60:], VALUES[:, 60:], "the bank reads 240 to 1960"),
        (AXIS, np.where(np.arange(10)[:, None] == 3, 1.0, VALUES), "flat: .*row 4"),
        (AXIS, np.where(np.arange(300) == 7, np.nan, VALUES), "'nan' is not a finite number"),
    ],
    ids=["nine", "copies", "short", "flat", "not a number"],
)
def test_what_cannot_be_learned_from_is_refused_with_its_reason(
    tmp_path: Path, axis: np.ndarray, values: np.ndarray, said: str
) -> None:
    with pytest.raises(DataUnusable, match=said) as refused:
        read(write_table(tmp_path / "scans.csv", axis, values))

    assert "fifth cannot be learned from" in str(refused.value)


def test_files_that_are_none_and_folders_without_any_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "odd.csv").write_bytes(b"\x00\x01no spectra\n")

    with pytest.raises(DataUnusable, match="holds no files"):
        read(tmp_path / "empty")
    with pytest.raises(DataUnusable, match=r"odd\.csv"):
        read(tmp_path / "odd.csv")


def test_a_spectrum_of_something_else_among_the_ten_is_remarked(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[6] = pure(4).values[0]

    found = read(write_table(tmp_path / "scans.csv", AXIS, values))

    assert [remark.partition(" (")[0] for remark in found.remarks] == [
        f"unlike the others: {tmp_path / 'scans.csv'}: row 7"
    ]


def test_a_newcomer_that_is_a_compound_of_the_library_is_remarked(tmp_path: Path) -> None:
    library = pure(4)
    known = np.repeat(library.values[library.compound == 2], 4, axis=0)
    known = known + np.random.default_rng(0).normal(0.0, 1e-3, known.shape)
    same = read(write_table(tmp_path / "same.csv", library.axis, known))
    other = read(write_table(tmp_path / "other.csv", AXIS, VALUES))

    remark = likeness(library, same, WORDS)

    assert remark is not None
    assert f"fifth hardly differs from {library.names[2]}" in remark.message
    assert likeness(library, other, WORDS) is None


def test_the_library_is_cut_to_what_the_newcomer_covers_and_keeps_every_other_value() -> None:
    library = pure(4)
    new = Newcomer(name="fifth", axis=AXIS[2:-2], values=VALUES[:, 2:-2], groups=np.arange(10), remarks=(), digests={})

    whole = extended(library, new)

    assert whole.names == (*library.names, "fifth")
    assert np.array_equal(whole.axis, library.axis[2:-2])
    assert np.array_equal(whole.values[whole.compound < 4], library.values[:, 2:-2])
    assert np.array_equal(whole.values[whole.compound == 4], VALUES[:, 2:-2])
    assert len(set(whole.groups[whole.compound == 4].tolist()) - set(library.groups.tolist())) == FEWEST


def test_a_replaced_compound_stands_where_it_stood() -> None:
    library = pure(4)
    again = Newcomer(name=library.names[1], axis=AXIS, values=VALUES, groups=np.arange(10), remarks=(), digests={})

    whole = extended(library, again)

    assert whole.names == library.names
    assert np.array_equal(whole.values[whole.compound == 1], VALUES)
    assert np.array_equal(whole.values[whole.compound == 3], library.values[library.compound == 3])
