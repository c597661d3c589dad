"""Measure what will be shipped: the bundle itself, run and judged by the daemon's own code, beside torch and the
baselines.

The held-out block was seen by nothing before. The rotation trains the whole recipe anew with each other block held
out, so that every spectrum is judged once by models that have not seen its block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edged.bundle.manifest import Manifest
from edged.infer.engine import Engine
from edged.infer.verdict import Preset
from export.acceptance import judged
from export.baselines import BASELINES
from export.calibrate import calibrated, scored_of
from export.compare import run_rows, session
from export.conformal import units_of
from export.data.augment import resample
from export.data.spectra import Spectra
from export.data.split import Split
from export.figures import Figure, share_of, together
from export.job import Job
from export.kept import once, only
from export.manifest import manifest_of
from export.pack import draft
from export.progress import Report
from export.quantise.chosen import shipped
from export.to_onnx import float_graph
from export.train import HeldOut, load_held_out, load_identifier, train_ensemble
from export.trial.amounts import dose_trial
from export.trial.answers import Answers, ask, gate_distances, let_by_as_others, refused, summary, verify_shares
from export.trial.baselines import baseline_on, baselines_on
from export.trial.naming_figures import ALL, Tested, by_class, criteria_of, named_figures
from export.trial.sensitivity import sensitivity_table
from export.trial.sessions import changes_of, rows_of, sessions_of
from export.trust import Trust, over_blocks, trust_table
from export.verify import torch_outputs

Rows = NDArray[np.float32]
KINDS = {"held-out": "held-out", "mild sessions": "mild ", "stress sessions": "session "}  # by how their names begin
BUNDLE, TORCH = "this bundle", "the same in float torch"  # rows of the accuracy table


def trial(job: Job, progress: Report) -> dict[str, Any]:
    """Stage: leave trial.json (every number of the report) and trial.npz (what its plots are drawn from)."""
    if job.tells_amounts:
        found, arrays = dose_trial(job, draft(job), progress)
        job.write_json("trial.json", found)
        np.savez(job.path("trial.npz"), **arrays)  # type: ignore[arg-type]  # numpy types no keyword arrays
        return dict(found["summary"])
    spectra = job.spectra()
    split = job.split(spectra)
    bundle = draft(job)
    engine, manifest = Engine.load(bundle), bundle.manifest
    identifier = load_identifier(job)
    sets = {
        "held-out": rows_of(spectra, manifest)[split.test],
        **{
            f"session {n}": rows
            for n, rows in enumerate(sessions_of(job, spectra, split.test, job.recipe.evaluation.session))
        },
        **{
            f"mild {n}": rows
            for n, rows in enumerate(sessions_of(job, spectra, split.test, job.recipe.evaluation.mild_session))
        },
        **changes_of(job, spectra, split.test),
        **{name: rows_of(other, manifest) for name, other in job.load_outsiders().items()},
    }
    raw: dict[str, tuple[Rows, Rows]] = {}
    torch_raw: dict[str, tuple[Rows, Rows]] = {}
    progress("judging", 0, len(sets))
    for done, (name, rows) in enumerate(sets.items(), 1):
        out = engine.run(rows)
        raw[name] = (out.logits, out.features)
        torch_raw[name] = torch_outputs(identifier, rows)
        progress("judging", done, len(sets))
    truth = spectra.targets[split.test]
    answers = {p: _answers(raw, manifest, p) for p in manifest.calibration.quantiles}
    torch_answers = _answers(torch_raw, manifest, manifest.default_preset)
    runs = _rotation(job, spectra, progress)
    shipped = _shipped_row(job, spectra, split, raw, torch_raw, truth)
    said = {kind: [raw[name][0] for name in raw if name.startswith(prefix)] for kind, prefix in KINDS.items()}
    trust = _trust(job, spectra, split, said, load_held_out(job), manifest.calibration.temperature)
    result: dict[str, Any] = {
        "quick": job.quick,
        "accuracy": _accuracy_table(job, spectra, [shipped, *runs], progress),
        "operating_points": {
            preset: {
                "held-out": summary(of["held-out"], truth),
                "stress sessions": summary(_joined(of, "session "), np.tile(truth, job.recipe.evaluation.sessions)),
                "mild sessions": summary(_joined(of, "mild "), np.tile(truth, job.recipe.evaluation.sessions)),
                **{name: {"spectra": len(of[name].outcome), "refused": refused(of[name])} for name in job.outsiders},
            }
            for preset, of in answers.items()
        },
        "rotation": [run["summary"] for run in runs if run["kind"] == "rotation"],
        "sensitivity": sensitivity_table(
            answers[manifest.default_preset], truth, [run["changed"] for run in runs if run["kind"] == "rotation"]
        ),
        "agreement": _agreement(answers[manifest.default_preset], torch_answers, raw, torch_raw, job.outsiders),
        "gate_limits": {manifest.default_preset: 1.0},
        "verify": verify_shares(manifest, *raw["held-out"], truth) if "verify" in manifest.procedures else {},
        "temperature": manifest.calibration.temperature,
        "trust": trust,
        "trust_all_blocks": over_blocks([trust, *(run["trust"] for run in runs if run["kind"] == "rotation")]),
        "footnote": _random_split(job, spectra, progress),
    }
    usual = answers[manifest.default_preset]
    tested = _tested(spectra, split, usual, runs)
    others = {name: (usual[name], of.groups) for name, of in job.load_outsiders().items()}
    result["figures"] = named_figures(tested, rng=job.rng(13))
    result["classes"] = by_class(tested, spectra.classes)
    result["let_by"] = let_by_as_others(manifest, raw["held-out"][1], truth)
    criteria = criteria_of(tested, result["figures"], trust, others, job.recipe.data)
    criteria["same_outcome"] = _same_outcome(
        answers[manifest.default_preset], torch_answers, tested["held-out"], others
    )
    result["criteria"], result["acceptance"] = criteria, judged(job.recipe.acceptance, criteria)
    result["summary"] = _headline(job, result)
    job.write_json("trial.json", result)
    _save_plot_data(job, answers[manifest.default_preset], raw, manifest, truth, runs)
    return dict(result["summary"])


def _tested(
    spectra: Spectra, split: Split, answers: Mapping[str, Answers], runs: list[dict[str, Any]]
) -> dict[str, Tested]:
    """What was said of spectra whose class is known, by kind; of all blocks too where they were rotated."""
    units = units_of(split.part, spectra.groups)
    truth, of_test = spectra.targets[split.test], units[split.test]
    found = {}
    for kind, prefix in KINDS.items():
        copies = sum(name.startswith(prefix) for name in answers)
        found[kind] = Tested(
            answers=_joined(answers, prefix), truth=np.tile(truth, copies), units=np.tile(of_test, copies)
        )
    rotated = [run for run in runs if run["kind"] == "rotation"]
    if rotated:
        parts = [(answers["held-out"], truth, of_test)]
        parts += [(run["answers"], run["truth"], units[run["split"].test]) for run in rotated]
        found[ALL] = Tested(
            answers=Answers.joined([said for said, _, _ in parts]),
            truth=np.concatenate([true for _, true, _ in parts]),
            units=np.concatenate([of for _, _, of in parts]),
        )
    return found


def _same_outcome(
    final: Mapping[str, Answers],
    by_torch: Mapping[str, Answers],
    held_out: Tested,
    others: Mapping[str, tuple[Answers, NDArray[np.int64]]],
) -> Figure:
    parts = [("held-out", held_out.units), *((name, groups) for name, (_, groups) in others.items())]
    same = np.concatenate([final[name].same_as(by_torch[name]) for name, _ in parts])
    return share_of(same, together([units for _, units in parts]))


def _trust(
    job: Job,
    spectra: Spectra,
    split: Split,
    said: Mapping[str, list[NDArray[np.float32]]],
    held: HeldOut,
    temperature: float,
) -> dict[str, Trust]:
    """Calibration and coverage on what calibrated nothing. said: logits by kind of spectra, copy after copy."""
    truth, units = spectra.targets[split.test], units_of(split.part, spectra.groups)[split.test]
    kinds = {
        kind: (np.concatenate(logits), np.tile(truth, len(logits)), np.tile(units, len(logits)))
        for kind, logits in said.items()
    }
    scored = scored_of(job, spectra, held, split.development, temperature=temperature)
    return trust_table(kinds, temperature=temperature, scored=scored)


def _answers(raw: Mapping[str, tuple[Rows, Rows]], manifest: Manifest, preset: Preset) -> dict[str, Answers]:
    return {name: ask(manifest, logits, features, preset) for name, (logits, features) in raw.items()}


def _joined(of: Mapping[str, Answers], prefix: str) -> Answers:
    parts = [answers for name, answers in of.items() if name.startswith(prefix)]
    return Answers.joined(parts)


def _rotation(job: Job, spectra: Spectra, progress: Report) -> list[dict[str, Any]]:
    """Train the recipe anew with every other block held out, and on the shipped split with other seeds. What an earlier
    run of other words or code has left is kept until all is judged."""
    words, shipped = job.recipe.evaluation, job.recipe.data.split.test
    blocks = int(job.split(spectra).part.max()) + 1
    plans = [("rotation", b, 0) for b in range(blocks) if b != shipped] if words.rotation else []
    plans += [("seed", shipped, variant) for variant in range(1, words.seeds)]
    runs, digests, folder = [], [_digest(job, *plan) for plan in plans], job.path("rotation")
    for number, ((kind, block, variant), digest) in enumerate(zip(plans, digests, strict=True), 1):
        what = f"{kind} {number} of {len(plans)}"
        run = partial(_run, job, spectra, kind, block, variant, progress, what)
        runs.append(once(digest, run, folder=folder))
    only(digests, folder=folder)
    return runs


def _digest(job: Job, kind: str, block: int, variant: int) -> str:
    """What a judgement of one newly trained model comes from: the scheme may have been chosen by the clock."""
    return repr((job.stamp("trial"), job.read_json("quantise.json")["scheme"], kind, block, variant))


def _run(
    job: Job, spectra: Spectra, kind: str, block: int, variant: int, progress: Report, what: str
) -> dict[str, Any]:
    """Train one model anew and judge it on its own held-out block."""
    split = job.split(spectra, test=block)
    trained = train_ensemble(job, spectra, split, progress, variant=variant, what=what)
    found = calibrated(job, spectra, trained, split.development)
    manifest = manifest_of(job, spectra, found, metrics={})
    truth = spectra.targets[split.test]
    rows = rows_of(spectra, manifest)
    plain = rows[split.test]
    opened = session(shipped(job, float_graph(trained.identifier, job.recipe.axis.points), rows[split.development]))
    answers = ask(manifest, run_rows(opened, plain, "logits"), run_rows(opened, plain, "features"))
    stress = sessions_of(job, spectra, split.test, job.recipe.evaluation.session)
    mild = sessions_of(job, spectra, split.test, job.recipe.evaluation.mild_session)
    changes = changes_of(job, spectra, split.test)

    kinds = {"held-out": [plain], "stress sessions": stress, "mild sessions": mild}
    said = {kind: [run_rows(opened, r, "logits") for r in rows] for kind, rows in kinds.items()}
    by_torch = {kind: [torch_outputs(trained.identifier, r)[0] for r in rows] for kind, rows in kinds.items()}
    temperature = manifest.calibration.temperature

    def share(logits: list[NDArray[np.float32]]) -> float:
        return float(np.mean([(one.argmax(1) == truth).mean() for one in logits]))

    return {
        "kind": kind,
        "block": block,
        "variant": variant,
        "answers": answers,
        "truth": truth,
        "split": split,
        "int8": [share(said[kind]) for kind in kinds],
        "torch": [share(by_torch[kind]) for kind in kinds],
        "changed": {name: share([run_rows(opened, rows, "logits")]) for name, rows in changes.items()},
        "trust": _trust(job, spectra, split, said, trained.held_out, temperature),
        "summary": {"block": block, **summary(answers, truth)},
    }


def _shipped_row(
    job: Job,
    spectra: Spectra,
    split: Split,
    raw: Mapping[str, tuple[Rows, Rows]],
    torch_raw: Mapping[str, tuple[Rows, Rows]],
    truth: NDArray[np.int64],
) -> dict[str, Any]:
    def shares(of: Mapping[str, tuple[Rows, Rows]]) -> list[float]:
        kinds = ("held-out", "session ", "mild ")
        return [
            float(np.mean([(of[n][0].argmax(1) == truth).mean() for n in of if n.startswith(kind)])) for kind in kinds
        ]

    return {
        "kind": "shipped",
        "block": job.recipe.data.split.test,
        "split": split,
        "int8": shares(raw),
        "torch": shares(torch_raw),
    }


def _accuracy_table(
    job: Job, spectra: Spectra, runs: list[dict[str, Any]], progress: Report
) -> dict[str, dict[str, Any]]:
    """Accuracy on held-out block, stress sessions, mild sessions: the shipped split, and the spread over blocks and
    seeds."""
    table: dict[str, dict[str, Any]] = {}
    over_blocks = [run for run in runs if run["kind"] != "seed"]
    for name, key in ((BUNDLE, "int8"), (TORCH, "torch")):
        table[name] = _spread([run[key] for run in over_blocks])
        seeds = [run[key] for run in runs if run["kind"] != "rotation"]
        table[name]["seeds"] = _spread(seeds) if len(seeds) > 1 else None
    plans = [(name, augmented) for name in BASELINES for augmented in (False, True) if job.recipe.evaluation.baselines]
    splits = [run["split"] for run in over_blocks]
    for (name, augmented), found in zip(plans, baselines_on(job, spectra, splits, plans, progress), strict=True):
        row = _spread([shares for shares, _ in found])
        row["settings"] = found[0][1]
        table[f"{name}, tuned{', trained on augmented copies' if augmented else ''}"] = row
    return table


def _spread(runs: list[list[float]]) -> dict[str, Any]:
    values = np.array(runs)
    return {
        "shipped": [round(float(v), 5) for v in values[0]],
        "mean": [round(float(v), 5) for v in values.mean(axis=0)],
        "sd": [round(float(v), 5) for v in values.std(axis=0, ddof=1)] if len(values) > 1 else None,
        "runs": len(values),
    }


def _random_split(job: Job, spectra: Spectra, progress: Report) -> dict[str, float] | None:
    """The figure that a random split would have given; a footnote, because it measures memory of fillings."""
    if not job.recipe.evaluation.rotation:
        return None
    rng, shuffled = job.rng(11), spectra.scan.copy()
    for target in range(len(spectra.classes)):
        rows = np.flatnonzero(spectra.targets == target)
        shuffled[rows] = rng.permutation(len(rows))
    mixed = replace(spectra, scan=shuffled, groups=np.arange(len(shuffled)))  # whichever of them the split goes by
    split = job.split(mixed)
    trained = train_ensemble(job, mixed, split, progress, what="random split")
    plain = resample(mixed.values[split.test], mixed.axis, job.grid).astype(np.float32)
    logits, _ = torch_outputs(trained.identifier, plain)
    svm, _ = baseline_on(job, mixed, split, "SVM", False)
    return {"network": round(float((logits.argmax(1) == mixed.targets[split.test]).mean()), 5), "SVM": round(svm[0], 5)}


def _agreement(
    final: Mapping[str, Answers],
    by_torch: Mapping[str, Answers],
    raw: Mapping[str, tuple[Rows, Rows]],
    torch_raw: Mapping[str, tuple[Rows, Rows]],
    others: tuple[str, ...],
) -> dict[str, Any]:
    names = ["held-out", *others]
    same = np.concatenate([final[n].same_as(by_torch[n]) for n in names])
    off = max(float(np.abs(raw[n][0] - torch_raw[n][0]).max()) for n in names)
    return {
        "spectra": len(same),
        "same_outcome_and_label": round(float(same.mean()), 6),
        "largest_logit_difference": round(off, 5),
    }


def _headline(job: Job, result: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers that the manifest carries."""
    point = result["operating_points"][job.recipe.default_preset]
    names, held = job.recipe.data, result["figures"]["held-out"]
    return {
        "held_out_accuracy": result["accuracy"][BUNDLE]["shipped"][0],
        "held_out_accuracy_all_blocks": result["accuracy"][BUNDLE]["mean"][0],
        "stress_accuracy": result["accuracy"][BUNDLE]["shipped"][1],
        "held_out_macro_f1": held["macro_f1"]["value"],
        "held_out_mcc": held["mcc"]["value"],
        "held_out_kappa": held["kappa"]["value"],
        "held_out_refused": point["held-out"]["refused"],
        "held_out_wrong_names": point["held-out"]["wrong"],
        "others_refused": _refused_of_all([point[name] for name in names.outsiders]),
        "near_others_refused": _refused_of_all([point[name] for name in names.near_outsiders]),
        "int8_and_float_same_outcome": result["agreement"]["same_outcome_and_label"],
        "intervals": {name: [held[name]["low"], held[name]["high"]] for name in held},
        "criteria_missed": [row["name"] for row in result["acceptance"] if row["met"] is False],
    }


def _refused_of_all(sets: list[Mapping[str, Any]]) -> float | None:
    """The share of all spectra of some sets that was given no name; None where there are none."""
    spectra = sum(one["spectra"] for one in sets)
    return round(sum(one["refused"] * one["spectra"] for one in sets) / spectra, 6) if spectra else None


def _save_plot_data(
    job: Job,
    answers: Mapping[str, Answers],
    raw: Mapping[str, tuple[Rows, Rows]],
    manifest: Manifest,
    truth: NDArray[np.int64],
    runs: list[dict[str, Any]],
) -> None:
    rotated = [run for run in runs if run["kind"] == "rotation"]
    judged = [(answers["held-out"], truth), *((run["answers"], run["truth"]) for run in rotated)]
    arrays = {
        "truth": np.concatenate([t for _, t in judged]),
        "best": np.concatenate([a.best for a, _ in judged]),
        "probability": np.concatenate([a.probability for a, _ in judged]),
    }
    for name in ("held-out", *job.outsiders):
        arrays[f"distance {name}"] = gate_distances(manifest, raw[name][1])
    stress = [gate_distances(manifest, raw[name][1]) for name in raw if name.startswith("session ")]
    arrays["distance stress sessions"] = np.concatenate(stress)
    np.savez(job.path("trial.npz"), **arrays)  # type: ignore[arg-type]  # numpy types no keyword arrays
