"""DeepCID as published: its sizes, and each layer by the arithmetic of its paper's framework."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.signal import correlate

from export.models.convolution import same_padding
from export.models.deepcid import DeepCid, DeepCidWords
from export.models.table import multiply_adds, parameters

Maps = NDArray[np.float64]


def published(state: dict[str, torch.Tensor], spectrum: Maps) -> float:
    """The probability of one compound, by correlations in float64 at every second place of a padded spectrum."""
    weights = [value.double().numpy() for value in state.values()]
    maps = pooled(convolved(spectrum[None], weights[0][:, :, 0], weights[1]))
    maps = pooled(convolved(maps, weights[2][:, :, 0], weights[3]))
    dense = np.maximum(weights[4] @ maps.ravel() + weights[5], 0.0)
    exponents = np.exp(weights[6] @ dense + weights[7])
    return float(exponents[0] / exponents.sum())


def convolved(maps: Maps, kernels: Maps, biases: Maps) -> Maps:
    """SAME, stride 2: as many places as half the points, rounded up; of an odd number of zeros one more at the end."""
    points = maps.shape[1]
    places = (points + 1) // 2
    missing = max(2 * (places - 1) + 5 - points, 0)
    padded = np.pad(maps, ((0, 0), (missing // 2, missing - missing // 2)))
    found = [correlate(padded, kernel, mode="valid")[0, ::2] for kernel in kernels]
    return np.maximum(np.array(found) + biases[:, None], 0.0)


def pooled(maps: Maps) -> Maps:
    """SAME, two by two: a last place without a partner stays as it is."""
    padded = np.pad(maps, ((0, 0), (0, maps.shape[1] % 2)), constant_values=-np.inf)
    return padded.reshape(len(maps), -1, 2).max(axis=2)


def made(points: int, compounds: int) -> DeepCid:
    torch.manual_seed(1)
    return DeepCidWords().build(points=points, classes=compounds).eval()


def test_a_member_has_the_published_number_of_parameters() -> None:
    dense, last = 56 * 64 * 1024 + 1024, 1024 * 2 + 2

    assert parameters(made(881, 1)) == (5 * 32 + 32) + (5 * 32 * 64 + 64) + dense + last == 3_683_586
    assert parameters(made(881, 2)) == 2 * 3_683_586
    assert 4.87e6 < multiply_adds(made(881, 1), 881) < 4.89e6


def test_the_layers_leave_the_published_places() -> None:
    network = made(881, 1)
    given = torch.zeros(1, 1, 1, 881)

    with torch.no_grad():
        first = [given := layer(given) for layer in network.first]
        second = [given := layer(given) for layer in network.second]

    assert [maps.shape[1:] for maps in (first[1], first[3])] == [(32, 1, 441), (32, 1, 221)]
    assert [maps.shape[1:] for maps in (second[1], second[3])] == [(64, 1, 111), (64, 1, 56)]


@pytest.mark.parametrize("points", [881, 224, 97])
def test_a_logit_is_that_of_the_published_softmax(points: int) -> None:
    """Odd and even numbers of points pad, and pool, in all four ways."""
    network = made(points, 2)
    spectra = np.random.default_rng(2).normal(size=(2, points))

    with torch.no_grad():
        present = torch.sigmoid(network(torch.from_numpy(spectra).float())).double().numpy()

    for member in range(2):
        expected = [published(network.state_of(member), spectrum) for spectrum in spectra]
        assert np.abs(present[:, member] - expected).max() < 1e-4


@pytest.mark.parametrize(
    ("length", "kernel", "stride", "padding"),
    [(881, 5, 2, (2, 2)), (224, 5, 2, (1, 2)), (341, 7, 2, (3, 3)), (64, 7, 2, (2, 3)), (8, 1, 2, (0, 0))],
)
def test_zeros_stand_where_tensorflow_puts_them(
    length: int, kernel: int, stride: int, padding: tuple[int, int]
) -> None:
    assert same_padding(length, kernel, stride) == padding


def test_members_taken_out_one_by_one_say_what_the_bank_says() -> None:
    network = made(64, 3)
    spectra = torch.randn(4, 64, generator=torch.Generator().manual_seed(3))

    with torch.no_grad():
        together = network(spectra)
        for member in range(3):
            assert torch.allclose(network.alone(member)(spectra)[:, 0], together[:, member], atol=1e-4)
        own = network(spectra[:, None].repeat(1, 3, 1))
        assert torch.allclose(own, together, atol=1e-4)


def test_a_loss_of_one_member_reaches_no_weight_of_another() -> None:
    network = made(64, 3)

    network(torch.randn(8, 64, generator=torch.Generator().manual_seed(4)))[:, 1].square().sum().backward()

    for name, value in network.named_parameters():
        assert value.grad is not None
        first, second, third = value.grad.chunk(3)
        assert not first.any(), name
        assert not third.any(), name
        assert second.any(), name


def test_the_first_weights_are_the_published_ones() -> None:
    """A normal law of deviation 0.1 cut at two deviations has a deviation of 0.0880; biases are 0.1."""
    weights = made(881, 1).get_parameter("dense.0.weight").detach().numpy()

    assert abs(weights.std() - 0.0880) < 0.0005
    assert np.abs(weights).max() <= 0.2
    assert all((value == 0.1).all() for name, value in made(64, 1).named_parameters() if name.endswith("bias"))
