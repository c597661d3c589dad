"""The real command, in a process of its own: a small bundle from scratch, and each way in which it can go wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edged.bundle.archive import read_bundle
from edged.infer.analyze import Analyzer
from edged.spectra.spectrum import Spectrum
from export.data.catalogue import load_set
from export.data.spectra import Spectra


def command(*words: str, repository: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "export.main", *words],
        cwd=repository,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def spectrum(spectra: Spectra, row: int) -> Spectrum:
    return Spectrum(
        axis=spectra.axis.copy(),
        values=spectra.values[row].astype(np.float32),
        axis_unit="nm",
        quantity="absorbance",
    )


@pytest.mark.deep
@pytest.mark.timeout(400)
def test_a_small_bundle_is_built_from_scratch_twice_to_the_byte_and_names_powders(
    data_dir: Path, repository: Path, tmp_path: Path
) -> None:
    """With a scheme that the recipe names: what is measured and timed is not the same twice."""
    env = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "torch")}
    recipe, text = tmp_path / "own.toml", (repository / "export" / "recipes" / "powders12.toml").read_text()
    assert 'scheme = "auto"' in text
    recipe.write_text(text.replace('scheme = "auto"', 'scheme = "weights"'))
    results = []
    for name in ("one", "two"):
        work, out = str(tmp_path / f"work-{name}"), str(tmp_path / name)
        options = ("--quick", "--json", "--data", str(data_dir), "--work", work, "--out", out)
        done = command("build", str(recipe), *options, repository=repository, env=env)
        assert done.returncode == 0, done.stderr
        results.append(json.loads(done.stdout))

    assert results[0]["pack"]["digest"] == results[1]["pack"]["digest"]
    bundle = read_bundle(results[0]["pack"]["bundle"])
    assert bundle.manifest.data_sheet["quick"] is True
    assert "Copyright (c) 2021 Olatunde" in bundle.license_text
    assert b"<img" in bundle.report
    assert b'src="http' not in bundle.report
    assert b"axis by 1.75 nm, gain curve of 1.5 %" in bundle.report
    analyzer, spectra = Analyzer(bundle), load_set("powders12", data_dir)
    rows = [row for row in range(1200) if spectra.scan[row] in (83, 97)]
    verdicts = [analyzer.analyze(spectrum(spectra, row)).verdict for row in rows]
    right = sum(verdict.label == spectra.labels[row] for verdict, row in zip(verdicts, rows, strict=True))
    unnamed = sum(verdict.label is None for verdict in verdicts)
    assert len(verdicts) == 24
    assert right >= 14
    assert len(verdicts) - right - unnamed <= 2


@pytest.mark.deep
@pytest.mark.timeout(400)
def test_ctrl_c_keeps_every_member_that_has_begun_and_the_next_run_goes_on_there(
    data_dir: Path, repository: Path, tmp_path: Path
) -> None:
    """Ctrl-C reaches the whole group of processes, as from a terminal."""
    words = [sys.executable, "-m", "export.main", "train", "powders12", "--quick", "--data", str(data_dir)]
    words += ["--work", str(tmp_path)]
    env = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "torch")}
    with subprocess.Popen(
        words,
        cwd=repository,
        env=env,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as stopped:
        while not (kept := list((tmp_path / "members").glob("*.pt"))):
            assert stopped.poll() is None, stopped.stdout and stopped.stdout.read()
            time.sleep(0.1)
        os.killpg(stopped.pid, signal.SIGINT)
        said, _ = stopped.communicate(timeout=200)
    assert stopped.returncode == 1, said
    assert "Traceback" not in said
    kept = list((tmp_path / "members").glob("*.pt"))
    written = {path: path.stat().st_mtime_ns for path in kept}

    done = command(
        "train", "powders12", "--quick", "--data", str(data_dir), "--work", str(tmp_path), repository=repository
    )

    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "members").glob("*.pt"))) == 4
    assert not list((tmp_path / "members").glob("*.part"))
    assert {path: path.stat().st_mtime_ns for path in kept} == written


def test_a_stage_without_its_predecessor_says_which_to_run(data_dir: Path, repository: Path, tmp_path: Path) -> None:
    options = ("--data", str(data_dir), "--work", str(tmp_path))

    done = command("calibrate", "powders12", *options, repository=repository)

    assert done.returncode == 1
    assert "edged-export train powders12" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_recipe_ends_with_78_and_every_problem(repository: Path, tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    text = (repository / "export" / "recipes" / "powders12.toml").read_text()
    path.write_text(text.replace("epochs = 120", "epoch = 120").replace("window = 21", "window = 20"))

    done = command("build", str(path), "--json", repository=repository)

    assert done.returncode == 78
    error = json.loads(done.stdout)["error"]
    assert "training.epoch: unknown key" in error
    assert "20 is even" in error


def test_absent_spectra_end_with_a_hint(repository: Path, tmp_path: Path) -> None:
    done = command("train", "powders12", "--data", str(tmp_path), "--work", str(tmp_path), repository=repository)

    assert done.returncode == 1
    assert "EDGED_DATA" in done.stderr
