"""The rule by which one candidate is chosen, and what it is fed with."""

from __future__ import annotations

import numpy as np
import pytest

from edged.bundle.manifest import Manifest
from edged.infer.engine import Outputs
from edged.infer.judge import Judge
from export.errors import VerificationFailed
from export.processor import processor
from export.quantise.candidates import candidates
from export.quantise.choose import choose, falling_short
from export.quantise.measure import Measured, Subject, gentle, kernel_spread, measured, outcomes
from export.quantise.schemes import Scheme
from tests.export.quantise.graphs import CLASSES, POINTS, dense_graph, spectra

TOLERANCE = 0.02


def row(
    scheme: Scheme,
    *,
    ratio: float = 1.0,
    quartiles: tuple[float, float] | None = None,
    size: float = 0.28,
    same: float = 1.0,
    points: float = 0.0,
    spread: float = 0.0,
) -> Measured:
    low, high = quartiles or (ratio, ratio)
    return Measured(
        scheme=scheme,
        file_bytes=int(size * 1e6),
        packed_bytes=int(size * 9e5),
        size_ratio=size,
        latency_us=100 * ratio,
        ratio=ratio,
        ratio_low=low,
        ratio_high=high,
        load_ms=5.0,
        same_outcome=same,
        same_class=same,
        accuracy=0.98 + points / 100,
        accuracy_difference=points / 100,
        largest_logit_difference=0.01,
        largest_difference=0.01,
        kernel_spread=spread,
    )


FLOAT = row("float", size=1.0)


def test_the_fastest_of_those_that_agree_is_chosen() -> None:
    choice = choose([FLOAT, row("weights"), row("dynamic", ratio=0.6), row("scan", ratio=0.4)], tolerance=TOLERANCE)

    assert choice.scheme == "scan"
    assert choice.against["dynamic"] == "1.50 x the time of the fastest eligible"
    assert "1.00 of float's size" in choice.against["float"]
    assert "0.40 of float's time" in choice.why


@pytest.mark.parametrize(
    ("faulty", "why"),
    [
        (row("dynamic", ratio=0.4, same=0.994), "same outcome 99.40%"),
        (row("dynamic", ratio=0.4, points=-0.6), "accuracy -0.60 points"),
        (row("dynamic", ratio=0.4, points=0.6), "accuracy +0.60 points"),
        (row("dynamic", ratio=0.4, spread=0.011), "the golden tolerance 0.02 is too narrow"),
        (row("dynamic", ratio=0.4, size=0.31), "0.31 of float's size"),
    ],
)
def test_speed_does_not_buy_agreement_size_or_reproducibility(faulty: Measured, why: str) -> None:
    choice = choose([FLOAT, row("weights"), faulty], tolerance=TOLERANCE)

    assert choice.scheme == "weights"
    assert why in choice.against["dynamic"]


def test_a_tie_goes_to_the_smaller_and_then_to_the_simpler() -> None:
    smaller = choose([FLOAT, row("weights"), row("dynamic", ratio=0.97, size=0.25)], tolerance=TOLERANCE)
    simpler = choose([FLOAT, row("weights"), row("dynamic", ratio=0.97, size=0.279)], tolerance=TOLERANCE)

    assert smaller.scheme == "dynamic"
    assert smaller.against["weights"] == "as fast and larger"
    assert simpler.scheme == "weights"
    assert simpler.against["dynamic"] == "as fast and as small, but less simple"


def test_rounds_that_differ_more_than_the_candidates_do_make_a_tie() -> None:
    noisy = [
        FLOAT,
        row("weights", ratio=1.1, quartiles=(0.95, 1.3)),
        row("static-s8s8", ratio=0.9, quartiles=(0.8, 1.2)),
    ]

    assert choose(noisy, tolerance=TOLERANCE).scheme == "weights"


def test_where_none_is_small_enough_size_does_not_count() -> None:
    choice = choose([FLOAT, row("weights", size=0.35), row("dynamic", size=0.4, ratio=0.5)], tolerance=TOLERANCE)

    assert choice.scheme == "dynamic"
    assert "no candidate that agrees is within 0.3" in choice.why


def test_where_nothing_agrees_float_is_shipped_and_where_float_does_not_nothing_is() -> None:
    assert choose([FLOAT, row("weights", same=0.9)], tolerance=TOLERANCE).scheme == "float"
    with pytest.raises(VerificationFailed, match="no candidate may be shipped"):
        choose([row("float", size=1.0, same=0.9)], tolerance=TOLERANCE)


def test_only_verdicts_that_fixed_scales_change_ask_for_learning_with_the_rounding_in_the_loop() -> None:
    agreeing = [FLOAT, row("dynamic", same=0.9), row("static-s8s8", spread=0.5), row("static-u8s8", same=0.995)]

    short = falling_short([*agreeing, row("static-u8s8", same=0.99, points=-1.0)])

    assert falling_short(agreeing) == ""
    assert short == "static-u8s8: same outcome 99.00%, wanted 99.5%, accuracy -1.00 points, allowed are 0.5"


def manifest(**changed: object) -> Manifest:
    words: dict[str, object] = {
        "schema": "edged.bundle/1",
        "name": "small",
        "version": "1.0.0",
        "technique": "nir",
        "quantity": "absorbance",
        "axis": {"unit": "nm", "start": 1000.0, "stop": 1600.0, "points": POINTS},
        "classes": [{"label": str(c), "title": str(c)} for c in range(CLASSES)],
        "procedures": ["identify"],
        "default_preset": "balanced",
        "calibration": {
            "temperature": 1.0,
            "quantiles": {"balanced": [0.9] * CLASSES},
            "min_probability": {"balanced": 0.5},
        },
        "gates": [],
        "golden_tolerance": TOLERANCE,
        "data_sheet": {},
        "metrics": {},
        "tool_versions": {},
        "digests": {},
    }
    return Manifest.model_validate({**words, **changed})


@pytest.fixture(scope="module")
def table() -> list[Measured]:
    rows = spectra(60)
    subject = Subject(
        manifest=manifest(), spectra=rows[:40], targets=np.arange(40) % CLASSES, foreign=rows[40:] + np.float32(9)
    )
    return measured(candidates(dense_graph(), rows), subject, rounds=3)


def test_everything_is_measured_against_float(table: list[Measured]) -> None:
    first, *others = table

    assert [found["scheme"] for found in table] == ["float", "weights", "dynamic", "static-s8s8", "static-u8s8"]
    assert (first["ratio"], first["size_ratio"], first["same_outcome"], first["accuracy_difference"]) == (1, 1, 1, 0)
    assert first["largest_difference"] == first["kernel_spread"] == 0.0
    assert all(0 < found["largest_logit_difference"] <= found["largest_difference"] for found in others)
    assert all(found["file_bytes"] < 0.6 * first["file_bytes"] for found in others)
    assert all(found["latency_us"] > 0 and found["load_ms"] > 0 for found in table)


def test_graphs_of_float_kernels_spread_less_than_graphs_that_round(table: list[Measured]) -> None:
    graphs, rows = candidates(dense_graph(), spectra(60)), spectra(60)

    nudge = gentle(graphs["float"].SerializeToString(), rows, manifest())
    plain = kernel_spread(graphs["weights"].SerializeToString(), rows, manifest(), nudge=nudge)

    assert plain < 2e-3
    rounding = [found["kernel_spread"] for found in table if found["scheme"] not in ("float", "weights")]
    assert plain < max(rounding) < 0.5


def test_outcomes_are_the_daemon_s_own() -> None:
    logits = np.array([[9, 0, 0, 0], [0, 0, 0, 0]], np.float32)
    nothing = np.empty((2, 0), np.float32)
    judge = Judge(manifest())
    question = judge.question()

    found = outcomes(manifest(), Outputs(logits=logits, features=nothing, amounts=nothing, prepared=nothing))

    expected = [judge.answer(question, line, nothing[0]) for line in logits]
    assert found == [(verdict.outcome, verdict.label) for verdict in expected]
    assert found[0] == ("identified", "0")
    assert found[1][0] == "inconclusive"


def test_a_processor_tells_its_integer_features() -> None:
    board = "processor : 0\nFeatures\t: fp asimd evtstrm asimddp\nCPU part\t: 0xd0b\n\nModel\t: A board\n"
    bench = "model name\t: Some EPYC\nflags\t\t: fpu avx2 avx512f avx512_vnni\n"

    assert processor(board)["features"] == ["asimd", "asimddp"]
    assert processor(board)["model"] == "A board"
    assert processor(bench)["features"] == ["avx2", "avx512f", "avx512_vnni"]
    assert processor(bench)["model"] == "Some EPYC"
    assert processor()["machine"]
