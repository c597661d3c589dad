"""The bundle as a file: bytes in, a checked `Bundle` out; and the deterministic writer of the same bytes.

The archive is a zip whose last 64 bytes, the end of its comment, are the SHA-256 of everything before them in hex:

    PK.. members .. PK.. directory .. PK.. end record | "edged.bundle/1 sha256:" | 64 hex digits

so any changed byte is found, in a member, in the directory or in the seal, before anything is unpacked. A seal and the
digests find damage; they do not say who built the file. Safe on any thread.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from edged.bundle.components import MIN_FREE
from edged.bundle.errors import BundleDamaged, BundleError, BundleMissing, BundleUnfit, StoreUnusable
from edged.bundle.manifest import SCHEMA, Manifest
from edged.bundle.members import BUILD_AGAIN, COPY_AGAIN, EPOCH, pack_arrays, read_arrays, require_shapes, unpack, why

SUFFIX = ".edgebundle"
SEAL = b"edged.bundle/1 sha256:"
MAX_FILE_BYTES = (
    64 << 20
)  # a bank of hundreds of networks in int8 is about 40 MB; more than this does not fit a small board
MEMBER_LIMITS = {  # name -> largest size once unpacked; a zip bomb ends here
    "manifest.json": 8 << 20,  # class centres and tables of some hundred classes are about 1 MB
    "model.onnx": 128 << 20,
    "golden.npz": 16 << 20,
    "report.html": 32 << 20,  # plots are embedded
    "LICENSE.txt": 1 << 20,
    "library.npz": 16 << 20,  # 1024 compounds of 2048 points, and as much for the noise
    "why.onnx": 4 << 20,  # it reads its numbers from model.onnx; 368 compounds take 0.1 MB
}
REQUIRED = ("manifest.json", "model.onnx", "golden.npz", "report.html")
GOLDEN = ("spectra", "logits", "features", "amounts", "prepared")
LIBRARY = ("references", "whitener", "baseline", "scatter")
MAX_JSON_DEPTH = 32
MAX_GOLDEN_VECTORS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """One bundle in memory, every byte of it checked. `digest` is the SHA-256 of the whole file, in hex.

    golden: float32 arrays `spectra` [n, points], `features` [n, k], and `logits` [n, classes or compounds], `amounts`
    [n, amounts] and `prepared` [n, m] where the manifest has such; read-only.
    library: the arrays of `edged.bundle.components`, float32 and read-only; empty where nothing is confirmed.
    why: the graph of single compounds, `edged.infer.alone`; empty where there is none.
    path: where it was read from, or None when it came from memory. license_text is empty when there is none.
    """

    manifest: Manifest
    model: bytes
    golden: Mapping[str, NDArray[np.float32]]
    library: Mapping[str, NDArray[np.float32]]
    report: bytes
    license_text: str
    why: bytes
    digest: str
    size_bytes: int
    path: Path | None

    @property
    def file_name(self) -> str:
        """The name under which a bundle is built and installed."""
        return f"{self.manifest.name}-{self.manifest.version}{SUFFIX}"


def read_bundle(path: str | os.PathLike[str]) -> Bundle:
    """Read and check one bundle. Raises BundleError with what is wrong and what to do, nothing else."""
    return bundle_from_bytes(file_bytes(path), path=Path(path))


def file_bytes(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a file, of one too large only so many that it is refused for them. Raises BundleError."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise BundleMissing(f"{path}: no such file", hint="give the path of an .edgebundle file") from error
    except IsADirectoryError as error:
        raise BundleMissing(f"{path}: is a folder", hint="give the path of an .edgebundle file") from error
    except (OSError, ValueError) as error:
        raise StoreUnusable(f"{path}: {why(error)}", hint="check the file's permissions and the disk") from error


def bundle_from_bytes(data: bytes, *, path: Path | None = None) -> Bundle:
    """Check the bytes of one bundle. `path` only names it in messages. Raises BundleError."""
    where = str(path) if path else "bundle"
    try:
        return _checked(data, path)
    except BundleError as error:
        raise type(error)(f"{where}: {error.message}", hint=error.hint) from error


def write_bundle(
    path: str | os.PathLike[str], manifest: Mapping[str, Any] | Manifest, files: Mapping[str, bytes]
) -> Bundle:
    """Write a bundle and return it as read back. Equal contents give equal bytes, on any day and machine.

    manifest: the fields of Manifest as JSON values (or a Manifest); `digests` is filled in here.
    files: every member but manifest.json, by name; `pack_golden` makes the bytes of golden.npz.
    The file appears whole or not at all. Raises BundleUnfit when the contents break the format.
    """
    data = bundle_bytes(manifest, files)
    path = Path(path)
    bundle = bundle_from_bytes(data, path=path)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with scratch.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise StoreUnusable(f"{path}: {why(error)}", hint="check the folder's permissions and the disk") from error
    return bundle


def bundle_bytes(manifest: Mapping[str, Any] | Manifest, files: Mapping[str, bytes]) -> bytes:
    """Return the bytes of a sealed archive. The contents are not judged beyond the manifest's own rules."""
    fields = manifest.model_dump(mode="json", by_alias=True) if isinstance(manifest, Manifest) else dict(manifest)
    fields["digests"] = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    try:
        whole = Manifest.model_validate_json(json.dumps(fields))
    except (ValidationError, TypeError, ValueError) as error:
        raise BundleUnfit(f"manifest: {_problems(error)}", hint="correct the recipe") from error
    # what a bundle does not use is left out, so that programs which do not know of it read the bundle too
    told = whole.model_dump(mode="json", by_alias=True, exclude_defaults=True) | {"schema": SCHEMA}
    text = json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False)
    members = {"manifest.json": text.encode(), **files}
    return seal({name: members[name] for name in MEMBER_LIMITS if name in members} | members)


def seal(members: Mapping[str, bytes]) -> bytes:
    """Return a sealed zip of the members in the order given; nothing is checked."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, data)
        archive.comment = SEAL + b"0" * 64
    body = out.getvalue()[:-64]
    return body + hashlib.sha256(body).hexdigest().encode()


def pack_golden(
    spectra: NDArray[np.floating[Any]],
    logits: NDArray[np.floating[Any]] | None,
    features: NDArray[np.floating[Any]],
    amounts: NDArray[np.floating[Any]] | None = None,
    prepared: NDArray[np.floating[Any]] | None = None,
) -> bytes:
    """Return the bytes of golden.npz: float32, C order, fixed times. None for what the graph does not give."""
    return pack_arrays(dict(zip(GOLDEN, (spectra, logits, features, amounts, prepared), strict=True)))


def _checked(data: bytes, path: Path | None) -> Bundle:
    if len(data) > MAX_FILE_BYTES:
        raise BundleDamaged(f"larger than {MAX_FILE_BYTES >> 20} MiB", hint="this is no .edgebundle file")
    body, digits = data[:-64], data[-64:]
    if not body.endswith(SEAL):
        raise BundleDamaged("the seal at its end is missing: cut short, damaged, or not a bundle", hint=COPY_AGAIN)
    found = hashlib.sha256(body).hexdigest()
    if found.encode() != digits:
        raise BundleDamaged(f"damaged: its bytes have SHA-256 {found[:12]}…, not the sealed one", hint=COPY_AGAIN)
    members = unpack(data, MEMBER_LIMITS, required=REQUIRED)
    manifest = _manifest(members["manifest.json"])
    _check_digests(manifest, members)
    try:
        license_text = members.get("LICENSE.txt", b"").decode()
    except UnicodeDecodeError as error:
        raise BundleUnfit("LICENSE.txt is not UTF-8 text", hint=BUILD_AGAIN) from error
    return Bundle(
        manifest=manifest,
        model=members["model.onnx"],
        golden=_golden(members["golden.npz"], manifest),
        library=_library(members.get("library.npz"), manifest),
        report=members["report.html"],
        license_text=license_text,
        why=_why(members.get("why.onnx"), manifest),
        digest=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        path=path,
    )


def _manifest(raw: bytes) -> Manifest:
    try:
        fields = json.loads(raw.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
        _check_tree(fields)
        return Manifest.model_validate_json(raw)
    except BundleError:
        raise
    except RecursionError as error:
        raise BundleUnfit(f"manifest.json is nested deeper than {MAX_JSON_DEPTH}", hint=BUILD_AGAIN) from error
    except (UnicodeDecodeError, ValidationError, ValueError) as error:
        raise BundleUnfit(f"manifest.json: {_problems(error)}", hint=BUILD_AGAIN) from error


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key occurs twice in one object")
    return table


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _check_tree(root: object) -> None:
    """Refuse depth that would overflow later, and text that no terminal or file can take."""
    level: list[object] = [root]
    for _ in range(MAX_JSON_DEPTH):
        below: list[object] = []
        for node in level:
            if isinstance(node, dict):
                below.extend(node.keys())
                below.extend(node.values())
            elif isinstance(node, list):
                below.extend(node)
            elif isinstance(node, str) and not node.isprintable() and _UNPRINTABLE.search(node):
                raise BundleUnfit("manifest.json holds text with control characters", hint=BUILD_AGAIN)
        if not below:
            return
        level = below
    raise BundleUnfit(f"manifest.json is nested deeper than {MAX_JSON_DEPTH}", hint=BUILD_AGAIN)


_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def _check_digests(manifest: Manifest, members: Mapping[str, bytes]) -> None:
    names = set(members) - {"manifest.json"}
    if set(manifest.digests) != names:
        odd = ", ".join(sorted(set(manifest.digests) ^ names))[:200]
        raise BundleUnfit(f"manifest.json: digests and members differ: {odd!a}", hint=BUILD_AGAIN)
    for name in sorted(names):
        if hashlib.sha256(members[name]).hexdigest() != manifest.digests[name]:
            raise BundleDamaged(f"{name} does not have the digest that manifest.json states", hint=COPY_AGAIN)


def _golden(raw: bytes, manifest: Manifest) -> dict[str, NDArray[np.float32]]:
    points = manifest.components.prepared_points if manifest.components else 0
    widths = {"logits": manifest.logit_columns, "amounts": len(manifest.amounts), "prepared": points}
    wanted = [name for name in GOLDEN if widths.get(name, 1)]
    arrays = read_arrays("golden.npz", raw, wanted, MEMBER_LIMITS["golden.npz"])
    n, reach = len(arrays["spectra"]), manifest.feature_columns
    widths |= {"spectra": manifest.axis.points, "features": arrays["features"].shape[1]}
    if not 1 <= n <= MAX_GOLDEN_VECTORS or len(arrays["features"]) != n or arrays["features"].shape[1] < reach:
        raise BundleUnfit(
            f"golden.npz: {n} spectra with features {arrays['features'].shape}; {reach} columns are read",
            hint=BUILD_AGAIN,
        )
    require_shapes("golden.npz", arrays, {name: (n, widths[name]) for name in wanted})
    return arrays


def _library(raw: bytes | None, manifest: Manifest) -> dict[str, NDArray[np.float32]]:
    confirmation = manifest.components.confirmation if manifest.components else None
    if confirmation is None or raw is None:
        if confirmation is None and raw is None:
            return {}
        what = "is missing: a preset confirms" if raw is None else "is there, and no preset confirms"
        raise BundleUnfit(f"library.npz {what}", hint=BUILD_AGAIN)
    limit, points, terms = MEMBER_LIMITS["library.npz"], confirmation.axis.points, len(confirmation.baseline)
    optional = {name: (rows, points) for name, rows in (("baseline", terms), ("scatter", len(confirmation.scatter)))}
    unused = {name for name, (rows, _) in optional.items() if not rows}
    arrays = read_arrays("library.npz", raw, [name for name in LIBRARY if name not in unused], limit)
    if sum(array.nbytes for array in arrays.values()) > limit:
        raise BundleUnfit(f"library.npz is larger than {limit >> 20} MiB unpacked", hint=BUILD_AGAIN)
    rows = len(arrays["whitener"])
    shapes = {"references": (len(confirmation.references), points), "whitener": (rows, points)}
    shapes |= {name: shape for name, shape in optional.items() if name not in unused}
    require_shapes("library.npz", arrays, shapes)
    whitened = points if rows == 1 else rows
    if whitened > points or whitened < terms + MIN_FREE:
        raise BundleUnfit(
            f"library.npz: a whitener of {rows} rows for {points} points and {terms} baseline terms; wanted 1, or "
            f"{terms + MIN_FREE} to {points}",
            hint=BUILD_AGAIN,
        )
    return arrays


def _why(raw: bytes | None, manifest: Manifest) -> bytes:
    if raw is not None and manifest.components is None:
        raise BundleUnfit("why.onnx is there, and no compounds of which it could speak", hint=BUILD_AGAIN)
    return raw or b""


def _problems(error: Exception) -> str:
    if isinstance(error, ValidationError):
        shown = [
            f"{'.'.join(str(part) for part in e['loc'])[:120] or 'manifest'}: {e['msg'][:1000]}"
            for e in error.errors()[:5]
        ]
        more = error.error_count() - len(shown)
        return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")
    return why(error)
