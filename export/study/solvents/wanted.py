"""What was wanted of the names of real solvents, and who gives it: more than was so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from export.components.evidence import rates
from export.page import Heading, Part, Table, Text
from export.study.solvents.namings import Bools, Shipped
from export.study.solvents.ways import Way

RIGHT = 5
"""Of the six mixtures, told rightly so far."""
F1 = 0.894
"""Against plain least squares, of the 92 others, so far."""
DEFAULT = "shipped, balanced"
"""What an operator is told who asks for nothing else."""


def wanted(
    six: Sequence[Way], others: Sequence[Way], holds: Mapping[str, Sequence[set[str]]], peer: Bools
) -> list[Part]:
    """Return a table of the bundle's own rows, and in words how many others give what was wanted.

    six, others: ways of the library of six and of thirteen, without the peer itself among the others. holds: of each of
    the two, by `six` and `others`, what mixtures hold, an empty set where nobody tells. peer: what the peer names of
    those of which nobody does [mixtures, solvents], the first ones of the others.
    """
    told = sum(map(bool, holds["six"]))
    asked = sum(map(bool, holds["others"]))
    f1 = {way.name: _f1(way, peer) for way in others}
    rows = [
        ["at least", f"{RIGHT} of {told}", f"{100 * F1:.1f}"],
        *(
            [
                way.name,
                f"{way.right(holds['others']):.0f} of {asked}",
                f"{100 * f1[way.name]:.1f}, {_said(f1[way.name])}",
            ]
            for way in others
            if isinstance(way.outcomes[0].cell.method, Shipped)
        ),
    ]
    enough = [way.name for way in six if way.right(holds["six"]) >= RIGHT]
    met = [name for name, value in f1.items() if _is_met(value)]
    both = [name for name in met if name in enough]
    bundle = (
        f"Of the six mixtures {RIGHT} were told rightly before, and an F1 of {100 * F1:.1f} against plain least "
        f"squares was reached on the {len(peer)}: as much was wanted at least. The bundle's library holds what {asked} "
        f"of the six are made of and not the powders of the others, so that it cannot be asked for {RIGHT}: "
        f"**missed**, however many of these {asked} it tells rightly."
    )
    others_too = (
        f"Of {len(six)} rows with the library of six {len(enough)} tell {RIGHT} or more rightly; of {len(f1)} rows "
        f"with the library of thirteen, the peer not counted, {len(met)} reach the F1; {len(both)} do both: "
        f"{'; '.join(f'*{name}*' for name in both) or 'none'}. An F1 against a peer that overlooks weak scatterers is "
        "no share of right names: what is read of the spectra themselves stands below."
    )
    text = " ".join([bundle, *_of_default(f1), others_too])
    return [
        Heading("What was wanted"),
        Table(["", f"right, of the {told}", f"F1 against NNLS, of the {len(peer)}"], rows),
        Text(text),
    ]


def _of_default(f1: Mapping[str, float]) -> list[str]:
    """The default preset, as it is told and whatever is left over."""
    told, found = f1.get(f"{DEFAULT}, told"), f1.get(DEFAULT)
    if told is None or found is None:
        return []
    said = (
        f"At balanced, its default, what it tells has an F1 of {100 * told:.1f}: {_said(told)}; with nothing refused "
        f"it would be {100 * found:.1f}, {_said(found)}."
    )
    return [said]


def _f1(way: Way, peer: Bools) -> float:
    """Mean over seeds."""
    return float(np.mean([rates(named, peer)["f1"] for named in way.sets(slice(len(peer)))]))


def _is_met(value: float) -> bool:
    """As it is printed: of a tenth of a percent."""
    return round(value, 3) >= F1


def _said(value: float) -> str:
    return "met" if _is_met(value) else "**missed**"
