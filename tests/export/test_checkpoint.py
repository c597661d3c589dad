"""What a training leaves after each epoch is taken up whole, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from export.checkpoint import Checkpoint, Stopped, ask_to_stop, let_go_on

BIG = np.random.default_rng(3).bit_generator.state  # numbers of 128 bits


def checkpoint(folder: Path, of: str = "this lesson") -> Checkpoint:
    return Checkpoint(folder=folder, name="0a1b", of=of)


def pupil(value: float) -> dict[str, nn.Module]:
    layer = nn.Linear(2, 2)
    nn.init.constant_(layer.weight, value)
    nn.init.constant_(layer.bias, value)
    return {"layer": layer}


def level(parts: dict[str, nn.Module]) -> set[float]:
    return {float(value) for tensor in parts["layer"].state_dict().values() for value in tensor.flatten()}


def test_what_is_kept_is_taken_up_and_so_is_torchs_generator(tmp_path: Path) -> None:
    torch.manual_seed(5)
    checkpoint(tmp_path).keep(1, pupil(0.25), {"losses": [0.5, 0.25], "rng": BIG})
    drawn = torch.rand(3)

    torch.manual_seed(6)
    fresh = pupil(0.0)
    more = checkpoint(tmp_path).take_up(fresh)

    assert more == {"losses": [0.5, 0.25], "rng": BIG}
    assert level(fresh) == {0.25}
    assert torch.equal(torch.rand(3), drawn)


def test_an_epoch_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    one = checkpoint(tmp_path)
    assert one.epochs == 0
    for epoch in (1, 2, 10):
        one.keep(epoch, pupil(epoch), {})

    assert one.epochs == 10
    assert len(list(tmp_path.iterdir())) == 1
    one.forget()
    assert one.epochs == 0
    assert not list(tmp_path.iterdir())


def test_any_changed_byte_is_told_and_nothing_is_taken_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """torch itself reads a changed weight without a word."""
    one = checkpoint(tmp_path)
    one.keep(4, pupil(0.25), {})
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()

    for place in range(0, len(whole), 37):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        fresh = pupil(0.0)
        caplog.clear()
        assert one.take_up(fresh) is None
        assert "damaged" in caplog.text
        assert level(fresh) == {0.0}
        assert one.epochs == 0


@pytest.mark.parametrize("length", [0, 5, 32, 100])
def test_a_file_that_was_cut_off_is_told(length: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = checkpoint(tmp_path)
    one.keep(4, pupil(0.25), {})
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:length])

    assert one.take_up(pupil(0.0)) is None
    assert "damaged" in caplog.text


def test_what_another_lesson_or_other_code_left_is_told_and_not_taken_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint(tmp_path, "another lesson").keep(4, pupil(0.25), {})
    fresh = pupil(0.0)

    assert checkpoint(tmp_path).take_up(fresh) is None
    assert "of another training" in caplog.text
    assert level(fresh) == {0.0}


def test_of_two_that_a_kill_left_the_last_whole_one_counts(tmp_path: Path) -> None:
    one = checkpoint(tmp_path)
    one.keep(6, pupil(0.25), {})
    (path,) = tmp_path.iterdir()
    sixth = path.read_bytes()
    one.keep(7, pupil(0.5), {})
    path.write_bytes(sixth)
    assert one.epochs == 7

    fresh = pupil(0.0)
    assert one.take_up(fresh) is not None
    assert level(fresh) == {0.5}

    (tmp_path / "0a1b.epoch-7").write_bytes(b"cut")
    assert one.take_up(fresh) is not None
    assert level(fresh) == {0.25}
    assert one.epochs == 6


def test_a_draft_that_a_kill_left_counts_for_nothing(tmp_path: Path) -> None:
    one = checkpoint(tmp_path)
    (tmp_path / "0a1b.part").write_bytes(b"half of an epo")
    assert one.epochs == 0
    assert one.take_up(pupil(0.0)) is None

    one.keep(1, pupil(0.25), {})

    assert [path.name for path in tmp_path.iterdir()] == ["0a1b.epoch-1"]


def test_a_training_that_is_asked_to_stop_has_kept_its_epoch(tmp_path: Path) -> None:
    one = checkpoint(tmp_path)
    ask_to_stop(tmp_path)
    with pytest.raises(Stopped):
        one.keep(1, pupil(0.25), {})
    assert one.epochs == 1

    let_go_on(tmp_path)
    let_go_on(tmp_path)
    one.keep(2, pupil(0.25), {})
    assert one.epochs == 2
