"""The trial of a model that tells an amount: the bundle itself, run and judged by the daemon's own code, beside float
and classical regressions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edged.bundle.archive import Bundle
from edged.bundle.manifest import Manifest
from edged.infer.engine import Engine, Outputs
from edged.infer.judge import Judge
from edged.infer.verdict import Preset, Verdict
from export.acceptance import judged as accepted
from export.baselines.dose import PlsDoseWords, SvrDoseWords
from export.compare import run_all, session
from export.conformal import units_of
from export.data.augment import resample
from export.data.spectra import Spectra
from export.data.split import Split
from export.figures import Figure, error_figures, share_of, together
from export.fit import FitTask, as_tensor, fit_member
from export.job import Job
from export.preprocess.pipeline import steps_in_two
from export.progress import Report
from export.trial.sessions import rows_of, sessions_of

Rows = NDArray[np.float32]
CLASSICAL: Mapping[str, PlsDoseWords | SvrDoseWords] = {
    "PLS": PlsDoseWords(),
    "support vector regression": SvrDoseWords(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Spectra that were put to the bundle, and to the float graph. units: what the split, or their set, keeps whole."""

    said: Outputs
    by_float: Outputs
    units: NDArray[np.int64]


def dose_trial(job: Job, bundle: Bundle, progress: Report) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
    """Judge the held-out part, its changed sessions and other things with the bundle, as the daemon would.

    Returns the numbers of the report, and what its plot is drawn from: true and told amounts of the held-out part.
    """
    spectra = job.spectra()
    split = job.split(spectra)
    engine, manifest = Engine.load(bundle), bundle.manifest
    assert spectra.amounts is not None
    truth, units = spectra.amounts[split.test], units_of(split.part, spectra.groups)[split.test]
    words, floats = job.recipe.evaluation, session(job.need("float.onnx").read_bytes())
    sets: dict[str, list[Rows]] = {
        "held-out": [rows_of(spectra, manifest)[split.test]],
        "mild sessions": sessions_of(job, spectra, split.test, words.mild_session),
        "stress sessions": sessions_of(job, spectra, split.test, words.session),
    }
    known: dict[str, dict[str, Any]] = {}
    for done, (name, parts) in enumerate(sets.items()):
        progress("judging", done, len(sets))
        of_parts, said = np.tile(units, len(parts)), engine.run(np.concatenate(parts))
        known[name] = judged(said, manifest, np.tile(truth, len(parts)), of_parts, rng=job.rng(13, done))
    asked = {
        name: Asked(said=engine.run(rows), by_float=run_all(floats, rows), units=of)
        for name, rows, of in (
            ("held-out", sets["held-out"][0], units),
            *((name, rows_of(other, manifest), other.groups) for name, other in job.load_outsiders().items()),
        )
    }
    criteria = _criteria(job, manifest, known, asked)
    result: dict[str, Any] = {
        "quick": job.quick,
        "known": known,
        "others": {name: refusals(asked[name].said, manifest) for name in job.outsiders},
        "agreement": _agreement(asked, criteria["same_outcome"]),
        "acceptance": accepted(job.recipe.acceptance, criteria),
        "classical": _classical(job, spectra, split) if words.baselines else {},
        "half_widths": dict(manifest.amounts[0].half_widths),
        "gate_limits": dict(manifest.gates[0].limits),
    }
    result["summary"] = _summary(result, criteria, manifest.default_preset)
    return result, {"truth": truth, "told": asked["held-out"].said.amounts[:, 0].astype(np.float64)}


def _criteria(
    job: Job, manifest: Manifest, known: Mapping[str, Mapping[str, Any]], asked: Mapping[str, Asked]
) -> dict[str, Figure | None]:
    """Figures by the names of criteria, None for what was not measured."""
    held, stress, preset = known["held-out"], known["stress sessions"], manifest.default_preset

    def refused(names: tuple[str, ...]) -> Figure | None:
        if not names:
            return None
        silent = [[not verdict.amounts for verdict in _verdicts(asked[n].said, manifest, preset)] for n in names]
        return share_of(np.concatenate([np.array(one) for one in silent]), together([asked[n].units for n in names]))

    same = [
        [a.outcome == b.outcome for a, b in zip(*pair, strict=True)]
        for of in asked.values()
        if (pair := (_verdicts(of.said, manifest, preset), _verdicts(of.by_float, manifest, preset)))
    ]
    return {
        "rmse": held["figures"]["rmse"],
        "stress_rmse": stress["figures"]["rmse"],
        "coverage": held["presets"][preset]["figures"]["covered"],
        "stress_coverage": stress["presets"][preset]["figures"]["covered"],
        "wrong_refusals": held["presets"][preset]["figures"]["refused"],
        "others_refused": refused(job.recipe.data.outsiders),
        "near_others_refused": refused(job.recipe.data.near_outsiders),
        "same_outcome": share_of(
            np.concatenate([np.array(one) for one in same]), together([of.units for of in asked.values()])
        ),
    }


def _agreement(asked: Mapping[str, Asked], same: Figure | None) -> dict[str, Any]:
    """The bundle's graph beside the float one, the largest difference of an amount in its unit."""
    assert same is not None
    off = {name: float(np.abs(of.said.amounts - of.by_float.amounts).max()) for name, of in asked.items()}
    return {
        "spectra": same["spectra"],
        "same_outcome": same["value"],
        "largest_difference": round(max(off.values()), 4),
        "largest_difference_held_out": round(off["held-out"], 4),
    }


def _summary(result: Mapping[str, Any], criteria: Mapping[str, Figure | None], preset: Preset) -> dict[str, Any]:
    """The numbers that the manifest carries."""
    held = result["known"]["held-out"]
    usual, others = held["presets"][preset], criteria["others_refused"]
    with_intervals = {**held["figures"], **{name: criteria[name] for name in ("coverage", "wrong_refusals")}}
    return {
        "held_out_rmse": held["rmse"],
        "held_out_bias": held["bias"],
        "held_out_coverage": usual["covered"],
        "held_out_refused": usual["refused"],
        "stress_rmse": result["known"]["stress sessions"]["rmse"],
        "others_refused": others["value"] if others else None,
        "int8_and_float_same_outcome": result["agreement"]["same_outcome"],
        "intervals": {name: [of["low"], of["high"]] for name, of in with_intervals.items() if of},
        "criteria_missed": [row["name"] for row in result["acceptance"] if row["met"] is False],
    }


def judged(
    said: Outputs,
    manifest: Manifest,
    truth: NDArray[np.float64],
    units: NDArray[np.int64],
    *,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Return errors of the told amounts, and what each preset's verdicts hold; `figures` with their intervals.

    truth, units: [n], the true amounts, and what the split keeps whole.
    """
    errors = said.amounts[:, 0].astype(np.float64) - truth
    found: dict[str, Any] = {
        "spectra": len(truth),
        "rmse": round(float(np.sqrt(np.mean(errors**2))), 4),
        "bias": round(float(errors.mean()), 4),
        "by_amount": {
            f"{amount:g}": round(float(np.sqrt(np.mean(errors[truth == amount] ** 2))), 4)
            for amount in np.unique(truth)
        },
        "figures": error_figures(errors, units, rng=rng),
        "presets": {},
    }
    for preset in manifest.presets:
        verdicts = _verdicts(said, manifest, preset)
        told = np.array([bool(verdict.amounts) for verdict in verdicts])
        inside = np.array(
            [
                bool(v.amounts) and v.amounts[0].low <= real <= v.amounts[0].high
                for v, real in zip(verdicts, truth, strict=True)
            ]
        )
        found["presets"][preset] = {
            "covered": round(float(inside[told].mean()), 6) if told.any() else None,
            "refused": round(float(1.0 - told.mean()), 6),
            "not_in_scope": round(float(np.mean([v.outcome == "not_in_scope" for v in verdicts])), 6),
            "inconclusive": round(float(np.mean([v.outcome == "inconclusive" for v in verdicts])), 6),
            "figures": {
                "covered": share_of(inside[told], units[told]) if told.any() else None,
                "refused": share_of(~told, units),
            },
        }
    return found


def refusals(said: Outputs, manifest: Manifest) -> dict[str, Any]:
    """Return the share of foreign spectra that is given no amount, by preset."""
    return {"spectra": len(said.amounts)} | {
        preset: round(float(np.mean([not v.amounts for v in _verdicts(said, manifest, preset)])), 6)
        for preset in manifest.presets
    }


def _verdicts(said: Outputs, manifest: Manifest, preset: Preset) -> list[Verdict]:
    judge = Judge(manifest)
    question = judge.question(procedure="quantify", preset=preset)
    return [
        judge.answer(question, logits, features, amounts=amounts)
        for logits, features, amounts in zip(said.logits, said.features, said.amounts, strict=True)
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
