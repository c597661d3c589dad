"""The int8 graph: close to torch, and each compound's logits the same bytes whatever stands beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from export.bank import fuse
from export.bank.bank import Bank, Member
from export.bank.fuse import fused, joined
from export.bank.layers import FEWEST_SHARING
from export.bank.plan import member_layout
from export.bank.ranges import bank_from
from export.compare import session
from export.errors import BankUnfit
from export.models.resnet1d import ResNet1dWords
from export.models.resuca import ResucaWords
from export.preprocess.pipeline import build
from export.preprocess.words import SnvStep
from export.to_onnx import module_graph
from tests.export.bank.made import POINTS, SHARED, SMALL, bank, logits, mixtures, network, prepared, trained

CHAIN = ResucaWords(stem=8, widths=(8, 8, 8, 16), strides=(1, 1, 2, 1), dropout=0.0)
NAMES = tuple(f"compound {number}" for number in range(5))
kinds = pytest.mark.parametrize("words", [SMALL, SHARED], ids=["whole networks", "heads on one trunk"])


def named(count: int) -> tuple[str, ...]:
    return tuple(f"compound {number}" for number in range(count))


def column(bank: Bank, compound: str, spectra: NDArray[np.float32]) -> bytes:
    return logits(fused(bank), spectra)[:, bank.compounds.index(compound)].tobytes()


@pytest.mark.parametrize(
    ("words", "points"),
    [(SMALL, 64), (SHARED, 64), (CHAIN, 64), (SMALL, 37)],
    ids=["whole networks", "heads", "shortcuts as they are", "odd points"],
)
def test_the_graph_says_nearly_what_torch_says(words: ResucaWords | ResNet1dWords, points: int) -> None:
    made = trained(words, points=points)
    found = bank_from(words, made, named(3), mixtures(128, seed=2, points=points)[0])
    unseen, present = mixtures(512, seed=3, points=points)

    with torch.no_grad():
        expected = made(torch.from_numpy(unseen)).numpy()
        again = found.network()(torch.from_numpy(unseen)).numpy()
    said = logits(fused(found), unseen)

    assert np.abs(again - expected).max() < 1e-5
    assert np.sqrt(((said - expected) ** 2).mean()) < 0.03 * expected.std()
    assert ((expected > 0) == present).mean() > 0.9  # it has learned, so there is something to agree about
    assert ((said > 0) == (expected > 0)).mean() > 0.99


@pytest.mark.parametrize("words", [SMALL, SHARED, CHAIN], ids=["whole networks", "heads", "shortcuts as they are"])
def test_the_kernels_compute_what_the_standard_says(words: ResucaWords | ResNet1dWords) -> None:
    """The judge is onnx's own evaluator in floats, where a step that lies on the edge may fall to the other side."""
    graph = fused(bank(named(3), seed=1, words=words))
    spectra = prepared(2, seed=3)
    for entry in graph.opset_import:
        entry.version = 21  # the first for which it knows all operators; they have not changed

    expected = np.asarray(ReferenceEvaluator(graph).run(["logits"], {"prepared": spectra}))[0]

    assert np.abs(logits(graph, spectra) - expected).max() < 0.02 * expected.std()


@kinds
def test_other_kernels_say_the_same_but_for_values_on_an_edge(words: ResucaWords | ResNet1dWords) -> None:
    graph = fused(bank(NAMES, seed=1, words=words))
    spectra = prepared(64, seed=3)
    expected = logits(graph, spectra)

    for other in (session(graph, optimised=False), session(graph, integer_kernels=False)):
        said = other.run(["logits"], {"prepared": spectra})[0]
        assert (said == expected).mean() > 0.95
        assert np.abs(said - expected).max() < 0.1 * expected.std()


@kinds
def test_replacing_a_member_changes_no_byte_of_the_others(words: ResucaWords | ResNet1dWords) -> None:
    before = bank(NAMES, seed=1, words=words)
    spectra = prepared(32, seed=3)

    after = before.with_replaced([stranger(before, "compound 2", seed=7)])

    for name in NAMES:
        same = column(before, name, spectra) == column(after, name, spectra)
        assert same == (name != "compound 2")


@kinds
def test_dropping_and_adding_members_changes_no_byte_of_the_others(words: ResucaWords | ResNet1dWords) -> None:
    """Those that stay move to other columns, and to other places in the kernels."""
    whole = bank(NAMES, seed=1, words=words)
    spectra = prepared(32, seed=3)

    fewer = whole.without(["compound 0", "compound 3"])
    more = fewer.with_members([stranger(whole, "newcomer", seed=7), stranger(whole, "another", seed=8)])

    for name in ("compound 1", "compound 2", "compound 4"):
        expected = column(whole, name, spectra)
        assert column(fewer, name, spectra) == expected
        assert column(more, name, spectra) == expected
        alone = whole.without([other for other in NAMES if other != name])
        assert column(alone, name, spectra) == expected


@pytest.mark.parametrize("words", [SMALL, CHAIN], ids=["one block halves", "shortcuts as they are"])
def test_members_that_share_a_group_are_blind_to_each_other(words: ResucaWords) -> None:
    """Narrow members share groups in larger banks, where empty ones fill up; a number that nothing divides."""
    names = named(FEWEST_SHARING + 3)
    large = bank(names, seed=1, words=words)
    spectra = prepared(8, seed=3)

    small = large.without(names[:-4])
    changed = large.with_replaced([stranger(large, names[-2], seed=7)])

    assert groups(fused(large)) < groups(fused(small)) * 19
    assert logits(fused(large), spectra).shape == (8, len(names))
    for name in names[-4:]:
        assert column(large, name, spectra) == column(small, name, spectra)
        assert (column(changed, name, spectra) == column(large, name, spectra)) == (name != names[-2])


@kinds
def test_a_spectrum_is_told_alike_alone_and_among_others(words: ResucaWords | ResNet1dWords) -> None:
    graph = fused(bank(NAMES, seed=1, words=words))
    spectra = prepared(9, seed=3)

    together = logits(graph, spectra)

    for row, spectrum in enumerate(spectra):
        assert logits(graph, spectrum[None]).tobytes() == together[row : row + 1].tobytes()


def test_every_weight_between_the_layers_has_seven_bits() -> None:
    graph = fused(bank(NAMES, seed=1))

    weights = [v for v in map(numpy_helper.to_array, graph.graph.initializer) if v.dtype == np.int8 and v.ndim == 4]
    assert len(weights) == 5
    assert all(np.abs(value.astype(int)).max() == 63 for value in weights)


@pytest.mark.parametrize("factor", [1.0, 1e-9, 1e6], ids=["as it is", "nearly nothing", "huge"])
def test_the_sums_of_the_first_layer_stay_exact_in_float(factor: float) -> None:
    """Whatever the spectrum is: all its 16,383 steps, with the signs of the weights."""
    made = network(SMALL, 3, seed=1)
    state = made.state_dict()
    for name in ("stem.1.weight", "stem.1.bias"):
        state[name] *= factor
    state["stem.1.bias"][0] = 1000.0
    graph = fused(bank_from(SMALL, made, named(3), prepared(16, seed=2)))

    values = [numpy_helper.to_array(tensor) for tensor in graph.graph.initializer]
    weights = next(value for value in values if value.dtype == np.int16 and value.ndim == 4).astype(np.int64)
    biases = next(value for value in values if value.dtype == np.int32 and len(value) == len(weights)).astype(np.int64)
    assert (np.abs(weights).sum(axis=(1, 2, 3)) * 16_383 + np.abs(biases)).max() < 2**24


def test_a_member_of_zeros_says_its_bias() -> None:
    whole = bank(NAMES, seed=1)
    numbers = np.zeros_like(whole.members[0].numbers)
    with_bias = numbers.copy()
    with_bias[bias_of(whole)] = -3.5
    silent = Member(compound="silent", numbers=with_bias)

    found = logits(fused(whole.with_members([silent])), prepared(4, seed=3))

    assert (found[:, -1] == np.float32(-3.5)).all()
    assert found[:, :-1].tobytes() == logits(fused(whole), prepared(4, seed=3)).tobytes()


def test_numbers_that_no_step_of_int8_reaches_are_refused_with_the_compound() -> None:
    whole = bank(NAMES, seed=1)
    layout = member_layout(SMALL)
    arrays = layout.split(np.full((1, layout.size), 1e12, np.float32))
    for name, value in arrays.items():
        if name.endswith(("running_var", "path.1/largest")):
            value[:] = 0.0
    numbers = layout.joined(arrays)

    with pytest.raises(BankUnfit, match=r"wild: the numbers of \S+ are too far apart for int8 \(train it again\)"):
        fused(whole.with_members([Member(compound="wild", numbers=numbers)]))


def test_a_spectrum_beyond_the_range_is_cut_and_none_is_lost_within() -> None:
    """At a range of 20 a step is 0.0012; cut values are equal, whatever they were."""
    graph = fused(bank(NAMES, seed=1, input_range=20.0))
    spectra = prepared(4, seed=3)
    spectra[:, 10] = 20.0
    beyond = spectra.copy()
    beyond[:, 10] = 1e30

    assert logits(graph, beyond).tobytes() == logits(graph, spectra).tobytes()


def test_the_same_members_give_the_same_graph_to_the_byte() -> None:
    first, again = (fused(bank(NAMES, seed=1)).SerializeToString(deterministic=True) for _ in range(2))

    assert first == again


def test_two_graphs_become_one_that_keeps_the_names_of_its_ends() -> None:
    """In front stands a graph by hand, which halves; its names are those of the bank's, too."""
    behind = fused(bank(NAMES, seed=1))
    half = helper.make_node("Mul", ["spectrum", behind.graph.initializer[0].name], ["prepared"], name="bank")
    graph = helper.make_graph(
        [half],
        "front",
        [helper.make_tensor_value_info("spectrum", TensorProto.FLOAT, ["N", POINTS])],
        [helper.make_tensor_value_info("prepared", TensorProto.FLOAT, ["N", POINTS])],
        [numpy_helper.from_array(np.float32(0.5) * np.ones(1, np.float32), behind.graph.initializer[0].name)],
    )
    front = helper.make_model(graph, opset_imports=behind.opset_import)

    opened = session(joined(front, behind))

    spectra = prepared(6, seed=3)
    said, seen = opened.run(["logits", "prepared"], {"spectrum": 2 * spectra})
    assert [value.name for value in opened.get_inputs()] == ["spectrum"]
    assert np.array_equal(seen, spectra)
    assert said.tobytes() == logits(behind, spectra).tobytes()


@pytest.mark.deep
def test_preprocessing_and_a_bank_become_one_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    steps = build((SnvStep(kind="snv"),), np.linspace(1000.0, 1700.0, POINTS))
    preparation = module_graph(steps, POINTS, outputs=("prepared",))
    behind = fused(bank(NAMES, seed=1))

    opened = session(joined(preparation, behind))

    said, seen = opened.run(["logits", "prepared"], {"spectrum": 0.3 + 0.05 * prepared(6, seed=3)})
    assert np.abs(seen - prepared(6, seed=3) * np.sqrt(63 / 64)).max() < 1e-3  # the deviation of a sample
    assert said.tobytes() == logits(behind, seen).tobytes()


@pytest.mark.parametrize("count", [2 * FEWEST_SHARING, 2 * FEWEST_SHARING + 3], ids=["even", "a short last one"])
def test_a_bank_in_stretches_says_the_same_bytes(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, spectra = bank(named(count), seed=1), prepared(8, seed=3)
    at_once = fused(whole)

    monkeypatch.setattr(fuse, "STRETCH_BYTES", 1)  # as few as share groups
    in_stretches = fused(whole)

    assert reads_of(at_once) == 1
    assert reads_of(in_stretches) == -(-count // FEWEST_SHARING)
    assert logits(in_stretches, spectra).tobytes() == logits(at_once, spectra).tobytes()


def reads_of(graph: onnx.ModelProto) -> int:
    return sum("prepared" in node.input for node in graph.graph.node)


def bias_of(whole: Bank) -> int:
    """Where the bias of the last layer stands among a member's numbers."""
    sizes = [value.numel() for name, value in whole.network().state_dict().items() if "tracked" not in name]
    return sum(sizes) // len(whole.members) - 1


def groups(graph: onnx.ModelProto) -> int:
    return sum(a.i for node in graph.graph.node for a in node.attribute if a.name == "group")


def stranger(whole: Bank, name: str, *, seed: int) -> Member:
    """A member of another training; of a shared trunk, another head."""
    if whole.trunk is None:
        return bank([name], seed=seed, words=whole.words).members[0]
    numbers = np.random.default_rng(seed).normal(0.0, 0.2, whole.members[0].numbers.shape).astype(np.float32)
    return Member(compound=name, numbers=numbers)
