"""Compounds of a bank asked alone: the bytes that the whole bank says, and nothing stored twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator

from edged.infer.runtime import reads_from_memory
from export.bank import fuse
from export.bank.alone import MODEL, WHICH, alone, reading, why_graph
from export.bank.bank import Bank
from export.bank.fuse import fused, joined
from export.bank.layers import FEWEST_SHARING
from export.bank.ranges import bank_from
from export.compare import session
from export.errors import BankUnfit
from export.models.resuca import ResucaWords
from tests.bundle.banked import front
from tests.export.bank.made import SHARED, SMALL, bank, logits, mixtures, prepared, trained

CHAIN = ResucaWords(stem=8, widths=(8, 8, 8, 16), strides=(1, 1, 2, 1), dropout=0.0)
WIDE = ResucaWords(stem=16, widths=(32, 48), strides=(2, 2), dropout=0.0)  # of its layers some share groups
SPECTRA = prepared(8, seed=3)


def named(count: int) -> tuple[str, ...]:
    return tuple(f"compound {number}" for number in range(count))


def asked(whole: Bank, spectra: NDArray[np.float32], which: Sequence[int]) -> NDArray[np.float32]:
    feed = {"prepared": spectra, WHICH: np.array(which, np.int64)}
    return np.asarray(session(alone(whole)).run(["logits"], feed)[0])


@pytest.mark.parametrize(
    ("words", "count"),
    [(SMALL, 5), (SMALL, FEWEST_SHARING + 3), (CHAIN, FEWEST_SHARING), (WIDE, FEWEST_SHARING)],
    ids=["apart", "members that share groups", "shortcuts as they are", "wide"],
)
def test_each_compound_says_the_bytes_that_it_says_among_all(words: ResucaWords, count: int) -> None:
    whole = bank(named(count), seed=1, words=words)
    expected = logits(fused(whole), SPECTRA)

    assert asked(whole, SPECTRA, range(count)).tobytes() == expected.tobytes()
    for which in ([count - 1], [3, 0, 3], range(count)[::-1]):
        assert asked(whole, SPECTRA, which).tobytes() == expected[:, which].tobytes()


def test_compounds_of_all_stretches_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three stretches, in the last of which few members stand beside ones that fill up."""
    whole = bank(named(2 * FEWEST_SHARING + 3), seed=1)
    expected = logits(fused(whole), SPECTRA)

    monkeypatch.setattr(fuse, "STRETCH_BYTES", 1)

    assert len(fuse.stretches_of(whole)) == 3
    assert logits(fused(whole), SPECTRA).tobytes() == expected.tobytes()
    which = [34, 0, 15, 16, 31, 32, 33, 5]
    assert asked(whole, SPECTRA, which).tobytes() == expected[:, which].tobytes()


def test_it_says_nearly_what_torch_says_of_one_member() -> None:
    made = trained(SMALL)
    found = bank_from(SMALL, made, named(3), mixtures(128, seed=2)[0])
    unseen, _ = mixtures(256, seed=3)

    with torch.no_grad():
        expected = found.network().alone(1)(torch.from_numpy(unseen)).numpy()  # type: ignore[operator]
    said = asked(found, unseen, [1])

    assert np.sqrt(((said - expected) ** 2).mean()) < 0.03 * expected.std()


def test_the_kernels_compute_what_the_standard_says() -> None:
    """The judge is onnx's own evaluator in floats, where a step that lies on the edge may fall to the other side."""
    graph = alone(bank(named(FEWEST_SHARING), seed=1))
    feed = {"prepared": SPECTRA[:2], WHICH: np.array([5, 2])}
    for entry in graph.opset_import:
        entry.version = 21  # the first for which it knows all operators; they have not changed

    expected = np.asarray(ReferenceEvaluator(graph).run(["logits"], feed))[0]

    assert np.abs(session(graph).run(["logits"], feed)[0] - expected).max() < 0.02 * expected.std()


def test_a_spectrum_is_told_alike_alone_and_among_others() -> None:
    whole = bank(named(5), seed=1)

    together = asked(whole, SPECTRA, [1, 4])

    for row, spectrum in enumerate(SPECTRA):
        assert asked(whole, spectrum[None], [1, 4]).tobytes() == together[row : row + 1].tobytes()


def test_replacing_a_member_changes_no_byte_of_the_others() -> None:
    before = bank(named(FEWEST_SHARING), seed=1)
    after = before.with_replaced([bank(["compound 2"], seed=7).members[0]])

    said, said_after = (asked(one, SPECTRA, range(FEWEST_SHARING)) for one in (before, after))

    same = [said[:, column].tobytes() == said_after[:, column].tobytes() for column in range(FEWEST_SHARING)]
    assert same == [column != 2 for column in range(FEWEST_SHARING)]


def test_dropping_and_adding_members_changes_no_byte_of_the_others() -> None:
    whole = bank(named(FEWEST_SHARING + 2), seed=1)
    fewer = whole.without(["compound 0", "compound 3", "compound 9"])  # so few that none shares a group
    more = fewer.with_members([bank(["newcomer"], seed=7).members[0]])

    for name in ("compound 1", "compound 17"):
        column = asked(whole, SPECTRA, [whole.compounds.index(name)]).tobytes()
        assert asked(fewer, SPECTRA, [fewer.compounds.index(name)]).tobytes() == column
        assert asked(more, SPECTRA, [more.compounds.index(name)]).tobytes() == column


def test_compounds_on_one_trunk_are_not_asked_alone() -> None:
    with pytest.raises(BankUnfit, match="share a trunk"):
        alone(bank(named(3), seed=1, words=SHARED))


@pytest.mark.skipif(not reads_from_memory(), reason="onnxruntime before 1.24 does not read one graph out of another")
def test_behind_preprocessing_it_reads_the_banks_numbers_from_the_banks_own_graph() -> None:
    """Of the bank's 60 kB next to none are in the second graph, and of preprocessing no more than the bank needs."""
    whole = bank(named(FEWEST_SHARING), seed=1)
    model = joined(front(), fused(whole), prepared="read_by_bank").SerializeToString()

    found = why_graph(model, whole, prepared="read_by_bank")

    inside = [numpy_helper.to_array(t) for t in found.graph.initializer if t.data_location == TensorProto.DEFAULT]
    assert max(array.nbytes for array in inside) <= 256
    assert {entry.value for t in found.graph.initializer for entry in t.external_data if entry.key == "location"} == {
        MODEL
    }
    assert found.ByteSize() < len(model) / 3
    options = onnxruntime.SessionOptions()
    options.add_external_initializers_from_files_in_memory([MODEL], [model], [len(model)])
    opened = onnxruntime.InferenceSession(found.SerializeToString(), options, providers=["CPUExecutionProvider"])
    assert [port.name for port in opened.get_inputs()] == ["spectrum", WHICH]
    assert [port.name for port in opened.get_outputs()] == ["logits"]
    said = opened.run(["logits"], {"spectrum": 2 * SPECTRA, WHICH: np.array([7, 1])})[0]
    assert said.tobytes() == logits(fused(whole), SPECTRA)[:, [7, 1]].tobytes()


def test_a_name_that_is_not_in_the_graph_is_refused() -> None:
    whole = bank(named(3), seed=1)
    model = joined(front(), fused(whole), prepared="read_by_bank").SerializeToString()

    with pytest.raises(BankUnfit, match="prepared: no such value in the graph"):
        why_graph(model, whole)


def test_the_graph_of_another_bank_is_not_read_from() -> None:
    ours, other = (bank(named(2 * FEWEST_SHARING), seed=seed, words=WIDE) for seed in (1, 2))

    with pytest.raises(BankUnfit, match="it is another bank's"):
        reading(alone(ours), fused(other).SerializeToString())


def test_the_same_members_give_the_same_graph_to_the_byte() -> None:
    first, again = (alone(bank(named(3), seed=1)).SerializeToString(deterministic=True) for _ in range(2))

    assert first == again
