"""Explanations at their edges: shares that rounding puts beyond one, numbers and axes that are too large to be kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edged.bundle.archive import bundle_from_bytes
from edged.bundle.vocabulary import Axis
from edged.infer.errors import NotOffered
from edged.infer.explain import Rows, bands, positions
from edged.infer.verdict import MAX_TARGETS, Candidate, Verdict, Why
from edged.infer.why import MAX_PACKED_BYTES, Curves, Explainer, _off_band, most_targets, unpack_curves
from tests.bundle.mixed import LABELS, mixed_bytes, spectrum

RAMAN = Axis(unit="cm-1", start=200.0, stop=2000.0, points=1024)
LONGEST = 65_536  # points of an axis, by `Axis`


def test_the_share_outside_a_references_bands_is_one_at_most() -> None:
    """All of it outside: two sums of the same numbers differ in the last bit where zeros stand between those of one."""
    rng = np.random.default_rng(11)
    at = positions(RAMAN)
    fields: dict[str, Any] = {"label": "a", "title": "A", "unit": "cm-1", "score": 1.0, "without": 0.0}
    for _ in range(2000):
        curve = rng.normal(0.0, 1.0, RAMAN.points) ** 3
        told = bands(curve, RAMAN)
        inside = np.any([(at >= band.low) & (at <= band.high) for band in told], axis=0)

        found = _off_band(curve, ~inside, told, at)

        assert found == pytest.approx(1.0, abs=1e-12)
        assert Why(**fields, off_band=found).off_band == found


def curves_of(points: int, targets: int) -> Curves:
    rows = np.zeros((targets, points), dtype=np.float32)
    values = np.zeros(points, dtype=np.float32)
    return Curves(axis=np.arange(float(points)), unit="nm", values=values, relevance=rows, references=rows)


@pytest.mark.parametrize("points", [8, 4096, 13_000, 13_743, 13_744, 30_000, 52_224])
def test_curves_of_as_many_targets_as_there_is_room_for_come_back(points: int) -> None:
    """Beside 12 bytes a point of axis and values, a target takes 8: eight of them fit up to 13,743 points."""
    targets = most_targets(points)

    assert (targets == MAX_TARGETS) == (points <= 13_743)
    assert len(unpack_curves(curves_of(points, targets).packed()).relevance) == targets
    if targets < MAX_TARGETS:
        assert len(curves_of(points, targets + 1).packed()) > MAX_PACKED_BYTES - 4096


def of_many(points: int) -> tuple[Explainer, Rows, Verdict]:
    """An explainer of a bundle whose axis is that long, a row of it, and a verdict that names four compounds."""
    bundle = bundle_from_bytes(mixed_bytes())
    axis = bundle.manifest.axis.model_copy(update={"points": points})
    object.__setattr__(bundle, "manifest", bundle.manifest.model_copy(update={"axis": axis}))

    def run(rows: Rows) -> NDArray[np.float64]:
        return rows[:, :: points // 64][:, : len(LABELS)].astype(np.float64)

    names = tuple(Candidate(label=label, title=label, probability=0.5) for label in LABELS)
    verdict = Verdict(procedure="components", preset="balanced", outcome="inconclusive", candidates=names)
    row = np.interp(np.linspace(0, 63, points), np.arange(64), spectrum(aspirin=0.6)).astype(np.float32)
    return Explainer(bundle, run), row, verdict


def test_of_a_long_axis_fewer_targets_are_explained() -> None:
    explainer, row, verdict = of_many(30_000)

    found = explainer.explain(row, verdict)

    assert found is not None
    assert [one.label for one in found.why] == list(LABELS[:2])  # (1 MiB - 12 * 30,000) / (8 * 30,000) is 2.9
    assert len(unpack_curves(found.curves.packed()).relevance) == 2


def test_an_axis_of_which_not_even_one_target_could_be_kept_is_not_explained() -> None:
    explainer, row, verdict = of_many(LONGEST)

    with pytest.raises(NotOffered, match="65536 points"):
        explainer.explain(row, verdict)


def test_curves_of_scores_beyond_float32_are_kept_as_what_can_be_read_back() -> None:
    bundle = bundle_from_bytes(mixed_bytes())
    highest = float(np.finfo(np.float32).max)
    row = spectrum(aspirin=0.6)

    def run(rows: Rows) -> NDArray[np.float64]:
        same = (rows == row).all(axis=1, keepdims=True)
        return np.repeat(np.where(same, highest, -highest), len(LABELS), axis=1)

    names = (Candidate(label="aspirin", title="Aspirin", probability=0.5),)
    verdict = Verdict(procedure="components", preset="balanced", outcome="inconclusive", candidates=names)

    found = Explainer(bundle, run).explain(row, verdict)

    assert found is not None
    assert np.isfinite(unpack_curves(found.curves.packed()).relevance).all()
