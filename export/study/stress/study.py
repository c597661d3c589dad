"""The study `stress`: one cell a bundle that ships."""

from __future__ import annotations

from export.study.stress.asked import StressCell, StressOutcome, every_asked
from export.study.stress.bench import measure, shipped
from export.study.stress.page import QUESTION, parts
from export.study.study import Study

BUNDLES = ("powders12", "api20", "isoniazid-dose")


def study() -> Study[StressCell, StressOutcome]:
    """Return the study."""
    asked = every_asked()
    return Study(
        name="stress",
        title="Packings and instruments that training did not see",
        question=QUESTION,
        cells=tuple(
            StressCell(name=of.manifest.name, version=of.manifest.version, bundle=of.digest, asked=asked)
            for of in map(shipped, BUNDLES)
        ),
        measure=measure,
        kind=StressOutcome,
        parts=parts,
    )
