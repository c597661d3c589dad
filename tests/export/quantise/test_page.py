"""What the page says of its own figures."""

from __future__ import annotations

from export.processor import Processor
from export.quantise.measure import Measured
from export.quantise.page import Compared, page


def row(scheme: str, ratio: float) -> Measured:
    return Measured(
        scheme=scheme,
        file_bytes=29_000,
        packed_bytes=27_000,
        size_ratio=0.29,
        latency_us=300.0,
        ratio=ratio,
        ratio_low=ratio,
        ratio_high=ratio,
        load_ms=9.0,
        same_outcome=1.0,
        same_class=1.0,
        accuracy=0.98,
        accuracy_difference=0.0,
        largest_difference=0.01,
        largest_logit_difference=0.01,
        kernel_spread=0.0,
    )


def compared(*candidates: Measured, scheme: str, above: float) -> Compared:
    return Compared(
        bundle="one 1.0.0",
        file_bytes=40_000,
        float_sha256="0" * 64,
        held_out=240,
        foreign=1_631,
        tolerance=0.02,
        scheme=scheme,
        processor=Processor(machine="x86_64", model="a processor", features=["avx2"]),
        shipped=row("shipped", above),
        candidates=[row("float", 1.0), *candidates],
        best="weights",
        why="it is small",
        against={},
    )


def test_the_page_says_how_far_two_times_of_one_scheme_lie_apart() -> None:
    near = compared(row("weights", 1.05), row("dynamic", 4.0), scheme="weights", above=1.0)
    far = compared(row("weights", 1.15), row("dynamic", 1.0), scheme="weights", above=0.92)

    told = page([near, far], pairs=["a=b"])

    assert "one time is up to\n25 % more than the other" in told  # 1.15 / 0.92


def test_the_page_claims_no_spread_where_no_scheme_was_timed_twice() -> None:
    told = page([compared(row("dynamic", 4.0), scheme="unknown", above=1.0)], pairs=["a=b"])

    assert "timed twice" not in told


def test_the_page_says_that_it_leaves_out_bundles_of_components() -> None:
    told = page([compared(row("weights", 1.0), scheme="weights", above=1.0)], pairs=["a=b"])

    assert "Every bundle that ships" not in told
    assert "those that name components" in told


def test_the_page_says_whether_fixed_scales_ask_for_learning_with_the_rounding_in_the_loop() -> None:
    agrees, differs = row("static-s8s8", 1.0), row("static-s8s8", 1.0)
    differs["same_outcome"] = 0.98

    told = page([compared(rows, scheme="weights", above=1.0) for rows in (agrees, differs)], pairs=["a=b"])

    assert told.count("Fixed scales agree with float, so nothing is taught") == 1
    assert "change verdicts (static-s8s8: same outcome 98.00%, wanted 99.5%), where `auto` teaches" in told
