"""What a graph would read from outside itself: found in its bytes, before onnxruntime has them.

ONNX is protobuf: a message is a row of fields, each a tag, which is its number and its kind, and a value.

    tag = number << 3 | kind    kind 0: a varint    1: 8 bytes    2: a length as varint, and so many bytes    5: 4 bytes

A constant (TensorProto) that is read from a file has entries of a key and a value for it. There are constants in graphs
and in attributes of nodes, among which are graphs again. Source: onnx.proto, IR version 14.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

MOST_FIELDS: Final = 1 << 18  # the largest graph of 368 compounds has 7,000; so many take a fifth of a second
MOST_READ: Final = 2  # times the bytes beside it: a bank's graph of single compounds reads each once
LEADS_TO_CONSTANTS: Final[Mapping[str, Mapping[int, str]]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
}
"""Message -> number of a field -> the message in it, for every field through which a constant may be reached."""
_EXTERNAL_DATA: Final = 13  # field of a TensorProto
_KEY, _VALUE = 1, 2  # fields of an entry
_OWN: Final = 2  # depth of a graph's own constants: model, graph, constant
_VARINT, _BYTES = 0, 2  # kinds
_WIDTHS: Final = {1: 8, 5: 4}  # of the other kinds; two more, begin and end of a group, ONNX does not have
_LARGEST: Final = (1 << 29) - 1  # number of a field
_DIGITS: Final = re.compile(rb"[0-9]{1,15}")
_ELSEWHERE: Final = "the graph reads files outside the bundle"
_UNPLAIN: Final = f"{_ELSEWHERE}, or does not say plainly which"


class _Refused(Exception):
    """Says why."""


def objection(graph: bytes, beside: Mapping[str, bytes]) -> str | None:
    """Return why a graph may not be opened that may read from the contents `beside` it, by name; None where it may.

    Only constants of the graph itself may be read from there, since onnxruntime looks for those in the body of a node
    on disk; each by location, offset and length, and all together no more than MOST_READ times what is there. Refused
    is also what a plain writer of protobuf never writes, as another reader might take it otherwise.
    """
    room = MOST_READ * sum(map(len, beside.values()))
    try:
        for depth, entries in _read_elsewhere(graph):
            room -= _length(depth, entries, beside)
            if room < 0:
                return f"the graph reads {', '.join(beside)} more than {MOST_READ} times over"
    except _Refused as refused:
        return str(refused)
    return None


def _length(depth: int, entries: list[tuple[bytes, bytes]], beside: Mapping[str, bytes]) -> int:
    """How many bytes a constant reads, if it may."""
    told = dict(entries)
    name = told.get(b"location", b"").decode("ascii", "replace")
    if depth != _OWN or name not in beside:
        raise _Refused(_ELSEWHERE)
    places = [told.get(key, b"") for key in (b"offset", b"length")]
    if len(entries) != len(told) or len(told) != 3 or not all(_DIGITS.fullmatch(place) for place in places):
        raise _Refused(f"{_UNPLAIN} bytes of {name} it reads")
    offset, length = map(int, places)
    if offset + length > len(beside[name]):
        raise _Refused(f"the graph reads {name} up to byte {offset + length}, of {len(beside[name])}")
    return length


def _read_elsewhere(graph: bytes) -> Iterator[tuple[int, list[tuple[bytes, bytes]]]]:
    """Yield the depth and the entries of every constant that has any."""
    fields, waiting = 0, [("ModelProto", 0, 0, len(graph))]
    while waiting:
        message, depth, start, end = waiting.pop()
        within, entries = LEADS_TO_CONSTANTS.get(message, {}), []
        for number, kind, first, after in _fields(graph, start, end):
            fields += 1
            if fields > MOST_FIELDS:
                raise _Refused(f"the graph has more than {MOST_FIELDS} fields")
            if kind != _BYTES:
                continue
            if number in within:
                waiting.append((within[number], depth + 1, first, after))
            elif message == "TensorProto" and number == _EXTERNAL_DATA:
                entries.append(_entry(graph, first, after))
        if entries:
            yield depth, entries


def _entry(graph: bytes, start: int, end: int) -> tuple[bytes, bytes]:
    """The one key and the one value of an entry: of several, readers take the last."""
    told: dict[int, bytes] = {}
    for number, kind, first, after in _fields(graph, start, end):
        if number not in (_KEY, _VALUE) or kind != _BYTES or number in told:
            raise _Refused(_UNPLAIN)
        told[number] = graph[first:after]
    if len(told) != 2:
        raise _Refused(_UNPLAIN)
    return told[_KEY], told[_VALUE]


def _fields(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield number, kind, and where the value begins and ends, of every field in data[start:end]."""
    while start < end:
        tag, start = _varint(data, start, end)
        number, kind = tag >> 3, tag & 7
        if kind == _BYTES:
            length, start = _varint(data, start, end)
            after = start + length
        elif kind == _VARINT:
            _, after = _varint(data, start, end)
        else:
            after = start + _WIDTHS.get(kind, end + 1)
        if not 0 < number <= _LARGEST or after > end:
            raise _damaged(start)
        yield number, kind, start, after
        start = after


def _varint(data: bytes, start: int, end: int) -> tuple[int, int]:
    """The number that begins here, seven bits a byte and the lowest first, and where it ends; in its shortest form."""
    value = 0
    for at in range(start, min(start + 10, end)):
        value |= (data[at] & 0x7F) << 7 * (at - start)
        if data[at] < 0x80:
            if not data[at] and at > start:
                break
            return value, at + 1
    raise _damaged(start)


def _damaged(at: int) -> _Refused:
    return _Refused(f"the graph is damaged, or no plain writer of ONNX has written it: byte {at}")
