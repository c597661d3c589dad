"""The rotation of a trial: what was judged of a model trained anew outlives a stop, and the numbers are the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from export.main import main
from export.trial import naming as of_trial
from tests.export.capsules import capsules, run


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_a_stop_during_the_trial_loses_no_judgement_that_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = capsules(tmp_path, tells="classes")
    recipe = tmp_path / "recipe.toml"
    text = recipe.read_text().replace("rotation = false", "rotation = true")
    recipe.write_text(text.replace('kind = "lda"', 'kind = "pls-da"'))
    run(job, "train", "calibrate", "convert", "quantise", "verify", "trial")
    whole = json.loads((job.work / "trial.json").read_text())
    judged = {path: path.stat().st_mtime_ns for path in (job.work / "rotation").glob("*.pt")}
    last = max(judged, key=lambda path: judged[path])
    last.unlink()
    other = job.work / "rotation" / "of other code.pt"
    other.touch()
    asked: list[str] = []
    train = of_trial.train_ensemble

    def stopped(*given: object, what: str = "", **more: object) -> object:
        asked.append(what)
        if len(asked) == 1:
            raise KeyboardInterrupt
        return train(*given, what=what, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(of_trial, "train_ensemble", stopped)
    words = ["trial", str(recipe), "--work", str(job.work), "--data", str(job.data), "--out", str(job.work)]
    first = CliRunner().invoke(main, words)
    still_there = other.exists()
    second = CliRunner().invoke(main, words)

    assert (first.exit_code, second.exit_code) == (1, 0), second.output
    assert still_there
    assert {path.name for path in (job.work / "rotation").iterdir()} == {path.name for path in judged}
    assert asked == ["rotation 3 of 3", "rotation 3 of 3", "random split"]
    assert len(judged) == 3
    assert all(path.stat().st_mtime_ns == written for path, written in judged.items() if path != last)
    assert json.loads((job.work / "trial.json").read_text()) == whole
