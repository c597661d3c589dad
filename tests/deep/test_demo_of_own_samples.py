"""A user's folder of real spectra to the end: a twin of it, and the demo that measures its products."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from export.data.catalogue import load_set
from export.main import main as export
from tests.export.twin.test_command import folder
from tests.flow.plant import edged

pytestmark = [pytest.mark.deep, pytest.mark.timeout(120)]


def test_the_demo_measures_what_was_drawn_from_the_folder_and_nothing_else(
    data_dir: Path, tmp_path: Path, shipped: Path
) -> None:
    real = load_set("powders12", data_dir)
    pure = {"100AC", "100AA", "100LA"}
    rows = np.flatnonzero([label in pure for label in real.labels])
    labels = [real.labels[row] for row in rows]
    own, out = folder(tmp_path / "mine", real.axis, real.values[rows], labels, "absorbance by nm"), tmp_path / "m.npz"
    made = CliRunner().invoke(export, ["twin", str(own), str(out)])
    assert made.exit_code == 0, made.output

    demo = edged("demo", "--bundle", shipped, "--samples", out, "--count", "6", "--json")

    assert demo.returncode == 0, demo.stderr
    told = [json.loads(line) for line in demo.stdout.splitlines()]
    assert {line["truth"] for line in told} == pure
    named = [line["record"]["verdict"]["label"] == line["truth"] for line in told]
    assert sum(named) >= 5, told  # one filling may be refused
