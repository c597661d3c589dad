"""What the labels of the public sets say of composition, against their names and the table that came with them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from export.data.catalogue import load_set
from export.data.sets.powders12 import ternary_composition
from export.data.spectra import Spectra
from export.errors import DataUnusable

MOLAR_MASS = {"acetaminophen": 151.163, "ascorbic acid": 176.124, "lactose": 360.312}  # g/mol; lactose: monohydrate


def spectra(**told: object) -> Spectra:
    return Spectra(
        axis=np.arange(10.0),
        values=np.zeros((2, 10)),
        labels=("a", "b"),
        groups=np.arange(2),
        scan=np.zeros(2, dtype=np.int64),
        **told,  # type: ignore[arg-type]
    )


def test_the_mass_fractions_of_binary_powders_give_the_mole_ratios_of_the_source(data_dir: Path) -> None:
    """SampleInfo.csv states moles of acetaminophen per mole of all, as weighed: 5050ACAA held 47 % by mass, not 50."""
    rows = (data_dir / "nir_pharma_powders_notredame" / "SampleInfo.csv").read_text(encoding="utf-8-sig")
    stated = {row["SpeciesID"]: float(row["SampleID"]) for row in csv.DictReader(rows.splitlines())}
    contents = load_set("powders12", data_dir).contents

    for label in ("1090ACAA", "5050ACAA", "9010ACAA"):
        moles = {name: fraction / MOLAR_MASS[name] for name, fraction in contents[label].items()}
        ratio = moles["acetaminophen"] / sum(moles.values())
        assert stated[label] == pytest.approx(ratio, rel=0.06 if label == "5050ACAA" else 0.02)


def test_every_formulation_is_told_and_the_pure_ones_are_pure(data_dir: Path) -> None:
    powders = load_set("powders12", data_dir)

    assert len(powders.contents) == 12
    assert powders.contents["1090AALA"] == {"ascorbic acid": 0.1, "lactose": 0.9}
    assert [powders.contents[label] for label in ("100AC", "100AA", "100LA")] == [
        {"acetaminophen": 1.0},
        {"ascorbic acid": 1.0},
        {"lactose": 1.0},
    ]
    assert powders.compounds == ("acetaminophen", "ascorbic acid", "lactose")


def test_three_times_33_percent_are_thirds(data_dir: Path) -> None:
    contents = load_set("powders-ternary", data_dir).contents

    assert contents["33Acetaminophen33Ascorbic33Lactose"] == dict.fromkeys(MOLAR_MASS, pytest.approx(1 / 3))
    assert contents["60Ascorbic10Acetaminophen30Lactose"] == {
        "ascorbic acid": 0.6,
        "acetaminophen": 0.1,
        "lactose": 0.3,
    }


@pytest.mark.parametrize("label", ["60Ascorbic10Acetaminophen20Lactose", "60Ascorbic40Lactose", "50Water50Ascorbic"])
def test_a_ternary_that_is_no_whole_is_refused(label: str) -> None:
    with pytest.raises(DataUnusable, match=label):
        ternary_composition(label)


def test_mixtures_whose_fractions_nobody_tells_have_none(data_dir: Path) -> None:
    solvents, powders = load_set("raman-solvents", data_dir), load_set("raman-powders", data_dir)

    assert len(solvents.contents) == 13
    assert solvents.compounds_in("mixture") == ()
    kinds = ("mixture of liquids", "mixture of two powders", "mixture of three powders")
    assert powders.labels[6:] == (kinds[0],) * 3 + (kinds[1],) + (kinds[2],) * 2
    assert not set(kinds) & powders.contents.keys()
    assert powders.compounds_in("mixture of liquids") == ("Acetonitrile", "Ethanol", "Methanol")
    assert powders.compounds_in("mixture of two powders") == ("Polyacrylamide", "Sodium Acetate Trihydrate")
    assert any("not a stated composition" in remark for remark in powders.remarks)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"contents": {"a": {"x": 0.5, "y": 0.4}}}, "not those of a whole: x 0.5, y 0.4"),
        ({"contents": {"a": {"x": 1.5, "y": -0.5}}}, "not those of a whole"),
        ({"contents": {"a": {"x": float("nan")}}}, "not those of a whole"),
        ({"contents": {"a": {}}}, "not those of a whole"),
        ({"contents": {"c": {"x": 1.0}}}, "'c', which no spectrum has"),
        ({"contents": {"a": {"x": 1.0}}, "holds": {"a": ("x",)}}, "fractions and a bare list"),
        ({"holds": {"a": ("x", "")}}, "without a name"),
    ],
)
def test_a_composition_that_cannot_be_is_refused(told: dict[str, object], words: str) -> None:
    with pytest.raises(DataUnusable, match=words):
        spectra(**told)


def test_a_compound_of_fraction_zero_is_not_held() -> None:
    assert spectra(contents={"a": {"x": 1.0, "y": 0.0}}).compounds_in("a") == ("x",)
