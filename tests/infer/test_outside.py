"""What is read from outside a graph, held against the ONNX library's own reader of the same bytes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import onnx
import pytest
from google.protobuf.descriptor import Descriptor  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError, Message  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto, helper

from edged.infer import outside
from edged.infer.outside import LEADS_TO_CONSTANTS, objection

BESIDE = {"model.onnx": bytes(64)}
ELSEWHERE = "reads files outside the bundle"


def constant(**changes: str) -> TensorProto:
    """Sixteen floats that are read from beside the graph; an entry changed by its key."""
    tensor = TensorProto(name="w", dims=[16], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    for key, value in ({"location": "model.onnx", "offset": "0", "length": "64"} | changes).items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def model_of(*constants: TensorProto) -> ModelProto:
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 16]) for name in ("x", "y")]
    node = helper.make_node("Add", ["x", "w"], ["y"])
    return helper.make_model(helper.make_graph([node], "g", ports[:1], ports[1:], list(constants)))


def said(model: ModelProto) -> str | None:
    return objection(model.SerializeToString(), BESIDE)


def holding(place: str, tensor: TensorProto) -> ModelProto:
    """A model with the constant in one of the places that ONNX has for it."""
    model = model_of()
    node, sparse, body = NodeProto(op_type="If"), SparseTensorProto(values=tensor), GraphProto(initializer=[tensor])
    match place:
        case "attribute":
            node.attribute.append(AttributeProto(name="value", t=tensor))
        case "attributes":
            node.attribute.append(AttributeProto(name="values", tensors=[tensor]))
        case "sparse attribute":
            node.attribute.append(AttributeProto(name="value", sparse_tensor=sparse))
        case "sparse attributes":
            node.attribute.append(AttributeProto(name="values", sparse_tensors=[sparse]))
        case "body":
            node.attribute.append(AttributeProto(name="then_branch", g=body))
        case "bodies":
            node.attribute.append(AttributeProto(name="branches", graphs=[body]))
        case "body of a body":
            within = NodeProto(attribute=[AttributeProto(g=body)])
            node.attribute.append(AttributeProto(g=GraphProto(node=[within])))
        case "sparse":
            model.graph.sparse_initializer.append(sparse)
        case "sparse indices":
            model.graph.sparse_initializer.append(SparseTensorProto(indices=tensor))
        case "function":
            model.functions.add(node=[NodeProto(attribute=[AttributeProto(t=tensor)])])
        case "function's default":
            model.functions.add(attribute_proto=[AttributeProto(t=tensor)])
        case "training":
            model.training_info.add(initialization=body)
        case "training algorithm":
            model.training_info.add(algorithm=body)
    model.graph.node.append(node)
    return model


PLACES = [
    "attribute",
    "attributes",
    "sparse attribute",
    "sparse attributes",
    "body",
    "bodies",
    "body of a body",
    "sparse",
    "sparse indices",
    "function",
    "function's default",
    "training",
    "training algorithm",
]


def field(number: int, body: bytes) -> bytes:
    """A field of bytes, as protobuf writes it."""
    length, size = len(body), bytearray()
    while length >= 0x80:
        size.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([number << 3 | 2, *size, length]) + body


def external(message: Message, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], TensorProto]]:
    """Every constant with entries, and the fields on the way to it, as the ONNX library reads them."""
    if isinstance(message, TensorProto) and message.external_data:
        yield path, message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for one in value if field.is_repeated else [value]:
                yield from external(one, (*path, field.name))


def test_every_field_through_which_onnx_leads_to_a_constant_is_walked() -> None:
    found: dict[str, dict[int, str]] = {}
    waiting: list[Descriptor] = [ModelProto.DESCRIPTOR]
    while waiting:
        message = waiting.pop()
        if message.name not in found and message.name != "TensorProto":
            below = [field for field in message.fields if field.message_type is not None]
            found[message.name] = {field.number: field.message_type.name for field in below}
            waiting.extend(field.message_type for field in below)
    leads = {"TensorProto"}
    while more := {name for name, below in found.items() if leads & set(below.values())} - leads:
        leads |= more

    wanted = {
        name: {number: to for number, to in below.items() if to in leads}
        for name, below in found.items()
        if name in leads
    }

    assert wanted == LEADS_TO_CONSTANTS
    assert TensorProto.DESCRIPTOR.fields_by_name["external_data"].number == 13


def test_a_constant_of_the_graph_itself_may_be_read_from_beside_it() -> None:
    assert said(model_of(constant())) is None
    assert said(model_of(constant(offset="60", length="4"))) is None
    assert said(model_of()) is None


@pytest.mark.parametrize("place", PLACES)
def test_in_no_other_place_a_constant_is_read_from_anywhere(place: str) -> None:
    within = TensorProto(name="w", dims=[1], data_type=TensorProto.FLOAT, float_data=[1.0])

    assert said(holding(place, constant())) == f"the graph {ELSEWHERE}"
    assert said(holding(place, within)) is None


@pytest.mark.parametrize(
    "location", ["/etc/passwd", "../model.onnx", "./model.onnx", "model.onnx\0", "", "*/_ORT_MEM_ADDR_/*", "Model.onnx"]
)
def test_no_other_name_is_read(location: str) -> None:
    assert said(model_of(constant(location=location))) == f"the graph {ELSEWHERE}"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"offset": "1"}, "the graph reads model.onnx up to byte 65, of 64"),
        ({"length": "999999999999999"}, "up to byte 999999999999999, of 64"),
        ({"length": "-4"}, "does not say plainly which bytes"),
        ({"offset": " 0"}, "does not say plainly which bytes"),
        ({"offset": "\u0661"}, "does not say plainly which bytes"),
        ({"length": "9" * 5000}, "does not say plainly which bytes"),
        ({"length": ""}, "does not say plainly which bytes"),
        ({"checksum": "0"}, "does not say plainly which bytes"),
    ],
)
def test_a_place_that_is_not_plain_digits_within_the_contents_is_refused(changes: dict[str, str], message: str) -> None:
    found = said(model_of(constant(**changes)))

    assert found is not None
    assert message in found


def test_a_key_that_is_missing_or_there_twice_is_refused() -> None:
    for number, key in enumerate(("location", "offset", "length")):
        twice, less = constant(), constant()
        twice.external_data.add(key=key, value=twice.external_data[number].value)
        del less.external_data[number]

        for tensor in (twice, less):
            assert ELSEWHERE in (said(model_of(tensor)) or "")


KEY, VALUE = field(1, b"location"), field(2, b"model.onnx")


def read_by(*entries: bytes, own: bool = True) -> bytes:
    """A model of one constant of 16 floats with these entries, byte for byte: the graph's own, or an attribute's."""
    tensor = b"\x08\x10\x10\x01\x70\x01" + b"".join(field(13, entry) for entry in entries) + field(8, b"w")
    return field(7, field(5, tensor) if own else field(1, field(5, field(5, tensor))))


PLACE = (field(1, b"offset") + field(2, b"0"), field(1, b"length") + field(2, b"64"))


@pytest.mark.parametrize(
    "entry",
    [
        KEY + VALUE + field(2, b"passwd"),
        KEY + field(2, b"passwd") + VALUE,
        KEY + KEY + VALUE,
        field(2, b"\x6a\x16") + KEY + VALUE + field(2, b"etc/passwd"),
        KEY,
        VALUE,
        b"",
        KEY + VALUE + field(3, b"passwd"),
        KEY + b"\x10\x00",
    ],
    ids=[
        "another value after it",
        "another value before it",
        "two keys",
        "a value that looks like the start of an entry",
        "no value",
        "no key",
        "nothing",
        "a third field",
        "a value that is a number",
    ],
)
def test_an_entry_that_is_not_one_key_and_one_value_is_refused(entry: bytes) -> None:
    assert objection(read_by(KEY + VALUE, *PLACE), BESIDE) is None
    assert objection(read_by(VALUE + KEY, *PLACE), BESIDE) is None

    assert objection(read_by(entry, *PLACE), BESIDE) == f"the graph {ELSEWHERE}, or does not say plainly which"


def test_an_entry_of_a_million_fields_is_refused_at_the_first_that_is_wrong() -> None:
    graph = read_by(field(3, b"") * (1 << 20))
    tracemalloc.start()

    found = objection(graph, BESIDE)
    _, most_bytes = tracemalloc.get_traced_memory()

    tracemalloc.stop()
    assert found == f"the graph {ELSEWHERE}, or does not say plainly which"
    assert most_bytes < 100_000


def test_all_constants_together_read_the_contents_twice_and_not_a_byte_more() -> None:
    twice = [constant(), constant(length="63")]

    assert said(model_of(*twice, constant(length="1"))) is None
    assert said(model_of(*twice, constant(length="2"))) == "the graph reads model.onnx more than 2 times over"


@pytest.mark.parametrize(
    "data",
    [
        b"\x08",
        b"\x88\x00\x0a",
        b"\x3a\x80\x00",
        b"\x3a\x05ab",
        b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x0b\x0c",
        b"\x0e\x00",
        b"\x00\x00",
        b"\xba\x80\x80\x80\x10\x00",
        b"\x09\x00\x00",
        b"\x80" * 40,
    ],
    ids=[
        "no value",
        "a tag longer than need be",
        "a length longer than need be",
        "cut short",
        "longer than anything",
        "a group",
        "a kind that is not",
        "number nought",
        "a tag of more than 32 bits",
        "eight bytes cut short",
        "a varint without end",
    ],
)
def test_what_no_plain_writer_writes_is_refused(data: bytes) -> None:
    assert "no plain writer of ONNX has written it" in (objection(data, BESIDE) or "")


def test_a_constant_within_a_thousand_bodies_is_found() -> None:
    """Where a reader that calls itself would have run out of stack."""
    body = GraphProto(initializer=[constant()]).SerializeToString()
    for _ in range(1000):
        for number in (6, 5, 1):  # body, attribute, node
            body = field(number, body)

    assert objection(field(7, body), BESIDE) == f"the graph {ELSEWHERE}"


def test_more_fields_than_any_graph_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "MOST_FIELDS", 1000)

    assert objection(b"\x08\x01" * 1000, BESIDE) is None
    assert objection(b"\x08\x01" * 1001, BESIDE) == "the graph has more than 1000 fields"


SEEDS = [model_of(constant()), *(holding(place, constant(location=name)) for place in PLACES for name in ("a", "b"))]


PIECES = st.sampled_from(
    [
        KEY,
        VALUE,
        field(1, b"offset"),
        field(1, b"length"),
        field(2, b"0"),
        field(2, b"64"),
        field(2, b"etc"),
        b"\x10\x01",
    ]
)
WHOLE = (KEY + VALUE, *PLACE)
ENTRIES = st.permutations(WHOLE) | st.lists(st.sampled_from(WHOLE) | st.lists(PIECES, max_size=4).map(b"".join))


def require_inside(graph: bytes) -> None:
    """By the ONNX library's reader: what is let through reads what it may."""
    if objection(graph, BESIDE) is not None:
        return
    try:
        found = list(external(onnx.load_from_string(graph)))
    except DecodeError:
        return

    for path, tensor in found:
        assert path == ("graph", "initializer")
        told = {entry.key: entry.value for entry in tensor.external_data}
        assert told["location"] == "model.onnx"
        assert 0 <= int(told["offset"]) <= int(told["offset"]) + int(told["length"]) <= 64
    assert sum(int(e.value) for _, t in found for e in t.external_data if e.key == "length") <= 128


@settings(max_examples=200, deadline=None)
@given(ENTRIES, st.booleans())
def test_whatever_entries_are_let_through_read_what_they_may_by_another_reader(entries: list[bytes], own: bool) -> None:
    require_inside(read_by(*entries, own=own))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_graph_that_is_let_through_reads_what_it_may_by_another_reader(data: st.DataObject) -> None:
    bent = bytearray(data.draw(st.sampled_from(SEEDS)).SerializeToString())
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(bent) - 1))
        bent[at : at + data.draw(st.integers(0, 4))] = data.draw(
            st.binary(max_size=4) | st.sampled_from([b"location", b"model.onnx", b"\x6a\x16", b"\x0a\x08", b"\x12\x0a"])
        )

    require_inside(bytes(bent))
