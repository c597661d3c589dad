"""What the page says of its own figures."""

from __future__ import annotations

import json
import zipfile

from click.testing import CliRunner

from edged.bundle.archive import read_bundle
from edged.bundle.slots import built_ins
from export.bench_command import quantisation
from export.processor import Processor
from export.quantise.measure import Measured
from export.quantise.page import Compared, page, stated


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


def test_bundles_of_components_are_told_by_their_own_manifests_and_a_float_one_misses_the_size() -> None:
    """Judged by the manifests of the bundles that ship, read as JSON."""
    bundles = [path for path in built_ins() if path.name.startswith(("powders-components", "solvents13"))]
    manifests = [json.loads(zipfile.ZipFile(path).read("manifest.json")) for path in bundles]
    int8, whole = (manifest["data_sheet"]["quantisation"] for manifest in manifests)
    metrics = manifests[0]["metrics"]

    told = page(
        [compared(row("weights", 1.0), scheme="weights", above=1.0)],
        pairs=["a=b"],
        told=[stated(read_bundle(path)) for path in bundles],
    )

    (first,) = (line for line in told.splitlines() if line.startswith("| powders-components"))
    (second,) = (line for line in told.splitlines() if line.startswith("| solvents13"))
    assert int8["size_bytes"] / int8["float_bytes"] < 0.3
    assert f"| {int8['size_bytes'] / int8['float_bytes']:.3f} (at most 0.3) |" in first
    assert f"{100 * metrics['int8_and_float_same_sets']:.2f} of {metrics['int8_and_float_spectra']:,.0f}" in first
    assert first.endswith("| yes, as far as it was measured |")
    assert whole["scheme"] == "float"
    assert "| 1.000 (at most 0.3) **missed** | it is the float graph |" in second
    assert second.endswith("| **no** |")
    assert "solvents13 ships float" in told


def test_a_bundle_of_classes_without_its_float_graph_is_refused_with_a_hint() -> None:
    path = next(path for path in built_ins() if path.name.startswith("api20"))

    result = CliRunner().invoke(quantisation, [str(path), f"{path}={path}"])

    assert result.exit_code == 1
    assert "does not say what its quantisation cost" in result.stderr
    assert "Traceback" not in result.output


def test_the_page_says_whether_fixed_scales_ask_for_learning_with_the_rounding_in_the_loop() -> None:
    agrees, differs = row("static-s8s8", 1.0), row("static-s8s8", 1.0)
    differs["same_outcome"] = 0.98

    told = page([compared(rows, scheme="weights", above=1.0) for rows in (agrees, differs)], pairs=["a=b"])

    assert told.count("Fixed scales agree with float, so nothing is taught") == 1
    assert "change verdicts (static-s8s8: same outcome 98.00%, wanted 99.5%), where `auto` teaches" in told
