"""What the manifest's table of compounds may say, what it may promise, and what the library beside it may hold."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import chi2

from edged.bundle.archive import bundle_bytes, bundle_from_bytes, seal
from edged.bundle.components import Components, largest_rate
from edged.bundle.errors import BundleError, BundleUnfit
from edged.bundle.manifest import Manifest
from tests.bundle.mixed import (
    CUP,
    LABELS,
    PREPARED,
    REFERENCES,
    WHITENER,
    golden_arrays,
    mixed_bytes,
    mixed_components,
    mixed_fields,
    mixed_files,
    mixed_golden,
    pack_library,
)
from tests.bundle.test_archive import golden_zip, npy
from tests.bundle.tiny import fields, judged

Change = Callable[[dict[str, Any]], object]
WHOLE = mixed_bytes()


def refusal(change: Change) -> str:
    """What is said of the manifest after its table was changed in place."""
    table = mixed_components()
    change(table)
    with pytest.raises(ValidationError) as caught:
        Manifest.model_validate(mixed_fields(components=table, digests={}))
    return str(caught.value)


def point(preset: str = "balanced", **changes: Any) -> Change:
    return lambda table: table["presets"][preset].update(changes)


def confirmation(**changes: Any) -> Change:
    return lambda table: table["confirmation"].update(changes)


def test_a_whole_table_is_read() -> None:
    manifest = Manifest.model_validate(mixed_fields(digests={}))

    assert manifest.presets == ("screen", "balanced", "confirm")
    assert tuple(compound.label for compound in manifest.compounds) == LABELS
    assert manifest.logit_columns == 4
    assert manifest.components is not None
    assert manifest.components.prepared_points == PREPARED


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t["compounds"].append(t["compounds"][0]), "components.compounds: two bear one label"),
        (lambda t: t.update(compounds=[]), "at least 1 item"),
        (lambda t: t.update(compounds=[{"label": str(n), "title": "x"} for n in range(1025)]), "at most 1024 items"),
        (lambda t: t.update(presets={}), "at least 1 item"),
        (lambda t: t["presets"].update(sure=t["presets"]["screen"]), "components.presets.sure"),
        (lambda t: t.pop("confirmation"), "components.confirmation: is there when a preset has confirm, and only then"),
        (lambda t: [t["presets"].pop(p) for p in ("balanced", "confirm")], "only then"),
        (point(thresholds=[0.0]), "components.presets.balanced.thresholds: 1 values for 4 compounds"),
        (point(named=[0] * 5, negatives=[9] * 3), "balanced.negatives: 3 values for 4 compounds, and 1 more"),
        (point(min_support=[1.0]), "balanced.min_support: 1 values for 4 compounds"),
        (point(thresholds=[float("nan")] * 4), "thresholds.0"),
        (point(thresholds=[1e300, 0.0, 0.0, 0.0]), "less than or equal to 1000000000000"),
        (point(min_support=[-1.0, 1.0, 1.0, 1.0]), "greater than or equal to 0"),
        (point(detection_limits=[0.0, None, None, None]), "greater than 0"),
        (point(detection_limits=[1.5, None, None, None]), "less than or equal to 1"),
        (point(detection_limits_in={"chalk": [None] * 4}), "detection_limits_in: 'chalk' is none of the compounds"),
        (point(detection_limits_in={"twin": [None]}), "detection_limits_in.twin: 1 values for 4"),
        (point(max_rest=None), "balanced: confirm needs max_rest"),
        (point("screen", max_rest=1.0), "screen: max_rest, min_support and thresholds of null have a use only with"),
        (point("screen", min_support=[1.0] * 4), "screen: max_rest, min_support and thresholds of null"),
        (point("screen", thresholds=[None, 0.0, 0.0, 0.0]), "thresholds of null have a use only with confirm"),
        (confirmation(axis={"unit": "nm", "start": 2.0, "stop": 1.0, "points": 62}), "start must be under stop"),
        (confirmation(axis={"unit": "nm", "start": 1.0, "stop": 2.0, "points": 4097}), "at most 4096 points"),
        (confirmation(references=[0, 1, 2, 4]), "references: column 4 of 4 compounds"),
        (confirmation(references=[0, 1, 2]), "references: from 1 to 8 a compound; not so twin"),
        (confirmation(references=[0, 1, 2, *[3] * 9]), "references: from 1 to 8 a compound; not so twin"),
        (confirmation(references=[-1, 1, 2, 3]), "greater than or equal to 0"),
        (confirmation(scatter=[0, 4]), "scatter: columns of 4 compounds, at most 32 of each"),
        (confirmation(scatter=[1] * 33), "scatter: columns of 4 compounds, at most 32 of each"),
        (confirmation(baseline=["x"] * 17), "at most 16 items"),
        (confirmation(rest="feeling"), "Input should be 'noise' or 'share'"),
        (confirmation(tolerance=0.0), "greater than 0"),
        (lambda t: t["confirmation"]["fractions"].update(responses=[1.0]), "needs 4 responses and half widths"),
        (lambda t: t["confirmation"]["fractions"].update(responses=[0.0] * 4), "greater than or equal to"),
        (lambda t: t["confirmation"]["fractions"]["half_widths"].pop("confirm"), "needs the presets that confirm"),
        (lambda t: t.update(surprise=1), "Extra inputs"),
    ],
)
def test_a_table_that_breaks_a_rule_is_refused_with_its_place(change: Change, message: str) -> None:
    assert message in refusal(change)


def test_a_fit_starts_from_a_few_claims_not_from_a_whole_large_library() -> None:
    n = 33
    table = mixed_components()
    table["compounds"] = [{"label": f"c{i}", "title": "C"} for i in range(n)]
    only = table["presets"]["confirm"] | {"detection_limits_in": {}, "negatives": [10**5] * n, "named": [0] * n}
    only |= {"thresholds": [None] * n, "detection_limits": [None] * n, "min_support": [9.0] * n}
    table["presets"] = {"confirm": only}
    table["confirmation"] |= {"references": list(range(n)), "fractions": None}

    assert "a threshold for all compounds but at most 32" in refusal(lambda t: t.update(table))
    only["thresholds"][0] = 0.0
    Components.model_validate(table)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"procedures": ["quantify"]}, "components: the table and the procedure of that name need each other"),
        ({"components": None}, "components: the table and the procedure of that name need each other"),
        ({"default_preset": "sure"}, "default_preset"),
        ({"gates": [{"name": "l", "metric": "norm", "columns": [0, 1], "limits": {"confirm": 1.0}}]}, "gates.l.limits"),
        ({"procedures": ["components", "quantify"]}, "amounts: at least one"),
    ],
)
def test_the_table_and_the_rest_of_the_manifest_fit_together(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Manifest.model_validate(mixed_fields(digests={}) | changes)

    assert message in str(caught.value)


def test_classes_and_compounds_do_not_share_one_graph() -> None:
    with pytest.raises(ValidationError, match="identify and verify and components read other logits: make two bundles"):
        Manifest.model_validate(
            fields(procedures=["identify", "verify", "components"], components=mixed_components(), digests={})
        )


# What a preset may promise


@pytest.mark.parametrize("named", [1, 2, 5, 20, 300])
def test_the_largest_rate_is_the_upper_limit_of_a_poisson_mean(named: int) -> None:
    assert largest_rate(named, 10_000) == pytest.approx(chi2.ppf(0.95, 2 * named + 2) / 2 / 10_000, rel=0.01)


def test_where_none_was_named_the_rule_of_three_holds() -> None:
    assert largest_rate(0, 3000) == 0.001
    assert largest_rate(0, 3000) == pytest.approx(-np.log(0.05) / 3000, rel=0.01)
    assert largest_rate(0, 0) == float("inf")


@pytest.mark.parametrize(("false_names", "needed"), [(1.0, 1104), (0.2, 5520), (0.05, 22080)])
def test_a_preset_for_368_compounds_needs_as_many_negatives_as_the_document_says(
    false_names: float, needed: int
) -> None:
    def made(negatives: int) -> dict[str, Any]:
        n = 368
        preset = {
            "confirm": False,
            "false_names": false_names,
            "thresholds": [0.0] * n,
            "negatives": [negatives] * n,
            "named": [0] * n,
            "detection_limits": [None] * n,
        }
        compounds = [{"label": f"c{i}", "title": "C"} for i in range(n)]
        return mixed_fields(components={"compounds": compounds, "presets": {"balanced": preset}}, gates=[], digests={})

    Manifest.model_validate(made(needed))
    with pytest.raises(ValidationError) as caught:
        Manifest.model_validate(made(needed - 1))
    assert f"takes {needed:,} negatives; so with 367 other compounds" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"negatives": [1000, 59, 1000, 1000]},
            "balanced.negatives: lactose: 5 of 59 named do not bear 0.2 false names",
        ),
        ({"named": [0, 5, 12, 60]}, "balanced.negatives: twin: 60 of 1000 named do not bear"),
        ({"named": [0, 5, 12, 1001], "negatives": [1000] * 4}, "balanced.named: more than there are negatives of twin"),
        ({"negatives": [0] * 4, "named": [0] * 4}, "aspirin: 0 of 0 named do not bear"),
        ({"false_names": 0.0}, "greater than 0"),
    ],
)
def test_a_promise_that_the_negatives_do_not_bear_is_refused(changes: dict[str, Any], message: str) -> None:
    assert message in refusal(point(**changes))


# The document


def test_the_example_in_the_document_is_true() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "models" / "manifest.md").read_text()
    (block,) = re.findall(r"<!-- components -->\n```json\n(.*?)\n```", text, re.DOTALL)
    gate = {"name": "g", "metric": "norm", "columns": [0, 1], "limits": {"balanced": 1.0, "confirm": 1.0}}

    found = Manifest.model_validate(mixed_fields(components=json.loads(block), gates=[gate], digests={}))

    assert [compound.label for compound in found.compounds] == ["aspirin", "lactose"]


def test_a_bundle_comes_back_to_the_byte() -> None:
    read = bundle_from_bytes(WHOLE)
    with zipfile.ZipFile(io.BytesIO(WHOLE)) as opened:
        parts = {name: opened.read(name) for name in opened.namelist() if name != "manifest.json"}

    assert bundle_bytes(read.manifest, parts) == WHOLE
    assert sorted(read.library) == ["baseline", "references", "whitener"]
    np.testing.assert_array_equal(read.library["references"], REFERENCES.astype(np.float32))
    assert not read.library["whitener"].flags.writeable
    np.testing.assert_array_equal(read.golden["prepared"], golden_arrays()["prepared"].astype(np.float32))


# The library and the golden vectors


def bundle_refusal(table: dict[str, Any] | None = None, **parts: bytes) -> str:
    made = mixed_fields() if table is None else mixed_fields(components=table)
    with pytest.raises(BundleError) as caught:
        bundle_from_bytes(bundle_bytes(made, mixed_files(**parts)))
    assert caught.value.hint
    return caught.value.message


WIDE = np.zeros((PREPARED + 1, PREPARED))


@pytest.mark.parametrize(
    ("library", "message"),
    [
        (b"no zip", "library.npz: not a readable archive"),
        (pack_library(REFERENCES, WHITENER), "library.npz: missing: baseline.npy"),
        (
            golden_zip(references=npy(REFERENCES), whitener=npy(WHITENER), baseline=npy(CUP)),
            "library.npz: references.npy is not a float32 array",
        ),
        (pack_library(REFERENCES[:3], WHITENER, CUP), "library.npz: references has shape (3, 62), not (4, 62)"),
        (pack_library(REFERENCES[:, :60], WHITENER, CUP), "library.npz: references has shape (4, 60)"),
        (pack_library(REFERENCES, WHITENER[:, :9], CUP), "library.npz: whitener has shape (62, 9), not (62, 62)"),
        (
            pack_library(REFERENCES, WHITENER[:8], CUP),
            "a whitener of 8 rows for 62 points and 1 baseline terms; wanted 1",
        ),
        (pack_library(REFERENCES, WIDE, CUP), "a whitener of 63 rows for 62 points"),
        (pack_library(REFERENCES, WHITENER, CUP[:, :3]), "library.npz: baseline has shape (1, 3), not (1, 62)"),
        (pack_library(REFERENCES * np.nan, WHITENER, CUP), "library.npz holds a value that is not a finite number"),
        (
            pack_library(REFERENCES, np.full_like(WHITENER, np.inf), CUP),
            "library.npz holds a value that is not a finite number",
        ),
    ],
)
def test_a_library_that_does_not_fit_is_refused(library: bytes, message: str) -> None:
    assert message in bundle_refusal(library_npz=library)


def test_a_library_with_one_weight_a_point_is_read() -> None:
    library = pack_library(REFERENCES, np.ones((1, PREPARED)), CUP)

    assert bundle_from_bytes(bundle_bytes(mixed_fields(), mixed_files(library_npz=library))).library[
        "whitener"
    ].shape == (
        1,
        PREPARED,
    )


def test_scatter_is_there_as_often_as_the_manifest_says_whose_it_is() -> None:
    table = mixed_components()
    table["confirmation"]["scatter"] = [1, 1, 0]
    libraries = {rows: pack_library(REFERENCES, WHITENER, CUP, REFERENCES[:rows]) for rows in (2, 3)}

    read = bundle_from_bytes(bundle_bytes(mixed_fields(components=table), mixed_files(library_npz=libraries[3])))

    np.testing.assert_array_equal(read.library["scatter"], REFERENCES[:3].astype(np.float32))
    assert "library.npz: scatter has shape (2, 62), not (3, 62)" in bundle_refusal(table, library_npz=libraries[2])
    assert "library.npz: missing: scatter.npy" in bundle_refusal(table)
    assert "library.npz: 4 members; at most 3" in bundle_refusal(library_npz=libraries[3])


def test_a_library_that_is_missing_or_that_nothing_reads_is_refused() -> None:
    table = mixed_components()
    table["presets"] = {"balanced": table["presets"]["screen"]}
    del table["confirmation"]
    gate = mixed_fields()["gates"][0] | {"limits": {"balanced": 1.0}}
    parts = mixed_files()
    without = {name: data for name, data in parts.items() if name != "library.npz"}

    with pytest.raises(BundleUnfit, match=r"library.npz is missing: a preset confirms"):
        bundle_from_bytes(bundle_bytes(mixed_fields(), without))
    with pytest.raises(BundleUnfit, match=r"library.npz is there, and no preset confirms"):
        bundle_from_bytes(
            bundle_bytes(
                mixed_fields(components=table, gates=[gate]), parts | {"golden.npz": mixed_golden(prepared=None)}
            )
        )


def test_a_library_that_unpacks_to_more_than_its_limit_is_refused() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as opened:
        for name in ("references", "whitener", "baseline"):
            opened.writestr(f"{name}.npy", npy(np.zeros((1500, 2048), np.float32)))

    assert len(packed.getvalue()) < 100_000
    assert "library.npz is larger than 16 MiB unpacked" in bundle_refusal(library_npz=packed.getvalue())


@pytest.mark.parametrize(
    ("prepared", "message"),
    [
        (None, "golden.npz: missing: prepared.npy"),
        (golden_arrays()["prepared"][:, :60], "prepared has shape (3, 60), not (3, 62)"),
        (golden_arrays()["prepared"][:2], "prepared has shape (2, 62)"),
        (golden_arrays()["prepared"] * np.nan, "not a finite number"),
    ],
)
def test_golden_prepared_spectra_that_do_not_fit_are_refused(prepared: Any, message: str) -> None:
    assert message in bundle_refusal(golden_npz=mixed_golden(prepared=prepared))


# Any bytes


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
PLACES = [
    ("compounds",),
    ("presets",),
    ("confirmation",),
    *[("presets", "balanced", key) for key in mixed_components()["presets"]["confirm"]],
    *[("confirmation", key) for key in mixed_components()["confirmation"]],
    *[("confirmation", "fractions", key) for key in ("responses", "half_widths")],
]


@given(st.sampled_from(PLACES), JSON)
@settings(max_examples=150)
def test_any_value_in_any_place_of_the_table_gives_a_bundle_or_a_bundle_error(
    place: tuple[str, ...], value: object
) -> None:
    with zipfile.ZipFile(io.BytesIO(WHOLE)) as opened:
        parts = {name: opened.read(name) for name in opened.namelist()}
    manifest = json.loads(parts["manifest.json"])
    table = manifest["components"]
    for key in place[:-1]:
        table = table[key]
    table[place[-1]] = value

    judged(seal(parts | {"manifest.json": json.dumps(manifest).encode()}))


@given(st.data())
@settings(max_examples=60)
def test_a_library_changed_and_sealed_again_gives_a_bundle_or_a_bundle_error(data: st.DataObject) -> None:
    raw = bytearray(mixed_files()["library.npz"])
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(raw)))
        raw[start : start + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))

    judged(bundle_bytes(mixed_fields(), mixed_files(library_npz=bytes(raw))))
