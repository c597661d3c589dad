"""What was wanted of the gates that ship, beside what they reach."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from export.page import Heading, Part, Table, Text
from export.study.unknowns.gates import WRONG
from export.study.unknowns.measure import Found, Known, refused

NEW_CHEMISTRY, NEAR, LEFT_OUT = 100.0, 90.0, 90.0  # percent refused: what was aimed at


def section(shipped: Sequence[tuple[Known, Found]]) -> list[Part]:
    """Return a table of each shipped gate."""
    parts: list[Part] = [Heading("What was wanted")]
    for known, found in shipped:
        rows = _rows(known, found)
        cells = [cell for row in rows for cell in row if cell.endswith(("met", "**missed**"))]
        missed = sum(cell.endswith("**missed**") for cell in cells)
        note = (
            f" {' and '.join(known.near)} was in sight when this gate was chosen: no blind trial." if known.near else ""
        )
        parts += [
            Text(
                f"**{known.name}**, the gate that ships ({found.name}): refused, percent. {len(cells) - missed} of "
                f"{len(cells)} figures are met, **{missed} missed**.{note}"
            ),
            Table(HEADER, rows),
        ]
    return parts


HEADER = [
    "refused of",
    "wanted",
    *(f"{wrong:.0%} of blocks refused" for wrong in WRONG),
    *(f"{wrong:.0%} in stress" for wrong in WRONG),
]


def _rows(known: Known, found: Found) -> list[list[str]]:
    at = [refused(found, wrong, stressed=stressed) for stressed in (False, True) for wrong in WRONG]
    new = [name for name in found.others if name not in known.near]
    rows = [
        [
            f"new chemistry: the least of {', '.join(new)}",
            f"{NEW_CHEMISTRY:g}",
            *(_so(min(one.others[name] for name in new), NEW_CHEMISTRY) for one in at),
        ]
    ]
    rows += [[name, f"at least {NEAR:g}", *(_so(one.others[name], NEAR) for one in at)] for name in known.near]
    rows.append(
        [
            "classes left out, mean",
            f"at least {LEFT_OUT:g}",
            *(_so(float(np.mean(one.left_out)), LEFT_OUT) for one in at),
        ]
    )
    labels = known.spectra.classes
    worst = [(min(one.left_out), labels[int(np.argmin(one.left_out))]) for one in at]
    rows.append(["the worst of these classes", "–", *(f"{share:.1f} ({label})" for share, label in worst)])
    rows.append(["the known in stress sessions, wrongly", "–", *(f"{one.stress:.1f}" for one in at)])
    return rows


def _so(share: float, wanted: float) -> str:
    """The figure, and whether it reaches what was wanted: unrounded, so that 99.97 is not 100."""
    return f"{share:.1f} {'met' if share >= wanted else '**missed**'}"
