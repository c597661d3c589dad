"""Attention, windows, gates and layer-wise learning, against torch's own, brute force and principal components."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from export.models.attention import Attention
from export.models.ghostnet import Gate, Ghost
from export.models.sae import Sae, SaeWords
from export.models.swin import APART, WindowBlock
from tests.export.models.small import POINTS, SMALL, built, two_classes


def test_attention_is_torchs_own_attention() -> None:
    torch.manual_seed(1)
    ours = Attention(24, heads=3, head_width=8, biased=True, dropout=0.0).eval()
    theirs = nn.MultiheadAttention(24, 3, batch_first=True).eval()
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.views.weight,
            "in_proj_bias": ours.views.bias,
            "out_proj.weight": ours.joined.weight,
            "out_proj.bias": ours.joined.bias,
        }
    )
    tokens = torch.randn(4, 11, 24)
    bias = torch.randn(11, 11)

    expected, _ = theirs(tokens, tokens, tokens, attn_mask=bias, need_weights=False)

    assert torch.allclose(ours(tokens, bias), expected, atol=1e-5)


@pytest.mark.parametrize(("side", "window", "shift"), [(6, 3, 1), (8, 4, 2), (4, 2, 1), (6, 3, 0)])
def test_only_old_neighbours_see_each_other_in_a_shifted_window(side: int, window: int, shift: int) -> None:
    block = WindowBlock(8, heads=2, side=side, window=window, shift=shift, inner=2)
    places = torch.arange(side * side, dtype=torch.float32).reshape(1, side, side, 1)

    shifted = torch.roll(places, (-shift, -shift), (1, 2))
    windows = block._windows(shifted)[0, :, :, 0].long()

    for number, tokens in enumerate(windows):
        for a, b in itertools.product(range(window**2), repeat=2):
            (ay, ax), (by, bx) = (divmod(int(tokens[i]), side) for i in (a, b))
            near = max(abs(ay - by), abs(ax - bx)) < window
            assert block.apart[number, a, b] == (0.0 if near else APART)
    assert torch.equal(block._whole(block._windows(places)), places)


def test_a_windows_bias_depends_on_the_offset_of_two_tokens_only() -> None:
    block = WindowBlock(8, heads=2, side=6, window=3, shift=0, inner=2)
    bias = block._bias()[0, 0]

    values: dict[tuple[int, int], set[float]] = {}
    for a, b in itertools.product(range(9), repeat=2):
        offset = (a // 3 - b // 3, a % 3 - b % 3)
        values.setdefault(offset, set()).add(float(bias[a, b].detach()))

    assert len(values) == 25
    assert all(len(found) == 1 for found in values.values())
    assert len(set.union(*values.values())) == 25


def test_a_ghost_module_costs_about_half_of_a_convolution() -> None:
    ghost = Ghost(64, 64, bent=True)

    weights = sum(p.numel() for p in ghost.parameters() if p.dim() == 4)
    assert weights == 64 * 32 + 32 * 9
    assert ghost(torch.randn(2, 64, 7, 7)).shape == (2, 64, 7, 7)
    assert Ghost(8, 7, bent=False)(torch.randn(2, 8, 5, 5)).shape == (2, 7, 5, 5)


@pytest.mark.parametrize("side", [2, 5, 6, 21])
def test_a_gate_lets_a_share_of_each_cell_through(side: int) -> None:
    share = Gate(4, 8)(torch.randn(3, 4, side, side))

    assert share.shape == (3, 8, side, side)
    assert ((share > 0) & (share < 1)).all()


def pretrained(seed: int, epochs: int = 1000) -> tuple[Sae, tuple[float, ...]]:
    words = SaeWords(widths=(24, 6), layer_epochs=epochs)
    network = built(words)
    spectra, _ = two_classes(60, seed=9)
    losses = words.pretrain(network, spectra, generator=torch.Generator().manual_seed(seed))
    assert isinstance(network, Sae)
    return network, losses


def test_layers_learn_to_reproduce_their_input_as_well_as_so_many_components_can() -> None:
    spectra, _ = two_classes(60, seed=9)

    network, (first, second) = pretrained(1)

    centred = spectra.double().numpy() - spectra.double().numpy().mean(axis=0)
    spread = np.linalg.svd(centred, compute_uv=False) ** 2 / centred.size
    assert spread[24:].sum() < first < 0.1 * spread.sum()
    with torch.no_grad():
        hidden = torch.relu(network.layers[0](spectra)).double().numpy()
    centred = hidden - hidden.mean(axis=0)
    spread = np.linalg.svd(centred, compute_uv=False) ** 2 / centred.size
    assert spread[6:].sum() < second < 0.3 * spread.sum()


def test_learning_without_targets_leaves_the_last_layer_and_torchs_generator_alone() -> None:
    before = built(SaeWords(widths=(24, 6))).state_dict()
    state = torch.get_rng_state()

    network, _ = pretrained(1, epochs=3)

    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(network.out.weight, before["out.weight"])
    assert not torch.equal(network.state_dict()["layers.0.weight"], before["layers.0.weight"])


def test_learning_without_targets_repeats_with_its_seed() -> None:
    one, again, other = (pretrained(seed, epochs=5)[0].state_dict() for seed in (1, 1, 2))

    assert all(torch.equal(one[key], again[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


def test_a_network_without_such_a_phase_is_left_as_it_is() -> None:
    network = built(SMALL["gru"])
    before = {key: value.clone() for key, value in network.state_dict().items()}

    assert SMALL["gru"].pretrain(network, torch.zeros(4, POINTS), generator=torch.Generator()) == ()
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
