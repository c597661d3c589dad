"""What a demo measures: simulated samples that the model knows, and what is asked about them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edged.bundle.archive import Bundle
from edged.cli.stage import DemoFailed, Technique
from edged.infer.verdict import Procedure, Verdict

LONGEST_NAME = 36  # of a sample that fits the demo's table
RIGHTLY = {
    "identify": "named rightly",
    "components": "with every compound and no other",
    "quantify": "within the interval that was told",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """bundle: the model's file or name, None for the one that edged would take. samples: the simulators' twin or
    library, None for the twin of their own. products: labels of those. compounds: of what the model finds in a mixture.
    """

    title: str
    technique: Technique = "nir"
    bundle: str | None
    samples: str | None
    products: tuple[str, ...]
    procedure: Procedure
    wants_white: bool
    compounds: tuple[str, ...] = ()

    def is_right(self, truth: str, verdict: dict[str, Any]) -> bool:
        """Whether a verdict names the product, or its interval holds the amount by which the product's label begins, or
        it tells just the compounds whose labels are in the product's label.
        """
        if self.procedure == "identify":
            return bool(verdict["label"] == truth)
        if self.procedure == "components":
            return {found["label"] for found in verdict["components"]} == set(_held(truth, self.compounds))
        amounts, told = Verdict.model_validate(verdict).amounts, re.match(r"\d+(\.\d+)?", truth)
        return bool(amounts) and told is not None and amounts[0].low <= float(told[0]) <= amounts[0].high


def usual_shelf(products: Sequence[str]) -> Shelf:
    """Return the powders of the simulators' own twin, for the bundle that edged ships with."""
    return Shelf(
        title="9010ACLA is 90 % AC and 10 % LA: AC acetaminophen, AA ascorbic acid, LA lactose.",
        bundle=None,
        samples=None,
        products=tuple(products),
        procedure="identify",
        wants_white=True,
    )


def shelf_for(bundle: Bundle, products: Sequence[str]) -> Shelf:
    """Return the products of the twin of the bundle's name that the bundle knows. Raises DemoFailed without any.

    A model that quantifies is shown every product of its twin, whose labels begin with the amount: `300mg`. One that
    finds compounds is shown those whose labels hold labels of compounds: `9010ACLA` holds AC and LA.
    """
    manifest = bundle.manifest
    shows: tuple[Procedure, ...] = ("identify", "components", "quantify")
    procedure = next((one for one in shows if one in manifest.procedures), None)
    if procedure is None:
        raise DemoFailed(
            f"{bundle.file_name} neither identifies nor finds compounds nor quantifies",
            hint="take another: edged bundle list",
        )
    compounds = tuple(info.label for info in manifest.compounds)
    known = set(products)
    if procedure == "identify":
        known = {info.label for info in manifest.classes}
    elif procedure == "components":
        known = {label for label in products if _held(label, compounds)}
    shown = tuple(label for label in products if label in known and len(label) <= LONGEST_NAME)
    if not shown:
        raise DemoFailed(f"the simulators have no product that {bundle.file_name} knows", hint="edged bundle show")
    light = "; each percent is of the light" if manifest.technique == "raman" else ""
    return Shelf(
        title=f"{len(shown)} products for {manifest.name} {manifest.version}, to {procedure}{light}",
        technique=manifest.technique,
        bundle=str(bundle.path),
        samples=manifest.name,
        products=shown,
        procedure=procedure,
        wants_white=manifest.quantity != "intensity",
        compounds=compounds,
    )


def _held(product: str, compounds: Sequence[str]) -> list[str]:
    return [label for label in compounds if label in product]
