"""What comes of the kit where a compound comes from a bank of the same kin, or is given another threshold by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edged.infer.verdict import Preset
from export.bank.bank import Bank
from export.bank.kit import Arrays, Kit, Promise, raised
from export.bank.learned import golden_of, kept_of, library_of, widened
from export.bank.limits import Examination, halves_of
from export.bank.newcomer import Newcomer, extended
from export.bank.school import one_thread
from export.components.job import dealt
from export.errors import BankUnfit


def entered(kit: Kit, other: Kit, names: tuple[str, ...], *, data: Path) -> Kit:
    """Return the kit with what another one says of some compounds. Raises BankUnfit where they are not of one kin.

    Promises are taken as they are: the two were made by one recipe, and a compound is held to one rate in both.
    """
    if other.recipe.digest() != kit.recipe.digest() or other.words.rates != kit.words.rates:
        raise BankUnfit("the banks are not of one recipe and one build", hint="learn the compound from its spectra")
    theirs = library_of(other, data)
    for name in names:
        library = library_of(kit, data)
        new = Newcomer(
            name=name,
            axis=theirs.axis,
            values=theirs.values[theirs.compound == theirs.names.index(name)],
            remarks=(),
            digests={},
        )
        whole = extended(library, new)
        with one_thread():
            plane, _ = widened(kit, halves_of(dealt(whole), name, kit.recipe, kit.words.seed))
        kept, golden = kept_of(kit, whole, name), golden_of(kit, whole, name, kit.words.seed)
        kit = kit.with_compound(name, _promises(other, name), _ways(other, name)).with_plane(plane)
        kit = kit.with_library(kept, complete=kit.words.pure.complete).with_golden(golden)
        if name in other.words.learned:
            kit = kit.with_learned(name, other.words.learned[name])
    return kit.with_version(raised(kit.words.version))


def with_threshold(bank: Bank, kit: Kit, compound: str, preset: Preset, logit: float, *, data: Path) -> Kit:
    """Return the kit with a threshold that somebody chose, tried on made mixtures of held-out scans.

    Raises VerificationFailed where the compound is named too often with it.
    """
    library = library_of(kit, data)
    with one_thread():
        halves = halves_of(dealt(library), compound, kit.recipe, kit.words.seed)
        promise = Examination(bank, kit, compound, halves).given(preset, logit)
    promises = _promises(kit, compound) | {preset: promise}
    kit = kit.with_compound(compound, promises, _ways(kit, compound))
    return kit.with_version(raised(kit.words.version))


def _promises(kit: Kit, name: str) -> dict[Preset, Promise]:
    """What a kit says of one compound."""
    place = kit.compounds.index(name)
    return {
        preset: Promise(
            threshold=point.thresholds[place],
            min_support=point.min_support[place] if point.confirm else None,
            negatives=point.negatives[place],
            named=point.named[place],
        )
        for preset, point in kit.words.table.presets.items()
    }


def _ways(kit: Kit, name: str) -> Arrays:
    """A compound's rows of the library that mixtures are taken apart with."""
    confirmation, place = kit.words.table.confirmation, kit.compounds.index(name)
    if confirmation is None:
        return {}
    rows = {"references": confirmation.references, "scatter": confirmation.scatter}
    taken = {array: np.flatnonzero(np.array(of, dtype=np.int64) == place) for array, of in rows.items()}
    return {array: kit.arrays[array][of] for array, of in taken.items() if len(of)}
