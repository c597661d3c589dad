"""Which bands an answer rests on, where it is known by construction: by the table of a graph, by what was hidden."""

from __future__ import annotations

import io
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from edged.bundle.archive import bundle_bytes, bundle_from_bytes
from edged.bundle.vocabulary import Axis
from edged.infer.analyze import Analyzer
from edged.infer.errors import NotOffered
from edged.infer.explain import (
    MAX_WINDOWS,
    TOLD,
    WIDTHS,
    bands,
    bridge_bands,
    positions,
    relevance,
    structure,
    windows,
)
from edged.infer.verdict import MAX_BANDS, MAX_TARGETS, Band, Preset, Verdict, Why
from edged.infer.why import Curves, Explanation, unpack_curves
from edged.spectra.spectrum import Spectrum
from tests.bundle.mixed import (
    AXIS_NM,
    BANDS,
    CUP,
    REFERENCES,
    WHITENER,
    mixed_bytes,
    mixed_fields,
    mixed_files,
    pack_library,
    spectrum,
)
from tests.bundle.tiny import AXIS_NM as TINY_NM
from tests.bundle.tiny import dose_bytes, tiny_bytes

RAMAN = Axis(unit="cm-1", start=200.0, stop=2000.0, points=1024)
NIR = Axis(unit="nm", start=900.0, stop=1700.0, points=401)
AT, AT_NM = positions(RAMAN), positions(NIR)
ANALYZER = Analyzer(bundle_from_bytes(mixed_bytes()))


def peak(centre: float, fwhm: float, at: NDArray[np.float64] = AT) -> NDArray[np.float32]:
    return np.exp(-4.0 * np.log(2.0) * ((at - centre) / fwhm) ** 2).astype(np.float32)


def weighed(*weights: NDArray[np.floating]) -> Any:
    """A model whose scores are sums of the spectrum, weighted."""
    table = np.stack(weights).astype(np.float64)
    return lambda rows: rows.astype(np.float64) @ table.T


def explained(preset: Preset | None = None, **parts: float) -> Explanation | None:
    values = spectrum(**parts)
    measured = Spectrum(axis=AXIS_NM.copy(), values=values, axis_unit="nm", quantity="absorbance")
    verdict = ANALYZER.analyze(measured, ANALYZER.question(preset=preset)).verdict
    return ANALYZER.explain(measured, verdict)


def test_of_two_peaks_that_one_is_told_at_which_the_model_looks() -> None:
    row = 0.5 * peak(800.0, 9.0) + 2.0 * peak(1400.0, 9.0) + (AT / 500.0).astype(np.float32)

    curves = relevance(row, RAMAN, weighed(peak(800.0, 9.0), peak(1400.0, 9.0)))

    for curve, centre in zip(curves, (800.0, 1400.0), strict=True):
        first = bands(curve, RAMAN)[0]
        assert first.peak == pytest.approx(centre, abs=9.0 / 4.0)  # windows begin every 7 cm-1: a quarter of its width
        assert first.low < centre < first.high
        assert first.high - first.low < 16.0
        assert first.share > 0.75


def test_what_speaks_against_an_answer_is_no_reason_for_it() -> None:
    row = peak(800.0, 9.0) + peak(1400.0, 9.0)

    (curve,) = relevance(row, RAMAN, weighed(peak(800.0, 9.0) - peak(1400.0, 9.0)))

    assert curve[np.abs(AT - 1400.0) < 4.0].max() < 0.0
    assert all(band.high < 1000.0 for band in bands(curve, RAMAN))


def test_a_slope_without_a_band_explains_nothing() -> None:
    row = np.linspace(1.0, 3.0, RAMAN.points).astype(np.float32)

    (curve,) = relevance(row, RAMAN, weighed(np.linspace(0.0, 1.0, RAMAN.points)))

    assert np.abs(curve).max() < 1e-3  # the rounding of float32, against a score of 1,200
    assert bands(np.zeros(RAMAN.points), RAMAN) == ()


@pytest.mark.parametrize(
    "axis",
    [
        RAMAN,
        NIR,
        Axis(unit="cm-1", start=100.0, stop=3500.0, points=4096),
        Axis(unit="nm", start=1.0, stop=2.0, points=8),
    ],
    ids=["raman", "nir", "longest", "shortest"],
)
def test_windows_are_as_many_as_may_be_and_leave_no_point_but_the_ends_unasked(axis: Axis) -> None:
    found = windows(axis)

    assert sum(map(len, found)) <= MAX_WINDOWS
    for places in found:
        assert places.min() == 0
        assert places.max() == axis.points - 1
        inside = np.zeros(axis.points, dtype=bool)
        for first, last in places:
            assert last - first >= 2
            inside[first + 1 : last] = True
        assert inside.sum() >= (axis.points - 2) * 0.99
    steps = [np.diff(places[:, 0]).max(initial=1) for places in found]
    assert steps[0] <= steps[1]


def test_windows_are_as_wide_as_is_written() -> None:
    for places, width in zip(windows(RAMAN), WIDTHS["cm-1"], strict=True):
        across = AT[places[:, 1]] - AT[places[:, 0]]
        np.testing.assert_allclose(across, width, atol=(AT[1] - AT[0]) / 2.0)


def test_each_window_is_bridged_by_the_straight_line_between_its_ends() -> None:
    """Eight points 10 nm apart: windows of four steps, which overlap by half, and one over the whole axis."""
    axis = Axis(unit="nm", start=1000.0, stop=1070.0, points=8)
    row = np.array([0, 5, 1, 7, 2, 9, 4, 7], dtype=np.float32)
    asked: list[tuple[float, ...]] = []

    def ask(rows: NDArray[np.float32]) -> NDArray[np.float64]:
        asked.extend(map(tuple, rows.tolist()))
        return rows.astype(np.float64)

    relevance(row, axis, ask)

    assert asked == [
        (0, 5, 1, 7, 2, 9, 4, 7),
        (0, 0.5, 1, 1.5, 2, 9, 4, 7),
        (0, 5, 1, 1.75, 2.5, 3.25, 4, 7),
        (0, 5, 1, 7, 7, 7, 7, 7),
        (0, 1, 2, 3, 4, 5, 6, 7),
    ]


def test_the_loss_of_a_window_is_credited_to_its_points_by_how_far_each_was_changed() -> None:
    """A model of point 1 alone, by hand: of the fall of 4.5 in the first window points 1 and 3 get theirs."""
    axis = Axis(unit="nm", start=1000.0, stop=1070.0, points=8)
    row = np.array([0, 5, 1, 7, 2, 9, 4, 7], dtype=np.float32)

    (curve,) = relevance(row, axis, weighed(np.eye(8)[1]))

    narrow = np.array([0, 4.5 * 4.5 / 10, 0, 4.5 * 5.5 / 10 / 2, 0, 0, 0, 0])  # two windows change point 3
    wide = 4.0 * np.array([0, 4, 1, 4, 2, 4, 2, 0]) / 17
    np.testing.assert_allclose(curve, (narrow + wide) / 2.0, rtol=1e-6)


def test_bands_hold_what_was_promised_do_not_overlap_and_the_largest_comes_first() -> None:
    heights = (5.0, 3.0, 4.0, 2.0, 1.0)
    curve = sum(h * peak(c, 20.0) for h, c in zip(heights, (300, 600, 900, 1200, 1500), strict=True))

    found = bands(np.asarray(curve, dtype=np.float64), RAMAN)

    assert [round(band.peak) for band in found[:3]] == [300, 900, 600]
    assert [band.share for band in found] == sorted((band.share for band in found), reverse=True)
    assert sum(band.share for band in found) >= TOLD
    for before, after in pairwise(sorted(found, key=lambda band: band.low)):
        assert before.high <= after.low


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_bands_of_any_curve_are_few_in_order_and_within_the_axis(seed: int) -> None:
    rng = np.random.default_rng(seed)
    curve = rng.normal(0.0, 1.0, RAMAN.points) ** int(rng.integers(1, 6))

    found = bands(curve, RAMAN)

    assert 1 <= len(found) <= MAX_BANDS
    assert 0.0 < sum(band.share for band in found) <= 1.0 + 1e-9
    for band in found:
        assert RAMAN.start <= band.low <= band.peak <= band.high <= RAMAN.stop


def test_a_reference_has_bands_where_its_peaks_are_whatever_slope_it_stands_on() -> None:
    known = structure(peak(800.0, 9.0) + AT / 100.0, RAMAN)

    assert known[np.abs(AT - 800.0) < 9.0].all()
    assert not known[np.abs(AT - 800.0) > 40.0].any()
    assert not structure(np.zeros(RAMAN.points), RAMAN).any()


def test_without_its_bands_a_spectrum_is_a_line_there() -> None:
    row = (AT / 100.0).astype(np.float32) + peak(800.0, 9.0) + peak(1400.0, 9.0)
    told = (Band(low=792.0, high=808.0, peak=800.0, share=1.0),)

    bare = bridge_bands(row, told, RAMAN)

    near = np.abs(AT - 800.0) < 16.0
    np.testing.assert_allclose(bare[near], AT[near] / 100.0, atol=1e-3)
    np.testing.assert_array_equal(bare[~(np.abs(AT - 800.0) < 20.0)], row[~(np.abs(AT - 800.0) < 20.0)])


def test_a_mixture_is_explained_compound_by_compound_by_its_own_bands() -> None:
    found = explained(aspirin=0.6, lactose=0.4)

    assert found is not None
    assert [one.label for one in found.why] == ["aspirin", "lactose"]
    for one in found.why:
        centres = [1000.0 + 5.0 * place for _, place, _ in BANDS[one.label]]  # 5 nm a point
        half = [1.18 * 5.0 * width for *_, width in BANDS[one.label]]  # of a Gaussian, from its deviation
        top = one.bands[0]
        assert any(abs(top.peak - centre) <= width for centre, width in zip(centres, half, strict=True)), one
        assert one.unit == "nm"
        assert one.score == pytest.approx(40.0 * {"aspirin": 0.6, "lactose": 0.4}[one.label] - 2.0, abs=0.05)
        assert one.without < 0.25 * one.score  # the bands hold four fifths of it
        assert (one.is_off_band, one.off_band is not None) == (False, True)
    assert found.curves.relevance.shape == found.curves.references.shape == (2, 64)


def test_the_same_spectrum_is_explained_alike_to_the_bit() -> None:
    first, second = explained(aspirin=0.6, lactose=0.4), explained(aspirin=0.6, lactose=0.4)

    assert first is not None
    assert second is not None
    assert first.why == second.why
    assert first.curves.packed() == second.curves.packed()


def test_relevance_where_the_reference_has_no_band_is_flagged() -> None:
    """Aspirin by its logit, and nothing of aspirin in the library's row: the reference of another stands there."""
    wrong = REFERENCES[[1, 0, 2, 3]]
    bundle = bundle_from_bytes(
        bundle_bytes(mixed_fields(), mixed_files(library_npz=pack_library(wrong, WHITENER, CUP)))
    )
    analyzer = Analyzer(bundle)
    measured = Spectrum(axis=AXIS_NM.copy(), values=spectrum(aspirin=1.0), axis_unit="nm", quantity="absorbance")
    verdict = analyzer.analyze(measured, analyzer.question(preset="screen")).verdict

    found = analyzer.explain(measured, verdict)

    assert found is not None
    one = next(one for one in found.why if one.label == "aspirin")
    assert one.is_off_band
    assert "look twice" in one.in_words()
    right = explained("screen", aspirin=1.0)
    assert right is not None
    assert not next(one for one in right.why if one.label == "aspirin").is_off_band


def test_a_class_is_explained_by_what_tells_it_from_the_others() -> None:
    """Logits are points 0, 1 and 2; at 1 there is the one peak, and what lifts all classes alike counts for none."""
    analyzer = Analyzer(bundle_from_bytes(tiny_bytes()))
    values = np.array([0, 4, 0, 1, 1, 1, 1, 1], dtype=np.float32)
    measured = Spectrum(axis=TINY_NM.copy(), values=values, axis_unit="nm", quantity="absorbance")
    verdict = analyzer.analyze(measured).verdict

    found = analyzer.explain(measured, verdict)

    assert found is not None
    (one,) = found.why
    assert (one.label, verdict.label) == ("B", "B")
    assert one.score == pytest.approx(4.0 - np.log(2.0))
    assert one.bands[0].peak == pytest.approx(1010.0, abs=3.0)


def test_where_no_class_is_named_nothing_is_explained() -> None:
    analyzer = Analyzer(bundle_from_bytes(tiny_bytes()))
    far = Spectrum(axis=TINY_NM.copy(), values=np.full(8, 90.0, np.float32), axis_unit="nm", quantity="absorbance")
    verdict = analyzer.analyze(far).verdict

    assert verdict.outcome == "not_in_scope"
    assert analyzer.explain(far, verdict) is None
    assert explained() is None  # nothing in it, nothing claimed


def test_an_amount_is_not_explained() -> None:
    analyzer = Analyzer(bundle_from_bytes(dose_bytes()))
    measured = Spectrum(axis=TINY_NM.copy(), values=np.full(8, 3.0, np.float32), axis_unit="nm", quantity="absorbance")
    verdict = Verdict(procedure="quantify", preset="balanced", outcome="quantified")

    with pytest.raises(NotOffered, match="an amount is not explained"):
        analyzer.explain(measured, verdict)


def test_an_explanation_that_would_keep_others_waiting_is_refused_with_what_it_would_take() -> None:
    """A clock that says half a second a run."""
    ticks = iter(np.arange(0.0, 100.0, 0.5))
    analyzer = Analyzer(bundle_from_bytes(mixed_bytes()), clock=lambda: float(next(ticks)))
    measured = Spectrum(axis=AXIS_NM.copy(), values=spectrum(aspirin=0.6), axis_unit="nm", quantity="absorbance")
    verdict = analyzer.analyze(measured).verdict
    runs = sum(map(len, windows(analyzer.bundle.manifest.axis)))

    with pytest.raises(NotOffered, match=f"{runs} times, which would take {runs / 2:.0f} s here; 5 s are allowed"):
        analyzer.explain(measured, verdict)


def test_a_refused_claim_is_explained_beside_what_the_sample_looks_like() -> None:
    analyzer = Analyzer(bundle_from_bytes(tiny_bytes()))
    values = np.array([0, 4, 0, 1, 1, 1, 1, 1], dtype=np.float32)
    measured = Spectrum(axis=TINY_NM.copy(), values=values, axis_unit="nm", quantity="absorbance")
    verdict = analyzer.analyze(measured, analyzer.question(procedure="verify", claimed="A")).verdict

    found = analyzer.explain(measured, verdict)

    assert verdict.outcome == "fail"
    assert found is not None
    assert [one.label for one in found.why] == ["B", "A"]
    assert found.why[1].score < 0.0


def test_curves_come_back_as_they_were_packed() -> None:
    found = explained(aspirin=0.6, lactose=0.4)
    assert found is not None

    again = unpack_curves(found.curves.packed())

    for name in ("axis", "values", "relevance", "references"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found.curves, name))
    assert again.unit == "nm"


def _packed(**changes: Any) -> bytes:
    file = io.BytesIO()
    arrays = {
        "axis": np.arange(4.0),
        "unit": np.array("nm"),
        "values": np.zeros(4, np.float32),
        "relevance": np.zeros((1, 4), np.float32),
        "references": np.zeros((1, 4), np.float32),
    }
    np.savez(file, **(arrays | changes))
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04 no more",
        _packed(unit=np.array("mile")),
        _packed(axis=np.array([0.0, 2.0, 1.0, 3.0])),
        _packed(values=np.full(4, np.nan)),
        _packed(relevance=np.zeros((2, 4))),
        _packed(relevance=np.zeros((9, 4)), references=np.zeros((9, 4))),
        _packed(values=np.array([object()] * 4)),
        _packed(axis=np.arange(300_000.0)),
    ],
    ids=["empty", "cut", "unit", "axis", "nan", "rows", "targets", "objects", "large"],
)
def test_curves_that_do_not_fit_together_are_refused(data: bytes) -> None:
    assert isinstance(unpack_curves(_packed()), Curves)

    with pytest.raises(ValueError, match="stored explanation"):
        unpack_curves(data)


def test_a_record_holds_no_more_than_was_said() -> None:
    band = Band(low=1.0, high=2.0, peak=1.5, share=0.1)
    fields: dict[str, Any] = {"label": "a", "title": "A", "unit": "nm", "score": 1.0, "without": 0.0}

    Why(**fields, bands=(band,) * MAX_BANDS)
    with pytest.raises(ValidationError):
        Why(**fields, bands=(band,) * (MAX_BANDS + 1))
    assert MAX_TARGETS * MAX_BANDS <= 48
