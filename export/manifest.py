"""The manifest of a job's bundle: what it answers, how it is calibrated, and the data sheet of how it was made."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np

from edged.bundle.manifest import ClassInfo, Manifest
from export.calibrate import Calibrated
from export.components.recipe import ComponentsRecipe
from export.conformal import supported, units_of
from export.data.origin import DataSet
from export.data.spectra import Spectra
from export.data.split import Split
from export.job import Job
from export.quantise.chosen import data_sheet as quantisation
from export.recipe import Recipe

UNSTATED = "not stated in the recipe; what such models are for: "
NAMING = f"{UNSTATED}naming one of the classes, or saying that a sample is none of them; not for finding additions"
TELLING = f"{UNSTATED}telling an amount with its interval, or that the sample is no such thing; not for other products"
TOOLS = ("torch", "onnx", "onnxscript", "onnxruntime", "numpy")


def from_recipe(recipe: Recipe | ComponentsRecipe, *tools: str) -> dict[str, Any]:
    """Return what every manifest takes over from its recipe; the digests are filled in when it is written.

    tools: more packages that made it.
    """
    return {
        "schema": "edged.bundle/1",
        "name": recipe.name,
        "version": recipe.version,
        "technique": recipe.technique,
        "quantity": recipe.quantity,
        "axis": recipe.axis,
        "procedures": recipe.procedures,
        "default_preset": recipe.default_preset,
        "golden_tolerance": recipe.quantisation.tolerance,
        "tool_versions": {tool: version(tool) for tool in (*TOOLS, *tools)},
        "digests": {},
    }


def manifest_of(job: Job, spectra: Spectra, found: Calibrated, *, metrics: dict[str, Any]) -> Manifest:
    """Return the manifest of a job's bundle."""
    return Manifest.model_validate(
        {
            **from_recipe(job.recipe, "scikit-learn"),
            **_answers(spectra, found),
            "gates": found.gates,
            "residuals": found.residuals,
            "data_sheet": data_sheet(job, spectra),
            "metrics": metrics,
        }
    )


def _answers(spectra: Spectra, found: Calibrated) -> dict[str, Any]:
    """Amounts, or classes and what calibrates them."""
    if found.calibration is None:
        return {"amounts": found.amounts}
    classes = tuple(ClassInfo(label=label, title=spectra.title(label)) for label in spectra.classes)
    return {"classes": classes, "calibration": found.calibration}


def purpose_of(recipe: Recipe | ComponentsRecipe) -> str:
    """Return the intended use."""
    if recipe.purpose is not None:
        return recipe.purpose
    return TELLING if recipe.amount is not None else NAMING


def data_sheet(job: Job, spectra: Spectra) -> dict[str, Any]:
    """Return what a careful user asks of a model: from which spectra, split how, made how."""
    recipe, split = job.recipe, job.split(spectra)
    words = recipe.model_dump(mode="json")
    return {
        "purpose": purpose_of(recipe),
        "limits": list(recipe.limits),
        "acceptance": recipe.acceptance.stated(),
        "quick": job.quick,
        "seed": job.seed,
        "recipe_sha256": recipe.digest(),
        "sources": [whence(job.source, spectra) | {"spectra": len(spectra.labels)}],
        "instruments": list(job.source.instruments),
        "conditions": job.source.conditions,
        "split": {
            "grouping": job.source.grouping,
            "words": words["data"]["split"],
            "development_spectra": len(split.development),
            "test_spectra": len(split.test),
            "values_sha256": split.digests(spectra),
            "calibration": "each member is calibrated on the one development part that it has not seen",
            "sets": _sets(job, spectra, split),
        },
        "preprocessing": words["steps"],
        "network": words["network"],
        "training": words["training"],
        "gate": words["gate"],
        "claims": words["claims"],
        "presets": words["presets"],
        "sets": words["sets"],
        "quantisation": {**words["quantisation"], **quantisation(job)},
    }


def _sets(job: Job, spectra: Spectra, split: Split) -> dict[str, Any]:
    """What the coverage of conformal sets, or of intervals, rests on."""
    units = len(np.unique(units_of(split.part, spectra.groups)[split.development]))
    copies = "" if job.tells_amounts else " and changed copies of them"
    return {
        "calibrated_on": f"held-out spectra{copies}, every preparation with the same weight",
        "preparations": units,
        "largest_coverage_promised": round(supported(units), 4),
    }


def whence(source: DataSet, spectra: Spectra) -> dict[str, Any]:
    """Return what a data sheet says of the origin of spectra."""
    return {
        "name": source.folder,
        "from": source.origin,
        "paper": source.paper,
        "licence": source.licence,
        "copyright": source.copyright,
        "files_sha256": dict(spectra.digests),
    }
