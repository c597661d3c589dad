"""What comes of the kit where a compound comes from a bank of the same kin, or is given another threshold by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edged.infer.verdict import Preset
from export.bank.again import examination_of, tried_again
from export.bank.bank import Bank
from export.bank.evidence import Tried
from export.bank.kit import Arrays, Kit, raised
from export.bank.learned import golden_of, kept_of, known_of, library_of, widened
from export.bank.newcomer import extended
from export.bank.school import one_thread
from export.components.job import dealt
from export.errors import BankUnfit


def entered(bank: Bank, kit: Kit, other: Kit, names: tuple[str, ...], *, data: Path) -> Kit:
    """Return the kit with what another one says of some compounds. Raises BankUnfit where they are not of one kin.

    bank: as it is with them. Promises are taken as they are: the two were made by one recipe, and a compound is held to
    one rate in both.
    """
    if other.recipe.digest() != kit.recipe.digest() or other.words.rates != kit.words.rates:
        raise BankUnfit("the banks are not of one recipe and one build", hint="learn the compound from its spectra")
    theirs, measured = library_of(other, data), other.own_library()
    for name in names:
        whole = extended(library_of(kit, data), known_of(theirs, name, {}))
        with one_thread():
            plane = widened(kit, dealt(whole).learnt, name, kit.words.seed)
        public = measured is None or name not in measured.names
        kit = kit.with_library(kept_of(kit, whole, name, public=public), complete=kit.words.pure.complete)
        kit = kit.with_compound(name, other.promises(name), _ways(other, name)).with_plane(plane)
        kit = kit.with_golden(golden_of(kit, whole, name, kit.words.seed))
        kit = kit.with_evidence(name, other.words.learned.get(name), other.words.by_hand.get(name))
    library = library_of(kit, data)
    with one_thread():
        for name in names:
            kit = tried_again(bank, kit, library, name)
    return kit.with_version(raised(kit.words.version))


def with_threshold(
    bank: Bank, kit: Kit, compound: str, preset: Preset, logit: float, *, data: Path
) -> tuple[Kit, Tried]:
    """Return the kit with a threshold that somebody chose, and what was found with it on mixtures of held-out scans.

    Raises VerificationFailed where the compound is named too often with it.
    """
    library = library_of(kit, data)
    with one_thread():
        promise, tried = examination_of(bank, kit, library, compound).given(preset, logit)
        promises = kit.promises(compound) | {preset: promise}
        kit = kit.with_compound(compound, promises, _ways(kit, compound)).with_tried(compound, {preset: tried})
        kit = tried_again(bank, kit, library, compound)
    return kit.with_version(raised(kit.words.version)), tried


def _ways(kit: Kit, name: str) -> Arrays:
    """A compound's rows of the library that mixtures are taken apart with."""
    confirmation, place = kit.words.table.confirmation, kit.compounds.index(name)
    if confirmation is None:
        return {}
    rows = {"references": confirmation.references, "scatter": confirmation.scatter}
    taken = {array: np.flatnonzero(np.array(of, dtype=np.int64) == place) for array, of in rows.items()}
    return {array: kit.arrays[array][of] for array, of in taken.items() if len(of)}
