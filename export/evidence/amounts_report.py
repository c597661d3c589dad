"""The report of a model that tells an amount."""

from __future__ import annotations

from typing import Any

import numpy as np

from export import plots
from export.data.catalogue import known_set
from export.evidence.limits import telling_limits
from export.evidence.parts import (
    acceptance,
    amount_metrics,
    candidates_table,
    golden_vectors,
    hashes,
    indented,
    intended_use,
    known_limits,
)
from export.job import Job
from export.manifest import data_sheet
from export.page import QUICK, Code, Heading, Page, Part, Picture, Table, Text
from export.trial.sessions import in_words


def dose_page(job: Job) -> str:
    """Return the page, from what `trial` left."""
    found, recipe, source = job.read_json("trial.json"), job.recipe, job.source
    spectra = job.spectra()
    with np.load(job.need("trial.npz")) as file:
        truth, told = file["truth"], file["told"]
    unit, words, evaluation = spectra.amount_unit, recipe.amount, recipe.evaluation
    assert words is not None
    half = found["half_widths"][recipe.default_preset]
    parts: list[Part] = [
        *([QUICK] if job.quick else []),
        *intended_use(job),
        Text(
            f"Tells {words.title} in {unit} from {recipe.quantity} at {recipe.axis.start:g} to {recipe.axis.stop:g} "
            f"{recipe.axis.unit}, with an interval, or says that the sample is no such thing. {source.title}. "
            f"{'; '.join(source.instruments)}. Conditions: {source.conditions}."
        ),
        *acceptance(job, found["acceptance"], unit),
        *known_limits(telling_limits(job, found)),
        Heading("Figures with their intervals"),
        *amount_metrics(job, found["known"], unit),
        Heading("Errors"),
        Text(
            f"Held out: one part; what is kept together is {source.grouping}. Stress: the same after simulated changes "
            f"of session ({in_words(evaluation.session, recipe.axis.unit)}); mild: after lesser ones "
            f"({in_words(evaluation.mild_session, recipe.axis.unit)}). Whatever the gates say."
        ),
        _errors(found["known"], unit),
        Picture("amounts.png", "told against true amounts", plots.amounts(truth, told, half, unit)),
        Heading("Intervals and refusals"),
        Text(
            "Half widths are split-conformal quantiles of what members told of development spectra that they had not "
            "seen. They count preparations, not scans: scans of one preparation are alike. More than these can promise "
            "is not promised, and nothing of other sessions, products or instruments."
        ),
        _promises(job.read_json("calibration.json")["sets"], found["half_widths"], unit),
        Text("Covered: of the spectra that an amount was told for, those whose interval holds the true one."),
        _points(found["known"]),
        Heading("Spectra of other things"),
        _others(found["others"], recipe.default_preset),
    ]
    if found["classical"]:
        rows = [
            (name, f"{row['rmse']:.1f}", ", ".join(f"{key} {value}" for key, value in row["settings"].items()))
            for name, row in found["classical"].items()
        ]
        parts += [
            Heading("Classical regressions on the same split"),
            Table(["tuned inside the development part", f"RMSE, {unit}", "settings"], rows),
        ]
    parts += [
        Heading("Quantisation"),
        *_quantisation(job, found["agreement"], unit),
        *golden_vectors(job),
        *hashes(job),
        Heading("Data sheet"),
        Code(indented(data_sheet(job, spectra))),
        Heading("Recipe"),
        Code(recipe.model_dump_json(indent=1)),
    ]
    return Page(title=f"{recipe.name} {recipe.version}", parts=tuple(parts)).html()


def _quantisation(job: Job, agreement: dict[str, Any], unit: str) -> list[Part]:
    return [
        Text(
            f"Against the float graph, on {agreement['spectra']} held-out and foreign spectra: same outcome in "
            f"{_percent(agreement['same_outcome'])} %; amounts differ by at most "
            f"{agreement['largest_difference_held_out']:.2g} {unit} on the held-out part."
        ),
        *candidates_table(job),
    ]


def _errors(known: dict[str, Any], unit: str) -> Table:
    amounts = list(next(iter(known.values()))["by_amount"])
    rows = [
        (
            name,
            str(row["spectra"]),
            f"{row['rmse']:.1f}",
            f"{row['bias']:+.1f}",
            *(f"{row['by_amount'][amount]:.1f}" for amount in amounts),
        )
        for name, row in known.items()
    ]
    return Table(["spectra of", "number", f"RMSE, {unit}", "bias", *(f"RMSE at {a}" for a in amounts)], rows)


def _promises(behind: dict[str, Any], half_widths: dict[str, float], unit: str) -> Table:
    rows = [
        (
            preset,
            f"{100 * one['asked']:g}",
            f"{100 * one['promised']:.3g}",
            f"{one['units']} ({one['spectra']})",
            f"{half_widths[preset]:.1f}",
        )
        for preset, one in behind.items()
    ]
    return Table(["preset", "asked, %", "promised, %", "preparations (spectra)", f"half width, {unit}"], rows)


def _points(known: dict[str, Any]) -> Table:
    rows = [
        (f"{name}, {preset}", *(_percent(point[key]) for key in ("covered", "refused", "not_in_scope", "inconclusive")))
        for name, row in known.items()
        for preset, point in row["presets"].items()
    ]
    return Table(["percent", "covered", "no amount told", "of it not in scope", "inconclusive"], rows)


def _others(others: dict[str, Any], default: str) -> Table:
    presets = [key for key in next(iter(others.values()), {}) if key != "spectra"]
    rows = [
        (f"{name}: {known_set(name).title}", str(row["spectra"]), *(_percent(row[preset]) for preset in presets))
        for name, row in others.items()
    ]
    header = [f"{preset}{' (default)' if preset == default else ''}" for preset in presets]
    return Table(["refused, percent", "number", *header], rows)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"
