"""Fits against scikit-learn and known truths; what corrections are worth, on real pairs of instruments, judged by a
model that knows nothing of them."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from scipy.signal import savgol_filter
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, Ridge

from edged.spectra.spectrum import Spectrum
from edged.spectra.transfer import Transfer, apply_transfer, corrected_values, load_transfer
from export.errors import DataUnusable, NothingGained
from export.transfer.command import transfer as commands
from export.transfer.correction import Method, Pairs, fit_transfer, read_pairs
from export.transfer.fits import axis_polynomial, direct, mean_difference, piecewise, slope_bias, textbook_piecewise
from export.transfer.study import kennard_stone, markdown, study

AXIS = np.arange(1000.0, 1200.0, 4.0)
POINTS = len(AXIS)
DATE = datetime.date(2026, 11, 25)


def bands(axis: NDArray[np.float64], amounts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spectra of two narrow and one broad band, a row of amounts each."""
    shapes = [np.exp(-0.5 * ((axis - at) / width) ** 2) for at, width in ((1050, 12), (1120, 9), (1100, 60))]
    return amounts @ np.array(shapes) + 0.3


def toy(samples: int = 12, seed: int = 5) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Master and slave that differ in gain, offset, and noise."""
    rng = np.random.default_rng(seed)
    master = bands(AXIS, rng.random((samples, 3)) + 0.5)
    slave = master * np.linspace(0.9, 1.2, POINTS) - 0.05 + rng.normal(0, 0.002, master.shape)
    return master, slave


def pairs_of(
    master: NDArray[np.float64], slave: NDArray[np.float64], names: tuple[str, ...] | None = None, axis: Any = AXIS
) -> Pairs:
    return Pairs(
        axis=axis,
        axis_unit="nm",
        quantity="absorbance",
        master=master,
        slave=slave,
        names=names or tuple(f"s{row}" for row in range(len(master))),
    )


def fitted(pairs: Pairs, method: Method = "auto") -> Transfer:
    return fit_transfer(pairs, method, from_instrument="S", to_instrument="M", date=DATE)[0]


def test_piecewise_is_a_ridge_regression_in_each_window() -> None:
    master, slave = toy()

    found = piecewise(5, 0.01)(AXIS, master, slave)

    for point, start in ((0, 0), (1, 0), (2, 0), (25, 23), (48, 45), (49, 45)):
        window = slave[:, start : start + 5]
        ridge = Ridge(alpha=0.01 * ((window - window.mean(axis=0)) ** 2).sum(), solver="svd")
        expected = ridge.fit(window, master[:, point])
        np.testing.assert_allclose(found.weights[point], expected.coef_, rtol=1e-6, atol=1e-9)
        predicted = corrected_values(slave, found)[:, point]
        np.testing.assert_allclose(predicted, expected.predict(window), rtol=1e-9)


def test_the_textbook_piecewise_is_a_principal_component_regression_in_each_window() -> None:
    master, slave = toy()

    found = corrected_values(slave, textbook_piecewise(5, 0.05)(AXIS, master, slave))

    for point, start in ((0, 0), (25, 23), (49, 45)):
        window = slave[:, start : start + 5]
        pca = PCA().fit(window)
        kept = int((pca.singular_values_ > 0.05 * pca.singular_values_[0]).sum())
        scores = pca.transform(window)[:, :kept]
        expected = LinearRegression().fit(scores, master[:, point]).predict(scores)
        np.testing.assert_allclose(found[:, point], expected, rtol=1e-9)


def test_direct_is_a_ridge_regression_of_the_difference_on_the_whole_spectrum() -> None:
    master, slave = toy()
    other = toy(seed=6)[1]

    found = corrected_values(other, direct(0.001)(AXIS, master, slave))

    ridge = Ridge(alpha=0.001 * ((slave - slave.mean(axis=0)) ** 2).sum(), solver="svd")
    expected = other + ridge.fit(slave, master - slave).predict(other)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-7)


def test_slope_and_bias_of_each_point_is_a_line_and_a_point_that_never_changes_keeps_its_slope() -> None:
    master, slave = toy()
    slave[:, 7] = 0.4

    found = slope_bias(AXIS, master, slave)

    expected = np.polyfit(slave[:, 20], master[:, 20], 1)
    np.testing.assert_allclose((found.slope[20], found.bias[20]), expected, rtol=1e-9)
    assert found.slope[7] == 1.0
    assert found.bias[7] == pytest.approx(master[:, 7].mean() - 0.4)


FINE = np.arange(1000.0, 1200.0, 1.0)


def peaks(axis: NDArray[np.float64], amounts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spectra of five bands along the whole axis."""
    return amounts @ np.array([np.exp(-0.5 * ((axis - at) / 9) ** 2) for at in (1020, 1060, 1100, 1140, 1180)])


@pytest.mark.parametrize("truth", [(0.7,), (-1.5,), (0.5, 0.4), (0.3, -0.6, 0.3)])
def test_a_known_shift_is_found_under_another_gain_and_offset(truth: tuple[float, ...]) -> None:
    amounts = np.random.default_rng(1).random((8, 5)) + 0.5
    really = FINE + np.polynomial.polynomial.polyval(np.linspace(-1, 1, len(FINE)), truth)  # the slave's points
    slave = 1.1 * peaks(really, amounts) - 0.02

    found = axis_polynomial(len(truth) - 1)(FINE, peaks(FINE, amounts), slave)

    np.testing.assert_allclose(found.coefficients, truth, atol=0.02)


def test_the_daemon_puts_bands_back_where_a_fitted_shift_says() -> None:
    amounts = np.random.default_rng(1).random((8, 5)) + 0.5
    found = fitted(pairs_of(peaks(FINE, amounts), peaks(FINE + 1.2, amounts), axis=FINE), "shift")
    new = peaks(FINE + 1.2, np.array([[0.1, 0.2, 2.0, 0.1, 0.3]]))[0]

    back = apply_transfer(
        Spectrum(axis=FINE.copy(), values=new.astype(np.float32), axis_unit="nm", quantity="absorbance"), found
    )

    assert back.axis[new.argmax()] == pytest.approx(1100, abs=0.3)
    np.testing.assert_allclose(back.axis, FINE + 1.2, atol=0.02)


def test_two_equal_instruments_need_no_correction() -> None:
    master, _ = toy()

    with pytest.raises(NothingGained, match="none comes closer to M") as caught:
        fitted(pairs_of(master, master))

    assert "without a correction" in caught.value.hint


def test_repeats_of_a_sample_are_left_out_together() -> None:
    master, slave = toy()
    names = tuple(f"s{row // 3}" for row in range(12))

    folds = pairs_of(master, slave, names).folds()

    assert [fold.tolist() for fold in folds] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]


def test_too_few_samples_are_refused_however_often_they_were_measured() -> None:
    master, slave = toy()

    with pytest.raises(DataUnusable, match="2 samples in 12 rows"):
        pairs_of(master, slave, tuple(f"s{row % 2}" for row in range(12)))


def write(path: Path, axis: Any, values: Any, titles: list[str] | None = None) -> Path:
    head = ["nm"] if titles else []
    rows = [[*head, *(f"{x:g}" for x in axis)]]
    rows += [[*titles[n : n + 1], *map(str, row)] if titles else list(map(str, row)) for n, row in enumerate(values)]
    path.write_text("\n".join(",".join(row) for row in rows) + "\n", encoding="utf-8")
    return path


def test_files_are_paired_by_title_where_titles_name_each_row(tmp_path: Path) -> None:
    master, slave = toy(4)
    one = write(tmp_path / "m.csv", AXIS, master, ["a", "b", "c", "d"])
    other = write(tmp_path / "s.csv", AXIS, slave[[2, 0, 3, 1]], ["c", "a", "d", "b"])

    found = read_pairs(one, other)

    assert found.names == ("c", "a", "d", "b")
    np.testing.assert_allclose(found.master, master[[2, 0, 3, 1]], rtol=1e-6)
    np.testing.assert_allclose(found.slave, slave[[2, 0, 3, 1]], rtol=1e-6)


def test_a_longer_or_finer_axis_of_the_master_is_brought_to_the_slaves_and_nothing_is_extrapolated(
    tmp_path: Path,
) -> None:
    _, slave = toy(4)
    wide = np.arange(1010.0, 1300.0, 2.0)
    one = write(tmp_path / "m.csv", wide, np.tile(wide, (4, 1)))
    other = write(tmp_path / "s.csv", AXIS, slave)

    found = read_pairs(one, other)

    assert (found.axis[0], found.axis[-1]) == (1012.0, 1196.0)
    np.testing.assert_allclose(found.master, np.tile(found.axis, (4, 1)))
    np.testing.assert_allclose(found.slave, slave[:, 3:], rtol=1e-6)


@pytest.mark.parametrize(
    ("titles", "rows", "says"),
    [
        (["a", "b", "c", "x"], 4, "2 titles are in one of the two files only: d, x"),
        (None, 4, "their titles do not pair them"),
        (["a", "b", "c"], 3, "1 titles are in one"),
    ],
)
def test_files_of_different_samples_are_refused(titles: list[str] | None, rows: int, says: str, tmp_path: Path) -> None:
    master, slave = toy(4)
    one = write(tmp_path / "m.csv", AXIS, master, ["a", "b", "c", "d"])
    other = write(tmp_path / "s.csv", AXIS, slave[:rows], titles)

    with pytest.raises(DataUnusable, match=says):
        read_pairs(one, other)


def test_axes_that_hardly_meet_are_refused(tmp_path: Path) -> None:
    master, slave = toy(4)
    one, other = write(tmp_path / "m.csv", AXIS, master), write(tmp_path / "s.csv", AXIS + 180, slave)

    with pytest.raises(DataUnusable, match="5 points in common"):
        read_pairs(one, other)


def test_a_row_that_cannot_be_read_is_named_and_nothing_is_fitted_on_the_others(tmp_path: Path) -> None:
    master, slave = toy(4)
    one, other = write(tmp_path / "m.csv", AXIS, master), write(tmp_path / "s.csv", AXIS, slave)
    other.write_text(other.read_text().replace(str(slave[2, 3]), "nan"))

    with pytest.raises(DataUnusable, match="row 3"):
        read_pairs(one, other)


def run(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(commands, list(words))
    return result.exit_code, result.stdout, result.stderr


def test_the_command_fits_a_file_that_the_daemon_loads_and_shows_what_it_gained(tmp_path: Path) -> None:
    master, slave = toy()
    one, other = write(tmp_path / "m.csv", AXIS, master), write(tmp_path / "s.csv", AXIS, slave)
    out = tmp_path / "t.json"

    code, said, _ = run("fit", str(one), str(other), "--out", str(out), "--from", "S2", "--to", "M1")

    assert code == 0
    assert "as measured" in said
    found = load_transfer(out)
    assert said.splitlines()[-1] == f"{out}: {found.describe()}"
    assert (found.from_instrument, found.to_instrument, len(found.standards)) == ("S2", "M1", 12)
    rms = np.sqrt(np.mean((corrected_values(slave, found.correction) - master) ** 2))  # type: ignore[arg-type]
    assert rms < np.sqrt(np.mean((slave - master) ** 2)) / 5
    code, said, _ = run("show", str(out))
    assert code == 0
    assert "50 points, 1000 to 1196 nm" in said


def test_the_command_says_in_json_what_it_tried_and_why_it_failed(tmp_path: Path) -> None:
    master, slave = toy()
    one, other = write(tmp_path / "m.csv", AXIS, master), write(tmp_path / "s.csv", AXIS, slave)

    code, said, _ = run("fit", str(one), str(other), "--method", "pds", "--out", str(tmp_path / "t.json"), "--json")

    assert code == 0
    assert {row["method"] for row in json.loads(said)["tried"]} == {"none", "pds"}
    code, said, complaint = run("fit", str(one), str(one), "--out", str(tmp_path / "u.json"), "--json")
    assert code == 1
    assert "none comes closer" in json.loads(said)["error"]
    assert "none comes closer" in complaint
    assert not (tmp_path / "u.json").exists()
    code, _, complaint = run("show", str(one))
    assert code == 1
    assert "is not JSON" in complaint


# Real pairs of instruments. The models, splits and figures are those of the data's own README.


def rmsep(predicted: Any, truth: Any) -> float:
    return float(np.sqrt(np.mean((np.ravel(predicted) - truth) ** 2)))


def corrected(found: Transfer, axis: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correct as the daemon does, by way of the file."""
    return np.array(
        [
            apply_transfer(
                Spectrum(axis=axis.copy(), values=row.astype(np.float32), axis_unit="nm", quantity="absorbance"), found
            ).values
            for row in rows
        ]
    )


@pytest.fixture(scope="module")
def corn(data_dir: Path) -> dict[str, NDArray[np.float64]]:
    folder = data_dir / "nir_corn_3instruments"
    files = {name: folder / f"{name}_spectra.csv" for name in ("m5", "mp5", "mp6")}
    tables = {name: np.loadtxt(path, delimiter=",", skiprows=1) for name, path in files.items()}
    return {**tables, "moisture": np.loadtxt(folder / "property_values.csv", delimiter=",", skiprows=1)[:, 0]}


@pytest.mark.parametrize(
    ("slave", "uncorrected", "readme", "bound"), [("mp5", 1.706, 1.66, 0.36), ("mp6", 1.842, 1.86, 0.38)]
)
def test_a_moisture_model_serves_another_instrument_after_25_standards(
    slave: str, uncorrected: float, readme: float, bound: float, corn: dict[str, NDArray[np.float64]], tmp_path: Path
) -> None:
    axis, truth = np.arange(1100.0, 2500.0, 2.0), corn["moisture"]
    model = PLSRegression(10, scale=False).fit(corn["m5"][:55], truth[:55])
    rows = kennard_stone(corn["m5"][:55], 25)
    path = tmp_path / "t.json"
    path.write_text(fitted(pairs_of(corn["m5"][rows], corn[slave][rows], axis=axis)).to_json(), encoding="utf-8")

    before = rmsep(model.predict(corn[slave][55:]), truth[55:])
    after = rmsep(model.predict(corrected(load_transfer(path), axis, corn[slave][55:])), truth[55:])

    assert rmsep(model.predict(corn["m5"][55:]), truth[55:]) == pytest.approx(0.023, abs=0.002)
    assert before == pytest.approx(uncorrected, abs=0.002)
    assert before == pytest.approx(readme, rel=0.03)  # which does not say which 55 samples; these are the first
    assert after < bound


def test_an_assay_model_serves_another_instrument_after_25_standards(data_dir: Path) -> None:
    with np.load(data_dir / "nir_tablets_idrc2002" / "idrc2002_tablets.npz") as file:
        data = {name: file[name] for name in file.files}
    used = data["wavelength_nm"] <= 1798
    axis = data["wavelength_nm"][used].astype(np.float64)
    one, two = (data[name][:, used].astype(np.float64) for name in ("inst1", "inst2"))
    train, test = np.flatnonzero(data["split"] == "Train"), np.flatnonzero(data["split"] == "Test")

    def prepared(values: NDArray[np.float64]) -> NDArray[np.float64]:
        scaled = (values - values.mean(axis=1, keepdims=True)) / values.std(axis=1, keepdims=True)
        return np.asarray(savgol_filter(scaled, 15, 2, deriv=1, axis=1))

    model = PLSRegression(5, scale=False).fit(prepared(one[train]), data["assay_mg"][train])
    error: Callable[[Any], float] = lambda rows: rmsep(model.predict(prepared(rows)), data["assay_mg"][test])  # noqa: E731
    rows = train[kennard_stone(one[train], 25)]
    found = fitted(pairs_of(one[rows], two[rows], axis=axis))

    assert error(one[test]) == pytest.approx(4.46, abs=0.05)
    assert error(two[test]) == pytest.approx(6.49, abs=0.05)
    assert error(corrected(found, axis, two[test]).astype(np.float64)) < 4.6
    offset = mean_difference(axis, prepared(one[train]), prepared(two[train])).bias
    assert rmsep(model.predict(prepared(two[test]) + offset), data["assay_mg"][test]) == pytest.approx(5.52, abs=0.01)


def test_the_study_tells_limits_and_every_method_by_count_and_choice(data_dir: Path) -> None:
    seen: list[int] = []

    result = study(data_dir, lambda what, done, total: seen.append(done), seeds=2, counts=(3,))

    assert seen[-1] == 7
    assert [len(table["master"]) for table in result.values()] == [1, 2, 1, 2, 1]
    tablets = result["tablets, 1 to 2"]
    assert tablets["master"] == [pytest.approx(4.46, abs=0.05)]
    assert tablets["rmsep"]["none"]["Kennard-Stone 3"] == [pytest.approx(6.49, abs=0.05)]
    assert {len(errors["random 3"]) for errors in tablets["rmsep"].values()} == {2}
    assert "| uncorrected | 6.488 | 6.488 |" in markdown(result)


def test_the_study_says_where_it_looked_for_data(tmp_path: Path) -> None:
    with pytest.raises(DataUnusable, match=str(tmp_path)):
        study(tmp_path, lambda what, done, total: None)
