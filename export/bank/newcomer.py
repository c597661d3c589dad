"""The spectra of one compound that is to be learned: files in, checked spectra on the library's axis out.

What cannot be right is refused with every reason; what a careful chemist would ask about is a remark.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from edged.bundle.components import MAX_COMPOUNDS
from edged.spectra.files import read_spectra
from edged.spectra.rows import Lost
from edged.spectra.spectrum import Spectrum, SpectrumError
from export.components.recipe import ComponentsRecipe
from export.data.check import examine
from export.data.common_axis import onto_one_axis
from export.data.finding import Finding, raise_refusals, refuse, some, warn
from export.data.mixtures.library import Library
from export.data.spectra import Spectra
from export.errors import BankUnfit, DataUnusable
from export.preprocess.pipeline import build

FEWEST: Final = 10  # spectra: with fewer nothing is known of how they differ, and three of ten are held out
MOST: Final = 10_000
MAX_FILES: Final = 10_000
SAME: Final = 1.0 - 1e-9  # correlation of two copies of one scan
UNLIKE: Final = 0.8  # correlation with the mean of the others, as the network sees both: another sample, or a bad scan
HARDLY_DIFFERS: Final = 0.995  # the same with a compound of the library


@dataclass(frozen=True, slots=True, kw_only=True)
class Newcomer:
    """A compound and its spectra, float64 [n, points] on `axis`. remarks: what its owner should know of them.

    groups: [n] number of the preparation. digests: SHA-256 of each file read, by name, with as many of the folders
    above it as tell files of one name apart.
    """

    name: str
    axis: NDArray[np.float64]
    values: NDArray[np.float64]
    groups: NDArray[np.int64]
    remarks: tuple[str, ...]
    digests: dict[str, str]


def read_newcomer(name: str, paths: Sequence[Path], recipe: ComponentsRecipe) -> Newcomer:
    """Read files, or all files of folders. Raises DataUnusable that lists every reason."""
    found: list[tuple[Spectrum, str]] = []
    findings: list[Finding] = []
    digests: dict[str, str] = {}
    for path in _files(paths):
        try:
            for spectrum, place in _spectra(path, recipe):
                if isinstance(spectrum, Finding):
                    findings.append(spectrum)
                else:
                    found.append((spectrum, place))
            with path.open("rb") as file:
                digests[_short(path, digests)] = hashlib.file_digest(file, "sha256").hexdigest()
        except SpectrumError as error:
            findings.append(refuse(error.message, error.hint))
        except OSError as error:
            findings.append(refuse(f"{path}: {(error.strerror or str(error)).lower()}", "check the file"))
        if len(found) > MOST:
            findings.append(refuse(f"more than {MOST:,} spectra", "leave some out"))
            break
    raise_refusals(name, findings)
    return _checked(name, found, recipe, digests)


def extended(library: Library, newcomer: Newcomer) -> Library:
    """Return the library with a compound more, behind the others, or with other spectra of one that it has.

    Its preparations stay apart from one another, and from those of the library. The axis is cut to what both cover.
    Raises BankUnfit where that is less than the model's axis needs, or for too many compounds.
    """
    shared = _overlap(library.axis, newcomer.axis)
    others = library.on(shared) if len(shared) != len(library.axis) else library
    values = np.array([np.interp(shared, newcomer.axis, row) for row in newcomer.values])
    names = tuple(name for name in library.names if name != newcomer.name)
    place = library.names.index(newcomer.name) if newcomer.name in library.names else len(names)
    if len(names) + 1 > MAX_COMPOUNDS:
        raise BankUnfit(f"{len(names) + 1} compounds; a bank has at most {MAX_COMPOUNDS}")
    kept = library.compound != place
    compound = np.concatenate([library.compound[kept], np.full(len(values), place)])
    first = int(library.groups.max()) + 1
    prepared = first + np.unique(newcomer.groups, return_inverse=True)[1]
    order = np.argsort(compound, kind="stable")
    names = (*names[:place], newcomer.name, *names[place:])
    return Library(
        axis=others.axis.copy(),
        axis_unit=library.axis_unit,
        quantity=library.quantity,
        values=np.concatenate([others.values[kept], values])[order],
        compound=compound[order],
        groups=np.concatenate([library.groups[kept], prepared])[order],
        names=names,
        holds=frozenset(names),
        synthetic=library.synthetic,
    )


def likeness(library: Library, newcomer: Newcomer, recipe: ComponentsRecipe) -> Finding | None:
    """Say which compound of the library a newcomer hardly differs from, as the network sees both; None for none."""
    others = [place for place, name in enumerate(library.names) if name != newcomer.name]
    if not others:
        return None
    seen = _seen(newcomer.values.mean(axis=0)[None], newcomer.axis, recipe)[0]
    alike = _seen(library.means()[others], library.axis, recipe) @ seen
    nearest = int(alike.argmax())
    if alike[nearest] < HARDLY_DIFFERS:
        return None
    return warn(
        f"{newcomer.name} hardly differs from {library.names[others[nearest]]}: correlation {alike[nearest]:.4f}",
        "expect one to be told for the other, or learn both under one name",
    )


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    count = 0
    for path in paths:
        below = sorted(_visible(path)) if path.is_dir() else [path]
        if not below:
            raise DataUnusable(f"{path}: holds no files", hint="name files of spectra, or a folder of them")
        for one in below:
            count += 1
            if count > MAX_FILES:
                raise DataUnusable(f"more than {MAX_FILES:,} files", hint="put the spectra into fewer files")
            yield one


def _visible(folder: Path) -> Iterator[Path]:
    return (one for one in folder.iterdir() if one.is_file() and not one.name.startswith("."))


def _short(path: Path, taken: Mapping[str, str]) -> str:
    """The end of a path that no other file has, as short as can be: nobody need know where files lie."""
    ends = ("/".join(path.parts[-count:]) for count in range(1, len(path.parts) + 1))
    return next((end for end in ends if end not in taken), str(path))


def _spectra(path: Path, recipe: ComponentsRecipe) -> Iterator[tuple[Spectrum | Finding, str]]:
    """Each spectrum of a file and what to call it, or what is wrong with it."""
    rows = list(read_spectra(path, unit=recipe.axis.unit, quantity=recipe.quantity))
    for row in rows:
        place = str(path) if len(rows) == 1 else f"{path}: row {row.row}"
        if isinstance(row, Lost):
            yield refuse(row.error.message, row.error.hint), place
        else:
            yield row.spectrum, place


def _checked(
    name: str, found: list[tuple[Spectrum, str]], recipe: ComponentsRecipe, digests: dict[str, str]
) -> Newcomer:
    spectra, places = [spectrum for spectrum, _ in found], [place for _, place in found]
    if len(spectra) < FEWEST:
        raise_refusals(name, [_too_few(len(spectra))])
    common, findings = onto_one_axis(spectra, places)
    raise_refusals(name, findings)
    assert common is not None
    axis, need = common.axis, recipe.axis
    if axis[0] > need.start or axis[-1] < need.stop:
        short = (
            f"the spectra cover {axis[0]:g} to {axis[-1]:g} {need.unit}, the bank reads {need.start:g} to {need.stop:g}"
        )
        findings.append(refuse(short, "measure with an instrument of the family that the bank is for"))
    rows = Spectra(
        axis=axis,
        axis_unit=need.unit,
        quantity=recipe.quantity,
        values=common.values,
        labels=(name,) * len(spectra),
        groups=np.arange(len(spectra)),
        scan=np.arange(len(spectra)),
        places=tuple(places),
        remarks=common.remarks,
    )
    findings += examine(rows, naming=False)
    distinct = _distinct(rows.values)
    if distinct < FEWEST:
        findings.append(_too_few(distinct, different=True))
    raise_refusals(name, findings)
    if odd := _odd(rows, recipe):
        unlike = some([places[row] for row in odd])
        findings.append(warn(f"unlike the others: {unlike}", "another sample, or a bad scan?"))
    remarks = tuple(str(finding) for finding in findings)
    return Newcomer(
        name=name, axis=axis.copy(), values=rows.values.copy(), groups=rows.groups, remarks=remarks, digests=digests
    )


def _too_few(count: int, *, different: bool = False) -> Finding:
    kind = "different spectra" if different else "spectra"
    return refuse(
        f"{count} {kind}; at least {FEWEST} are needed",
        "three of ten are held out to set limits on, and seven say how its spectra differ: fill and measure again",
    )


def _distinct(values: NDArray[np.float64]) -> int:
    """How many of the spectra are no copies of an earlier one, level and scale apart."""
    scaled = values - values.mean(axis=1, keepdims=True)
    scaled = scaled / np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    earlier = np.tril(scaled @ scaled.T > SAME, k=-1)
    return int((~earlier.any(axis=1)).sum())


def _odd(rows: Spectra, recipe: ComponentsRecipe) -> list[int]:
    """Which spectra are unlike the mean of the others, as the network sees them."""
    seen = _seen(rows.values, rows.axis, recipe)
    others = seen.sum(axis=0) - seen
    alike = (seen * others).sum(axis=1) / np.linalg.norm(others, axis=1)
    return np.flatnonzero(alike < UNLIKE).tolist()


def _seen(values: NDArray[np.float64], axis: NDArray[np.float64], recipe: ComponentsRecipe) -> NDArray[np.float64]:
    """Spectra behind the recipe's steps, centred and of length one [n, m]."""
    on_grid = np.array([np.interp(recipe.grid, axis, row) for row in values], dtype=np.float32)
    with torch.no_grad():
        rows = build(recipe.steps, recipe.grid)(torch.from_numpy(on_grid)).double().numpy()
    rows = rows - rows.mean(axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float64).tiny))


def _overlap(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The points of our axis that the other covers."""
    return ours[(ours >= theirs[0]) & (ours <= theirs[-1])].copy()


def remarked(newcomer: Newcomer, *remarks: Finding | None) -> Newcomer:
    """Return the newcomer with further remarks."""
    return replace(newcomer, remarks=(*newcomer.remarks, *(str(remark) for remark in remarks if remark is not None)))
