"""The network that compares an unknown with references: sizes, the pyramid, and compounds that enter untrained."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.signal import correlate, correlate2d
from torch import Tensor, nn

from export.models.pair import PairNetwork, PairWords, pyramid
from export.models.table import parameters

POINTS = 70


def spectra(count: int, *, seed: int, points: int = POINTS) -> Tensor:
    return torch.rand((count, points), generator=torch.Generator().manual_seed(seed)) + 0.1


def settled(*, points: int = POINTS, references: int = 3) -> PairNetwork:
    """A network whose batch normalisations have seen spectra, and which knows some references."""
    torch.manual_seed(1)
    network = PairWords(dropout=0.0).build(points=points, classes=references)
    with torch.no_grad():
        for step in range(5):
            network.judge(spectra(8, seed=100 + step), spectra(8, seed=200 + step))
    return network.eval().with_references(spectra(references, seed=2, points=points))


def by_hand(network: PairNetwork, reference: NDArray[np.float64], unknown: NDArray[np.float64]) -> float:
    """The logit of one pair by scipy's correlations, in float64, layer after layer as in the published code."""

    def normalised(maps: NDArray[np.float64], norm: nn.Module) -> NDArray[np.float64]:
        mean, variance, weight, bias = (
            getattr(norm, name).detach().double().numpy()[(..., *[None] * (maps.ndim - 1))]
            for name in ("running_mean", "running_var", "weight", "bias")
        )
        whole: NDArray[np.float64] = np.maximum((maps - mean) / np.sqrt(variance + 1e-5) * weight + bias, 0.0)
        return whole

    def branch(layers: nn.Sequential, spectrum: NDArray[np.float64]) -> NDArray[np.float64]:
        weight, bias = (value.detach().double().numpy() for value in layers[1].parameters())
        scaled = spectrum / spectrum.max()
        maps = np.array([correlate(scaled, kernel[0], mode="same") for kernel in weight]) + bias[:, None]
        whole = maps.shape[1] // 3 * 3
        return normalised(maps, layers[2])[:, :whole].reshape(len(maps), -1, 3).max(axis=2)

    picture = np.concatenate([branch(network.of_reference, reference), branch(network.of_unknown, unknown)]).T
    edges = []
    for length in picture.shape:
        missing = 2 * ((length + 1) // 2 - 1) + 7 - length
        edges.append((missing // 2, missing - missing // 2))
    weight, bias = (value.detach().double().numpy() for value in network.over_both[0].parameters())
    padded = np.pad(picture, edges)
    maps = np.array([correlate2d(padded, kernel[0], mode="valid")[::2, ::2] for kernel in weight]) + bias[:, None, None]
    maps = normalised(maps, network.over_both[1])
    rows, columns = maps.shape[1:]
    cells = []
    for grid in (1, 2, 3, 4):
        across, down = np.rint(np.arange(grid + 1) * columns / grid), np.rint(np.arange(grid + 1) * rows / grid)
        for i in range(grid):
            for j in range(grid):
                cell = maps[:, int(down[j]) : int(down[j + 1]), int(across[i]) : int(across[i + 1])]
                cells.append(cell.max(axis=(1, 2)))
    first, lift, second, offset = (
        network.get_parameter(name).detach().double().numpy()
        for name in ("dense.0.weight", "dense.0.bias", "out.weight", "out.bias")
    )
    said = second @ np.maximum(first @ np.concatenate(cells) + lift, 0.0) + offset
    return float(said[1] - said[0])


def test_the_layers_have_the_published_sizes() -> None:
    branch = 7 * 32 + 32 + 2 * 32
    over_both = 7 * 7 * 32 + 32 + 2 * 32
    dense = (1 + 4 + 9 + 16) * 32 * 1024 + 1024

    for points, references in ((881, 1), (1024, 9)):
        network = PairWords().build(points=points, classes=references)
        assert parameters(network) == 2 * branch + over_both + dense + 1024 * 2 + 2 == 988_418


@pytest.mark.parametrize("points", [70, 71, 64])
def test_a_logit_is_what_the_published_layers_compute(points: int) -> None:
    network = settled().with_references(spectra(2, seed=3, points=points))
    unknown = spectra(2, seed=4, points=points)

    with torch.no_grad():
        logits = network(unknown).numpy()

    expected = [
        [by_hand(network, known.double().numpy(), row.double().numpy()) for known in network.references]
        for row in unknown
    ]
    assert np.abs(logits - expected).max() < 1e-4


def test_a_cell_of_the_pyramid_is_the_largest_value_in_it() -> None:
    maps = torch.arange(24.0).reshape(1, 1, 4, 6)  # rows of 0-5, 6-11, 12-17, 18-23

    found = pyramid(maps)[0].tolist()

    assert len(found) == 30
    assert found[0] == 23.0
    assert found[1:5] == [8.0, 20.0, 11.0, 23.0]  # left above, left below, right above, right below
    assert found[5:8] == [1.0, 13.0, 19.0]  # thirds of four rows end at 1, 3 and 4


def test_a_compound_enters_by_its_spectrum_alone_and_changes_no_other() -> None:
    network = settled()
    unknown = spectra(4, seed=5)
    new = spectra(1, seed=6)

    larger = network.with_references(torch.cat([network.references, new]))

    with torch.no_grad():
        assert torch.allclose(larger(unknown)[:, :3], network(unknown), atol=1e-5)
        assert torch.allclose(larger(unknown)[:, 3], network.judge(new.repeat(4, 1), unknown), atol=1e-5)
    assert network.references.shape == (3, POINTS)


def test_a_pair_is_judged_as_the_library_judges_it() -> None:
    network = settled()
    unknown = spectra(4, seed=7)

    with torch.no_grad():
        for number, known in enumerate(network.references):
            pairs = network.judge(known.repeat(4, 1), unknown)
            assert torch.allclose(pairs, network(unknown)[:, number], atol=1e-5)
        read = network.embed(unknown)
    assert read.shape == (12, 1024)


def test_the_length_of_the_axis_is_free() -> None:
    network = settled()

    with torch.no_grad():
        assert network.with_references(spectra(2, seed=8, points=301))(spectra(5, seed=9, points=301)).shape == (5, 2)


def test_the_scale_of_a_spectrum_does_not_count() -> None:
    network = settled()
    unknown = spectra(3, seed=10)

    with torch.no_grad():
        assert torch.allclose(network(1000.0 * unknown), network(unknown), atol=1e-4)


def test_it_learns_which_band_belongs_to_which_reference() -> None:
    """Two bands: a reference has one of them, the unknown one or both. Trained on pairs, read from the library."""
    torch.manual_seed(1)
    place = torch.linspace(0.0, 1.0, 48)
    bands = torch.stack([torch.exp(-(((place - middle) / 0.08) ** 2)) for middle in (0.3, 0.7)])
    generator = torch.Generator().manual_seed(2)
    present = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]).repeat(4, 1)
    unknown, unseen = (present @ bands + 0.02 * torch.randn((12, 48), generator=generator) for _ in range(2))
    network = PairWords(dropout=0.0).build(points=48, classes=2)
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-4)

    for _ in range(50):
        optimiser.zero_grad()
        logits = network.judge(bands.repeat(12, 1), unknown.repeat_interleave(2, dim=0))
        nn.functional.binary_cross_entropy_with_logits(logits, present.flatten()).backward()
        optimiser.step()

    with torch.no_grad():
        assert ((network.eval().with_references(bands)(unseen) > 0) == present.bool()).all()


@pytest.mark.parametrize(
    ("references", "said"),
    [
        (torch.ones(POINTS), r"references: shape \(70,\); one row of points each is needed"),
        (torch.ones(0, POINTS), r"references: shape \(0, 70\)"),
        (torch.ones(2, 20), "references: 20 points are too few; 21 are the least"),
        (torch.tensor([[1.0] * POINTS, [0.0] * POINTS]), "references: row 1 is zero or not finite everywhere"),
        (torch.tensor([[float("nan")] * POINTS]), "references: row 0 is zero or not finite everywhere"),
    ],
)
def test_what_is_no_reference_is_refused(references: Tensor, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        settled().with_references(references)


def test_too_few_points_are_refused_and_the_fewest_do_work() -> None:
    with pytest.raises(ValueError, match="kind: 20 points are too few; 21 are the least"):
        PairWords().build(points=20, classes=1)

    network = settled().with_references(spectra(2, seed=11, points=21))
    assert network(spectra(3, seed=12, points=21)).shape == (3, 2)
