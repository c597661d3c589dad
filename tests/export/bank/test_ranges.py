"""From a trained network to a bank: ranges are the largest values that were seen, and what does not fit is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from export.bank.fuse import fused
from export.bank.plan import member_layout, plan_of, trunk_layout
from export.bank.ranges import bank_from, heads_for
from export.errors import BankUnfit
from export.models.resnet1d import Block
from export.models.resuca import Resuca, ResucaWords
from tests.export.bank.made import POINTS, SHARED, SMALL, logits, network, prepared


def test_the_ranges_are_the_largest_values_of_each_channel_of_the_member() -> None:
    """Judged layer by layer, with the modules called by hand; a sum counts what is added, too."""
    made = network(SMALL, 3, seed=1)
    assert isinstance(made, Resuca)
    spectra = prepared(70, seed=2)

    found = member_layout(SMALL).split(bank_from(SMALL, made, "abc", spectra).member("b").numbers[None])

    alone = made.alone(1)
    assert isinstance(alone, Resuca)
    with torch.no_grad():
        maps = alone.stem(torch.from_numpy(spectra)[:, None, None, :])
        expected = {"stem": maps}
        for number, block in enumerate(alone.blocks):
            assert isinstance(block, Block)
            inner = torch.relu(block.path[0](maps))
            added = [block.path[2](inner), block.shortcut(maps)]
            maps = torch.relu(sum(added[1:], added[0]))
            expected[f"blocks.{number}.path.1"] = inner
            expected[f"blocks.{number}"] = torch.cat([*(value.abs() for value in added), maps])
    for name, value in expected.items():
        largest = value.abs().amax(dim=(0, 2, 3)).numpy()
        assert np.allclose(found[f"{name}/largest"][0], largest, rtol=1e-5), name


def test_a_member_has_the_numbers_of_its_network_and_its_ranges() -> None:
    state = sum(v.numel() for n, v in SMALL.build(points=64, classes=1).state_dict().items() if "tracked" not in n)
    channels = 8 + (8 + 8) + (12 + 12)

    assert member_layout(SMALL).size == state + channels
    assert trunk_layout(SMALL) is None
    shared = trunk_layout(SHARED)
    assert shared is not None
    assert shared.size == state - (2 * 12 + 1) + channels
    assert member_layout(SHARED).size == 2 * 12 + 1


def test_the_plan_knows_how_many_places_are_left() -> None:
    words = ResucaWords(stem=4, widths=(4, 4, 4), strides=(1, 2, 2))

    for points in range(8, 42):
        made = words.build(points=points, classes=1).eval()
        with torch.no_grad():
            maps = made.blocks(made.stem(torch.zeros(1, 1, 1, points)))
        assert plan_of(words).places(points) == maps.shape[3]


def test_the_mode_and_the_statistics_of_the_network_stay_as_they_were() -> None:
    made = network(SMALL, 2, seed=1).train()
    before = {name: value.clone() for name, value in made.state_dict().items()}

    bank_from(SMALL, made, "ab", prepared(8, seed=2))

    assert made.training
    assert all(torch.equal(before[name], value) for name, value in made.state_dict().items())
    assert not any(module._forward_hooks for module in made.modules())


def test_a_head_that_learned_on_a_frozen_trunk_enters_the_bank() -> None:
    seen = prepared(64, seed=2)  # also judged: on others, values beyond the ranges would be cut
    ours = bank_from(SHARED, network(SHARED, 3, seed=1), "abc", seen)
    spectra, wanted = torch.from_numpy(seen), torch.arange(64.0)[:, None] % 2
    learning = ours.network()
    learning.out = nn.Linear(24, 1)
    optimiser = torch.optim.SGD(learning.out.parameters(), 0.1)
    for _ in range(3):
        optimiser.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(learning(spectra), wanted).backward()
        optimiser.step()

    new = heads_for(ours, learning, ["d"], thresholds={"d": {"balanced": 0.5}})
    more = ours.with_members(ours.members_of(new, ["d"]))

    assert more.member("d").thresholds == {"balanced": 0.5}
    said = logits(fused(more), spectra.numpy())
    with torch.no_grad():
        expected = learning(spectra).numpy()[:, 0]
    assert np.abs(said[:, 3] - expected).max() < 0.05
    assert said[:, :3].tobytes() == logits(fused(ours), spectra.numpy()).tobytes()
    learning.train()(spectra)  # statistics move, though no weight does
    with pytest.raises(BankUnfit, match="trunk: it has changed"):
        heads_for(ours, learning, ["d"])


def test_members_without_a_trunk_are_no_heads() -> None:
    made = network(SMALL, 2, seed=1)

    with pytest.raises(BankUnfit, match="network: its members share no trunk"):
        heads_for(bank_from(SMALL, made, "ab", prepared(8, seed=2)), made, "ab")


def test_the_range_of_the_input_leaves_room_and_may_be_stated() -> None:
    made, spectra = network(SMALL, 2, seed=1), prepared(8, seed=2)

    assert bank_from(SMALL, made, "ab", spectra).input_range == pytest.approx(4 * np.abs(spectra).max())
    assert bank_from(SMALL, made, "ab", spectra, input_range=3.0).input_range == 3.0


def test_what_is_no_network_of_these_words_or_no_spectrum_is_refused() -> None:
    made, spectra = network(SMALL, 2, seed=1), prepared(8, seed=2)
    holed = spectra.copy()
    holed[3, 4] = np.nan

    for call, said in (
        (lambda: bank_from(SHARED, made, "ab", spectra), "network: Resuca is no resnet1d"),
        (lambda: bank_from(SMALL, network(SHARED, 2, seed=1), "ab", spectra), "network: ResNet1d is no resuca"),
        (lambda: bank_from(SMALL, made, "abc", spectra), "compounds: 3 names for 2 logits"),
        (lambda: bank_from(SMALL, made, "ab", holed), "prepared: finite spectra"),
        (lambda: bank_from(SMALL, made, "ab", spectra[:0]), "prepared: finite spectra"),
        (lambda: bank_from(SMALL, made, "ab", spectra[0]), "prepared: finite spectra"),
        (lambda: bank_from(SMALL, made, "ab", np.zeros_like(spectra)), "prepared: all spectra are zero"),
        (lambda: bank_from(SMALL, made, ["a", " "], spectra), "a compound's name is 1 to 64 printable characters"),
        (lambda: bank_from(SMALL, made, ["a", "b" * 65], spectra), "a compound's name is 1 to 64"),
    ):
        with pytest.raises(BankUnfit, match=said):
            call()


def test_a_network_that_has_run_away_is_refused() -> None:
    made = network(SMALL, 2, seed=1)
    with torch.no_grad():
        nn.init.constant_(made.get_parameter("blocks.0.path.2.1.bias"), float("nan"))

    with pytest.raises(BankUnfit, match="a: holds a number that is not finite"):
        bank_from(SMALL, made, "ab", prepared(8, seed=2, points=POINTS))
