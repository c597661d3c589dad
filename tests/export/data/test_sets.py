"""The public sets: their sizes, sums, titles and axes, against what their sources say."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from export.data.catalogue import SETS, load_set
from export.data.files import known_sums
from export.data.sets.api20 import compound, scans
from export.data.sets.powders12 import title
from export.errors import DataUnusable


def test_the_powders_are_twelve_classes_of_a_hundred_scans(data_dir: Path) -> None:
    spectra = load_set("powders12", data_dir)

    assert spectra.values.shape == (1200, 228)
    assert len(spectra.classes) == 12
    assert np.bincount(spectra.targets).tolist() == [100] * 12
    assert 0.5 < spectra.values.min() < spectra.values.max() < 3.0
    assert spectra.scan[spectra.targets == 7].tolist() == list(range(100))


def test_the_spectra_of_other_things_are_read_whole(data_dir: Path) -> None:
    assert load_set("isoniazid", data_dir).values.shape == (1031, 228)
    assert load_set("powders-ternary", data_dir).values.shape == (400, 228)
    assert len(load_set("powders-ternary", data_dir).classes) == 4
    exported, counts = load_set("api20-ratios", data_dir), load_set("api20-log-counts", data_dir)
    assert exported.values.shape == counts.values.shape == (100, 228)
    assert len(exported.classes) == 20
    assert counts.values.max() < -2


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("1090ACAA", "Acetaminophen 10 %, ascorbic acid 90 %"),
        ("5050AALA", "Ascorbic acid 50 %, lactose 50 %"),
        ("9010ACLA", "Acetaminophen 90 %, lactose 10 %"),
        ("100LA", "Lactose"),
    ],
)
def test_a_label_has_a_readable_title(label: str, words: str) -> None:
    assert title(label) == words


def test_the_shares_in_a_label_are_in_the_order_of_its_compounds(data_dir: Path) -> None:
    """10 % by weight of acetaminophen (151.16 g/mol) in ascorbic acid (176.12 g/mol) is 11.5 % by amount."""
    rows = (data_dir / "nir_pharma_powders_notredame" / "SampleInfo.csv").read_text(encoding="utf-8-sig").splitlines()
    stated = {row.split(",")[1]: float(row.split(",")[2]) for row in rows[1:] if row}

    computed = (0.10 / 151.16) / (0.10 / 151.16 + 0.90 / 176.12)

    assert stated["1090ACAA"] == pytest.approx(computed, abs=5e-4)
    assert title("1090ACAA").startswith("Acetaminophen 10 %")


def test_an_unknown_label_is_refused() -> None:
    with pytest.raises(DataUnusable, match="1090XXYY"):
        title("1090XXYY")


def test_absent_data_says_how_to_name_them(tmp_path: Path) -> None:
    with pytest.raises(DataUnusable, match="EDGED_DATA"):
        load_set("powders12", tmp_path)


SIZES = {  # as data/README.md of the public spectra states them
    "tablets": (310, 404),
    "tablets-assay": (1310, 650),
    "corn-moisture": (240, 700),
    "drugs-k-micronir": (88, 125),
    "drugs-k-neospectra": (88, 160),
    "drugs-t-micronir": (71, 125),
    "drugs-t-nirone": (71, 201),
    "drugs-p-scio": (71, 331),
    "raman-references": (75, 1851),
    "raman-solvents": (105, 1381),
    "raman-powders": (12, 881),
    "strawberry": (981, 235),
}


@pytest.mark.parametrize(("name", "shape"), SIZES.items())
def test_a_set_has_as_many_spectra_and_points_as_its_source(name: str, shape: tuple[int, int], data_dir: Path) -> None:
    assert load_set(name, data_dir).values.shape == shape


def test_the_sums_are_those_that_came_with_the_data(data_dir: Path) -> None:
    lines = (data_dir / "SHA256SUMS").read_text().splitlines()
    theirs = {path: digest for digest, path in (line.split("  ./", 1) for line in lines)}

    assert known_sums()
    assert known_sums().items() <= theirs.items()


def test_every_file_that_a_set_reads_has_a_known_sum() -> None:
    for found in SETS.values():
        assert found.files
        assert {f"{found.folder}/{name}" for name in found.files} <= known_sums().keys()


def test_the_compounds_of_api20_are_those_of_the_labels_that_came_with_it(data_dir: Path) -> None:
    with (data_dir / "nir_api20_nirmr2" / "labels.csv").open(encoding="utf-8", newline="") as file:
        stated = {f"scans/{row['file']}": row["compound"] for row in csv.DictReader(file)}

    assert {name: compound(name) for name in scans()} == stated


def test_a_changed_file_is_refused(data_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "nir_pharma_powders_notredame"
    folder.mkdir()
    raw = (data_dir / folder.name / "ternary_samples.csv").read_bytes()
    (folder / "ternary_samples.csv").write_bytes(raw.replace(b"1.1", b"1.2", 1))

    with pytest.raises(DataUnusable, match="SHA-256") as caught:
        load_set("powders-ternary", tmp_path)

    assert "get it again" in caught.value.hint


def test_a_sample_of_corn_has_one_moisture_on_three_instruments(data_dir: Path) -> None:
    """Values as the source's own tables hold them, read by numpy."""
    corn = load_set("corn-moisture", data_dir)
    folder = data_dir / "nir_corn_3instruments"
    moisture = np.loadtxt(folder / "property_values.csv", delimiter=",", skiprows=1)[:, 0]
    mp5 = np.loadtxt(folder / "mp5_spectra.csv", delimiter=",", skiprows=1)

    assert corn.amounts is not None
    assert np.array_equal(corn.values[corn.of_instrument("mp5")], mp5)
    assert np.array_equal(corn.amounts, np.tile(moisture, 3))
    assert (np.bincount(corn.groups) == 3).all()


def test_acetonitrile_has_its_bands_where_the_inferred_axis_puts_them(data_dir: Path) -> None:
    """Literature: C-C-N bend 379, C-C stretch 920, C-N stretch 2253, C-H stretch 2942 1/cm."""
    spectra = load_set("raman-solvents", data_dir)
    values = spectra.values[spectra.labels.index("Acetonitrile")]

    for band in (379, 920, 2253, 2942):
        near = np.abs(spectra.axis - band) < 15
        assert abs(spectra.axis[near][values[near].argmax()] - band) <= 3


def test_no_puree_bears_two_labels(data_dir: Path) -> None:
    spectra = load_set("strawberry", data_dir)

    assert len(np.unique(spectra.values, axis=0)) == 981
