"""A bank on disk: an index, the numbers of each compound in a file of its own, and the graph that was made of them.

    bank.json           what `Index` says
    members/NAME.f32    the numbers of one compound, or of the trunk, float32 little-endian in the order of its layout;
                        NAME is the SHA-256 of the file in hex
    bank.onnx           the int8 graph
    kit/NAME.json, .npz what a bundle needs besides, and what a new compound learns from, where a build left the bank;
                        NAME is the SHA-256 of the file in hex

The index is written last and at once, so a process that dies leaves the compounds as they were; if it died between the
graph and the index, the graph has to be made anew. A file of numbers has exactly the size that the network in the index
says; nothing in it is parsed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import numpy as np
import onnx
from pydantic import Field, ValidationError

from edged.bundle.components import MAX_COMPOUNDS
from edged.infer.verdict import Preset
from export.bank.bank import MAX_LABEL, MAX_POINTS, MAX_VALUE, Bank, Member, Numbers, check_size, digest_of
from export.bank.plan import BankWords, Layout, member_layout, trunk_layout
from export.errors import BankDamaged, BankUnfit
from export.words import Words

if TYPE_CHECKING:
    from export.bank.kit import Kit

SCHEMA: Final = 1
INDEX, GRAPH, MEMBERS, KIT = "bank.json", "bank.onnx", "members", "kit"
MAX_INDEX_BYTES: Final = 4 << 20  # 1024 compounds need a tenth
MAX_GRAPH_BYTES: Final = 1 << 30  # of protobuf: no larger message is read
COPY_AGAIN: Final = "copy the folder again, or train what is missing"

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Threshold = Annotated[float, Field(ge=-MAX_VALUE, le=MAX_VALUE)]


class Entry(Words):
    """A compound. numbers: the SHA-256 of its file."""

    compound: Annotated[str, Field(min_length=1, max_length=MAX_LABEL)]
    numbers: Digest
    thresholds: dict[Preset, Threshold] = Field(default_factory=dict)


class Index(Words):
    """The whole of `bank.json`. graph: the SHA-256 of `bank.onnx` as it was made of these members. kit: that of its
    words, null for a bank that a program has made."""

    format: Literal[1] = Field(alias="schema")
    network: BankWords
    points: Annotated[int, Field(ge=1, le=MAX_POINTS)]
    input_range: Annotated[float, Field(gt=0, le=MAX_VALUE)]
    trunk: Digest | None
    members: Annotated[tuple[Entry, ...], Field(min_length=1, max_length=MAX_COMPOUNDS)]
    graph: Digest
    kit: Digest | None = None


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep a bank to one command, from before it reads to after it writes: two would lose what the first one wrote.

    Raises BankUnfit where another one has it.
    """
    if not folder.is_dir():
        raise _none_in(folder)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"{folder}: another command is at work on this bank"
            raise BankUnfit(message, hint="wait until it has ended") from error
        yield
    finally:
        os.close(handle)


def load_bank(folder: Path) -> Bank:
    """Read a bank. Raises BankUnfit where there is none, BankDamaged where it is not what was written."""
    index = _index(folder)
    own, shared = member_layout(index.network), trunk_layout(index.network)
    if (shared is None) != (index.trunk is None):
        raise BankDamaged(f"{folder / INDEX}: trunk: {index.network.kind} has {'none' if shared is None else 'one'}")
    try:
        check_size(index.network, index.points, len(index.members))
        return Bank(
            words=index.network,
            points=index.points,
            input_range=index.input_range,
            trunk=None if shared is None or index.trunk is None else _numbers(folder, index.trunk, shared, "the trunk"),
            members=tuple(
                Member(
                    compound=entry.compound,
                    numbers=_numbers(folder, entry.numbers, own, entry.compound),
                    thresholds=entry.thresholds,
                )
                for entry in index.members
            ),
        )
    except BankUnfit as error:
        raise BankDamaged(f"{folder}: {error.message}", hint=error.hint or COPY_AGAIN) from error


def load_kit(folder: Path) -> Kit | None:
    """Read the kit of a bank; None where it has none. Raises BankDamaged where it is not what was written."""
    from export.bank.kit import check_kit
    from export.bank.kit_file import MAX_ARRAY_BYTES, MAX_WORDS_BYTES, arrays_digest, read_kit

    index = _index(folder)
    if index.kit is None:
        return None
    path = folder / KIT / f"{index.kit}.json"
    words = _read(path, MAX_WORDS_BYTES, "the kit")
    if hashlib.sha256(words).hexdigest() != index.kit:
        raise BankDamaged(f"{path}: the content has changed since it was written", hint=COPY_AGAIN)
    arrays = _read(folder / KIT / f"{arrays_digest(words, where=str(path))}.npz", MAX_ARRAY_BYTES, "the kit")
    kit = read_kit(words, arrays, where=str(path))
    check_kit(kit, tuple(entry.compound for entry in index.members), where=str(path))
    return kit


def save_bank(bank: Bank, folder: Path, kit: Kit | None = None) -> Path:
    """Write a bank, its graph and its kit, whatever was there before; return the graph's path.

    Files of members that are no longer in the bank are removed, and those of another kit.
    """
    from export.bank.fuse import fused

    (folder / MEMBERS).mkdir(parents=True, exist_ok=True)
    graph = fused(bank).SerializeToString(deterministic=True)
    rows = [member.numbers for member in bank.members] + ([] if bank.trunk is None else [bank.trunk])
    for numbers in rows:
        path = _file(folder, digest_of(numbers))
        if not path.exists() or path.read_bytes() != numbers.astype("<f4").tobytes():
            _write(path, numbers.astype("<f4").tobytes())
    files = {} if kit is None else _kit_files(kit)
    for name, content in files.items():
        (folder / KIT).mkdir(exist_ok=True)
        _write(folder / KIT / name, content)
    _write(folder / GRAPH, graph)
    index = Index(
        schema=SCHEMA,
        network=bank.words,
        points=bank.points,
        input_range=bank.input_range,
        trunk=None if bank.trunk is None else digest_of(bank.trunk),
        members=tuple(
            Entry(compound=m.compound, numbers=m.digest(), thresholds=dict(m.thresholds)) for m in bank.members
        ),
        graph=hashlib.sha256(graph).hexdigest(),
        kit=next((Path(name).stem for name in files), None),
    )
    _write(folder / INDEX, index.model_dump_json(by_alias=True, indent=1).encode() + b"\n")
    kept = {_file(folder, digest_of(numbers)).name for numbers in rows}
    for path in (folder / MEMBERS).glob("*.f32"):
        if path.name not in kept:
            path.unlink()
    for path in (folder / KIT).glob("*.*"):
        if path.name not in files:
            path.unlink()
    return folder / GRAPH


def load_graph(folder: Path) -> onnx.ModelProto:
    """Read the graph of a bank. Raises BankDamaged where it is not the one that was made of the members."""
    path = folder / GRAPH
    content = _read(path, MAX_GRAPH_BYTES)
    if hashlib.sha256(content).hexdigest() != _index(folder).graph:
        raise BankDamaged(f"{path}: not the graph of these compounds", hint=f"edged-export bank fuse {folder}")
    return onnx.load_from_string(content)


def _kit_files(kit: Kit) -> dict[str, bytes]:
    """The files of a kit, the words first."""
    from export.bank.kit_file import kit_bytes

    words, arrays = kit_bytes(kit)
    return {
        f"{hashlib.sha256(words).hexdigest()}.json": words,
        f"{hashlib.sha256(arrays).hexdigest()}.npz": arrays,
    }


def _index(folder: Path) -> Index:
    path = folder / INDEX
    if not path.exists():
        raise _none_in(folder)
    try:
        return Index.model_validate_json(_read(path, MAX_INDEX_BYTES))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "it"
        raise BankDamaged(f"{path}: {where}: {first['msg']}", hint=COPY_AGAIN) from error


def _none_in(folder: Path) -> BankUnfit:
    return BankUnfit(f"{folder}: no bank here", hint=f"a bank is a folder with a {INDEX}")


def _numbers(folder: Path, digest: str, layout: Layout, whose: str) -> Numbers:
    path = _file(folder, digest)
    content = _read(path, 4 * layout.size, whose)
    if len(content) != 4 * layout.size:
        raise BankDamaged(
            f"{path}: {whose}: {len(content):,} bytes; the network has {4 * layout.size:,}", hint=COPY_AGAIN
        )
    if hashlib.sha256(content).hexdigest() != digest:
        raise BankDamaged(f"{path}: {whose}: the content has changed since it was written", hint=COPY_AGAIN)
    return np.frombuffer(content, "<f4").astype(np.float32)


def _file(folder: Path, digest: str) -> Path:
    return folder / MEMBERS / f"{digest}.f32"


def _read(path: Path, limit: int, whose: str = "") -> bytes:
    """Read at most `limit` bytes and one more."""
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        told = f"{path}: {whose}: " if whose else f"{path}: "
        raise BankDamaged(told + str(error.strerror).lower(), hint=COPY_AGAIN) from error
    if len(content) > limit:
        raise BankDamaged(f"{path}: larger than {limit:,} bytes", hint=COPY_AGAIN)
    return content


def _write(path: Path, content: bytes) -> None:
    """Write a file so that it is whole or not there."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
