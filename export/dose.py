"""Models that tell an amount: the half widths of their intervals, and the trial of what will be shipped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edged.bundle.archive import Bundle
from edged.bundle.manifest import Amount, Manifest
from edged.infer.engine import Engine
from edged.infer.judge import Judge
from edged.infer.verdict import Preset, Verdict
from export.baselines.dose import PlsDoseWords, SvrDoseWords
from export.conformal import Promise, Scored, error_quantile, promise, units_of
from export.data.augment import resample
from export.data.spectra import Spectra, group_numbers
from export.data.split import Split
from export.fit import FitTask, as_tensor, fit_member
from export.job import Job
from export.preprocess.pipeline import steps_in_two
from export.progress import Report
from export.sessions import rows_of, sessions_of

Rows = NDArray[np.float32]
CLASSICAL: Mapping[str, PlsDoseWords | SvrDoseWords] = {
    "PLS": PlsDoseWords(),
    "support vector regression": SvrDoseWords(),
}


def amounts_of(
    job: Job, spectra: Spectra, told: NDArray[np.floating], rows: NDArray[np.int64]
) -> tuple[tuple[Amount, ...], dict[Preset, Promise]]:
    """Return the manifest's words, and what stands behind the intervals: told [n, 1] is what members say of the
    development spectra `rows`, which they had not seen."""
    words, amounts, presets = job.recipe.amount, spectra.amounts, job.recipe.presets
    assert words is not None
    assert amounts is not None
    errors = errors_of(job, spectra, told[:, 0] - amounts[rows], rows)
    amount = Amount(
        label=words.label,
        title=words.title,
        unit=spectra.amount_unit,
        lowest=float(amounts.min()),
        highest=float(amounts.max()),
        half_widths={preset: half_width(errors, point.coverage) for preset, point in presets.items()},
    )
    return (amount,), {preset: promise(errors, point.coverage, classes=0) for preset, point in presets.items()}


def errors_of(job: Job, spectra: Spectra, off: NDArray[np.floating], rows: NDArray[np.int64]) -> Scored:
    """Return what calibrates intervals: how far off the amounts of the spectra `rows` are, by preparation."""
    instruments = group_numbers(spectra.instruments or [""] * len(spectra.labels))
    return Scored(
        measured=np.abs(off).astype(np.float64),
        changed=np.empty(0),
        targets=np.zeros(len(rows), dtype=np.int64),
        units=units_of(job.split(spectra).part[rows], spectra.groups[rows]),
        instruments=instruments[rows],
    )


def half_width(errors: Scored, coverage: float) -> float:
    """Return the half width of the intervals of one coverage, with three decimals, rounded up and never 0."""
    return float(max(1.0, np.ceil(error_quantile(errors, coverage) * 1e3)) / 1e3)


def dose_trial(job: Job, bundle: Bundle, progress: Report) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
    """Judge the held-out part, its changed sessions and other things with the bundle, as the daemon would.

    Returns the numbers of the report, and what its plot is drawn from: true and told amounts of the held-out part.
    """
    spectra = job.spectra()
    split = job.split(spectra)
    engine, manifest = Engine.load(bundle), bundle.manifest
    assert spectra.amounts is not None
    truth = spectra.amounts[split.test]
    words = job.recipe.evaluation
    sets: dict[str, list[Rows]] = {
        "held-out": [rows_of(spectra, manifest)[split.test]],
        "mild sessions": sessions_of(job, spectra, split.test, words.mild_session),
        "stress sessions": sessions_of(job, spectra, split.test, words.session),
    }
    known: dict[str, dict[str, Any]] = {}
    for done, (name, parts) in enumerate(sets.items()):
        progress("judging", done, len(sets))
        known[name] = judged(engine, manifest, np.concatenate(parts), np.tile(truth, len(parts)))
    others = {
        name: refusals(engine, manifest, rows_of(other, manifest)) for name, other in job.load_outsiders().items()
    }
    result: dict[str, Any] = {
        "quick": job.quick,
        "known": known,
        "others": others,
        "classical": _classical(job, spectra, split) if words.baselines else {},
        "half_widths": dict(manifest.amounts[0].half_widths),
        "gate_limits": dict(manifest.gates[0].limits),
    }
    default = known["held-out"]["presets"][manifest.default_preset]
    result["summary"] = {
        "held_out_rmse": known["held-out"]["rmse"],
        "held_out_bias": known["held-out"]["bias"],
        "held_out_coverage": default["covered"],
        "held_out_refused": default["refused"],
        "stress_rmse": known["stress sessions"]["rmse"],
        "others_refused": _all_refused(others, job.recipe.data.outsiders, manifest.default_preset),
    }
    told = engine.run(sets["held-out"][0]).amounts[:, 0]
    return result, {"truth": truth, "told": told.astype(np.float64)}


def judged(engine: Engine, manifest: Manifest, rows: Rows, truth: NDArray[np.float64]) -> dict[str, Any]:
    """Return errors of the told amounts, and what each preset's verdicts hold."""
    out = engine.run(rows)
    errors = out.amounts[:, 0].astype(np.float64) - truth
    found: dict[str, Any] = {
        "spectra": len(truth),
        "rmse": round(float(np.sqrt(np.mean(errors**2))), 4),
        "bias": round(float(errors.mean()), 4),
        "by_amount": {
            f"{amount:g}": round(float(np.sqrt(np.mean(errors[truth == amount] ** 2))), 4)
            for amount in np.unique(truth)
        },
        "presets": {},
    }
    for preset in manifest.presets:
        verdicts = _verdicts(engine, manifest, rows, preset)
        told = [verdict.amounts[0] if verdict.amounts else None for verdict in verdicts]
        inside = [
            amount.low <= real <= amount.high for amount, real in zip(told, truth, strict=True) if amount is not None
        ]
        found["presets"][preset] = {
            "covered": round(float(np.mean(inside)), 6) if inside else None,
            "refused": round(1.0 - len(inside) / len(truth), 6),
            "not_in_scope": round(float(np.mean([v.outcome == "not_in_scope" for v in verdicts])), 6),
            "inconclusive": round(float(np.mean([v.outcome == "inconclusive" for v in verdicts])), 6),
        }
    return found


def refusals(engine: Engine, manifest: Manifest, rows: Rows) -> dict[str, Any]:
    """Return the share of foreign spectra that is given no amount, by preset."""
    return {"spectra": len(rows)} | {
        preset: round(float(np.mean([not v.amounts for v in _verdicts(engine, manifest, rows, preset)])), 6)
        for preset in manifest.presets
    }


def _verdicts(engine: Engine, manifest: Manifest, rows: Rows, preset: Preset) -> list[Verdict]:
    judge, out = Judge(manifest), engine.run(rows)
    question = judge.question(procedure="quantify", preset=preset)
    return [
        judge.answer(question, out.logits[row], out.features[row], amounts=out.amounts[row]) for row in range(len(rows))
    ]


def _classical(job: Job, spectra: Spectra, split: Split) -> dict[str, dict[str, Any]]:
    """RMSE of tuned regressions on the held-out part: raw spectra, and the recipe's own preprocessing."""
    found = {}
    assert spectra.amounts is not None
    for name, words in CLASSICAL.items():
        for prepared, steps in (("raw", ()), ("the recipe's steps", job.recipe.steps)):
            rows = split.development
            member = fit_member(
                FitTask(
                    axis=spectra.axis,
                    axis_unit=spectra.axis_unit,
                    quantity=spectra.quantity,
                    grid=job.grid,
                    values=spectra.values[rows],
                    targets=spectra.targets[rows],
                    amounts=spectra.amounts[rows],
                    groups=split.part[rows],
                    classes=len(spectra.classes),
                    steps=steps,
                    network=words,
                    learning=job.recipe.training,
                    seed=(job.seed, 0),
                )
            )
            common, _ = steps_in_two(steps, job.grid)
            plain = as_tensor(resample(spectra.values[split.test], spectra.axis, job.grid))
            told = member.model(member.own(common(plain))).detach().numpy()[:, 0]
            rmse = float(np.sqrt(np.mean((told - spectra.amounts[split.test]) ** 2)))
            found[f"{name}, {prepared}"] = {"rmse": round(rmse, 4), "settings": member.settings}
    return found


def _all_refused(others: Mapping[str, Mapping[str, Any]], names: tuple[str, ...], preset: Preset) -> float | None:
    spectra = sum(others[name]["spectra"] for name in names)
    if not spectra:
        return None
    return round(sum(others[name][preset] * others[name]["spectra"] for name in names) / spectra, 6)
