"""What each procedure needs of the manifest, and what of the archive; every problem is told, not the first."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edged.bundle.archive import Bundle, bundle_bytes, bundle_from_bytes, pack_golden, read_bundle, seal
from edged.bundle.errors import BundleError, BundleUnfit
from edged.bundle.manifest import MahalanobisGate, Manifest, NormGate
from edged.bundle.slots import built_ins
from tests.bundle.tiny import DOSE, DOSE_GOLDEN, DOSE_TABLE, dose_bytes, dose_fields, dose_files, fields, tiny_bytes

DRUG = DOSE["amounts"][0]
RESIDUALS: dict[str, Any] = {
    "name": "own scans",
    "columns": [0, 3],
    "levels": [{"quantiles": [1.0, 2.0], "n": 30}] * 3,
    "alpha": {"balanced": 0.05, "confirm": 0.1},
}
NORM = {"name": "norm", "metric": "norm", "columns": [0, 1], "limits": {"balanced": 1.0, "confirm": 1.0}}


def refusal(made: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        Manifest.model_validate(made | {"digests": {}})
    return str(caught.value)


def test_the_bundles_that_ship_are_read_and_written_again_to_the_byte() -> None:
    for path in built_ins():
        bundle = read_bundle(path)
        with zipfile.ZipFile(path) as opened:
            parts = {name: opened.read(name) for name in opened.namelist() if name != "manifest.json"}

        assert bundle_bytes(bundle.manifest, parts) == path.read_bytes()


def test_a_manifest_that_uses_nothing_new_says_nothing_new() -> None:
    """So that a program that knows edged.bundle/1 as it was reads it."""
    with zipfile.ZipFile(io.BytesIO(tiny_bytes())) as opened:
        written = json.loads(opened.read("manifest.json"))

    assert set(written) == {*fields(), "digests"}


def test_a_norm_gate_is_read_as_it_was_written_when_every_gate_had_tables() -> None:
    old = DOSE["gates"][0] | {"means": [], "precision": []}

    made = Manifest.model_validate(fields(gates=[old], digests={}))

    assert isinstance(made.gates[0], NormGate)
    assert "gates.0.norm.means" in refusal(fields(gates=[old | {"means": [[1.0]]}]))


def test_each_gate_is_read_as_its_metric_says() -> None:
    norm = DOSE["gates"][0]
    made = Manifest.model_validate(fields(gates=[fields()["gates"][0], norm], digests={}))

    assert [type(gate) for gate in made.gates] == [MahalanobisGate, NormGate]
    assert (made.feature_columns, made.presets) == (3, ("balanced", "confirm"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"amounts": [DRUG]}, "amounts: quantify is not among the procedures"),
        ({"procedures": ["quantify"]}, "classes, calibration: neither identify nor verify is among the procedures"),
        ({"procedures": []}, "procedures: any of identify, verify, quantify"),
        ({"calibration": {}}, "calibration.quantiles: one row a preset, for identify and verify"),
        ({"calibration": fields()["calibration"] | {"temperature": 1e-300}}, "calibration.temperature"),
        ({"classes": []}, "classes: at least two, with different labels, for identify and verify"),
        ({"residuals": RESIDUALS, "procedures": ["identify"]}, "residuals: verify is not among the procedures"),
        ({"residuals": RESIDUALS | {"columns": [0, 2]}}, "one column and one entry of levels for each of the 3"),
        ({"residuals": RESIDUALS | {"levels": RESIDUALS["levels"][:2]}}, "one column and one entry of levels"),
        ({"residuals": RESIDUALS | {"alpha": {"balanced": 0.05}}}, "residuals.alpha: needs the presets ['balanced', '"),
        ({"residuals": RESIDUALS | {"alpha": {"balanced": 1.0, "confirm": 0.1}}}, "less than 1"),
        (
            {"residuals": RESIDUALS | {"levels": [{"quantiles": [2.0, 1.0], "n": 30}] * 3}},
            "residuals.levels.0.quantiles: must not fall",
        ),
        (
            {"residuals": RESIDUALS | {"levels": [{"quantiles": list(range(65)), "n": 99}] * 3}},
            "at most 64 items",
        ),
        ({"amount_tolerance": 1e-3}, "amount_tolerance: there are no amounts"),
        ({"gates": [DOSE["gates"][0] | {"scales": [1.0, 2.0]}]}, "gates.away.scales: 2 for 1 columns"),
        ({"gates": [DOSE["gates"][0] | {"scales": [0.0]}]}, "greater than 0"),
        ({"gates": [NORM | {"temperature": 1.0}]}, "gates.0.norm.temperature"),
        ({"gates": [NORM | {"metric": "energy"}]}, "gates.0"),
        ({"gates": [NORM | {"limits": {"balanced": 1.0}}]}, "gates.norm.limits: needs the presets"),
        ({"gates": [NORM, NORM]}, "gates: two bear one name"),
    ],
)
def test_a_manifest_that_names_lacks_nothing_and_has_nothing_idle(changes: dict[str, Any], message: str) -> None:
    assert message in refusal(fields(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"amounts": []}, "amounts: at least one, with different labels, for quantify"),
        ({"amounts": [DRUG, DRUG]}, "with different labels"),
        ({"amounts": [DRUG | {"lowest": 500.0}]}, "amounts.drug: lowest must be under highest"),
        ({"amounts": [DRUG | {"half_widths": {"balanced": 0.0, "confirm": 1.0}}]}, "greater than 0"),
        ({"amounts": [DRUG | {"highest": 1e300}]}, "less than or equal to 1000000000000"),
        (
            {"amounts": [DRUG, DOSE["amounts"][1] | {"half_widths": {"balanced": 1.0}}]},
            "amounts.water.half_widths: needs the presets",
        ),
        ({"default_preset": "screen"}, "default_preset: screen is none of ['balanced', 'confirm']"),
        ({"procedures": ["identify", "quantify"]}, "classes: at least two, with different labels, for identify"),
        ({"residuals": RESIDUALS}, "residuals: verify is not among the procedures"),
    ],
)
def test_a_manifest_that_quantifies_lacks_nothing_and_has_nothing_idle(changes: dict[str, Any], message: str) -> None:
    assert message in refusal(dose_fields(**changes))


def test_a_gate_of_a_dose_bundle_may_have_any_number_of_centres_but_none() -> None:
    gate = fields()["gates"][0] | {"columns": [0, 1], "precision": [[1.0]]}

    made = Manifest.model_validate(dose_fields(gates=[gate | {"means": [[1.0]] * 5}], digests={}))

    assert isinstance(made.gates[0], MahalanobisGate)
    assert "means and precision do not fit" in refusal(dose_fields(gates=[gate | {"means": []}]))


def test_all_problems_are_told_at_once_also_by_the_archive() -> None:
    wrong = dose_fields(
        amounts=[DRUG | {"lowest": 500.0}],
        gates=[NORM | {"columns": [2, 2]}],
        default_preset="screen",
        axis={"unit": "nm", "start": 2.0, "stop": 1.0, "points": 8},
    )

    with pytest.raises(BundleUnfit) as caught:
        bundle_bytes(wrong, dose_files())

    for part in ("start must be under stop", "lowest must be under highest", "norm.columns: no", "screen is none"):
        assert part in caught.value.message


def test_the_examples_in_the_document_are_true() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "models" / "manifest.md").read_text()
    blocks = re.findall(r"<!-- (\w+) -->\n```json\n(.*?)\n```", text, re.DOTALL)
    made = fields(classes=fields()["classes"][:2], procedures=["identify", "verify", "quantify"], digests={})
    made["calibration"]["quantiles"] = {"balanced": [0.6, 0.6], "confirm": [0.1, 0.1]}

    shown = {key: json.loads(block) for key, block in blocks if key != "components"}  # of a bundle of its own
    found = Manifest.model_validate(made | shown)

    assert [key for key, _ in blocks] == ["components", "amounts", "residuals", "gates"]
    assert found.residuals is not None
    assert found.feature_columns == 10


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(["amounts", "residuals", "gates", "calibration", "classes", "amount_tolerance"]), JSON)
def test_any_value_under_a_new_key_gives_a_manifest_or_a_problem(key: str, value: object) -> None:
    try:
        Manifest.model_validate(
            fields() | {"amounts": DOSE["amounts"], "residuals": RESIDUALS, "digests": {}, key: value}
        )
    except ValidationError as error:
        assert str(error)  # noqa: PT017 - either outcome is right


# The archive


def test_golden_amounts_come_back_as_they_were_packed() -> None:
    read = bundle_from_bytes(dose_bytes())

    assert sorted(read.golden) == ["amounts", "features", "spectra"]
    np.testing.assert_array_equal(read.golden["amounts"], DOSE_GOLDEN @ DOSE_TABLE)
    assert (read.manifest.classes, read.manifest.calibration.quantiles) == ((), {})


@pytest.mark.parametrize(
    ("golden", "message"),
    [
        (pack_golden(DOSE_GOLDEN, None, DOSE_GOLDEN), "golden.npz: missing: amounts.npy"),
        (pack_golden(DOSE_GOLDEN, DOSE_GOLDEN, DOSE_GOLDEN, DOSE_GOLDEN @ DOSE_TABLE), "golden.npz: 4 members"),
        (pack_golden(DOSE_GOLDEN, None, DOSE_GOLDEN, DOSE_GOLDEN), "amounts has shape (2, 8), not (2, 2)"),
        (pack_golden(DOSE_GOLDEN, None, DOSE_GOLDEN, (DOSE_GOLDEN @ DOSE_TABLE)[:1]), "amounts has shape (1, 2)"),
        (pack_golden(DOSE_GOLDEN, None, DOSE_GOLDEN, np.full((2, 2), np.nan)), "not a finite number"),
        (pack_golden(DOSE_GOLDEN, None, DOSE_GOLDEN[:, :2], DOSE_GOLDEN @ DOSE_TABLE), "3 columns are read"),
    ],
)
def test_golden_amounts_that_do_not_fit_are_refused(golden: bytes, message: str) -> None:
    with pytest.raises(BundleError) as caught:
        bundle_from_bytes(bundle_bytes(dose_fields(), dose_files() | {"golden.npz": golden}))

    assert message in caught.value.message


def test_the_residuals_reach_as_far_into_the_features_as_the_gates_do() -> None:
    logits = np.zeros((2, 3))
    parts = dose_files() | {"golden.npz": pack_golden(DOSE_GOLDEN, logits, DOSE_GOLDEN[:, :5])}

    with pytest.raises(BundleUnfit, match="6 columns are read"):
        bundle_from_bytes(bundle_bytes(fields(residuals=RESIDUALS | {"columns": [3, 6]}), parts))


@given(st.data())
def test_a_dose_bundle_changed_and_sealed_again_gives_a_bundle_or_a_bundle_error(data: st.DataObject) -> None:
    with zipfile.ZipFile(io.BytesIO(dose_bytes())) as opened:
        parts = {name: opened.read(name) for name in opened.namelist()}
    raw = bytearray(parts["manifest.json"])
    start = data.draw(st.integers(0, len(raw) - 1))
    raw[start : start + data.draw(st.integers(0, 6))] = data.draw(st.binary(max_size=6))

    try:
        found: Bundle | BundleError = bundle_from_bytes(seal(parts | {"manifest.json": bytes(raw)}))
    except BundleError as error:
        found = error

    assert isinstance(found, Bundle | BundleError)
