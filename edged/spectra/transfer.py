"""From what one instrument measured to what another would have, so that the model of the one serves the other.

The correction is data: one JSON file, which `edged-export transfer fit` writes from samples measured on both. In goes a
spectrum on the first instrument's axis, before any resampling; out comes what the second might have measured, on the
same axis or a shifted one. Nothing is extrapolated: points outside the fitted axis are cut off. Any thread.

Source of the direct and the piecewise form: Wang, Veltkamp, Kowalski, Anal. Chem. 63, 2750 (1991).
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edged.spectra.spectrum import MIN_POINTS, AxisUnit, Quantity, Spectrum, SpectrumError

SCHEMA = "edged.transfer/1"
MAX_FILE_BYTES = 32_000_000  # 1,000,000 numbers written out, with room; a damaged file does not fill the memory
MAX_POINTS = 8192  # twice the largest detector array; an FT spectrum is resampled before a correction is fitted
MAX_WINDOW = 101  # a wider window is no longer local, and a regression of `ds` says it in fewer numbers
MAX_RANK = 64  # directions of `ds`; there are never more than standards, and nobody measures so many
MAX_NUMBERS = 1_000_000  # parameters of one file: 8 MB in memory
MAX_STANDARDS = 1000
MAX_TEXT = 200
MAX_PROVENANCE = 50
MAX_MAGNITUDE = 1e10  # counts of 32 bits are below; a larger parameter was fitted to noise
MAX_DEGREE = 3  # of the axis polynomial; gratings are described by a cubic
MAX_SHIFT_SHARE = 0.05  # of the axis; two instruments further apart than this are not of one kind
AXIS_TOLERANCE = 0.1  # share of the median step; a spectrum so far off changes by a tenth of its change over one point

Kind = Literal["shift", "slope_bias", "pds", "ds"]
Technique = Literal["nir", "raman"]
Row: TypeAlias = NDArray[np.float64]


class TransferError(SpectrumError):
    """Root of what this file raises."""


class TransferUnusable(TransferError):
    """The file is absent, damaged or no correction. Cure: copy it again, or fit a new one."""


class TransferMismatch(TransferError):
    """The spectrum is not of the sort that the correction was fitted for. Cure: the file of this instrument."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shift:
    """The axis moves by the sum of coefficients[k] * x**k, in its unit, x from -1 to 1 over the fitted axis."""

    coefficients: Row


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SlopeBias:
    """Values times `slope` plus `bias`: one number for each point, or one for all. Mean difference is a slope of 1."""

    slope: Row
    bias: Row


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Piecewise:
    """Piecewise direct standardisation: each point is a linear function of a window of measured points around it.

    level + sum over the window of weights * (values - center). center, level [points]; weights [points, window], odd.
    The window of a point near an end is the first or last whole one: the point is in it, though not in its middle.
    """

    center: Row
    level: Row
    weights: Row


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Direct:
    """Direct standardisation of the difference: what is added depends on the whole spectrum, through a few directions.

    level + (values - center) + ((values - center) @ components.T) @ corrections. center, level [points]; components and
    corrections [rank, points].
    """

    center: Row
    level: Row
    components: Row
    corrections: Row


Correction: TypeAlias = Shift | SlopeBias | Piecewise | Direct
KINDS: dict[Kind, type[Correction]] = {"shift": Shift, "slope_bias": SlopeBias, "pds": Piecewise, "ds": Direct}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Transfer:
    """A correction, what it was fitted for, and on what.

    from_instrument measures, to_instrument is the one whose model shall serve: serial numbers. axis: float64 positions
    in axis_unit on which it was fitted. standards: the names of the samples. date: ISO, of the fit. provenance: how it
    was found, for people. digest: SHA-256 of all that, as the file states it. Raises TransferUnusable when the parts
    make no correction.
    """

    from_instrument: str
    to_instrument: str
    technique: Technique
    quantity: Quantity
    axis_unit: AxisUnit
    axis: Row
    standards: tuple[str, ...]
    date: str
    correction: Correction
    provenance: Mapping[str, str]
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        for text in (self.from_instrument, self.to_instrument, *self.provenance, *self.provenance.values()):
            if not (0 < len(text) <= MAX_TEXT and text.isprintable()):
                raise TransferUnusable(
                    f"from, to, provenance: {text[:40]!r} is not 1 to {MAX_TEXT} printable characters"
                )
        if len(self.provenance) > MAX_PROVENANCE:
            raise TransferUnusable(f"provenance: {len(self.provenance)} entries; at most {MAX_PROVENANCE}")
        if not 1 <= len(self.standards) <= MAX_STANDARDS:
            raise TransferUnusable(f"{len(self.standards)} standards; a correction is fitted on 1 to {MAX_STANDARDS}")
        if not all(0 < len(name) <= MAX_TEXT and name.isprintable() for name in self.standards):
            raise TransferUnusable(f"standards: each name has 1 to {MAX_TEXT} printable characters")
        if not (_DATE.fullmatch(self.date) and _is_date(self.date)):
            raise TransferUnusable(f"date: {self.date[:20]!r} is not of the form 2026-01-31")
        _check_axis(self.axis)
        _check_shapes(self)
        for array in (self.axis, *_arrays(self.correction).values()):
            array.flags.writeable = False
        object.__setattr__(self, "digest", _digest(_content(self)))

    @property
    def kind(self) -> Kind:
        """The kind as the file names it."""
        return next(kind for kind, made_of in KINDS.items() if isinstance(self.correction, made_of))

    def describe(self) -> str:
        """Return one line for a record: kind, instruments, date, and the beginning of the digest."""
        return f"{self.kind} {self.from_instrument} to {self.to_instrument} {self.date} {self.digest[:12]}"

    def to_json(self) -> str:
        """Return the file: one line a key, what people read first, so that it can be read with `head`."""
        content = {**_content(self), "sha256": self.digest}
        return (
            "{\n" + ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items()) + "\n}\n"
        )


def load_transfer(path: str | os.PathLike[str]) -> Transfer:
    """Read and check a correction. Raises TransferUnusable with the file's name, what is wrong, and what to do."""
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise TransferUnusable(
            f"{path}: {(getattr(error, 'strerror', None) or str(error)).lower()}",
            hint="name a file made by edged-export transfer fit",
        ) from error
    try:
        if len(raw) > MAX_FILE_BYTES:
            raise TransferUnusable(f"over {MAX_FILE_BYTES // 1_000_000} MB, the limit of a correction")
        return _parsed(raw)
    except TransferUnusable as error:
        hint = error.hint or "copy the file again, or fit a new one: edged-export transfer fit"
        raise TransferUnusable(f"{path}: {error.message}", hint=hint) from error


def apply_transfer(spectrum: Spectrum, transfer: Transfer) -> Spectrum:
    """Return what the other instrument would have measured; points outside the fitted axis are cut off.

    Saturation flags stay with their points. Raises TransferMismatch when unit, quantity or axis are not those of the
    fit: positions within AXIS_TOLERANCE of a step; a shift takes any axis, and keeps what lies within the fitted one.
    """
    part = _matching(spectrum, transfer)
    axis, values = spectrum.axis[part], spectrum.values[part].astype(np.float64)
    if isinstance(transfer.correction, Shift):
        axis = axis + axis_shift(axis, transfer.correction, transfer.axis)
    else:
        values = corrected_values(values, transfer.correction)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and no spectrum
        narrow = values.astype(np.float32)
    return Spectrum(
        axis=axis,
        values=narrow,
        axis_unit=spectrum.axis_unit,
        quantity=spectrum.quantity,
        saturated=None if spectrum.saturated is None else spectrum.saturated[part],
        title=spectrum.title,
    )


def corrected_values(values: Row, correction: SlopeBias | Piecewise | Direct) -> Row:
    """Return the corrected values of one spectrum or of many: float64 [..., points], on the fitted axis."""
    match correction:
        case SlopeBias(slope=slope, bias=bias):
            return values * slope + bias
        case Piecewise(center=center, level=level, weights=weights):
            around = (values - center)[..., windows(*weights.shape)]
            return level + np.asarray(np.einsum("...pw,pw->...p", around, weights), dtype=np.float64)
        case Direct(center=center, level=level, components=components, corrections=corrections):
            off = values - center
            return level + off + (off @ components.T) @ corrections


def axis_shift(axis: Row, shift: Shift, fitted: Row) -> Row:
    """Return by how much each position moves, in the unit of the axis. fitted: the axis of the fit."""
    x = (2 * axis - fitted[0] - fitted[-1]) / (fitted[-1] - fitted[0])
    return np.asarray(np.polynomial.polynomial.polyval(x, shift.coefficients), dtype=np.float64)


def windows(points: int, width: int) -> NDArray[np.int64]:
    """Return which points each point's window holds: [points, width], whole windows only, moved inwards at the ends."""
    half = width // 2
    middle = np.clip(np.arange(points), half, points - 1 - half)
    return middle[:, None] + np.arange(-half, half + 1)


def _matching(spectrum: Spectrum, transfer: Transfer) -> slice:
    """The points of a spectrum that the correction takes."""
    name, fitted = f"the correction {transfer.from_instrument} to {transfer.to_instrument}", transfer.axis
    if spectrum.axis_unit != transfer.axis_unit or spectrum.quantity != transfer.quantity:
        raise TransferMismatch(
            f"the spectrum is {spectrum.quantity} over {spectrum.axis_unit}, "
            f"{name} was fitted on {transfer.quantity} over {transfer.axis_unit}",
            hint="convert the spectrum first, or use the correction of this instrument",
        )
    near = AXIS_TOLERANCE * float(np.median(np.diff(fitted)))
    first = int(np.searchsorted(spectrum.axis, fitted[0] - near))
    stop = int(np.searchsorted(spectrum.axis, fitted[-1] + near, side="right"))
    if isinstance(transfer.correction, Shift):
        if stop - first >= MIN_POINTS:
            return slice(first, stop)
        wrong = f"only {max(stop - first, 0)} of its points lie within {fitted[0]:.6g} to {fitted[-1]:.6g}"
    elif stop - first != len(fitted):
        wrong = (
            f"{max(stop - first, 0)} of its points lie within {fitted[0]:.6g} to {fitted[-1]:.6g}, not {len(fitted)}"
        )
    else:
        off = np.abs(spectrum.axis[first:stop] - fitted)
        if off.max() <= near:
            return slice(first, stop)
        at = int(off.argmax())
        wrong = f"{spectrum.axis[first + at]:.6g} should be {fitted[at]:.6g}, within {near:.2g} {transfer.axis_unit}"
    raise TransferMismatch(
        f"the axis is not the one of {name}: {wrong}",
        hint="use the correction of this instrument, or fit one: edged-export transfer fit",
    )


def _content(transfer: Transfer) -> dict[str, Any]:
    """Everything in the file but the digest, in the order in which people read it."""
    return {
        "schema": SCHEMA,
        "kind": transfer.kind,
        "from": transfer.from_instrument,
        "to": transfer.to_instrument,
        "technique": transfer.technique,
        "quantity": transfer.quantity,
        "axis_unit": transfer.axis_unit,
        "date": transfer.date,
        "standards": list(transfer.standards),
        "provenance": dict(transfer.provenance),
        "axis": transfer.axis.tolist(),
        "parameters": {name: array.tolist() for name, array in _arrays(transfer.correction).items()},
    }


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _arrays(correction: Correction) -> dict[str, Row]:
    return {name: getattr(correction, name) for name in type(correction).__slots__}


_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TEXTS = ("kind", "from", "to", "technique", "quantity", "axis_unit", "date", "sha256")
_ALLOWED = {
    "technique": ("nir", "raman"),
    "quantity": ("counts", "reflectance", "absorbance", "intensity"),
    "axis_unit": ("nm", "cm-1"),
    "kind": tuple(KINDS),
}


def _parsed(raw: bytes) -> Transfer:
    try:
        found = json.loads(raw, parse_constant=_no_number, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise TransferUnusable(f"is not JSON: {str(error)[:MAX_TEXT]}") from error
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        schema = str(found.get("schema") if isinstance(found, dict) else None)[:40]
        raise TransferUnusable(f"schema: found {schema!r}, this edged reads {SCHEMA!r}")
    keys = {"schema", "standards", "provenance", "axis", "parameters", *_TEXTS}
    if wrong := sorted(keys ^ set(found)):
        raise TransferUnusable(f"keys absent or unknown: {', '.join(repr(key[:40]) for key in wrong[:5])}")
    for key in _TEXTS:
        if not isinstance(found[key], str) or found[key] not in _ALLOWED.get(key, (found[key],)):
            raise TransferUnusable(f"{key}: found {str(found[key])[:40]!r}, allowed: {_ALLOWED.get(key, 'a text')}")
    standards, provenance = found["standards"], found["provenance"]
    if not isinstance(standards, list) or not all(isinstance(name, str) for name in standards):
        raise TransferUnusable("standards: expected a list of names")
    if not isinstance(provenance, dict) or not all(isinstance(text, str) for text in provenance.values()):
        raise TransferUnusable("provenance: expected texts")
    kind = KINDS[found["kind"]]
    parameters = found["parameters"]
    if not isinstance(parameters, dict) or set(parameters) != set(kind.__slots__):
        raise TransferUnusable(f"parameters: a correction of kind {found['kind']} has {', '.join(kind.__slots__)}")
    transfer = Transfer(
        from_instrument=found["from"],
        to_instrument=found["to"],
        technique=found["technique"],
        quantity=found["quantity"],
        axis_unit=found["axis_unit"],
        axis=_numbers("axis", found["axis"]),
        standards=tuple(standards),
        date=found["date"],
        correction=kind(**{name: _numbers(name, table) for name, table in parameters.items()}),
        provenance=provenance,
    )
    if transfer.digest != found["sha256"]:
        raise TransferUnusable("sha256: the content is not what was written; the file was changed or damaged")
    return transfer


def _numbers(name: str, table: Any) -> Row:
    """A list of numbers, or of equally long lists of numbers, as float64. A text or a truth value is no number."""
    rows = table if isinstance(table, list) and table and isinstance(table[0], list) else [table]
    if not all(isinstance(row, list) and len(row) == len(rows[0]) for row in rows):
        raise TransferUnusable(f"{name}: expected a list of numbers, or lists of one length")
    if len(rows) * len(rows[0]) > MAX_NUMBERS:
        raise TransferUnusable(f"{name}: over {MAX_NUMBERS:,} numbers, the limit of a correction")
    if not all(type(cell) in (int, float) for row in rows for cell in row):
        raise TransferUnusable(f"{name}: holds something that is not a number")
    try:
        return np.array(table, dtype=np.float64)
    except OverflowError as error:
        raise TransferUnusable(f"{name}: holds a number that is too large") from error


def _check_axis(axis: Row) -> None:
    if axis.ndim != 1 or not MIN_POINTS <= len(axis) <= MAX_POINTS:
        raise TransferUnusable(f"axis: {axis.shape} positions; a correction has {MIN_POINTS} to {MAX_POINTS}")
    if not np.isfinite(axis).all() or not (np.diff(axis) > 0).all():
        raise TransferUnusable("axis: the positions must be finite and rise")


def _check_shapes(transfer: Transfer) -> None:
    points, arrays = len(transfer.axis), _arrays(transfer.correction)
    for name, array in arrays.items():
        if not np.isfinite(array).all() or np.abs(array).max(initial=0) > MAX_MAGNITUDE:
            raise TransferUnusable(f"{name}: holds a number that is not finite, or above {MAX_MAGNITUDE:g}")
    shapes = {name: array.shape for name, array in arrays.items()}
    match transfer.correction:
        case Shift(coefficients=coefficients):
            fits = coefficients.ndim == 1 and 1 <= len(coefficients) <= MAX_DEGREE + 1
            if fits:
                _check_shift(transfer.correction, transfer.axis)
        case SlopeBias():
            fits = all(shape in ((1,), (points,)) for shape in shapes.values())
        case Piecewise(weights=weights):
            width = weights.shape[-1] if weights.ndim == 2 else 0
            fits = weights.shape == (points, width) and width % 2 == 1 and width <= min(MAX_WINDOW, points)
            fits = fits and shapes["center"] == shapes["level"] == (points,)
        case Direct(components=components):
            rank = len(components) if components.ndim == 2 else 0
            fits = 1 <= rank <= MAX_RANK and shapes["components"] == shapes["corrections"] == (rank, points)
            fits = fits and shapes["center"] == shapes["level"] == (points,)
    if not fits or sum(array.size for array in arrays.values()) > MAX_NUMBERS:
        shown = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise TransferUnusable(f"parameters: the sizes do not fit {points} points, or the limits: {shown}")


def _check_shift(shift: Shift, axis: Row) -> None:
    moved = axis_shift(axis, shift, axis)
    if np.abs(moved).max() > MAX_SHIFT_SHARE * (axis[-1] - axis[0]) or not (np.diff(axis + moved) > 0).all():
        raise TransferUnusable(f"coefficients: the axis moves by over {MAX_SHIFT_SHARE:.0%} of itself, or folds")


def _is_date(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")
