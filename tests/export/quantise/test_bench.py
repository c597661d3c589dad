"""The bench on the bundle that ships, as it is run on a board; and the page of all shipped bundles."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from edged.bundle.slots import built_in
from export.bench import Bench, Benched
from export.bench_command import bench, quantisation, show
from export.processor import Processor

FLOAT_GRAPH = Path(__file__).resolve().parents[3] / "docs" / "models" / "powders12-1.4.0.float.onnx"
BLOCKED = """
import sys
for name in {names}:
    sys.modules[name] = None
sys.argv = ["bench", *{words}]
from export.bench_command import bench
bench()
"""


@pytest.fixture(scope="module")
def shipped() -> str:
    path = built_in()
    assert path is not None
    return str(path)


def board(*words: str, without: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """The command in an interpreter in which some modules do not exist."""
    code = BLOCKED.format(names=list(without), words=list(words))
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=100, env=dict(os.environ)
    )


def test_a_board_without_torch_measures_every_candidate(shipped: str) -> None:
    done = board(
        shipped, "--json", "--rounds", "2", without=("torch", "scipy", "sklearn", "pywt", "onnxscript", "matplotlib")
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    graphs = {graph["graph"]: graph for graph in found["graphs"]}
    assert list(graphs) == ["bundle", "float", "weights", "dynamic", "scan", "static-s8s8", "static-u8s8"]
    assert graphs["bundle"]["largest_logit_difference"] < 1e-3
    assert all(graph["same_outcome"] == 1.0 for graph in graphs.values())
    assert all(0 < graph["p50_us"] <= graph["p95_us"] and graph["load_ms"] > 0 for graph in graphs.values())
    assert any("--float" in note or "golden vectors" in note for note in found["notes"])
    assert found["processor"]["machine"]


def test_a_board_without_onnx_measures_the_bundle_and_a_graph_that_is_given(shipped: str) -> None:
    done = board(shipped, "--json", "--rounds", "2", "--float", str(FLOAT_GRAPH), without=("torch", "onnx"))

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [graph["graph"] for graph in found["graphs"]] == ["bundle", "float"]
    assert "onnx is not installed" in found["notes"][0]


def test_the_table_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    graph = Benched(
        graph="static-u8s8",
        file_bytes=630_784,
        p50_us=217.2,
        p95_us=272.4,
        load_ms=8.4,
        memory_kib=5400,
        same_outcome=1.0,
        largest_logit_difference=0.0354,
    )

    show(
        Bench(
            bundle="powders12 1.1.0",
            digest="0" * 64,
            golden_vectors=24,
            onnxruntime="1.32.0",
            processor=Processor(machine="aarch64", model="A board", features=["asimd", "asimddp"]),
            graphs=[graph],
            notes=["a note"],
        )
    )

    said = capsys.readouterr().out
    assert "powders12 1.1.0 on A board (aarch64: asimd, asimddp)" in " ".join(said.split())
    assert all(cell in said for cell in ("217", "272", "8.4", "5400", "616", "100.0", "0.0354", "24 golden", "a note"))


def test_what_is_no_bundle_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "x.edgebundle"
    path.write_bytes(b"no bundle")

    done = CliRunner().invoke(bench, [str(path)])

    assert done.exit_code == 1
    assert "Traceback" not in done.output


def test_the_page_wants_a_float_graph_beside_each_bundle(shipped: str) -> None:
    done = CliRunner().invoke(quantisation, [shipped])

    assert done.exit_code == 2
    assert "BUNDLE=FLOAT" in done.output


@pytest.mark.deep
def test_the_page_says_whether_a_shipped_bundle_keeps_what_was_asked(
    shipped: str, data_dir: Path, tmp_path: Path
) -> None:
    out = tmp_path / "page.md"

    done = CliRunner().invoke(
        quantisation,
        [f"{shipped}={FLOAT_GRAPH}", "--data", str(data_dir), "--out", str(out), "--rounds", "3", "--json"],
    )

    assert done.exit_code == 0, done.output
    (found,) = json.loads(done.output)
    assert found["shipped"]["size_ratio"] <= 0.3
    assert found["shipped"]["same_outcome"] >= 0.995
    assert abs(found["shipped"]["accuracy_difference"]) <= 0.005
    assert "| yes |" in out.read_text()
