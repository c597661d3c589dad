"""A twin of a user's own folder: read as `build` reads it, played by the simulator, read by the driver."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from threadpoolctl import threadpool_limits

from drivers import registry
from drivers.links.serial import SerialLink
from drivers.session import Session
from edged.cli.main import main as edged
from export.data.catalogue import load_set
from export.main import main
from export.twin.classes import SEEN_NM
from firmware_sim.contract import OperatorError
from firmware_sim.main import main as simulate
from firmware_sim.mixtures import Library
from firmware_sim.sample import Twin
from firmware_sim.spectra_file import FAMILY_NM
from tests.bundle.tiny import tiny_bytes

AXIS_NM = np.linspace(950.0, 1650.0, 71)


def twin(*words: object) -> Result:
    return CliRunner().invoke(main, ["twin", *map(str, words)])


def folder(path: Path, axis: NDArray[np.float64], values: NDArray[np.float64], labels: list[str], corner: str) -> Path:
    """One table, and a line of labels.csv for each of its rows. The corner says quantity and unit."""
    path.mkdir()
    with (path / "all.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([corner, *axis])
        rows.writerows([f"scan {number}", *row] for number, row in enumerate(values, 1))
    told = [f"all.csv,{number},{label}" for number, label in enumerate(labels, 1)]
    (path / "labels.csv").write_text("\n".join(["file,row,label", *told]) + "\n")
    return path


def made_up(n: int = 4) -> NDArray[np.float64]:
    """Absorbance [2 n, points]: n of a flat class, n of one with a band, each with an offset of its own."""
    band = np.exp(-(((AXIS_NM - 1_200.0) / 60.0) ** 2))
    offsets = np.linspace(0.2, 0.3, n)[:, None]
    return np.vstack([offsets + 0.0 * band, offsets + 0.4 * band])


LABELS = ["flat"] * 4 + ["band"] * 4


def test_real_powders_as_reflectance_over_wavenumbers_are_played_and_read_back(
    data_dir: Path, tmp_path: Path, repository: Path
) -> None:
    real = load_set("powders12", data_dir)
    named = np.array(real.labels)
    classes = ["100AC", "100AA", "100LA"]
    rows = np.concatenate([np.flatnonzero(named == label)[::10] for label in classes])
    out, port = tmp_path / "mine.npz", tmp_path / "nirscan"
    own = folder(
        tmp_path / "mine",
        1e7 / real.axis[::-1],
        10.0 ** -real.values[rows, ::-1],
        named[rows].tolist(),
        "reflectance by cm-1",
    )

    done = twin(own, out, "--json")

    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["products"] == 3
    device = registry.load("nirscan")
    command = [sys.executable, "-m", "firmware_sim.main", "nirscan", "--pty", str(port), "--twin", str(out)]
    with subprocess.Popen(
        [*command, "--speed", "0"], cwd=repository, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert json.loads(process.stdout.readline())["event"] == "ready"
        with Session(SerialLink.open(str(port))) as session:
            unit = session.perform(device.open())
            session.perform(device.configure(unit, device.default_settings))
            white, *scans = [session.perform(device.scan(unit, device.default_settings)) for _ in range(4)]
        process.stdin.write("quit\n")
        process.stdin.flush()
        events = [json.loads(line) for line in process.stdout]
        assert process.wait(10) == 0
    assert [event["sample"] for event in events if event["event"] == "scan"] == ["white", *classes]
    np.testing.assert_allclose(white.axis, real.axis, atol=1e-5)
    with threadpool_limits(1):
        judge = LinearDiscriminantAnalysis(solver="eigen", shrinkage=1e-4).fit(real.values, real.labels)
    absorbance = [np.log10(white.counts / scan.counts) for scan in scans]
    assert judge.predict(absorbance).tolist() == classes


@pytest.mark.parametrize(
    ("corner", "axis", "values"),
    [
        ("absorbance by nm", AXIS_NM, made_up()),
        ("reflectance by nm", AXIS_NM, 10.0 ** -made_up()),
        ("absorbance by cm-1", 1e7 / AXIS_NM[::-1], made_up()[:, ::-1]),
    ],
)
def test_each_kind_of_spectra_gives_the_same_twin(
    corner: str, axis: NDArray[np.float64], values: NDArray[np.float64], tmp_path: Path
) -> None:
    done = twin(folder(tmp_path / "own", axis, values, LABELS, corner), tmp_path / "own.npz")

    assert done.exit_code == 0, done.output
    made = Twin.chosen(str(tmp_path / "own.npz"))
    assert made.labels == ("flat", "band")
    np.testing.assert_allclose(made.wavelength_nm, AXIS_NM)
    np.testing.assert_allclose(made.means, [made_up()[:4].mean(axis=0), made_up()[4:].mean(axis=0)], atol=1e-6)
    assert "first_nm 950, last_nm 1650" in done.output


def test_options_say_what_a_bare_table_holds(tmp_path: Path) -> None:
    own = folder(tmp_path / "own", AXIS_NM, 1_000.0 * 10.0 ** -made_up(), LABELS, "")

    done = twin(own, tmp_path / "own.npz", "--quantity", "intensity", "--unit", "nm")

    assert done.exit_code == 0, done.output
    with np.load(tmp_path / "own.npz") as made:
        assert str(made["quantity"]) == "signal"
        np.testing.assert_allclose(made["means"][0], made_up()[:4].mean(axis=0) - 3.0, atol=1e-5)


def test_real_wavenumber_absorbance_becomes_products_over_wavelengths(data_dir: Path, tmp_path: Path) -> None:
    """NIR transmission of tablets, 7398 to 10507 1/cm, four types of several amounts each: named by type."""
    real = load_set("tablets", data_dir)

    done = twin("tablets", tmp_path / "tablets.npz", "--data", data_dir)

    assert done.exit_code == 0, done.output
    made = Twin.chosen(str(tmp_path / "tablets.npz"))
    assert made.labels == real.classes
    type_a = real.values[np.array(real.labels) == "A"].mean(axis=0)
    np.testing.assert_allclose(
        np.interp(1e7 / 9_000.0, made.wavelength_nm, made.means[0]), np.interp(9_000.0, real.axis, type_a), atol=1e-4
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("corn-moisture", "no classes: all spectra are labelled corn"),
        ("strawberry", "cover 5548 to 11119 nm, a simulated NIRscan sees 900 to 1700"),
        ("tablets-raman", "no label of the set is said to be pure"),
        ("drugs-k-micronir", "1 of the spectra is labelled K1"),
        ("nothing-of-that-name", "no such folder or table, and no public set"),
    ],
)
def test_a_set_that_gives_no_products_says_why(name: str, words: str, data_dir: Path, tmp_path: Path) -> None:
    done = twin(name, tmp_path / "out.npz", "--data", data_dir)

    assert done.exit_code == 1
    assert words in done.output
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.parametrize(
    ("values", "labels", "corner", "words"),
    [
        (made_up(), ["white"] * 4 + ["band"] * 4, "absorbance by nm", "a class is named white"),
        (100.0 * 10.0 ** -made_up(), LABELS, "reflectance by nm", "percent?"),
        (made_up(), ["flat"] * 6 + ["band"] * 2, "absorbance by nm", "2 of the spectra are labelled band"),
        (np.where(made_up() > 0.6, np.nan, made_up()), LABELS, "absorbance by nm", "not a finite number"),
    ],
)
def test_a_folder_that_gives_no_products_says_why(
    values: NDArray[np.float64], labels: list[str], corner: str, words: str, tmp_path: Path
) -> None:
    done = twin(folder(tmp_path / "own", AXIS_NM, values, labels, corner), tmp_path / "own.npz")

    assert done.exit_code == 1
    assert words in done.output


@pytest.mark.parametrize(("out", "words"), [("none/own.npz", "no such folder"), ("own.twin", "does not end in .npz")])
def test_a_place_that_cannot_be_written_is_told_before_any_spectrum_is_read(
    out: str, words: str, tmp_path: Path
) -> None:
    done = twin(tmp_path / "not-there-either", tmp_path / out)

    assert done.exit_code == 1
    assert words in done.output


def test_same_amounts_of_two_labels_are_told_apart_and_begin_with_the_amount(tmp_path: Path) -> None:
    own = folder(tmp_path / "own", AXIS_NM, np.vstack([made_up(), made_up()[:4]]), [], "absorbance by nm")
    rows = [("lot A", 300), ("lot B", 300), ("lot C", 100)]
    told = [f"all.csv,{4 * lot + row + 1},{label},{mg}" for lot, (label, mg) in enumerate(rows) for row in range(4)]
    (own / "labels.csv").write_text("\n".join(["file,row,label,amount_mg", *told]) + "\n")

    done = twin(own, tmp_path / "own.npz")

    assert done.exit_code == 0, done.output
    assert Twin.chosen(str(tmp_path / "own.npz")).labels == ("300mg lot A", "300mg lot B", "100mg")


def test_each_label_of_a_raman_folder_is_a_compound_of_the_library(tmp_path: Path) -> None:
    axis = np.linspace(300.0, 2_500.0, 221)
    bands = np.array([np.exp(-(((axis - at) / 10.0) ** 2)) for at in (800.0, 1_000.0)])
    own = folder(tmp_path / "own", axis, np.vstack([bands, 3.0 * bands]), ["a", "b"] * 2, "intensity by cm-1")

    done = twin(own, tmp_path / "own.npz")

    assert done.exit_code == 0, done.output
    library = Library.chosen(str(tmp_path / "own.npz"))
    assert (library.labels, library.products) == (("a", "b"), ("a 60 b 40", "b 60 a 40"))
    np.testing.assert_allclose(library.spectra, bands[:, axis <= 2_040.0], atol=1e-6)


def test_raman_beyond_what_a_ventana_sees_is_refused(tmp_path: Path) -> None:
    axis = np.linspace(2_600.0, 3_200.0, 61)
    own = folder(tmp_path / "own", axis, np.ones((2, 61)), ["a", "b"], "intensity by cm-1")

    done = twin(own, tmp_path / "own.npz")

    assert (done.exit_code, "begin at 2600 cm-1" in done.output) == (1, True), done.output


def test_a_library_of_one_compound_shows_that_one() -> None:
    one = Library(shift_cm1=np.array([300.0, 400.0]), labels=("a",), spectra=np.ones((1, 2)))

    assert [dict(one.shares_of(product)) for product in one.products] == [{"a": 1.0}]


@pytest.mark.parametrize("content", [b"", b"rubbish", b"PK\x05\x06" + bytes(18), None], ids=repr)
def test_a_file_without_samples_is_refused_by_both_simulators(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    if content is not None:
        path.write_bytes(content)

    for words in (["nirscan", "--twin"], ["obp", "--model", "ventana", "--library"]):
        done = CliRunner().invoke(simulate, [*words, str(path), "--pty", str(tmp_path / "never")])
        assert done.exit_code == 2, done.output
        assert ("no such file" if content is None else "edged-export twin makes one") in " ".join(done.output.split())


def test_a_twin_is_no_library_and_the_other_way_round(repository: Path) -> None:
    with pytest.raises(OperatorError, match="holds no library"):
        Library.chosen(str(repository / "firmware_sim/twins/powders12.npz"))
    with pytest.raises(OperatorError, match="holds no twin"):
        Twin.chosen(str(repository / "firmware_sim/libraries/solvents13.npz"))


def test_numbers_that_do_not_fit_each_other_are_refused(tmp_path: Path, repository: Path) -> None:
    with np.load(repository / "firmware_sim/twins/powders12.npz") as good:
        arrays = dict(good)
    for name, wrong in (("means", arrays["means"][:, :-1]), ("score_sds", np.full_like(arrays["score_sds"], np.nan))):
        np.savez(tmp_path / "wrong.npz", **{**arrays, name: wrong})
        with pytest.raises(OperatorError, match="do not fit"):
            Twin.chosen(str(tmp_path / "wrong.npz"))


def test_the_simulator_sees_what_the_command_says() -> None:
    assert SEEN_NM == FAMILY_NM


def test_a_demo_without_samples_names_the_command_and_takes_its_file(tmp_path: Path) -> None:
    (tmp_path / "tiny.edgebundle").write_bytes(tiny_bytes())
    words = ["demo", "--bundle", str(tmp_path / "tiny.edgebundle")]

    without = CliRunner().invoke(edged, words)
    absent = CliRunner().invoke(edged, [*words, "--samples", str(tmp_path / "none.npz")])
    alone = CliRunner().invoke(edged, ["demo", "--samples", "x.npz"])

    assert (without.exit_code, absent.exit_code, alone.exit_code) == (2, 2, 2)
    assert "edged-export twin my-spectra samples.npz" in " ".join(without.output.split())
    assert "no such file" in absent.output
    assert "--samples is for the model that --bundle names" in alone.output
