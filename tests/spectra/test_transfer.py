from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.spectra.spectrum import AxisUnit, Quantity, Spectrum, SpectrumError
from edged.spectra.transfer import (
    MAX_FILE_BYTES,
    Correction,
    Direct,
    Piecewise,
    Shift,
    SlopeBias,
    Transfer,
    TransferMismatch,
    TransferUnusable,
    apply_transfer,
    load_transfer,
)

AXIS = np.arange(900.0, 1000.0, 5.0)
POINTS = len(AXIS)
VALUES = np.sin(AXIS / 20) + 2
RNG = np.random.default_rng(3)


def transfer(correction: Correction, **changes: Any) -> Transfer:
    words: dict[str, Any] = {
        "from_instrument": "S2",
        "to_instrument": "M1",
        "technique": "nir",
        "quantity": "absorbance",
        "axis_unit": "nm",
        "axis": AXIS.copy(),
        "standards": ("talc", "lactose"),
        "date": "2026-11-25",
        "correction": correction,
        "provenance": {"settings": "by hand"},
    }
    return Transfer(**{**words, **changes})


def spectrum(
    axis: Any = AXIS, values: Any = None, *, unit: AxisUnit = "nm", quantity: Quantity = "absorbance", **more: Any
) -> Spectrum:
    values = np.interp(axis, AXIS, VALUES) if values is None else values
    return Spectrum(
        axis=np.array(axis, dtype=np.float64),
        values=np.array(values, dtype=np.float32),
        axis_unit=unit,
        quantity=quantity,
        **more,
    )


def bias(points: int = POINTS) -> SlopeBias:
    return SlopeBias(slope=np.ones(1), bias=np.full(points, 0.25))


def piecewise(width: int = 5) -> Piecewise:
    return Piecewise(
        center=RNG.random(POINTS), level=RNG.random(POINTS), weights=RNG.normal(size=(POINTS, width)) / width
    )


def direct(rank: int = 3) -> Direct:
    return Direct(
        center=RNG.random(POINTS),
        level=RNG.random(POINTS),
        components=RNG.normal(size=(rank, POINTS)),
        corrections=RNG.normal(size=(rank, POINTS)) / 100,
    )


EACH: dict[str, Correction] = {
    "shift": Shift(coefficients=np.array([1.5, 0.25])),
    "slope_bias": SlopeBias(slope=RNG.random(POINTS), bias=RNG.random(POINTS)),
    "pds": piecewise(),
    "ds": direct(),
}


@pytest.mark.parametrize("kind", EACH)
def test_a_correction_comes_back_from_its_file_as_it_was_and_does_the_same(kind: str, tmp_path: Path) -> None:
    written = transfer(EACH[kind])
    path = tmp_path / "t.json"
    path.write_text(written.to_json(), encoding="utf-8")

    found = load_transfer(path)

    assert found.kind == kind
    assert found.to_json() == written.to_json()
    assert (found.standards, dict(found.provenance)) == (("talc", "lactose"), {"settings": "by hand"})
    one, other = apply_transfer(spectrum(), found), apply_transfer(spectrum(), written)
    assert np.array_equal(one.values, other.values)
    assert np.array_equal(one.axis, other.axis)


def test_the_file_begins_with_what_people_ask_one_line_each() -> None:
    lines = transfer(bias()).to_json().splitlines()

    assert lines[:8] == [
        "{",
        '  "schema": "edged.transfer/1",',
        '  "kind": "slope_bias",',
        '  "from": "S2",',
        '  "to": "M1",',
        '  "technique": "nir",',
        '  "quantity": "absorbance",',
        '  "axis_unit": "nm",',
    ]


def test_a_record_can_name_the_correction_by_kind_instruments_date_and_digest() -> None:
    text = transfer(bias()).to_json()
    digest = json.loads(text)["sha256"]

    assert transfer(bias()).describe() == f"slope_bias S2 to M1 2026-11-25 {digest[:12]}"


def test_a_shift_moves_the_axis_by_its_polynomial_and_leaves_the_values() -> None:
    found = apply_transfer(spectrum(), transfer(Shift(coefficients=np.array([1.0, 0.5, 0.25]))))

    assert found.axis[0] == pytest.approx(900 + 1.0 - 0.5 + 0.25)
    assert found.axis[-1] == pytest.approx(995 + 1.0 + 0.5 + 0.25)
    np.testing.assert_array_equal(found.values, spectrum().values)


def test_a_shift_takes_another_axis_and_cuts_what_it_was_not_fitted_on() -> None:
    wide = np.arange(880.0, 1020.0, 2.0)

    found = apply_transfer(spectrum(wide), transfer(Shift(coefficients=np.array([0.5]))))

    assert (found.axis[0], found.axis[-1]) == (900.5, 994.5)


def test_slope_and_bias_work_point_by_point_and_for_all_points_alike() -> None:
    each = SlopeBias(slope=np.linspace(0.5, 1.5, POINTS), bias=np.arange(POINTS) / 100)
    every = SlopeBias(slope=np.array([2.0]), bias=np.array([-1.0]))

    np.testing.assert_allclose(
        apply_transfer(spectrum(), transfer(each)).values, VALUES * each.slope + each.bias, rtol=1e-6
    )
    np.testing.assert_allclose(apply_transfer(spectrum(), transfer(every)).values, 2 * VALUES - 1, rtol=1e-6)


def test_piecewise_weighs_a_whole_window_around_each_point_and_the_first_and_last_one_at_the_ends() -> None:
    local = piecewise(5)
    off = VALUES - local.center

    found = apply_transfer(spectrum(), transfer(local)).values

    for point, start in ((0, 0), (1, 0), (2, 0), (3, 1), (10, 8), (17, 15), (18, 15), (19, 15)):
        expected = local.level[point] + off[start : start + 5] @ local.weights[point]
        assert found[point] == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_direct_adds_to_the_centred_spectrum_what_its_directions_say() -> None:
    whole = direct(3)
    off = VALUES - whole.center
    matrix = np.eye(POINTS) + whole.components.T @ whole.corrections

    found = apply_transfer(spectrum(), transfer(whole)).values

    np.testing.assert_allclose(found, whole.level + off @ matrix, rtol=1e-5, atol=1e-5)


def test_points_outside_the_fitted_axis_are_cut_off_with_their_flags() -> None:
    wide = np.arange(880.0, 1021.0, 5.0)
    flags = wide == 900.0

    found = apply_transfer(spectrum(wide, saturated=flags, title="x"), transfer(bias()))

    assert (found.axis[0], found.axis[-1], len(found.axis)) == (900.0, 995.0, POINTS)
    assert found.saturated is not None
    assert found.saturated.tolist() == [True] + [False] * (POINTS - 1)
    assert (found.title, found.axis_unit, found.quantity) == ("x", "nm", "absorbance")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (spectrum(unit="cm-1"), "absorbance over cm-1"),
        (spectrum(quantity="reflectance"), "reflectance over nm"),
        (spectrum(AXIS + 1.0), "19 of its points"),
        (spectrum(AXIS[1:]), "not 20"),
        (spectrum(AXIS * 10), "0 of its points"),
        (spectrum(np.arange(900.0, 1000.0, 2.5)), "39 of its points"),
        (spectrum(np.where(AXIS == 950, 951, AXIS)), "951 should be 950, within 0.5 nm"),
    ],
)
def test_a_spectrum_of_another_sort_is_refused_with_what_differs_and_what_to_do(wrong: Spectrum, says: str) -> None:
    with pytest.raises(TransferMismatch, match=says) as caught:
        apply_transfer(wrong, transfer(bias()))

    assert isinstance(caught.value, SpectrumError)
    assert "correction of this instrument" in caught.value.hint


def test_a_shift_refuses_a_spectrum_that_hardly_meets_its_axis() -> None:
    with pytest.raises(TransferMismatch, match="only 4 of its points"):
        apply_transfer(spectrum(np.arange(980.0, 1080.0, 5.0)), transfer(EACH["shift"]))


def test_an_axis_a_tenth_of_a_step_off_is_taken() -> None:
    found = apply_transfer(spectrum(AXIS + 0.49), transfer(bias()))

    assert found.axis[0] == 900.49


def test_a_result_that_float32_cannot_hold_is_no_spectrum() -> None:
    steep = SlopeBias(slope=np.array([1e10]), bias=np.array([0.0]))

    with pytest.raises(SpectrumError, match="not a finite number"):
        apply_transfer(spectrum(values=np.full(POINTS, 1e30)), transfer(steep))


@pytest.mark.parametrize(
    ("correction", "changes", "says"),
    [
        (bias(POINTS - 1), {}, "sizes do not fit 20 points"),
        (SlopeBias(slope=np.ones(1), bias=np.full(1, np.nan)), {}, "not finite"),
        (SlopeBias(slope=np.full(1, 1e11), bias=np.zeros(1)), {}, "above 1e"),
        (piecewise(4), {}, "do not fit"),
        (replace(piecewise(5), level=np.zeros(3)), {}, "do not fit"),
        (Piecewise(center=np.zeros(20), level=np.zeros(20), weights=np.zeros((20, 21))), {}, "do not fit"),
        (direct(65), {}, "do not fit"),
        (replace(direct(3), corrections=np.zeros((2, POINTS))), {}, "do not fit"),
        (Shift(coefficients=np.zeros(5)), {}, "do not fit"),
        (Shift(coefficients=np.array([6.0])), {}, "moves by over 5%"),
        (Shift(coefficients=np.zeros(0)), {}, "do not fit"),
        (bias(), {"axis": AXIS[::-1].copy()}, "must be finite and rise"),
        (bias(), {"axis": AXIS[:5].copy()}, "8 to 8192"),
        (bias(), {"date": "2026-02-30"}, "not of the form"),
        (bias(), {"date": "25.11.2026"}, "not of the form"),
        (bias(), {"standards": ()}, "0 standards"),
        (bias(), {"standards": ("a\nb",)}, "printable"),
        (bias(), {"from_instrument": ""}, "printable"),
        (bias(), {"provenance": {"x": "y" * 201}}, "printable"),
        (bias(), {"provenance": {str(n): "y" for n in range(51)}}, "at most 50"),
    ],
)
def test_parts_that_make_no_correction_are_refused(correction: Correction, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(TransferUnusable, match=says):
        transfer(correction, **changes)


def changed(**changes: Any) -> bytes:
    return json.dumps({**json.loads(transfer(bias()).to_json()), **changes}).encode()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"schema": NaN}', "NaN is no number"),
        (b'{"a": 1, "a": 2}', "a key stands twice"),
        (b"[]", "schema: found 'None'"),
        (changed(schema="edged.transfer/2"), "this edged reads 'edged.transfer/1'"),
        (changed(extra=1), "absent or unknown: 'extra'"),
        (changed(kind="magic"), "kind: found 'magic', allowed"),
        (changed(axis_unit="um"), "axis_unit: found 'um'"),
        (changed(to=5), "to: found '5'"),
        (changed(standards="talc"), "expected a list of names"),
        (changed(provenance={"a": 1}), "provenance: expected texts"),
        (changed(kind="pds"), "a correction of kind pds has center, level, weights"),
        (changed(axis="900"), "axis: expected a list"),
        (changed(axis=[True] * POINTS), "axis: holds something that is not a number"),
        (changed(axis=[[900.0], [1.0, 2.0]]), "lists of one length"),
        (changed(axis=[10**400] * POINTS), "too large"),
        (changed(axis=[1e999] * POINTS).replace(b"Infinity", b"1e999"), "finite and rise"),
        (changed(axis=[0.0] * 1_000_001), "over 1,000,000 numbers"),
        (changed(**{"from": "S3"}), "sha256: the content is not what was written"),
        (changed(parameters={"slope": [1.0], "bias": [0.3] * POINTS}), "sha256"),
    ],
)
def test_a_damaged_file_is_refused_with_its_name_what_is_wrong_and_what_to_do(
    content: bytes, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content)

    with pytest.raises(TransferUnusable, match=says) as caught:
        load_transfer(path)

    assert str(path) in caught.value.message
    assert "fit a new one" in caught.value.hint


def test_an_absent_file_and_one_beyond_the_limit_are_refused(tmp_path: Path) -> None:
    big = tmp_path / "big.json"
    with big.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)

    with pytest.raises(TransferUnusable, match="no such file"):
        load_transfer(tmp_path / "absent.json")
    with pytest.raises(TransferUnusable, match="over 32 MB"):
        load_transfer(big)


@given(st.binary(max_size=300), st.integers(0, 600), st.integers(0, 600))
def test_whatever_the_bytes_it_is_a_correction_or_unusable(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes, start: int, length: int
) -> None:
    good = transfer(bias()).to_json().encode()
    path = tmp_path_factory.getbasetemp() / "fuzzed.json"
    path.write_bytes(good[:start] + junk + good[start + length :])

    try:
        found = load_transfer(path)
    except TransferUnusable:
        return
    assert found.to_json().encode() == good
