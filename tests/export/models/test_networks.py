"""What every network has to do, whatever is inside."""

from __future__ import annotations

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn

from export.models.catalogue import NAMES, NetworkWords, named
from tests.export.models.small import CLASSES, POINTS, SMALL, built, two_classes

SLOW = {"gru-points", "ghostnet", "swin", "resuca", "deepcid"}
BY_MEMBER = {"resuca", "deepcid"}  # the last layer is one for each compound; their own tests judge it
every = pytest.mark.parametrize("name", SMALL)


@pytest.mark.parametrize("name", [name for name in SMALL if name not in BY_MEMBER])
def test_a_network_gives_a_logit_a_class_from_what_its_last_layer_reads(name: str) -> None:
    network = built(SMALL[name], classes=5).eval()
    spectra, _ = two_classes(3, seed=1)

    with torch.no_grad():
        logits, read = network(spectra), network.embed(spectra)

    assert logits.shape == (3, 5)
    assert read.shape == (3, network.out.in_features)
    assert torch.allclose(read @ network.out.weight.T + network.out.bias, logits, atol=1e-5)


@every
def test_the_same_seed_gives_the_same_weights_and_another_gives_others(name: str) -> None:
    first, again, other = (built(SMALL[name], seed=seed).state_dict() for seed in (5, 5, 6))

    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@every
def test_a_gradient_reaches_every_parameter(name: str) -> None:
    network = built(SMALL[name])
    spectra, targets = two_classes(8, seed=2)

    nn.functional.cross_entropy(network(spectra), targets).backward()

    silent = [key for key, value in network.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    assert silent == []


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.deep] if name in SLOW else []) for name in SMALL]
)
def test_a_network_learns_two_classes_from_24_spectra(name: str) -> None:
    network = built(SMALL[name])
    spectra, targets = two_classes(24, seed=3)
    unseen, truth = two_classes(40, seed=4)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-2)

    for _ in range(150):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(spectra), targets).backward()
        optimiser.step()

    network.eval()
    with torch.no_grad():
        assert (network(spectra).argmax(dim=1) == targets).all()
        assert (network(unseen).argmax(dim=1) == truth).float().mean() >= 0.95


@every
def test_what_a_network_says_of_a_spectrum_does_not_depend_on_its_neighbours(name: str) -> None:
    network = built(SMALL[name]).eval()
    spectra, _ = two_classes(4, seed=5)

    with torch.no_grad():
        together, alone = network(spectra), torch.cat([network(row[None]) for row in spectra])

    assert torch.allclose(together, alone, atol=1e-5)


@every
def test_words_survive_being_written_and_read(name: str) -> None:
    adapter: TypeAdapter[NetworkWords] = TypeAdapter(NetworkWords)

    assert adapter.validate_json(SMALL[name].model_dump_json()) == SMALL[name]


@pytest.mark.parametrize(
    ("name", "points", "said"),
    [
        ("gru", 63, "patch: 63 points are no whole number of patches of 8"),
        ("bilstm", 63, "patch: 63 points are no whole number of patches of 8"),
        ("invertresnet", 16, "kind: 16 points make too small a picture; 17 are the least"),
        ("ghostnet", 16, "kind: 16 points make too small a picture; 17 are the least"),
        ("swin", 16, "kind: 16 points make too small a picture; 17 are the least"),
        ("resnet1d", 7, "kind: 7 points are too few; 8 are the least"),
        ("resuca", 7, "kind: 7 points are too few; 8 are the least"),
        ("deepcid", 7, "kind: 7 points are too few; 8 are the least"),
        ("spectratr", 7, "patch: 7 points are no whole patch of 8"),
        ("spectratr", 9000, "patch: 9000 points in patches of 8 are more than 1024 tokens"),
        ("cnn", 34, r"kernels: 34 points are too few for \(9, 7\); 35 are the least"),
    ],
)
def test_points_that_do_not_fit_are_refused_with_the_key_at_fault(name: str, points: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SMALL[name].check(points=points)
    with pytest.raises(ValueError, match=said):
        SMALL[name].build(points=points, classes=CLASSES)


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("gru", 8),
        ("invertresnet", 17),
        ("ghostnet", 17),
        ("swin", 17),
        ("resnet1d", 8),
        ("resuca", 8),
        ("deepcid", 8),
        ("spectratr", 8),
        ("cnn", 35),
    ],
)
def test_the_fewest_points_that_are_let_in_do_work(name: str, points: int) -> None:
    network = built(SMALL[name], points=points)

    assert network(torch.linspace(0.0, 1.0, 4 * points).reshape(4, points)).shape == (4, CLASSES)


def test_a_picture_that_halves_to_nothing_is_refused() -> None:
    words = named("ghostnet", points=404).model_copy(update={"strides": (2, 2, 2, 2, 2)})

    with pytest.raises(ValueError, match="strides: 64 points leave no picture of 2 x 2"):
        words.check(points=POINTS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"kind": "invertresnet", "widths": [8, 8]}, "strides: 5 for 2 widths"),
        ({"kind": "ghostnet", "widths": [8, 8]}, "strides: 5 for 2 widths"),
        ({"kind": "resnet1d", "strides": [1]}, "strides: 1 for 4 widths"),
        ({"kind": "swin", "widths": [8]}, "heads: 2 for 1 widths"),
        ({"kind": "swin", "heads": [3, 4]}, "heads: a width of 32 is no whole number of 3 heads"),
        ({"kind": "lstm", "bidirectional": True}, "bidirectional"),
        ({"kind": "transformer"}, "transformer"),
    ],
)
def test_words_that_contradict_each_other_are_refused(words: dict[str, object], said: str) -> None:
    adapter: TypeAdapter[NetworkWords] = TypeAdapter(NetworkWords)

    with pytest.raises(ValidationError, match=said):
        adapter.validate_python(words)


@pytest.mark.parametrize(("points", "patch"), [(224, 8), (404, 4), (512, 8), (235, 5), (407, 11), (401, 1)])
def test_a_named_recurrent_network_reads_whole_patches(points: int, patch: int) -> None:
    assert named("gru-2", points=points).model_dump()["patch"] == patch


def test_the_papers_names_are_all_known() -> None:
    recurrent = {f"{cell}-{layers}" for cell in ("gru", "lstm", "bilstm") for layers in (1, 2, 3)}

    assert recurrent | {"invertresnet", "resnet1d", "cnn", "sae", "spectratr", "ghostnet", "swin"} <= set(NAMES)
    for name in NAMES:
        named(name, points=404).check(points=404)
    with pytest.raises(ValueError, match="gru-4: no such network; there are gru-1"):
        named("gru-4", points=404)
