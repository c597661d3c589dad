"""The bank of small residual networks: each member is what it would be alone, in sizes, answers and gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from export.models.catalogue import named
from export.models.members import MemberNetwork
from export.models.network import NetworkKind
from export.models.resnet1d import ResNet1dWords
from export.models.resuca import Resuca, ResucaWords
from export.models.table import multiply_adds, parameters

POINTS, COMPOUNDS = 64, 3
SMALL = ResucaWords(stem=8, widths=(8, 12), strides=(1, 2), dropout=0.0)


def spectra(count: int, *, seed: int, each: bool = False) -> Tensor:
    shape = (count, COMPOUNDS, POINTS) if each else (count, POINTS)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def settled(words: NetworkKind = SMALL, *, seed: int = 1) -> MemberNetwork:
    """A bank whose batch normalisations have seen spectra, and differ from member to member."""
    torch.manual_seed(seed)
    bank = words.build(points=POINTS, classes=COMPOUNDS)
    assert isinstance(bank, MemberNetwork)
    for module in bank.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2.0)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    with torch.no_grad():
        for step in range(5):
            bank(spectra(16, seed=100 + step))
    return bank.eval()


@pytest.mark.parametrize(
    ("name", "stem", "widths", "count"),
    [("resuca", 16, (16, 32, 48, 64), 71_601), ("resuca-lite", 8, (8, 16, 24, 32), 18_201)],
)
def test_a_member_has_the_sizes_that_were_designed(name: str, stem: int, widths: tuple[int, ...], count: int) -> None:
    def convolution(inputs: int, outputs: int, kernel: int) -> int:
        return inputs * outputs * kernel + 2 * outputs  # with its batch normalisation

    by_hand = convolution(1, stem, 7)
    for before, width in zip((stem, *widths), widths, strict=False):
        by_hand += convolution(before, width, 5) + convolution(width, width, 5)
        by_hand += convolution(before, width, 1) if before != width else 0
    by_hand += 2 * widths[-1] + 1

    assert parameters(named(name, points=1024).build(points=1024, classes=1)) == by_hand == count
    assert parameters(named(name, points=1024).build(points=1024, classes=5)) == 5 * count


def test_the_bank_multiplies_as_often_as_its_members_together() -> None:
    one, five = (named("resuca", points=1024).build(points=1024, classes=count) for count in (1, 5))

    assert 4.2e6 < multiply_adds(one, 1024) < 4.5e6
    assert multiply_adds(five, 1024) == 5 * multiply_adds(one, 1024)


def test_a_member_computes_what_a_plain_residual_network_of_its_weights_does() -> None:
    bank = settled()
    plain = ResNet1dWords(stem=8, widths=(8, 12), strides=(1, 2), dropout=0.0).build(points=POINTS, classes=1).eval()

    given = spectra(4, seed=2)
    with torch.no_grad():
        together = bank(given)
        for member in range(COMPOUNDS):
            state = bank.state_of(member)
            plain.load_state_dict(dict(zip(plain.state_dict(), state.values(), strict=True)))
            assert torch.allclose(plain(given)[:, 0], together[:, member], atol=1e-5)


def test_members_taken_out_one_by_one_say_what_the_bank_says_and_make_it_again() -> None:
    bank = settled()
    given = spectra(4, seed=3)

    again = settled(seed=2)
    for member in range(COMPOUNDS):
        again.put(member, bank.state_of(member))

    with torch.no_grad():
        together = bank(given)
        for member in range(COMPOUNDS):
            assert torch.allclose(bank.alone(member)(given)[:, 0], together[:, member], atol=1e-5)
        assert torch.equal(again(given), together)


def test_a_member_that_is_put_in_changes_no_other() -> None:
    bank, other = settled(seed=1), settled(seed=2)
    given = spectra(4, seed=4)
    with torch.no_grad():
        before = bank(given)

        bank.put(1, other.state_of(2))

        after, theirs = bank(given), other(given)
    assert torch.equal(after[:, [0, 2]], before[:, [0, 2]])
    assert torch.allclose(after[:, 1], theirs[:, 2], atol=1e-5)
    assert not torch.allclose(after[:, 1], before[:, 1], atol=1e-2)


@pytest.mark.parametrize("each", [False, True], ids=["one for all", "each its own"])
def test_the_gradient_of_a_member_is_what_it_is_alone(each: bool) -> None:
    bank = settled().train()
    alone = [bank.alone(member) for member in range(COMPOUNDS)]
    given, present = spectra(16, seed=5, each=each), (spectra(16, seed=6)[:, :COMPOUNDS] > 0).float()

    nn.functional.binary_cross_entropy_with_logits(bank(given), present, reduction="sum").backward()

    for member, network in enumerate(alone):
        rows = given[:, member] if each else given
        loss = nn.functional.binary_cross_entropy_with_logits(network(rows)[:, 0], present[:, member], reduction="sum")
        loss.backward()
        for (name, value), own in zip(bank.named_parameters(), network.parameters(), strict=True):
            assert value.grad is not None
            assert own.grad is not None
            size = own.shape[0]
            part = value.grad[member * size : (member + 1) * size]
            assert torch.allclose(part, own.grad, atol=1e-4 * float(own.grad.abs().max()) + 1e-6), name


def test_a_loss_of_one_member_reaches_no_weight_of_another() -> None:
    bank = settled().train()

    bank(spectra(16, seed=7))[:, 1].square().sum().backward()

    for name, value in bank.named_parameters():
        assert value.grad is not None
        first, second, third = value.grad.chunk(COMPOUNDS)
        assert not first.any(), name
        assert not third.any(), name
        assert second.any(), name


def test_a_member_that_there_is_not_is_refused() -> None:
    bank = settled()

    for member in (-1, COMPOUNDS):
        with pytest.raises(IndexError, match=f"member {member} of 3"):
            bank.state_of(member)
        with pytest.raises(IndexError, match=f"member {member} of 3"):
            bank.put(member, bank.state_of(0))


def test_strides_that_fit_no_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="strides: 1 for 4 widths"):
        ResucaWords(strides=(1,))


def test_what_the_bank_is_built_of_does_not_depend_on_the_number_of_points() -> None:
    assert isinstance(SMALL.build(points=8, classes=1), Resuca)
    assert parameters(SMALL.build(points=8, classes=2)) == parameters(SMALL.build(points=1024, classes=2))
