"""The real command, in a process of its own: a small bundle of components from scratch, and what it says of powders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edged.bundle.archive import Bundle, read_bundle
from edged.infer.analyze import Analyzer
from edged.spectra.spectrum import Spectrum
from export.compare import run_all, session
from export.components.answers import told
from export.data.augment import resample
from export.data.catalogue import load_set


def command(*words: str, repository: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "export.main", *words],
        cwd=repository,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def int8_says_what_float_says(bundle: Bundle, path: Path, data: Path) -> float:
    """The share of real spectra of which both tell the same outcome and compounds, and the bundle's graph is small."""
    axis, graph = bundle.manifest.axis, path.read_bytes()
    grid, same = np.linspace(axis.start, axis.stop, axis.points), []
    for name in ("powders12", "powders-ternary"):
        spectra = load_set(name, data)
        rows = resample(spectra.values, spectra.axis, grid).astype(np.float32)
        whole, small = (run_all(session(model), rows) for model in (graph, bundle.model))
        one, other = (told(bundle, out, bundle.manifest.default_preset) for out in (whole, small))
        same.append(one.same_as(other))
    assert len(bundle.model) <= 0.35 * len(graph)
    assert sum(map(len, same)) >= 1000
    return float(np.concatenate(same).mean())


@pytest.mark.deep
@pytest.mark.timeout(1300)
def test_a_small_bundle_is_built_from_scratch_twice_to_the_byte_and_tells_powders(
    data_dir: Path, repository: Path, tmp_path: Path
) -> None:
    env = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "torch")}
    results = []
    for name in ("one", "two"):
        work, out = str(tmp_path / f"work-{name}"), str(tmp_path / name)
        options = ("--quick", "--json", "--data", str(data_dir), "--work", work, "--out", out)
        done = command("build", "powders-components", *options, repository=repository, env=env)
        assert done.returncode == 0, done.stderr
        results.append(json.loads(done.stdout))

    assert results[0]["pack"]["digest"] == results[1]["pack"]["digest"]
    bundle = read_bundle(results[0]["pack"]["bundle"])
    assert bundle.manifest.data_sheet["quick"] is True
    assert int8_says_what_float_says(bundle, tmp_path / "work-one" / "float.onnx", data_dir) >= 0.999  # 1600 of 1600
    assert "Copyright (c) 2021 Olatunde" in bundle.license_text
    assert b'src="http' not in bundle.report
    assert b"Made-up strangers in made mixtures" in bundle.report
    assert bundle.manifest.data_sheet["strangers"]["synthetic"]["compounds"] == 400
    analyzer, spectra = Analyzer(bundle), load_set("powders12", data_dir)
    rows = [row for row, label in enumerate(spectra.labels) if label == "100LA" and spectra.scan[row] >= 90]
    said = [
        analyzer.analyze(
            Spectrum(
                axis=spectra.axis.copy(),
                values=spectra.values[row].astype(np.float32),
                axis_unit="nm",
                quantity="absorbance",
            )
        ).verdict
        for row in rows
    ]
    assert sum([found.label for found in verdict.components] == ["lactose"] for verdict in said) >= 8


def test_a_stage_without_its_predecessor_says_which_to_run(data_dir: Path, repository: Path, tmp_path: Path) -> None:
    options = ("--data", str(data_dir), "--work", str(tmp_path))

    done = command("calibrate", "powders-components", *options, repository=repository)

    assert done.returncode == 1
    assert "edged-export train powders-components" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_recipe_ends_with_78_and_every_problem(repository: Path, tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    text = (repository / "export" / "recipes" / "powders-components.toml").read_text()
    path.write_text(text.replace("epochs = 10", "epoch = 10").replace("window = 21", "window = 20"))

    done = command("build", str(path), "--json", repository=repository)

    assert done.returncode == 78
    error = json.loads(done.stdout)["error"]
    assert "schooling.epoch: unknown key" in error
    assert "20 is even" in error
