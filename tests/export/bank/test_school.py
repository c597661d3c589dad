"""One compound is taught alone: what was stopped goes on to the same numbers, and a trunk is not moved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import nn

from export.bank.newcomer import Newcomer, extended
from export.bank.school import Lesson, forget, teach
from export.components.fused import prepared
from export.models.network import Network
from export.preprocess.pipeline import build
from tests.export.bank.kits import newcomer, pure, recipe
from tests.export.bank.made import network

POINTS = 128
WHOLE = {"kind": "resuca", "stem": 4, "widths": [4, 8], "strides": [2, 2], "dropout": 0.1}
SHARED = {"kind": "resnet1d", "stem": 16, "widths": [16, 32], "strides": [2, 2], "dropout": 0.1}
SCHOOL = {"epochs": 6, "mixtures": 512, "learning_rate": 1e-2}


def lesson(words: dict[str, object]) -> Lesson:
    said = recipe(words, points=POINTS, schooling={**SCHOOL, "balanced": words["kind"] == "resuca"})
    axis, values = newcomer(4)
    library = extended(
        pure(4), Newcomer(name="fifth", axis=axis, values=values, groups=np.arange(10), remarks=(), digests={})
    )
    trunk = network(said.network, 4, seed=1, points=POINTS) if words is SHARED else None  # type: ignore[arg-type]
    return Lesson(library=library, compound="fifth", recipe=said, trunk=trunk, seed=3)


def silent(what: str, done: int, total: int) -> None:
    """Nobody looks."""


def fresh_logits(of: Lesson, taught: Network) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What a network says of mixtures that no lesson had, and which hold the compound."""
    rows, present = of.mixtures(999)
    with torch.no_grad():
        said = taught(torch.from_numpy(prepared(build(of.recipe.steps, of.recipe.grid), torch.from_numpy(rows))))
    return said[:, 0].numpy(), present


def test_what_was_stopped_goes_on_and_comes_to_the_same_numbers(tmp_path: Path) -> None:
    of = lesson(WHOLE)
    through = teach(of, tmp_path / "through", silent)

    def stop(what: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        teach(of, tmp_path / "stopped", stop)
    seen: list[int] = []
    resumed = teach(of, tmp_path / "stopped", lambda what, done, total: seen.append(done))

    assert seen[0] == 2
    assert all(
        torch.equal(a, b) for a, b in zip(through.state_dict().values(), resumed.state_dict().values(), strict=True)
    )
    forget(of, tmp_path / "stopped")
    assert not (tmp_path / "stopped").exists()


def test_what_is_kept_and_damaged_is_told_and_learned_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    of = lesson(WHOLE)
    through = teach(of, tmp_path, silent)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    seen: list[int] = []

    again = teach(of, tmp_path, lambda what, done, total: seen.append(done))

    assert f"{path}: damaged" in caplog.text
    assert seen[0] == 0
    assert all(
        torch.equal(a, b) for a, b in zip(through.state_dict().values(), again.state_dict().values(), strict=True)
    )


def test_a_whole_network_tells_mixtures_that_hold_its_compound(tmp_path: Path) -> None:
    of = lesson(WHOLE)

    said, present = fresh_logits(of, teach(of, tmp_path, silent))

    assert roc_auc_score(present, said) > 0.8


def test_the_statistics_of_a_network_are_those_of_all_the_mixtures_behind_its_last_epoch(tmp_path: Path) -> None:
    """The first normalisation stands behind one convolution alone: its input is computed here, batch by batch."""
    of = lesson(WHOLE)

    taught = teach(of, tmp_path, silent)

    assert isinstance(taught.stem, nn.Sequential)
    convolution, normalisation = taught.stem[0], taught.stem[1]
    assert isinstance(normalisation, nn.BatchNorm2d)
    assert normalisation.running_mean is not None
    means = []
    for epoch in (of.recipe.schooling.epochs, of.recipe.schooling.epochs + 1):
        rows = prepared(build(of.recipe.steps, of.recipe.grid), torch.from_numpy(of.mixtures(epoch)[0]))
        for batch in torch.from_numpy(rows).split(of.recipe.schooling.batch):
            with torch.no_grad():
                seen = convolution(batch[:, None, None, :])
            means.append(seen.mean(dim=(0, 2, 3)).numpy())
    assert len({len(mean) for mean in means}) == 1
    assert np.allclose(normalisation.running_mean.numpy(), np.mean(means, axis=0), rtol=1e-4, atol=1e-6)


def test_a_head_learns_and_leaves_the_trunk_as_it_is(tmp_path: Path) -> None:
    of = lesson(SHARED)
    assert of.trunk is not None
    before = {name: value.clone() for name, value in of.trunk.state_dict().items()}

    taught = teach(of, tmp_path, silent)

    said, present = fresh_logits(of, taught)
    assert roc_auc_score(present, said) > 0.7  # the trunk's weights are as they were drawn
    assert all(torch.equal(of.trunk.state_dict()[name], value) for name, value in before.items())
    assert all(torch.equal(taught.state_dict()[name], value) for name, value in before.items() if "out." not in name)
