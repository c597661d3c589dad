"""Bad training input, through the real command: refused or told of with its reason, before anything is started."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from export.data.catalogue import load_set
from export.data.check import _pairs, _rounded
from export.main import main
from export.recipe import parse_recipe

AXIS = np.linspace(900.0, 1700.0, 81)
Lines = list[dict[str, str]]
Folder = Callable[..., Path]


def scan(seed: int, centre: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 1.0 + 0.3 * np.exp(-(((AXIS - centre) / 60) ** 2)) + rng.normal(0, 0.01, len(AXIS))


def write(path: Path, values: np.ndarray, axis: np.ndarray = AXIS, head: str = "Wavelength (nm),Absorbance") -> None:
    np.savetxt(path, np.c_[axis, values], delimiter=",", header=head, comments="", fmt="%.8g")


def tell(folder: Path, lines: Lines) -> None:
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Makes a folder of two classes of twenty scans, four preparations each, and a recipe beside it."""

    def make(*, scans: int = 20, classes: tuple[str, ...] = ("lactose", "aspirin"), groups: bool = True) -> Path:
        path = tmp_path / "mine"
        path.mkdir()
        lines = []
        for number, label in enumerate(classes):
            for row in range(scans):
                name = f"{label}-{row:02d}.csv"
                write(path / name, scan(1000 * number + row, 1200.0 + 150 * number))
                lines.append({"file": name, "label": label} | ({"group": f"{label} {row // 5}"} if groups else {}))
        tell(path, lines)
        return path

    return make


def lines_of(folder: Path) -> Lines:
    with (folder / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def checked(folder: Path) -> Result:
    return run("data", "check", str(folder))


def test_good_spectra_have_nothing_against_them(folder: Folder) -> None:
    done = checked(folder())

    assert done.exit_code == 0
    assert "40 spectra of 2 classes in 8 groups" in done.output
    assert "nothing speaks against it" in done.output


def break_unlabelled(path: Path) -> None:
    lines = lines_of(path)
    lines[3]["label"] = ""
    tell(path, lines)


def break_unlisted(path: Path) -> None:
    tell(path, lines_of(path)[:-1])


def break_missing(path: Path) -> None:
    (path / "aspirin-03.csv").unlink()


def break_duplicate(path: Path) -> None:
    """The same scan at another gain and level, under another preparation."""
    write(path / "lactose-18.csv", 1.5 * scan(2, 1200.0) + 0.2)


def break_dispute(path: Path) -> None:
    write(path / "aspirin-07.csv", scan(2, 1200.0))


def break_units(path: Path) -> None:
    write(path / "aspirin-07.csv", scan(2, 1200.0)[::-1], 1e7 / AXIS[::-1], "Wavenumber (cm-1),Absorbance")


def break_overlap(path: Path) -> None:
    write(path / "aspirin-07.csv", scan(2, 1200.0), AXIS + 700)


def break_descending(path: Path) -> None:
    write(path / "aspirin-07.csv", scan(2, 1200.0)[::-1], AXIS[::-1])


def break_nan(path: Path) -> None:
    values = scan(2, 1200.0)
    values[10] = np.nan
    write(path / "aspirin-07.csv", values)


def break_flat(path: Path) -> None:
    write(path / "aspirin-07.csv", np.full(len(AXIS), 0.7))


def break_quantity(path: Path) -> None:
    write(path / "aspirin-07.csv", 20_000 * scan(5, 1200.0))


def break_case(path: Path) -> None:
    lines = lines_of(path)
    for line in lines[:10]:
        line["label"] = "LACTOSE"
    tell(path, lines)


def break_single_group(path: Path) -> None:
    tell(path, [line | {"group": "one"} if line["label"] == "aspirin" else line for line in lines_of(path)])


def break_path(path: Path) -> None:
    tell(path, [line | {"file": "../" + line["file"]} for line in lines_of(path)])


REFUSED = {
    break_unlabelled: "line 5: lactose-03.csv has no label",
    break_unlisted: "1 file is not in labels.csv: aspirin-19.csv",
    break_missing: "aspirin-03.csv: no such file",
    break_duplicate: "same scan on both sides of the split",
    break_dispute: "one scan under two labels",
    break_overlap: "aspirin-07.csv begins at 1600 nm",
    break_descending: "the axis descends from 1700 to 900",
    break_nan: "aspirin-07.csv: line 12, column 2: 'nan' is not a finite number",
    break_flat: "aspirin-07.csv",
    break_quantity: "no absorbance",
    break_case: "differ by case or blanks only: 'LACTOSE' (10), 'lactose' (10)",
    break_path: "is not below the folder",
}


@pytest.mark.parametrize(("spoil", "reason"), REFUSED.items(), ids=lambda case: getattr(case, "__name__", ""))
def test_bad_input_is_refused_by_check_and_before_training_with_its_reason(
    spoil: Callable[[Path], None], reason: str, folder: Folder, tmp_path: Path
) -> None:
    path = folder()
    recipe = tmp_path / "my.toml"
    recipe.write_text(run("recipe", str(path)).output.replace(str(path), "mine"))
    spoil(path)

    done, built = checked(path), run("build", str(recipe), "--work", str(tmp_path / "work"))

    assert (done.exit_code, built.exit_code) == (1, 1)
    assert reason in done.output
    assert reason in built.output
    assert not (tmp_path / "work").exists()


def test_a_build_stops_for_every_reason_that_check_tells_of(folder: Folder, tmp_path: Path) -> None:
    """Faults of labels and files, and of the spectra that can be read beside them."""
    path = folder()
    recipe = tmp_path / "my.toml"
    recipe.write_text(run("recipe", str(path)).output.replace(str(path), "mine"))
    for spoil in (break_unlabelled, break_missing, break_nan, break_duplicate):
        spoil(path)

    done, built = checked(path), run("build", str(recipe), "--work", str(tmp_path / "work"))

    stops = [line.removeprefix("STOP  ") for line in done.output.splitlines() if line.startswith("STOP")]
    assert len(stops) == 5
    first, *reasons = built.output.splitlines()
    assert first == f"edged-export: mine cannot be learned from, for {len(stops)} reasons:"
    assert [reason.strip() for reason in reasons] == stops


def test_units_that_are_mixed_are_refused_with_a_file_of_each(folder: Folder) -> None:
    path = folder()
    break_units(path)

    done = checked(path)

    assert done.exit_code == 1
    assert "axes of several units: nm" in done.output
    assert "aspirin-07.csv" in done.output


def test_a_copy_with_fewer_digits_is_told_of_and_repeats_are_not(folder: Folder) -> None:
    path = folder()
    np.savetxt(
        path / "lactose-18.csv",
        np.c_[AXIS, scan(2, 1200.0)],
        delimiter=",",
        header="Wavelength (nm),Absorbance",
        comments="",
        fmt="%.3f",
    )

    done = checked(path)

    assert done.exit_code == 0
    assert f"the same scan with other digits: {path / 'lactose-18.csv'} = {path / 'lactose-02.csv'}" in done.output
    assert done.output.count("note") == 1


@pytest.mark.parametrize("name", ["corn-oil", "tablets", "powders12", "strawberry"])
def test_real_repeats_with_fewer_digits_are_no_copies_and_real_copies_are(name: str, data_dir: Path) -> None:
    """Half of a set is saved with three decimals: none is a copy. Then all of it a second time, with four."""
    values = load_set(name, data_dir).values[:300]
    half = values.copy()
    half[::2] = np.round(half[::2], 3)

    twice = np.concatenate([values, np.round(values, 4)])

    assert list(_rounded(values)) == []
    assert list(_rounded(half)) == []
    copies = {frozenset((row, row + len(values))) for row in range(0, len(values), 7)}
    assert {frozenset(pair) for pair in (*_rounded(twice), *_pairs(twice))} >= copies


def test_three_preparations_a_class_are_told_of_and_leave_a_classical_model_nothing_to_choose_by(
    folder: Folder, tmp_path: Path
) -> None:
    path = folder(scans=15)
    text = run("recipe", str(path)).stdout.replace(str(path), "mine")
    recipe = tmp_path / "my.toml"
    network = text[text.index("[network]") : text.index("[", text.index("[network]") + 9)]
    recipe.write_text(text.replace(network, '[network]\nkind = "library"\n\n'))

    done, built = checked(path), run("build", str(recipe), "--work", str(tmp_path / "work"))

    assert done.exit_code == 0
    assert "3 parts: one tests, one calibrates in turn, and a member learns from one preparation" in done.output
    assert built.exit_code == 1
    assert "library chooses its settings by leaving a part out of what it learns from" in built.output
    assert not (tmp_path / "work").exists()


def test_one_class_is_refused(folder: Folder) -> None:
    done = checked(folder(classes=("lactose",)))

    assert done.exit_code == 1
    assert "one class" in done.output


def test_three_spectra_a_class_are_refused_and_five_are_told_of(folder: Folder, tmp_path: Path) -> None:
    done = checked(folder(scans=3, groups=False))
    (tmp_path / "mine").rename(tmp_path / "three")
    five = checked(folder(scans=5, groups=False))

    assert done.exit_code == 1
    assert "fewer than 5 spectra: 'lactose' (3), 'aspirin' (3)" in done.output
    assert five.exit_code == 0
    assert "few spectra: 'lactose' (5)" in five.output


def test_missing_groups_are_told_of(folder: Folder) -> None:
    done = checked(folder(groups=False))

    assert done.exit_code == 0
    assert "the split cannot keep preparations apart" in done.output


def test_a_class_of_one_preparation_is_told_of(folder: Folder) -> None:
    path = folder()
    break_single_group(path)

    done = checked(path)

    assert "groups are on both sides of the split" in done.output


def test_axes_that_differ_slightly_are_brought_together_and_this_is_said(folder: Folder) -> None:
    path = folder()
    write(path / "aspirin-07.csv", scan(1007, 1350.0), AXIS + 1.0)

    done = checked(path)

    assert done.exit_code == 0
    assert "1 spectrum has an axis of its own and was interpolated" in done.output
    assert "910 to 1700 nm" in done.output


def test_unbalanced_classes_and_misprints_are_told_of(folder: Folder) -> None:
    path = folder(scans=40)
    lines = [line for line in lines_of(path) if line["label"] == "lactose" or int(line["file"][8:10]) < 6]
    for name in {line["file"] for line in lines_of(path)} - {line["file"] for line in lines}:
        (path / name).unlink()
    tell(path, [line | {"label": "lactos" if line["label"] == "aspirin" else "lactose"} for line in lines])

    done = checked(path)

    assert "'lactos' (6 spectra) may be a misprint of 'lactose' (40)" in done.output
    assert "unbalanced: 40 spectra of 'lactose', 6 of 'lactos'" in done.output


def test_a_clipped_spectrum_is_told_of(folder: Folder) -> None:
    path = folder()
    write(path / "aspirin-07.csv", np.minimum(scan(1007, 1350.0), 1.15))

    assert "clipped at their largest value" in checked(path).output


def test_one_table_titled_with_its_labels_is_read(tmp_path: Path) -> None:
    rows = [["label", *(f"{x:g}" for x in AXIS)]]
    for number, label in enumerate(("lactose", "aspirin")):
        rows += [[label, *(f"{v:.6g}" for v in scan(100 * number + i, 1200 + 150 * number))] for i in range(10)]
    (tmp_path / "wide.csv").write_text("\n".join(",".join(row) for row in rows))

    done = checked(tmp_path / "wide.csv")

    assert done.exit_code == 0
    assert "20 spectra of 2 classes" in done.output


def test_counts_are_read_as_what_the_user_says_they_are_and_the_recipe_says_it_too(folder: Folder) -> None:
    path = folder()
    for file in path.glob("*-*.csv"):
        axis, values = np.loadtxt(file, delimiter=",", skiprows=1).T
        write(file, np.round(30_000 * 10 ** (1 - values)), axis, head="Wavelength (nm),Counts")

    unsaid, said = checked(path), run("data", "check", str(path), "--quantity", "intensity")
    recipe = run("recipe", str(path), "--quantity", "intensity").stdout

    assert unsaid.exit_code == 1
    assert "counts are read with --quantity intensity" in unsaid.output
    assert said.exit_code == 0
    assert parse_recipe(recipe).quantity == "intensity"
    assert parse_recipe(recipe).default_preset == "screen"  # eight preparations cannot promise 90 %
    assert parse_recipe(recipe).steps[0].kind == "negative-log"
