"""Measure what will be shipped: the bundle itself, run and judged by the daemon's own code, on what nothing has learnt
from: real mixtures, pure scans that were held out, mixtures made of those, and spectra of other things."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edged.bundle.archive import Bundle
from edged.infer.engine import Engine, Outputs
from edged.infer.verdict import Preset
from export.acceptance import judged
from export.compare import run_all, session
from export.components.answers import Told, summary, told
from export.components.figures import MADE, MIXED, PURE, Say, by_kind, criteria_of, figures_of
from export.components.job import ComponentsJob
from export.components.pack import draft
from export.components.reliability import reliability_of
from export.components.strangers import as_table, counted, hosts_of, lots_of
from export.components.trials import Trial
from export.data.mixtures.library import library_of
from export.data.mixtures.synthesise import synthesise
from export.errors import VerificationFailed
from export.progress import Report
from export.trial.sessions import rows_of

SAME_SETS = 0.995  # of int8 and float, as every bundle promises
HELD_OUT = "scans that were held out of everything"
CHOSEN_ON = "scans that the members had not seen, and limits were chosen on"
SAME_SCANS = "the very scans that were learnt from, so that these figures flatter"
CARRIED = {  # in the manifest: figures by kind of spectra
    PURE: ("exact",),
    MIXED: ("exact", "precision", "recall", "f1", "macro_f1", "mcc", "kappa", "false_names"),
    MADE: ("exact", "recall", "false_names"),
}
Rows = NDArray[np.float32]


def trial(job: ComponentsJob, progress: Report) -> dict[str, Any]:
    """Stage: leave trial.json (every number of the report) and trial.npz (what its plots are drawn from).

    Raises VerificationFailed where int8 and float name other compounds too often.
    """
    bundle = draft(job)
    presets = bundle.manifest.presets
    trials, outsiders = job.trials(), job.outsiders()
    lots = {one.name: rows_of(one.spectra, bundle.manifest)[one.rows] for one in (*trials, *outsiders)}
    lots[MADE], present = _made(job)
    engine, in_float = Engine.load(bundle), session(job.need("float.onnx").read_bytes())
    default = bundle.manifest.default_preset
    said: dict[str, dict[Preset, Told]] = {}
    same: dict[str, NDArray[np.bool_]] = {}
    off = 0.0
    for done, (name, rows) in enumerate(lots.items()):
        progress("judging", done, len(lots))
        out, reference = engine.run(rows), run_all(in_float, rows)  # of the made ones last
        said[name] = {preset: told(bundle, out, preset) for preset in presets}
        off = max(off, _apart(out, reference))
        same[name] = said[name][default].same_as(told(bundle, reference, default))
    progress("judging", len(lots), len(lots))
    if len(lots) > 1 and made_of(job) == SAME_SCANS:
        del same[MADE]  # of what was learnt from int8 says what float says sooner than of anything else
    agreement = float(np.concatenate(list(same.values())).mean())
    figures = figures_of(by_kind(trials, said, default, present), job.library.names, job.rng(61))
    criteria = criteria_of(figures, trials, outsiders, said, default, same)
    result: dict[str, Any] = {
        "quick": job.quick,
        "sets": {one.name: _set(job, bundle, one, said[one.name]) for one in trials},
        "outsiders": {one.name: _outsiders(said[one.name]) for one in outsiders},
        "agreement": {
            "spectra": sum(map(len, same.values())),
            "real": sum(map(len, (*trials, *outsiders))),
            "same_sets": agreement,
            "largest_logit_difference": off,
        },
        "strangers": _strangers(job, bundle, engine, trials, outsiders, progress),
        "made": {p: summary(of, present, np.arange(len(present))) for p, of in said[MADE].items()},
        "fractions": _fractions(job, trials, said) if job.recipe.fractions is not None else {},
        "figures": figures,
        "criteria": criteria,
        "acceptance": judged(job.recipe.acceptance, criteria),
        "reliability": reliability_of(job, out.logits, present),
    }
    result["summary"] = _headline(result)
    job.write_json("trial.json", result)
    np.savez(job.path("trial.npz"), **_arrays(job, trials, said))  # type: ignore[arg-type]  # numpy types no keywords
    if agreement < SAME_SETS and not job.quick:
        raise VerificationFailed(
            f"int8 and float say the same of {100 * agreement:.2f} % of {result['agreement']['spectra']} spectra",
            hint=f"at least {100 * SAME_SETS:g} %: scheme float, or a longer schooling",
        )
    return dict(result["summary"])


def made_of(job: ComponentsJob) -> str:
    """Return of what the mixtures are made that the bundle is tried on: the best that is at hand."""
    if job.tested.any():
        return HELD_OUT
    return CHOSEN_ON if job.recipe.is_bank else SAME_SCANS


def _made(job: ComponentsJob) -> tuple[Rows, NDArray[np.bool_]]:
    """These mixtures, on the grid, and what they hold."""
    library = {
        HELD_OUT: lambda: library_of(job.spectra, np.flatnonzero(job.tested)).of(job.library.names),
        CHOSEN_ON: lambda: job.parts[0].held,
        SAME_SCANS: lambda: job.library,
    }[made_of(job)]()
    made = synthesise(library, job.recipe.synthesis, job.recipe.held_out.trying, job.rng(40), grid=job.grid)
    return made.values, made.present


def _set(job: ComponentsJob, bundle: Bundle, one: Trial, said: Mapping[Preset, Told]) -> dict[str, Any]:
    """Figures of one set: of pure scans, of mixtures, label by label; and of those of which nobody tells what they
    hold."""
    groups = one.spectra.groups[one.rows]
    kinds = {
        "pure": one.told & (one.present.sum(axis=1) == 1),
        "mixtures": one.told & (one.present.sum(axis=1) > 1),
    }
    found: dict[str, Any] = {}
    for kind, rows in kinds.items():
        if rows.any():
            found[kind] = {p: summary(_of(of, rows), one.present[rows], groups[rows]) for p, of in said.items()}
    default = said[bundle.manifest.default_preset]
    labels = one.labels
    told_of = list(dict.fromkeys(labels[one.told].tolist()))
    found["labels"] = {label: _label(job, one, default, labels == label) for label in told_of}
    if (untold := ~one.told).any():
        found["untold"] = {p: _counts(_of(of, untold)) for p, of in said.items()}
    return found


def _label(job: ComponentsJob, one: Trial, said: Told, rows: NDArray[np.bool_]) -> dict[str, Any]:
    """How often each compound is told in the spectra of one label, and its median share."""
    names, present = job.library.names, one.present[rows][0]
    shares = said.shares[rows]
    medians = [float(np.nanmedian(column)) if np.isfinite(column).any() else None for column in shares.T]
    return {
        "spectra": int(rows.sum()),
        "holds": [name for name, there in zip(names, present, strict=True) if there],
        "exact": float((said.found[rows] == present).all(axis=1).mean()),
        "told": dict(zip(names, said.found[rows].mean(axis=0).tolist(), strict=True)),
        "share": dict(zip(names, medians, strict=True)),
        "unknown": float(said.unknown[rows].mean()),
    }


def _counts(said: Told) -> dict[str, Any]:
    """Of spectra of which nobody tells what they hold: how many compounds are told, how large the rests are."""
    numbers = np.bincount(said.found.sum(axis=1)).tolist()
    fitted = said.rest[np.isfinite(said.rest)]
    return {
        "spectra": len(said.outcome),
        "compounds_told": {str(count): number for count, number in enumerate(numbers)},
        "resolved": float((said.outcome == "resolved").mean()),
        "unknown": float(said.unknown.mean()),
        "rest_quartiles": np.quantile(fitted, [0.25, 0.5, 0.75]).tolist() if len(fitted) else [],
    }


def _outsiders(said: Mapping[Preset, Told]) -> dict[str, Any]:
    return {
        preset: {
            "spectra": len(of.outcome),
            "refused": float((of.outcome != "resolved").mean()),
            "unknown": float(of.unknown.mean()),
        }
        for preset, of in said.items()
    }


def _strangers(
    job: ComponentsJob,
    bundle: Bundle,
    engine: Engine,
    trials: tuple[Trial, ...],
    outsiders: tuple[Trial, ...],
    progress: Report,
) -> dict[str, Any]:
    """What is told of real spectra with a stranger inside, by set, law and share. Nothing where no set is at hand."""
    if not outsiders:
        return {}
    hosts = hosts_of(job, trials)
    lots, found = lots_of(job, hosts, outsiders), {}
    for done, (which, rows) in enumerate(lots.items()):
        progress("judging with strangers inside", done, len(lots))
        out = engine.run(rows)
        found[which] = counted({preset: told(bundle, out, preset) for preset in bundle.manifest.presets}, hosts.present)
    progress("judging with strangers inside", len(lots), len(lots))
    return as_table(found, hosts)


def _fractions(job: ComponentsJob, trials: tuple[Trial, ...], said: Say) -> dict[str, Any]:
    """Errors of told fractions of scans that taught none, and how many intervals hold the true one."""
    assert job.recipe.fractions is not None
    found: dict[str, Any] = {}
    for one in trials:
        rows = _untaught(job, one) & (one.present.sum(axis=1) > 1)
        if rows.any():
            found[one.name] = {
                p: _errors(_of(said[one.name][p], rows), one.fractions[rows], job.library.names)
                for p in job.recipe.fractions.coverage
            }
    return found


def _untaught(job: ComponentsJob, one: Trial) -> NDArray[np.bool_]:
    """Which spectra have stated fractions and taught none of them."""
    stated = np.isfinite(one.fractions).all(axis=1)
    words = job.recipe.fractions
    if words is not None and one.name in words.taught_by:
        stated = stated & job.held_out(one)
    return np.asarray(stated, dtype=np.bool_)


def _errors(said: Told, truth: NDArray[np.float64], names: tuple[str, ...]) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for column, name in enumerate(names):
        told_of = said.found[:, column] & (truth[:, column] > 0.0)
        if told_of.any():
            off = said.shares[told_of, column] - truth[told_of, column]
            inside = (said.low[told_of, column] <= truth[told_of, column]) & (
                truth[told_of, column] <= said.high[told_of, column]
            )
            rows[name] = {
                "told": int(told_of.sum()),
                "rmse": float(np.sqrt(np.mean(off**2))),
                "bias": float(off.mean()),
                "covered": float(inside.mean()),
            }
    return rows


def _headline(result: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers that the manifest carries, at the default preset."""
    agreement, figures, criteria = result["agreement"], result["figures"], result["criteria"]
    found: dict[str, Any] = {
        "int8_and_float_same_sets": round(agreement["same_sets"], 6),
        "int8_and_float_spectra": agreement["spectra"],
        "int8_and_float_real_spectra": agreement["real"],
    }
    for kind, names in CARRIED.items():
        if kind in figures:
            found |= {f"{kind.replace(' ', '_')}_{name}": figures[kind]["sets"][name]["value"] for name in names}
    if criteria["others_refused"] is not None:
        found["others_refused"] = criteria["others_refused"]["value"]
    return {
        **found,
        "intervals": {name: [of["low"], of["high"]] for name, of in criteria.items() if of is not None},
        "criteria_missed": [row["name"] for row in result["acceptance"] if row["met"] is False],
    }


def _arrays(job: ComponentsJob, trials: tuple[Trial, ...], said: Say) -> dict[str, NDArray[Any]]:
    """Fractions told and true of scans that taught none, for a plot; rests of all sets."""
    preset = job.recipe.default_preset
    arrays: dict[str, NDArray[Any]] = {f"rest {name}": of[preset].rest for name, of in said.items()}
    rows = [_untaught(job, one) for one in trials]
    nothing = np.empty((0, len(job.library.names)))
    arrays["true"] = np.concatenate([nothing, *(one.fractions[of] for one, of in zip(trials, rows, strict=True))])
    arrays["told"] = np.concatenate(
        [nothing, *(said[one.name][preset].shares[of] for one, of in zip(trials, rows, strict=True))]
    )
    return arrays


def _of(said: Told, rows: NDArray[np.bool_]) -> Told:
    return Told(**{name: getattr(said, name)[rows] for name in Told.__dataclass_fields__})


def _apart(one: Outputs, other: Outputs) -> float:
    return float(np.abs(one.logits.astype(np.float64) - other.logits).max())
