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
from export.data.augment import Session, resample
from export.data.augment import session as session_change
from export.data.catalogue import load_set
from export.data.spectra import Spectra
from export.data.split import Split
from export.fit import FitTask, as_tensor, fit_member
from export.job import Job
from export.preprocess.pipeline import steps_in_two
from export.progress import Report

Rows = NDArray[np.float32]
CLASSICAL: Mapping[str, PlsDoseWords | SvrDoseWords] = {
    "PLS": PlsDoseWords(),
    "support vector regression": SvrDoseWords(),
}


def amount_of(job: Job, spectra: Spectra, told: NDArray[np.floating], rows: NDArray[np.int64]) -> Amount:
    """Return the manifest's words: half widths from what members told of development spectra that they had not seen.

    Split conformal: half width = the ceil((n + 1) coverage)-th smallest absolute error, all amounts together.
    """
    words, amounts = job.recipe.amount, spectra.amounts
    assert words is not None
    assert amounts is not None
    errors = np.abs(told[:, 0] - amounts[rows])
    return Amount(
        label=words.label,
        title=words.title,
        unit=spectra.amount_unit,
        lowest=float(amounts.min()),
        highest=float(amounts.max()),
        half_widths={preset: half_width(errors, point.coverage) for preset, point in job.recipe.presets.items()},
    )


def half_width(errors: NDArray[np.floating], coverage: float) -> float:
    """Return the error that at least `coverage` of new errors stay under; the largest, where there are too few."""
    rank = min(int(np.ceil((len(errors) + 1) * coverage)), len(errors))
    return float(np.ceil(np.sort(errors)[rank - 1] * 1e3) / 1e3)


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
    sets: dict[str, list[NDArray[np.float64]]] = {
        "held-out": [resample(spectra.values[split.test], spectra.axis, job.grid)],
        "mild sessions": _sessions(job, spectra, split, words.mild_session),
        "stress sessions": _sessions(job, spectra, split, words.session),
    }
    known: dict[str, dict[str, Any]] = {}
    for done, (name, parts) in enumerate(sets.items()):
        progress("judging", done, len(sets))
        rows = np.concatenate(parts).astype(np.float32)
        known[name] = judged(engine, manifest, rows, np.tile(truth, len(parts)))
    others = {}
    for name in job.outsiders:
        other = load_set(name, job.data)
        others[name] = refusals(engine, manifest, resample(other.values, other.axis, job.grid).astype(np.float32))
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
    rows = np.concatenate(sets["held-out"]).astype(np.float32)
    return result, {"truth": truth, "told": engine.run(rows).amounts[:, 0].astype(np.float64)}


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


def _sessions(job: Job, spectra: Spectra, split: Split, change: Session) -> list[NDArray[np.float64]]:
    rng = job.rng(7, int(change.shift * 1000))
    return [
        session_change(spectra.values[split.test], spectra.axis, job.grid, change, rng)
        for _ in range(job.recipe.evaluation.sessions)
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
