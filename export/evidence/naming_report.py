"""The report that travels in the bundle: one HTML file without anything from outside, every number from this run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np

from edged.infer.verdict import Preset
from export import plots
from export.data.augment import resample
from export.data.catalogue import known_set
from export.data.split import Blocks
from export.evidence.amounts_report import dose_page
from export.evidence.limits import naming_limits
from export.evidence.parts import (
    acceptance,
    candidates_table,
    class_metrics,
    golden_vectors,
    hashes,
    indented,
    intended_use,
    interval,
    known_limits,
)
from export.job import Job
from export.manifest import data_sheet
from export.page import QUICK, Code, Heading, Page, Part, Picture, Table, Text
from export.quantise.chosen import scheme_of_others
from export.trial.naming import BUNDLE
from export.trial.sensitivity import BAND_FWHM_NM, BAND_NM
from export.trial.sessions import in_words

PRESETS = get_args(Preset)


def report(job: Job) -> dict[str, Any]:
    """Stage: leave report.html."""
    page = dose_page(job) if job.tells_amounts else report_page(job)
    job.path("report.html").write_text(page, encoding="utf-8")
    return {"size_bytes": len(page.encode())}


def report_page(job: Job) -> str:
    """Return the page."""
    found, spectra = job.read_json("trial.json"), job.spectra()
    with np.load(job.need("trial.npz")) as file:
        arrays = {name: file[name] for name in file.files}
    recipe, preset = job.recipe, job.recipe.default_preset
    groups = {name.removeprefix("distance "): values for name, values in arrays.items() if name.startswith("distance ")}
    means = np.stack([spectra.values[spectra.targets == c].mean(axis=0) for c in range(len(spectra.classes))])
    parts: list[Part] = [
        *([QUICK] if job.quick else []),
        *intended_use(job),
        _purpose(job, len(spectra.classes)),
        _headline(found),
        *acceptance(job, found["acceptance"]),
        *known_limits(naming_limits(job, found)),
        Heading("Figures with their intervals"),
        *class_metrics(job, found["figures"]),
        Heading("Accuracy"),
        *_accuracy(job, found),
        Heading("Operating points"),
        *_points(found, preset),
        *_rotation(found["rotation"]),
        Heading("One change at a time"),
        *_sensitivity(found["sensitivity"]),
        Heading("Confusion"),
        Text(f"Most likely class, gates aside, by models new to the block; {len(arrays['truth'])} spectra."),
        Picture("confusion.png", "confusion matrix", plots.confusion(arrays["truth"], arrays["best"], spectra.classes)),
        Heading("Spectra of other things"),
        *_others(job, found, preset),
        Picture("distances.png", "gate distances", plots.distances(groups, found["gate_limits"])),
        *_verify(found["verify"]),
        Heading("Calibration"),
        Text(f"Temperature {found['temperature']:g}, fitted on augmented held-out copies. Bars: 95 % intervals."),
        Picture(
            "reliability.png",
            "reliability",
            plots.reliability(
                arrays["probability"],
                arrays["best"] == arrays["truth"],
                recipe.presets[preset].min_probability,
            ),
        ),
        *_trust(found["trust"]),
        Heading("Sets of classes"),
        *_promises(job.read_json("calibration.json")["sets"], spectra.classes),
        *_sets(found, spectra.classes),
        Heading("Quantisation"),
        *_quantisation(job, found),
        *golden_vectors(job),
        Heading("Training"),
        Picture("training.png", "training loss", plots.training(job.read_json("history.json")["losses"])),
        Heading("Spectra"),
        Picture(
            "means.png",
            "class means",
            plots.class_means(job.grid, resample(means, spectra.axis, job.grid), spectra.classes),
        ),
        Table(["class", "what it is"], [(label, spectra.title(label)) for label in spectra.classes]),
        *hashes(job),
        Heading("Data sheet"),
        Code(indented(data_sheet(job, spectra))),
    ]
    return Page(title=f"{recipe.name} {recipe.version}", parts=tuple(parts)).html()


def _purpose(job: Job, classes: int) -> Text:
    axis = job.recipe.axis
    return Text(
        f"Names {classes} classes ({job.source.title}) from {job.recipe.quantity} at {axis.start:g} to "
        f"{axis.stop:g} {axis.unit} ({axis.points} points), or says that a sample is none of them. "
        f"{'; '.join(job.source.instruments)}."
    )


def _headline(found: Mapping[str, Any]) -> Table:
    """The figures of the manifest, with the intervals of those that have one: summary key, text, its criterion."""
    summary, criteria = found["summary"], found["criteria"]
    names = (
        ("held_out_accuracy", "accuracy on the held-out block", "accuracy"),
        ("held_out_accuracy_all_blocks", "the same, each block held out in turn", "accuracy_all_blocks"),
        ("stress_accuracy", "the same block after simulated changes of session", "stress_accuracy"),
        ("held_out_refused", "held-out spectra wrongly refused", "wrong_refusals"),
        ("held_out_wrong_names", "held-out spectra given a wrong name", "wrong_names"),
        ("others_refused", "spectra of other things refused", "others_refused"),
        ("near_others_refused", "the same of the near ones, made of what the model knows", "near_others_refused"),
        ("int8_and_float_same_outcome", "same outcome and name, int8 graph and float torch", "same_outcome"),
    )
    shown = [
        (text, _percent(summary[key]), "–" if criteria[name] is None else interval(criteria[name], 100.0, 1))
        for key, text, name in names
        if summary[key] is not None
    ]
    return Table(["headline", "%", "95 % interval"], shown)


def _held_out(job: Job) -> str:
    words = job.recipe.data.split
    if isinstance(words, Blocks):
        return f"{words.scans} contiguous scans of each class"
    return f"one of {words.parts} parts, no group of which ({job.source.grouping}) is seen in training"


def _accuracy(job: Job, found: dict[str, Any]) -> list[Part]:
    rows = []
    for name, row in found["accuracy"].items():
        cells = [_percent(v) for v in row["shipped"]]
        sd = row["sd"] or [None] * 3
        cells += [
            _percent(m) + (f" ± {100 * s:.1f}" if s is not None else "") for m, s in zip(row["mean"], sd, strict=True)
        ]
        settings = ", ".join(f"{k} {v}" for k, v in row.get("settings", {}).items())
        rows.append((f"{name}{f' ({settings})' if settings else ''}", *cells))
    runs, words = max(row["runs"] for row in found["accuracy"].values()), job.recipe.evaluation
    header = ["model", "held out", "stress", "mild", "held out, all blocks", "stress", "mild"]
    parts: list[Part] = [
        Text(
            f"Held out: {_held_out(job)}. Stress: the same after simulated changes of session "
            f"({in_words(words.session, job.recipe.axis.unit)}); mild: after lesser ones "
            f"({in_words(words.mild_session, job.recipe.axis.unit)}). Most likely class, gates aside. Left: the "
            f"shipped split. Right: mean ± standard deviation of {runs} splits, each with another block held out. "
            "Baselines see the same preprocessing and are tuned by leaving out one development block at a time. The "
            "recipe was chosen with these spectra in sight: no figure here is that of a blind trial."
        ),
        Table(header, rows),
    ]
    scheme = job.read_json("quantise.json")["scheme"]
    if (others := scheme_of_others(scheme)) != scheme and (runs > 1 or words.seeds > 1):
        parts.append(
            Text(f"Models of the other splits and seeds are quantised as {others}: {scheme} is learned for one only.")
        )
    if seeds := found["accuracy"][BUNDLE]["seeds"]:
        sd = seeds["sd"] or [0.0] * 3
        shown = ", ".join(f"{_percent(m)} ± {100 * s:.1f}" for m, s in zip(seeds["mean"], sd, strict=True))
        parts.append(Text(f"The shipped split with {seeds['runs']} seeds: {shown} (block, stress, mild)."))
    if found["footnote"]:
        shown = ", ".join(f"{name} {_percent(share)} %" for name, share in found["footnote"].items())
        parts.append(Text(f"A random split would have said: {shown}. It puts scans of one filling on both sides."))
    return parts


def _points(found: dict[str, Any], default: str) -> list[Part]:
    rows = []
    for preset in (preset for preset in PRESETS if preset in found["operating_points"]):
        of = found["operating_points"][preset]
        for name in ("held-out", "mild sessions", "stress sessions"):
            s = of[name]
            shown = f"{preset}{' (default)' if preset == default else ''}: {name}"
            rows.append(
                (shown, *(_percent(s[key]) for key in ("right", "wrong", "refused", "not_in_scope", "inconclusive")))
            )
    header = ["preset: spectra", "right name", "wrong name", "refused", "of it not in scope", "inconclusive"]
    return [
        Text(
            "What the judge says of held-out spectra. Refused = no name is given; a wrong name is worse than none, and "
            "the presets trade one for the other."
        ),
        Table(header, rows),
    ]


def _rotation(rows: list[dict[str, Any]]) -> list[Part]:
    if not rows:
        return []
    shown = [(f"block {row['block']}", *(_percent(row[key]) for key in ("right", "wrong", "refused"))) for row in rows]
    return [
        Text("The same at the default preset with the other blocks held out, each by newly trained models:"),
        Table(["held out", "right name", "wrong name", "refused"], shown),
    ]


def _sensitivity(rows: dict[str, dict[str, float]]) -> list[Part]:
    keys = ("accuracy", "accuracy_all_blocks", "right", "wrong", "refused")
    header = ["held-out block with", "accuracy", "the same, all blocks", "right name", "wrong name", "refused"]
    shown = [(name, *(_percent(row[key]) for key in keys)) for name, row in rows.items()]
    return [
        Text(
            f"The water band is a Gaussian at {BAND_NM:g} nm, {BAND_FWHM_NM:g} nm wide at half its height; the noise "
            "is white. Accuracy is that of the most likely class; names and refusals are those of the default preset."
        ),
        Table(header, shown),
    ]


def _others(job: Job, found: dict[str, Any], default: str) -> list[Part]:
    presets = [preset for preset in PRESETS if preset in found["operating_points"]]
    rows = []
    for name in job.outsiders:
        what = known_set(name).title
        shares = [found["operating_points"][preset][name] for preset in presets]
        rows.append((f"{name}: {what}", *(_percent(share["refused"]) for share in shares)))
    header = ["refused at"] + [f"{preset}{' (default)' if preset == default else ''}" for preset in presets]
    near = ", ".join(job.recipe.data.near_outsiders)
    note = Text(
        f"{near}: made of what the model knows, in shares that it does not; many may lie as close to a class as its "
        "own preparations do."
    )
    return [Table(header, rows), *([note] if near else [])]


def _verify(rows: dict[str, dict[str, Any]]) -> list[Part]:
    if not rows:
        return []
    tested = next(iter(rows.values()))["p_value"] is not None
    shown = [
        (
            label,
            _percent(row["true_pass"]),
            _percent(row["true_fail"]),
            row["neighbour"],
            _percent(row["neighbour_pass"]),
            f"{100 * row['probability']:.2g} of {100 * row['probability_needed']:.3g}",
            *([f"{row['p_value']:.2g} of {row['p_value_needed']:g}", f"{row['distance']:.2f}"] if tested else []),
        )
        for label, row in rows.items()
    ]
    header = ["claimed class", "own spectra pass", "own spectra fail", "nearest neighbour", "its spectra pass"]
    header += ["its closest: probability, % of what is needed"]
    header += ["p of what is needed", "distance, allowed is 1"] if tested else []
    return [
        Heading("Verify"),
        Text(
            "Held-out spectra at the default preset: true claims, and the challenge by the nearest neighbour. That is "
            "the other class whose spectra pass most often under the claim; where they pass as often, or none does, "
            f"the one with the spectrum that comes closest, by its {'distance' if tested else 'probability'}: the last "
            "columns are of that spectrum."
        ),
        Table(header, shown),
    ]


def _trust(found: dict[str, Any]) -> list[Part]:
    rows = [
        (
            name,
            str(row["spectra"]),
            *(f"{100 * row[when]['ece']:.2f}" for when in ("before", "after")),
            *(f"{row[when]['brier']:.4f}" for when in ("before", "after")),
        )
        for name, row in found.items()
    ]
    header = ["spectra", "number", "ECE, %", "with temperature", "Brier", "with temperature"]
    return [Text("ECE: expected calibration error of the most likely class, 15 bins."), Table(header, rows)]


def _promises(behind: dict[str, Any], classes: Sequence[str]) -> list[Part]:
    rows = [
        (
            preset,
            f"{100 * one['asked']:g}",
            f"{100 * one['promised']:.3g}",
            f"{one['units']} ({one['spectra']})",
            ", ".join(classes[column] for column in one["own"]) or "none: all pooled",
            str(one["instruments"]),
        )
        for preset in PRESETS
        if (one := behind.get(preset))
    ]
    heads = ["preset", "asked, %", "promised, %", "preparations (spectra)"]
    return [
        Text(
            "A set of classes is to hold the true one with the coverage that is asked for. It is calibrated on "
            "held-out spectra and on changed copies of them, whichever needs more, and counts preparations, not scans: "
            "scans of one filling are alike. More than these can promise is not promised. The promise is for the "
            "classes together, on all instruments; a class, or an instrument, has one of its own where its "
            "preparations are enough: where none has, quantiles are those of all. It is for spectra like those that "
            "calibrated, and for sessions that change no more than the copies do."
        ),
        Table([*heads, "classes with their own", "instruments with their own"], rows),
    ]


def _sets(found: dict[str, Any], classes: Sequence[str]) -> list[Part]:
    tables = {kind: row["sets"] for kind, row in found["trust"].items()}
    if found["rotation"]:
        tables |= {f"{kind}, all blocks": sets for kind, sets in found["trust_all_blocks"].items()}
    rows = []
    for kind, one in ((kind, one) for kind, sets in tables.items() for one in sets):
        worst, column = min((share, column) for column, share in one["by_class"].items())
        rows.append(
            (
                kind,
                f"{100 * one['asked']:g}",
                f"{100 * one['promised']:.3g}",
                f"{_percent(one['covered'])} ± {_percent(one['error'])}",
                f"{_percent(worst)} ({classes[int(column)]})",
                f"{one['mean_size']:.2f}",
                _percent(one["one"]),
            )
        )
    return [
        Text(
            "Sets on what calibrated nothing: covered, with its standard error over preparations, or over blocks where "
            "all are held out in turn; of the class that fares worst; mean size; and the share that names one class "
            "only."
        ),
        Table(["spectra", "asked, %", "promised, %", "covered, %", "worst class", "mean size", "one class, %"], rows),
    ]


def _quantisation(job: Job, found: dict[str, Any]) -> list[Part]:
    agreement = found["agreement"]
    return [
        Text(
            f"Against float torch, on {agreement['spectra']} held-out and foreign spectra: same outcome and name in "
            f"{_percent(agreement['same_outcome_and_label'])} %, largest difference of a logit "
            f"{agreement['largest_logit_difference']:.4f}. Against the float graph, on development and foreign spectra:"
        ),
        *candidates_table(job),
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
