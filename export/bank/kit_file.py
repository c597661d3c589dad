"""A kit on disk: its words as JSON, its arrays as an npz; the JSON says the SHA-256 of the npz."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Final

from pydantic import Field, ValidationError

from edged.bundle.errors import BundleError
from edged.bundle.members import pack_arrays, read_arrays
from export.bank.kit import MIXED, REFERENCES, Kit, KitWords
from export.errors import BankDamaged, RecipeError

COPY_AGAIN: Final = "copy the folder again"
MAX_WORDS_BYTES: Final = 32 << 20  # 200,000 spectra have some 3 MB of places, 1024 compounds 2 MB of evidence
MAX_ARRAY_BYTES: Final = 512 << 20  # 200,000 pure spectra of 600 points


class _Filed(KitWords):
    """As it is written. arrays: the SHA-256 of the npz."""

    arrays: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def kit_bytes(kit: Kit) -> tuple[bytes, bytes]:
    """Return the two files: words, then arrays. Equal kits give equal bytes."""
    arrays = pack_arrays(dict(sorted(kit.arrays.items())))
    fields = kit.words.model_dump(mode="json", by_alias=True) | {"arrays": hashlib.sha256(arrays).hexdigest()}
    return json.dumps(fields, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n", arrays


def arrays_digest(words: bytes, *, where: str) -> str:
    """Return what the words say of the arrays. Raises BankDamaged."""
    return _filed(words, where).arrays


def read_kit(words: bytes, arrays: bytes, *, where: str) -> Kit:
    """Return the kit of two files. Raises BankDamaged; that it is one of a certain bank, `check_kit` finds out."""
    filed = _filed(words, where)
    if hashlib.sha256(arrays).hexdigest() != filed.arrays:
        raise BankDamaged(f"{where}: the arrays have changed since they were written", hint=COPY_AGAIN)
    fields: dict[str, Any] = {name: getattr(filed, name) for name in KitWords.model_fields if name != "format"}
    said = KitWords(schema=1, **fields)
    confirmation = said.table.confirmation
    names = [name for name in MIXED if name != "spectra" or said.pure.names]
    if confirmation is not None:
        names += [name for name in REFERENCES if name != "scatter" or confirmation.scatter]
    try:
        return Kit(words=said, arrays=read_arrays(where, arrays, names, MAX_ARRAY_BYTES))
    except BundleError as error:
        raise BankDamaged(error.message, hint=COPY_AGAIN) from error


def _filed(words: bytes, where: str) -> _Filed:
    try:
        return _Filed.model_validate_json(words)
    except RecipeError as error:
        raise BankDamaged(f"{where}: {error.message}", hint=COPY_AGAIN) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "it"
        raise BankDamaged(f"{where}: {place}: {first['msg']}", hint=COPY_AGAIN) from error
