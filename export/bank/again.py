"""One compound of a bank tried on made mixtures of held-out scans, whenever something changes after it was learned."""

from __future__ import annotations

import numpy as np

from export.bank.bank import Bank
from export.bank.kit import Arrays, Kit
from export.bank.limits import Examination, halves_of
from export.components.job import dealt
from export.components.unmix import Unmixer
from export.data.mixtures.library import Library


def examination_of(bank: Bank, kit: Kit, library: Library, compound: str) -> Examination:
    """Return the examination of a compound that has its limits; its held-out scans are not in its reference."""
    part = dealt(library)
    examined = kit.with_compound(compound, kit.promises(compound), ways_of(part.learnt, kit, compound))
    return Examination(bank, examined, compound, halves_of(part, compound, kit.recipe, kit.words.seed))


def tried_again(bank: Bank, kit: Kit, library: Library, changed: str) -> Kit:
    """Return the kit after `changed` is not what it was: whoever it was named in the stead of is tried again."""
    for compound, told in kit.tried().items():
        stale = [preset for preset, found in told.items() if changed in found.false_names_of_others.often]
        if compound != changed and stale:
            examination, promises = examination_of(bank, kit, library, compound), kit.promises(compound)
            kit = kit.with_tried(compound, {preset: examination.evidence(preset, promises[preset]) for preset in stale})
    return kit


def ways_of(library: Library, kit: Kit, compound: str) -> Arrays:
    """Return a compound's reference and the ways in which its scans differ, where mixtures are taken apart."""
    if kit.words.table.confirmation is None:
        return {}
    found = Unmixer(library.of([compound]), kit.recipe.unmixing, kit.recipe.grid)
    ways = {"references": found.references.astype(np.float32)}
    return ways | ({"scatter": found.scatter.astype(np.float32)} if len(found.scatter) else {})
