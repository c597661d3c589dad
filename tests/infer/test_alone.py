"""Compounds asked alone for an explanation: the same bands as from the whole bank, and graphs that lie kept out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edged.bundle.archive import Bundle, bundle_bytes, bundle_from_bytes
from edged.bundle.errors import BundleUnfit
from edged.cli.bundle import bundle as bundle_command
from edged.infer.alone import Alone
from edged.infer.analyze import Analyzer
from edged.infer.engine import Engine
from edged.infer.errors import EngineFault, NotOffered
from edged.infer.explain import windows
from edged.infer.runtime import reads_from_memory
from edged.infer.verdict import Candidate, Verdict
from edged.spectra.spectrum import Spectrum
from tests.bundle.banked import COUNT, GOLDEN, NAMES, banked_bytes, why_of
from tests.bundle.mixed import AXIS_NM, POINTS
from tests.bundle.tiny import fields, files
from tests.one_thread import one_thread

pytestmark = pytest.mark.skipif(not reads_from_memory(), reason="onnxruntime before 1.24 does not ask compounds alone")
BUNDLE = bundle_from_bytes(banked_bytes())


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def measured(values: NDArray[np.float32]) -> Spectrum:
    return Spectrum(axis=AXIS_NM.copy(), values=values, axis_unit="nm", quantity="absorbance")


def naming(*labels: str) -> Verdict:
    names = tuple(Candidate(label=label, title=label, probability=0.5) for label in labels)
    return Verdict(procedure="components", preset="screen", outcome="inconclusive", candidates=names)


def with_why(why: bytes) -> Bundle:
    return replace(BUNDLE, why=why)


def refusal(why: bytes) -> str:
    """What is said of a graph that is loaded and asked for all compounds."""
    with pytest.raises(EngineFault) as caught:
        Alone.load(with_why(why)).prove(range(COUNT))
    assert caught.value.hint
    return str(caught.value.message)


def graph() -> onnx.ModelProto:
    return onnx.load_from_string(why_of())


def test_each_compound_alone_says_the_bytes_that_the_bundle_says() -> None:
    expected = Engine.load(BUNDLE).run(GOLDEN).logits

    alone = Alone.load(BUNDLE)

    assert alone.logits(GOLDEN, range(COUNT)).tobytes() == expected.tobytes()
    assert alone.logits(GOLDEN[:1], [19, 0]).tobytes() == expected[:1, [19, 0]].tobytes()
    assert alone.prove(range(COUNT)) == 0.0


def test_an_explanation_by_compounds_alone_is_that_of_the_whole_bank_to_the_bit() -> None:
    spectrum, verdict = measured(GOLDEN[0]), naming("c3", "c17", "c0")

    found = Analyzer(BUNDLE).explain(spectrum, verdict)
    by_all = Analyzer(bundle_from_bytes(banked_bytes(why_onnx=None))).explain(spectrum, verdict)

    assert found is not None
    assert by_all is not None
    assert [one.label for one in found.why] == ["c3", "c17", "c0"]
    assert all(one.bands for one in found.why)
    assert found.why == by_all.why
    assert found.curves.packed() == by_all.curves.packed()


def test_a_bundle_without_the_graph_is_read_as_before_and_has_no_trace_of_it() -> None:
    without = bundle_from_bytes(banked_bytes(why_onnx=None))

    assert without.why == b""
    assert "why" not in without.manifest.model_dump_json()


def test_what_is_not_explained_opens_no_second_graph() -> None:
    """It would be refused, if it were opened."""
    analyzer = Analyzer(with_why(b"rubbish"))

    verdict = analyzer.analyze(measured(GOLDEN[0])).verdict

    assert verdict.outcome in ("resolved", "inconclusive")
    refused = Verdict(procedure="components", preset="screen", outcome="rejected")
    assert analyzer.explain(measured(GOLDEN[0]), refused) is None
    assert analyzer.explain(measured(GOLDEN[0]), naming()) is None
    with pytest.raises(EngineFault, match=r"why\.onnx: the graph is damaged"):
        analyzer.explain(measured(GOLDEN[0]), naming("c3"))


@pytest.fixture
def _old_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """Releases before 1.24 lack what is taken away here."""
    monkeypatch.delattr(onnxruntime.SessionOptions, "add_external_initializers_from_files_in_memory")


@pytest.mark.usefixtures("_old_runtime")
def test_a_runtime_that_is_too_old_asks_all_compounds_for_the_same_bands() -> None:
    spectrum, verdict = measured(GOLDEN[0]), naming("c3", "c17")
    analyzer = Analyzer(BUNDLE)

    found = analyzer.explain(spectrum, verdict)
    by_all = Analyzer(bundle_from_bytes(banked_bytes(why_onnx=None))).explain(spectrum, verdict)

    assert analyzer.analyze(spectrum).verdict.outcome in ("resolved", "inconclusive")
    assert found is not None
    assert by_all is not None
    assert found.why == by_all.why
    assert analyzer.explain(spectrum, naming()) is None


@pytest.mark.usefixtures("_old_runtime")
def test_where_all_compounds_take_too_long_a_runtime_that_is_too_old_says_so() -> None:
    """A clock by which the whole graph takes one second."""
    analyzer = Analyzer(BUNDLE, clock=iter(np.arange(1000.0)).__next__)

    with pytest.raises(NotOffered, match="asks the graph") as caught:
        analyzer.explain(measured(GOLDEN[0]), naming("c3"))

    assert "install onnxruntime 1.24 or newer" in caught.value.hint


def test_the_graph_of_another_bank_is_found_out_before_it_explains_anything() -> None:
    """What it reads is this bank's; its last layer, small enough to be its own, is the other's."""
    analyzer = Analyzer(with_why(why_of(seed=2)))

    with pytest.raises(EngineFault, match="a compound alone says other logits than among all"):
        analyzer.explain(measured(GOLDEN[0]), naming("c3"))


def test_numbers_that_are_read_from_beside_their_place_are_found_out() -> None:
    model = graph()
    weights = max(model.graph.initializer, key=lambda tensor: int(np.prod(tensor.dims)))
    (offset,) = (entry for entry in weights.external_data if entry.key == "offset")
    offset.value = str(int(offset.value) - 4)

    assert "other logits than among all" in refusal(model.SerializeToString())


def test_a_compound_that_lies_is_refused_and_its_neighbours_are_explained() -> None:
    """Column 3 says what 4 says."""
    model = graph()
    swapped = helper.make_node("Where", ["is three", "four", "which"], ["bent"])
    nodes = [helper.make_node("Equal", ["which", "three"], ["is three"]), swapped, *model.graph.node]
    for node in nodes[2:]:
        node.input[:] = ["bent" if name == "which" else name for name in node.input]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    for name, value in (("three", 3), ("four", 4)):
        model.graph.initializer.append(helper.make_tensor(name, TensorProto.INT64, [], [value]))
    analyzer = Analyzer(with_why(model.SerializeToString()))

    assert analyzer.explain(measured(GOLDEN[0]), naming("c5", "c4")) is not None
    with pytest.raises(EngineFault, match="other logits than among all: they differ by") as caught:
        analyzer.explain(measured(GOLDEN[0]), naming("c5", "c3"))
    assert "allowed is 0.001" in caught.value.message


@pytest.mark.parametrize("port", ["spectrum", "which", "logits"])
def test_a_graph_with_other_ports_is_refused(port: str) -> None:
    model = graph()
    for ports in (model.graph.input, model.graph.output):
        for one in ports:
            one.name = "other" if one.name == port else one.name
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = ["other" if name == port else name for name in names]

    assert "why.onnx has inputs" in refusal(model.SerializeToString())


def test_a_graph_for_an_axis_of_another_length_is_refused() -> None:
    model = graph()
    (port,) = (one for one in model.graph.input if one.name == "spectrum")
    port.type.tensor_type.shape.dim[1].dim_value = POINTS + 1

    message = refusal(model.SerializeToString())

    assert "why.onnx" in message


@pytest.mark.parametrize("where", ["/etc/passwd", "library.npz", "model.onnx/../x"])
def test_a_graph_that_would_read_anything_but_the_bundles_model_is_refused(where: str) -> None:
    model = graph()
    entry = next(e for t in model.graph.initializer for e in t.external_data if e.key == "location")
    entry.value = where

    assert "reads files outside the bundle" in refusal(model.SerializeToString())


def smuggled(entry: bytes) -> bytes:
    """The graph with a constant in the body of its Scan that is read from a file, by this entry of `external_data`,
    which takes the place of a text of the same length: byte for byte as it is given."""
    model = graph()
    (scan,) = (node for node in model.graph.node if node.op_type == "Scan")
    (body,) = (attribute.g for attribute in scan.attribute if attribute.name == "body")
    text = "D" * len(entry)
    hidden = body.initializer.add(name="hidden", dims=[1], data_type=TensorProto.FLOAT, doc_string=text)
    hidden.data_location = TensorProto.EXTERNAL
    body.node.append(helper.make_node("Identity", ["hidden"], ["kept"]))
    plain = model.SerializeToString()
    field = b"\x62" + bytes([len(entry)]) + text.encode()
    assert plain.count(field) == 1
    return plain.replace(field, b"\x6a" + bytes([len(entry)]) + entry)


@pytest.mark.parametrize(
    "entry",
    [
        b"\x0a\x08location\x12\x06passwd",
        b"\x12\x06passwd\x0a\x08location",
        b"\x0a\x08location\x12\x0amodel.onnx\x12\x06passwd",
        b"\x12\x02\x6a\x16\x0a\x08location\x12\x0amodel.onnx\x12\x06passwd",
        b"\x0a\x08location\x12\x0amodel.onnx",
    ],
    ids=[
        "plain",
        "the value first",
        "a value that the next one replaces",
        "a value that looks like the plain form's first two bytes",
        "in the plain form, which is looked for on disk",
    ],
)
def test_a_file_that_a_body_of_a_node_would_read_is_not_overlooked(entry: bytes) -> None:
    assert "reads files outside the bundle" in refusal(smuggled(entry))


def test_a_length_that_is_written_in_a_longer_way_than_need_be_is_refused() -> None:
    assert "no plain writer of ONNX" in refusal(smuggled(b"\x0a\x88\x00location\x12\x06passwd"))


@pytest.mark.parametrize("location", ["etc/passwd", "model.onnx"])
def test_onnxruntime_itself_reads_no_file_for_the_body_of_a_node(
    location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if the graph had been let through: a file of that name lies in the working folder."""
    (tmp_path / location).parent.mkdir(exist_ok=True)
    (tmp_path / location).write_bytes(bytes(64))
    monkeypatch.chdir(tmp_path)
    why = smuggled(b"\x0a\x08location\x12" + bytes([len(location)]) + location.encode())
    options = onnxruntime.SessionOptions()
    options.add_external_initializers_from_files_in_memory(["model.onnx"], [BUNDLE.model], [len(BUNDLE.model)])
    onnxruntime.InferenceSession(why, options, providers=["CPUExecutionProvider"])  # it does, unless told otherwise
    monkeypatch.setattr("edged.infer.runtime.objection", lambda graph, beside: None)

    assert "does not load the graph" in refusal(why)


def test_a_place_beyond_the_bundles_model_is_refused() -> None:
    model = graph()
    entry = next(e for t in model.graph.initializer for e in t.external_data if e.key == "offset")
    entry.value = str(1 << 40)

    assert "the graph reads model.onnx up to byte" in refusal(model.SerializeToString())


def test_a_small_graph_whose_constants_all_read_the_same_place_is_refused() -> None:
    model = graph()
    size = str(len(BUNDLE.model))
    for number in range(3):
        tensor = model.graph.initializer.add(name=f"again {number}", data_type=TensorProto.UINT8)
        tensor.dims.append(len(BUNDLE.model))
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", "model.onnx"), ("offset", "0"), ("length", size)):
            tensor.external_data.add(key=key, value=value)

    assert "reads model.onnx more than 2 times over" in refusal(model.SerializeToString())


def test_a_graph_that_gives_nan_is_refused() -> None:
    model = graph()
    model.graph.node[-1].output[0] = "said"
    model.graph.node.append(helper.make_node("Div", ["said", "nothing"], ["logits"]))
    model.graph.initializer.append(helper.make_tensor("nothing", TensorProto.FLOAT, [], [0.0]))

    assert "not a finite number" in refusal(model.SerializeToString())


def test_edged_bundle_verify_tries_every_compound(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.edgebundle", tmp_path / "bad.edgebundle"
    good.write_bytes(banked_bytes())
    bad.write_bytes(banked_bytes(why_onnx=why_of(seed=2)))

    passed, refused = (CliRunner().invoke(bundle_command, ["verify", str(path)]) for path in (good, bad))

    assert passed.exit_code == 0
    assert refused.exit_code == 1
    assert "a compound alone says other logits than among all" in refused.output


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_a_damaged_graph_gives_answers_or_a_fault_and_nothing_else(data: st.DataObject) -> None:
    why = bytearray(why_of())
    start = data.draw(st.integers(0, len(why) - 1))
    why[start : start + data.draw(st.integers(0, 6))] = data.draw(st.binary(max_size=6))

    with suppress(EngineFault):
        Alone.load(with_why(bytes(why))).prove([0, 7])


def test_a_bundle_of_classes_may_not_hold_one() -> None:
    with pytest.raises(BundleUnfit, match=r"why\.onnx is there, and no compounds"):
        bundle_from_bytes(bundle_bytes(fields(), files() | {"why.onnx": why_of()}))


def test_an_explanation_that_would_take_too_long_is_refused_by_the_number_of_compounds() -> None:
    """A clock by which a compound takes 0.08 s a spectrum, 32 of which are put to it at a time. Two compounds and their
    proof take 4.5 s; of three, two have been proven."""
    spectra = sum(map(len, windows(BUNDLE.manifest.axis)))
    ticks = iter(np.arange(0.0, 1000.0, 0.08 * 32))
    analyzer = Analyzer(BUNDLE, clock=lambda: float(next(ticks)))
    wanted = 3 * spectra + len(GOLDEN)

    assert analyzer.explain(measured(GOLDEN[0]), naming(*NAMES[:2])) is not None
    with pytest.raises(NotOffered, match=f"asks one compound {wanted} times, which would take 6 s here; 5 s are"):
        analyzer.explain(measured(GOLDEN[0]), naming(*NAMES[:3]))


def test_what_would_take_too_long_is_not_even_proven() -> None:
    """The graph of another bank, which a proof would find out."""
    analyzer = Analyzer(with_why(why_of(seed=2)), clock=iter(np.arange(1000.0)).__next__)

    with pytest.raises(NotOffered, match="would take"):
        analyzer.explain(measured(GOLDEN[0]), naming(*NAMES[:8]))
