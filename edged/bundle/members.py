"""Zip members and the arrays in them, each within a stated limit: bytes in, checked contents out. Any thread."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edged.bundle.errors import BundleDamaged, BundleError, BundleUnfit

EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold: equal contents give equal bytes
COPY_AGAIN: Final = "copy or download the file again"
BUILD_AGAIN: Final = "build the bundle again with edged-export of the same version"
_NPY_HEADER = re.compile(rb"\{'descr': '<f4', 'fortran_order': (False|True), 'shape': \((\d{1,9}), (\d{1,9})\), \} *\n")


def unpack(data: bytes, limits: Mapping[str, int], *, required: tuple[str, ...]) -> dict[str, bytes]:
    """Unpack a zip with exactly known names, each within its limit."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > len(limits):
                raise BundleUnfit(f"{len(entries)} members; at most {len(limits)} are allowed", hint=BUILD_AGAIN)
            members: dict[str, bytes] = {}
            for entry in entries:
                name = entry.orig_filename
                if name not in limits:
                    raise BundleUnfit(f"unknown member {name[:80]!a}; known: {', '.join(limits)}", hint=BUILD_AGAIN)
                if name in members:
                    raise BundleUnfit(f"{name} is there twice", hint=BUILD_AGAIN)
                if entry.flag_bits & 0x1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise BundleUnfit(f"{name} is encrypted or packed in an unknown way", hint=BUILD_AGAIN)
                with archive.open(entry) as file:
                    content = file.read(limits[name] + 1) if entry.file_size <= limits[name] else None
                if content is None or len(content) > limits[name]:
                    raise BundleUnfit(f"{name} is larger than {limits[name] >> 20} MiB unpacked", hint=BUILD_AGAIN)
                if len(content) != entry.file_size:
                    raise BundleDamaged(f"{name} ends early", hint=COPY_AGAIN)
                members[name] = content
    except BundleError:
        raise
    except (  # all that zipfile is known to raise on bytes that are no zip
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        OSError,
        RuntimeError,
        ValueError,
        OverflowError,
        LookupError,
        struct.error,
    ) as error:
        raise BundleDamaged(f"not a readable archive: {why(error)}", hint=COPY_AGAIN) from error
    missing = [name for name in required if name not in members]
    if missing:
        raise BundleUnfit(f"missing: {', '.join(missing)}", hint=BUILD_AGAIN)
    return members


def pack_arrays(arrays: Mapping[str, NDArray[np.floating[Any]] | None]) -> bytes:
    """Return the bytes of an .npz of float32 arrays in C order, with fixed times; None is left out."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            if array is None:
                continue
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(array, dtype="<f4"), version=(1, 0))
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", EPOCH), member.getvalue())
    return out.getvalue()


def read_arrays(where: str, raw: bytes, wanted: Iterable[str], limit: int) -> dict[str, NDArray[np.float32]]:
    """Read exactly the wanted arrays of an .npz, each of at most `limit` bytes: float32, two dimensions, read-only.

    Raises BundleError that begins with `where`.
    """
    names = tuple(f"{name}.npy" for name in wanted)
    try:
        members = unpack(raw, dict.fromkeys(names, limit), required=names)
    except BundleError as error:
        raise type(error)(f"{where}: {error.message}", hint=error.hint) from error
    return {name.removesuffix(".npy"): _array(where, name, members[name]) for name in names}


def require_shapes(
    where: str, arrays: Mapping[str, NDArray[np.float32]], shapes: Mapping[str, tuple[int, int]]
) -> None:
    """Raise BundleUnfit for an array of another shape, or with a value that is not a finite number."""
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise BundleUnfit(f"{where}: {name} has shape {arrays[name].shape}, not {shape}", hint=BUILD_AGAIN)
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise BundleUnfit(f"{where} holds a value that is not a finite number", hint=BUILD_AGAIN)


def _array(where: str, name: str, raw: bytes) -> NDArray[np.float32]:
    """Read a two-dimensional little-endian float32 array in NPY format 1.0 or 2.0.

    numpy's own reader evaluates the header and allocates what it claims before it looks at the data.
    """
    version = raw[:8]
    width = {b"\x93NUMPY\x01\x00": 2, b"\x93NUMPY\x02\x00": 4}.get(version, 0)
    length = int.from_bytes(raw[8 : 8 + width], "little")
    match = _NPY_HEADER.fullmatch(raw[8 + width : 8 + width + length]) if width and length <= 512 else None
    if match is None:
        raise BundleUnfit(f"{where}: {name} is not a float32 array of two dimensions", hint=BUILD_AGAIN)
    rows, columns = int(match[2]), int(match[3])
    data = raw[8 + width + length :]
    if rows * columns * 4 != len(data) or not data:
        raise BundleUnfit(f"{where}: {name} has {len(data)} bytes for {rows} x {columns} values", hint=BUILD_AGAIN)
    flat = np.frombuffer(data, dtype="<f4").astype(np.float32)
    array = flat.reshape(columns, rows).T if match[1] == b"True" else flat.reshape(rows, columns)
    array.flags.writeable = False
    return array


def why(error: BaseException) -> str:
    """Say in one line of ASCII what an exception says."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text[:200].encode("ascii", "backslashreplace").decode()
