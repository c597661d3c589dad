"""The split as a file: what it says is so, it fits the manifests of what ships, and a change is named."""

from __future__ import annotations

import csv
import hashlib
import re
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edged.bundle.archive import read_bundle
from export.components import stages
from export.components.job import ComponentsJob
from export.components.recipe import load_components_recipe
from export.data.catalogue import load_set
from export.data.split_file import COLUMNS, SplitTable, first_difference, read_split
from export.errors import DataUnusable
from export.main import main
from export.train import train
from tests.export.capsules import capsules

SHIPPED = ("api20", "isoniazid-dose", "powders12", "powders-components", "solvents13")
OF_COMPONENTS = ("powders-components", "solvents13")


def split(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["data", "split", *map(str, words)])


def column(table: SplitTable, name: str) -> list[str]:
    return [row[COLUMNS.index(name)] for row in table.rows]


@pytest.mark.parametrize("name", SHIPPED)
def test_the_splits_beside_the_docs_are_those_of_today(name: str, data_dir: Path, repository: Path) -> None:
    done = split(name, "--check", repository / "docs" / "splits" / f"{name}.tsv", "--data", data_dir)

    assert done.exit_code == 0, done.output
    assert "the same split today" in done.output


@pytest.mark.parametrize("name", SHIPPED)
def test_the_splits_beside_the_docs_are_those_that_the_bundles_state(name: str, repository: Path) -> None:
    (path,) = (repository / "edged" / "bundle" / "default").glob(f"{name}-[0-9]*.edgebundle")
    sheet = read_bundle(path).manifest.data_sheet
    head = read_split(repository / "docs" / "splits" / f"{name}.tsv").head
    stated = (
        {"development": sheet["library"]["values_sha256"]} if name in OF_COMPONENTS else sheet["split"]["values_sha256"]
    )

    assert {side: head[side].rpartition(" ")[2] for side in stated} == stated


def test_each_spectrum_and_each_side_bears_the_digest_of_its_values(data_dir: Path, repository: Path) -> None:
    spectra = load_set("api20", data_dir)
    path = repository / "docs" / "splits" / "api20.tsv"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    rows = list(csv.DictReader(lines, delimiter="\t"))
    packed = [struct.pack(f"<{len(values)}d", *values) for values in spectra.values.tolist()]

    assert [row["sha256"] for row in rows] == [hashlib.sha256(raw).hexdigest() for raw in packed]
    tested = b"".join(raw for raw, row in zip(packed, rows, strict=True) if row["use"] == "test")
    assert f"# test: 20 spectra, SHA-256 {hashlib.sha256(tested).hexdigest()}" in path.read_text().splitlines()
    assert [row["class"] for row in rows] == list(spectra.labels)
    assert [int(row["part"]) for row in rows] == spectra.scan.tolist()  # blocks of one scan
    assert {row["part"] for row in rows if row["use"] == "test"} == {"4"}


def test_a_member_of_components_learns_from_all_pure_spectra_but_those_of_its_part(
    data_dir: Path, tmp_path: Path
) -> None:
    how = {"data": data_dir, "work": tmp_path, "seed": 3, "quick": False}
    job = ComponentsJob(recipe=load_components_recipe("powders-components"), **how)  # type: ignore[arg-type]

    table = job.split_table()

    use, part = np.array(column(table, "use")), np.array(column(table, "part"))
    for number, of in enumerate(job.parts):
        taught = job.spectra.values[(use == "learn") & (part != str(number))]
        left = job.spectra.values[(use == "learn") & (part == str(number))]
        assert np.array_equal(taught, of.learnt.values)
        assert np.array_equal(left, of.held.values)
    assert ((use == "test") == job.tested).all()
    taught_fractions = use == "fractions"
    assert {len(job.spectra.compounds_in(job.spectra.labels[row])) for row in np.flatnonzero(taught_fractions)} == {2}
    assert not (taught_fractions & job.tested).any()


def test_a_mixture_that_nothing_learns_from_is_said_to_be_tried(repository: Path) -> None:
    table = read_split(repository / "docs" / "splits" / "solvents13.tsv")

    assert {use: column(table, "use").count(use) for use in set(column(table, "use"))} == {"learn": 13, "tried": 92}
    assert set(column(table, "part")) == {""}


class Begun(Exception):
    """The networks would learn now."""


def begins(*_: object, **__: object) -> None:
    raise Begun


def test_the_split_is_left_before_training_as_the_command_writes_it_wherever_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = capsules(tmp_path)
    monkeypatch.setattr("export.train.train_ensemble", begins)
    with pytest.raises(Begun), job.running("train"):
        train(job, begins)
    monkeypatch.chdir(tmp_path)

    done = split("recipe.toml", "--out", "own.tsv")

    assert done.exit_code == 0, done.output
    assert (tmp_path / "own.tsv").read_bytes() == (job.work / "split.tsv").read_bytes()
    table = read_split(tmp_path / "own.tsv")
    assert column(table, "spectrum")[:2] == ["all.csv: row 1", "all.csv: row 2"]
    held = job.split(job.spectra()).test.tolist()
    assert [row for row, use in enumerate(column(table, "use")) if use == "test"] == held
    groups = {use: {row[3] for row in table.rows if row[5] == use} for use in ("learn", "test")}
    assert all(groups.values())
    assert not groups["learn"] & groups["test"]


def test_a_build_for_components_leaves_the_same_split(
    data_dir: Path, tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = {"data": data_dir, "work": tmp_path, "seed": 0, "quick": True}
    job = ComponentsJob(recipe=load_components_recipe("solvents13").quickened(), **how)  # type: ignore[arg-type]
    monkeypatch.setattr("export.components.stages.made_or_kept", begins)

    with pytest.raises(Begun):
        stages.train(job, begins)

    assert (tmp_path / "split.tsv").read_bytes() == (repository / "docs" / "splits" / "solvents13.tsv").read_bytes()


def other_value(folder: Path) -> None:
    path = folder / "capsules" / "all.csv"
    lines = path.read_text().splitlines()
    cells = lines[5].split(",")
    lines[5] = ",".join([*cells[:-1], str(float(cells[-1]) + 1e-6)])
    path.write_text("\n".join(lines) + "\n")


def other_label(folder: Path) -> None:
    path = folder / "capsules" / "labels.csv"
    path.write_text(path.read_text().replace(",10 mg,", ",20 mg,", 1))


def other_group(folder: Path) -> None:
    path = folder / "capsules" / "labels.csv"
    path.write_text(path.read_text().replace(",10 0,", ",10 0 again,", 1))


def other_rule(folder: Path) -> None:
    path = folder / "recipe.toml"
    text = path.read_text()
    assert "test = 3" in text
    path.write_text(text.replace("test = 3", "test = 2"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (other_value, "row 5, all.csv: row 5: other values"),
        (other_label, "row 1, all.csv: row 1: class: 10 mg in the file, 20 mg today"),
        (other_group, r"row \d+, all.csv: row \d+: (group|part): \d+ in the file, \d+ today"),
        (other_rule, r'rule: \{"kind": "groups", "parts": 4, "test": 3, "seed": 0\} in the file, '),
    ],
)
def test_other_data_or_another_rule_is_named_and_ends_with_one(
    change: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    capsules(tmp_path)
    recipe, kept = tmp_path / "recipe.toml", tmp_path / "kept.tsv"
    assert split(recipe, "--out", kept).exit_code == 0
    assert split(recipe, "--check", kept).exit_code == 0

    change(tmp_path)
    done = split(recipe, "--check", kept)

    assert done.exit_code == 1
    assert re.match(f"{re.escape(str(kept))}: {said}", done.output)


def test_a_line_that_was_cut_off_or_a_changed_digest_is_named(tmp_path: Path) -> None:
    table = capsules(tmp_path).split_table()

    assert first_difference(table, table) is None
    assert first_difference(replace(table, rows=table.rows[:-1]), table) == "spectra: 71 in the file, 72 today"
    forged = replace(table, head={**table.head, "all": "72 spectra, SHA-256 0"})
    assert str(first_difference(forged, table)).startswith("all: 72 spectra, SHA-256 0 in the file, 72 spectra")


def test_labels_with_tabs_quotes_and_hashes_come_back(tmp_path: Path) -> None:
    rows = (("1", "a\tb.csv", '# "x"', "0", "", "learn", "0"), ("2", "# c", "y\r\nz", "1", "1", "test", "1"))
    table = SplitTable(head={"source": "a: b", "rule": "null"}, rows=rows)

    table.write(tmp_path / "split.tsv")

    assert read_split(tmp_path / "split.tsv") == table


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"row\tspectrum\n", "does not begin with"),
        (b"# edged split 1\n# source: x\n", "the columns are not"),
        (b"# edged split 1\nrow\tspectrum\tclass\tgroup\tpart\tuse\tsha256\n1\tcut", "the columns are not"),
        (b"# edged split 1\n" + b"x" * 200_000, "field larger than"),
        (b"\xff\xfe", "not UTF-8"),
        (b"", "does not begin with"),
    ],
)
def test_what_is_no_split_file_is_refused(raw: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "split.tsv"
    path.write_bytes(raw)

    with pytest.raises(DataUnusable, match=said):
        read_split(path)


def test_the_command_wants_one_of_its_two_files_and_tells_of_one_that_is_not_there(tmp_path: Path) -> None:
    assert split("powders12").exit_code == 2
    assert split("powders12", "--out", "a", "--check", "b").exit_code == 2
    absent = split("powders12", "--check", tmp_path / "absent.tsv")
    assert absent.exit_code == 1
    assert "no such file" in absent.output
