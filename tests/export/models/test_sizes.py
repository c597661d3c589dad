"""Parameters and multiply-adds against published tables and arithmetic by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.models.catalogue import named
from export.models.gru import GruWords
from export.models.invertresnet import InvertResNetWords
from export.models.lstm import LstmWords
from export.models.resnet1d import ResNet1dWords
from export.models.spectratr import SpectraTrWords
from export.models.table import multiply_adds, networks_table, parameters


def inverted(inputs: int, outputs: int, expansion: int) -> int:
    wide = inputs * expansion
    return inputs * wide + 2 * wide + 9 * wide + 2 * wide + wide * outputs + 2 * outputs


def test_invertresnet_has_the_parameters_of_our_reconstruction() -> None:
    network = InvertResNetWords().build(points=404, classes=4)

    blocks = [(16, 24), (24, 24), (24, 40), (40, 40), (40, 64)]
    by_hand = 9 * 16 + 32 + sum(inverted(i, o, 4) for i, o in blocks) + 64 * 128 + 256 + 128 * 4 + 4
    assert parameters(network) == by_hand == 59_764
    assert network.get_submodule("picture").get_buffer("index").shape == (2 * 21 * 21,)


@pytest.mark.parametrize("name", ["invertresnet", "invertresnet-lite", "resnet1d-lite", "cnn-lite", "ghostnet", "swin"])
def test_a_network_for_a_board_stays_below_100_k_parameters(name: str) -> None:
    assert parameters(named(name, points=404).build(points=404, classes=4)) < 100_000


def test_the_residual_network_counts_as_its_blocks_do() -> None:
    network = ResNet1dWords(stem=16, widths=(16, 32, 48, 64), strides=(1, 2, 2, 2)).build(points=1024, classes=1)

    assert parameters(network) == 71_601  # one compound of 368, sizes as designed
    assert 4.2e6 < multiply_adds(network, 1024) < 4.5e6


def test_spectratr_has_the_size_of_the_published_run() -> None:
    network = SpectraTrWords().build(points=404, classes=4)

    dim, heads, inner = 2048, 12 * 64, 1024
    layer = 2 * dim + 3 * dim * heads + heads * dim + dim + 2 * dim + dim * inner + inner + inner * dim + dim
    by_hand = 10 * dim + dim + 41 * dim + dim + 3 * layer + 2 * dim + dim * 4 + 4
    assert parameters(network) == by_hand
    assert round(by_hand / 1e6, 1) == 31.6


def test_the_published_cnn_ends_in_384_numbers_on_404_points() -> None:
    network = named("cnn", points=404).build(points=404, classes=4)

    assert network.out.in_features == 384
    published = 64 * 21 + 64 * 64 * 19 + 64 * 64 * 17 + 3 * 64 + 3 * 2 * 64 + 384 * 4 + 4
    assert parameters(network) == published - 3 * 64  # biases that batch normalisation cancels


def test_the_stacked_autoencoder_has_the_published_layers() -> None:
    network = named("sae", points=404).build(points=404, classes=4)

    assert parameters(network) == 404 * 512 + 512 + 512 * 128 + 128 + 128 * 4 + 4


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize(("cell", "doors", "ends"), [("gru", 3, 1), ("lstm", 4, 1), ("bilstm", 4, 2)])
def test_a_recurrent_network_counts_as_its_doors_do(cell: str, doors: int, ends: int, layers: int) -> None:
    network = named(f"{cell}-{layers}", points=512).build(points=512, classes=9)

    inputs = [8] + [64 * ends] * (layers - 1)
    products = sum(ends * doors * 64 * (given + 64) for given in inputs)
    biases = layers * ends * doors * 64 * 2
    dense = 64 * ends * 64 + 64 * 9
    assert parameters(network) == products + biases + dense + 64 + 9
    assert multiply_adds(network, 512) == 64 * products + dense


def test_the_measured_gru_of_our_notes_is_gru_2() -> None:
    words = GruWords(patch=8, hidden=64, layers=2, bidirectional=False, features=64, dropout=0.2)

    assert parameters(words.build(points=512, classes=4)) == 43_588
    assert named("gru-2", points=512) == words


def test_a_bidirectional_gru_is_two() -> None:
    one, two = (
        GruWords(patch=8, hidden=16, layers=1, bidirectional=both, features=8, dropout=0.0) for both in (False, True)
    )

    cells = 3 * 16 * (8 + 16 + 2)
    more = parameters(two.build(points=64, classes=2)) - parameters(one.build(points=64, classes=2))
    assert more == cells + 16 * 8


def test_a_mean_read_out_costs_no_parameters() -> None:
    last, mean = (
        LstmWords(kind="lstm", patch=8, hidden=16, layers=1, features=8, dropout=0.0, read=read)
        for read in ("last", "mean")
    )

    assert parameters(last.build(points=64, classes=2)) == parameters(mean.build(points=64, classes=2))


def test_the_table_in_the_document_is_what_the_program_counts(repository: Path) -> None:
    page = (repository / "docs" / "networks.md").read_text(encoding="utf-8")

    assert networks_table() in page
