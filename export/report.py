"""The report that travels in the bundle: one HTML file without anything from outside, every number from this run."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, get_args

import numpy as np

from edged.infer.verdict import Preset
from export import plots
from export.data.augment import resample
from export.data.catalogue import known_set
from export.data.split import Blocks
from export.dose_report import dose_page
from export.job import Job
from export.manifest import data_sheet
from export.sensitivity import BAND_FWHM_NM, BAND_NM
from export.trial import BUNDLE

PRESETS = get_args(Preset)
STYLE = """body{font:15px/1.5 system-ui,sans-serif;color:#1f2933;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.2rem;border-bottom:1px solid #d8dee4;padding-bottom:.2rem}
table{border-collapse:collapse;margin:.8rem 0;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .8rem;text-align:right;border-bottom:1px solid #e4e9ee}
th:first-child,td:first-child{text-align:left}
caption,.note{color:#52606d;font-size:.9rem;text-align:left}
img{max-width:100%}code,pre{font-size:.85rem;background:#f4f6f8}pre{padding:.8rem;overflow:auto}
.warn{background:#fff4e5;padding:.6rem 1rem}"""


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
    title = f"{recipe.name} {recipe.version}"
    groups = {name.removeprefix("distance "): values for name, values in arrays.items() if name.startswith("distance ")}
    means = np.stack([spectra.values[spectra.targets == c].mean(axis=0) for c in range(len(spectra.classes))])
    parts = [
        f"<h1>{escape(title)}</h1>",
        "<p class=warn>Quick build for tests: small network, few epochs, not for use.</p>" if job.quick else "",
        _purpose(job, len(spectra.classes)),
        _headline(found["summary"]),
        "<h2>Accuracy</h2>",
        _accuracy(job, found),
        "<h2>Operating points</h2>",
        _points(found, preset),
        _rotation(found["rotation"]),
        "<h2>One change at a time</h2>",
        _sensitivity(found["sensitivity"]),
        "<h2>Confusion</h2>",
        f"<p>Most likely class, gates aside, by models new to the block; {len(arrays['truth'])} spectra.</p>",
        _image("confusion matrix", plots.confusion(arrays["truth"], arrays["best"], spectra.classes)),
        "<h2>Spectra of other things</h2>",
        _others(job, found, preset),
        _image("gate distances", plots.distances(groups, found["gate_limits"])),
        _verify(found["verify"]),
        "<h2>Calibration</h2>",
        f"<p>Temperature {found['temperature']:g}, fitted on augmented held-out copies. Bars: 95 % intervals.</p>",
        _image(
            "reliability",
            plots.reliability(
                arrays["probability"],
                arrays["best"] == arrays["truth"],
                recipe.presets[preset].min_probability,
            ),
        ),
        _trust(found["trust"]),
        "<h2>Sets of classes</h2>",
        _promises(job.read_json("calibration.json")["sets"], spectra.classes),
        _sets(found, spectra.classes),
        "<h2>Quantisation</h2>",
        _quantisation(job, found),
        "<h2>Training</h2>",
        _image("training loss", plots.training(job.read_json("history.json")["losses"])),
        "<h2>Spectra</h2>",
        _image(
            "class means",
            plots.class_means(job.grid, resample(means, spectra.axis, job.grid), spectra.classes),
        ),
        _table(["class", "what it is"], [(label, spectra.title(label)) for label in spectra.classes]),
        "<h2>Data sheet</h2>",
        f"<pre>{escape(indented(data_sheet(job, spectra)))}</pre>",
    ]
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title><style>{STYLE}</style>"
        + "\n".join(part for part in parts if part)
        + "</html>\n"
    )


def _purpose(job: Job, classes: int) -> str:
    axis = job.recipe.axis
    return (
        f"<p>Names {classes} classes ({escape(job.source.title)}) from {job.recipe.quantity} at {axis.start:g} to "
        f"{axis.stop:g} {axis.unit} ({axis.points} points), or says that a sample is none of them. "
        f"{escape('; '.join(job.source.instruments))}.</p>"
    )


def _headline(summary: dict[str, float]) -> str:
    names = {
        "held_out_accuracy": "accuracy on the held-out block",
        "held_out_accuracy_all_blocks": "the same, each block held out in turn",
        "stress_accuracy": "the same block after simulated changes of session",
        "held_out_refused": "held-out spectra wrongly refused",
        "held_out_wrong_names": "held-out spectra given a wrong name",
        "others_refused": "spectra of other things refused",
        "near_others_refused": "the same of the near ones, made of what the model knows",
        "int8_and_float_same_outcome": "same outcome and name, int8 graph and float torch",
    }
    shown = [(text, _percent(summary[key])) for key, text in names.items() if summary[key] is not None]
    return _table(["headline", "%"], shown)


def _held_out(job: Job) -> str:
    words = job.recipe.data.split
    if isinstance(words, Blocks):
        return f"{words.scans} contiguous scans of each class"
    return f"one of {words.parts} parts, no group of which ({escape(job.source.grouping)}) is seen in training"


def _accuracy(job: Job, found: dict[str, Any]) -> str:
    rows = []
    for name, row in found["accuracy"].items():
        cells = [_percent(v) for v in row["shipped"]]
        sd = row["sd"] or [None] * 3
        cells += [
            _percent(m) + (f" ± {100 * s:.1f}" if s is not None else "") for m, s in zip(row["mean"], sd, strict=True)
        ]
        settings = ", ".join(f"{k} {v}" for k, v in row.get("settings", {}).items())
        rows.append((f"{name}{f' ({settings})' if settings else ''}", *cells))
    runs = max(row["runs"] for row in found["accuracy"].values())
    text = (
        f"<p>Held out: {_held_out(job)}. Stress: the same after simulated changes of "
        "session (axis by half a point, gain curve of 1.5 %, offset, slope, noise); mild: two fifths of that. Most "
        "likely class, gates aside. Left: the shipped split. Right: mean ± standard deviation of "
        f"{runs} splits, each with another block held out. Baselines see the same preprocessing and are tuned "
        "by leaving out one development block at a time. The recipe was chosen with these spectra in sight: no figure "
        "here is that of a blind trial.</p>"
    )
    seeds = found["accuracy"][BUNDLE]["seeds"]
    spread = ""
    if seeds:
        sd = seeds["sd"] or [0.0] * 3
        shown = ", ".join(f"{_percent(m)} ± {100 * s:.1f}" for m, s in zip(seeds["mean"], sd, strict=True))
        spread = f"<p class=note>The shipped split with {seeds['runs']} seeds: {shown} (block, stress, mild).</p>"
    footnote = ""
    if found["footnote"]:
        shown = ", ".join(f"{name} {_percent(share)} %" for name, share in found["footnote"].items())
        footnote = (
            f"<p class=note>A random split would have said: {shown}. It puts scans of one filling on both sides.</p>"
        )
    header = ["model", "held out", "stress", "mild", "held out, all blocks", "stress", "mild"]
    return text + _table(header, rows) + spread + footnote


def _points(found: dict[str, Any], default: str) -> str:
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
    return (
        "<p>What the judge says of held-out spectra. Refused = no name is given; a wrong name is worse than "
        "none, and the presets trade one for the other.</p>" + _table(header, rows)
    )


def _rotation(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    shown = [(f"block {row['block']}", *(_percent(row[key]) for key in ("right", "wrong", "refused"))) for row in rows]
    return (
        "<p>The same at the default preset with the other blocks held out, each by newly trained models:</p>"
        + _table(["held out", "right name", "wrong name", "refused"], shown)
    )


def _sensitivity(rows: dict[str, dict[str, float]]) -> str:
    keys = ("accuracy", "accuracy_all_blocks", "right", "wrong", "refused")
    header = ["held-out block with", "accuracy", "the same, all blocks", "right name", "wrong name", "refused"]
    shown = [(name, *(_percent(row[key]) for key in keys)) for name, row in rows.items()]
    return (
        f"<p>The water band is a Gaussian at {BAND_NM:g} nm, {BAND_FWHM_NM:g} nm wide at half its height; the noise is "
        "white. Accuracy is that of the most likely class; names and refusals are those of the default preset.</p>"
        + _table(header, shown)
    )


def _others(job: Job, found: dict[str, Any], default: str) -> str:
    presets = [preset for preset in PRESETS if preset in found["operating_points"]]
    rows = []
    for name in job.outsiders:
        what = known_set(name).title
        shares = [found["operating_points"][preset][name] for preset in presets]
        rows.append((f"{name}: {what}", *(_percent(share["refused"]) for share in shares)))
    header = ["refused at"] + [f"{preset}{' (default)' if preset == default else ''}" for preset in presets]
    near = ", ".join(job.recipe.data.near_outsiders)
    note = (
        f"<p class=note>{escape(near)}: made of what the model knows, in shares that it does not; many may lie as "
        "close to a class as its own preparations do.</p>"
        if near
        else ""
    )
    return _table(header, rows) + note


def _verify(rows: dict[str, dict[str, Any]]) -> str:
    if not rows:
        return ""
    near = "neighbour_pass"
    shown = [
        (label, _percent(row["true_pass"]), _percent(row["true_fail"]), row["neighbour"], _percent(row[near]))
        for label, row in rows.items()
    ]
    header = ["claimed class", "own spectra pass", "own spectra fail", "nearest neighbour", "its spectra pass"]
    return (
        "<h2>Verify</h2><p>Held-out spectra at the default preset: true claims, and the other class that passes most "
        "often under the claim.</p>" + _table(header, shown)
    )


def _trust(found: dict[str, Any]) -> str:
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
    return "<p>ECE: expected calibration error of the most likely class, 15 bins.</p>" + _table(header, rows)


def _promises(behind: dict[str, Any], classes: Sequence[str]) -> str:
    rows = [
        (
            preset,
            f"{100 * one['asked']:g}",
            f"{100 * one['promised']:.3g}",
            f"{one['units']} ({one['spectra']})",
            ", ".join(classes[column] for column in one["own"]) or "none",
        )
        for preset in PRESETS
        if (one := behind.get(preset))
    ]
    return (
        "<p>A set of classes is to hold the true one with the coverage that is asked for. It is calibrated on held-out "
        "spectra and on changed copies of them, whichever needs more, and counts preparations, not scans: scans of one "
        "filling are alike. More than these can promise is not promised. The promise is for the classes together; a "
        "class has one of its own where its preparations are enough. It is for spectra like those that calibrated, and "
        "for sessions that change no more than the copies do.</p>"
        + _table(["preset", "asked, %", "promised, %", "preparations (spectra)", "classes with their own"], rows)
    )


def _sets(found: dict[str, Any], classes: Sequence[str]) -> str:
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
    return (
        "<p>Sets on what calibrated nothing: covered, with its standard error over preparations, or over blocks where "
        "all are held out in turn; of the class that fares worst; mean size; and the share that names one class only."
        "</p>"
        + _table(["spectra", "asked, %", "promised, %", "covered, %", "worst class", "mean size", "one class, %"], rows)
    )


def _quantisation(job: Job, found: dict[str, Any]) -> str:
    variants, agreement = job.read_json("quantise.json"), found["agreement"]
    rows = [
        (
            v["scheme"] + (" (this bundle)" if v["scheme"] == variants["scheme"] else ""),
            f"{v['file_bytes'] / 1024:.0f}",
            f"{v['packed_bytes'] / 1024:.0f}",
            _percent(v["same_class"]),
            f"{v['largest_logit_difference']:.4f}",
        )
        for v in variants["variants"]
    ]
    return (
        f"<p>Against float torch, on {agreement['spectra']} held-out and foreign spectra: same outcome "
        f"and name in {_percent(agreement['same_outcome_and_label'])} %, largest difference of a logit "
        f"{agreement['largest_logit_difference']:.4f}.</p>"
        + _table(["graph", "KiB", "KiB packed", "same class as float, %", "largest logit difference"], rows)
    )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _image(alternative: str, png: bytes) -> str:
    return f'<p><img alt="{escape(alternative)}" src="data:image/png;base64,{base64.b64encode(png).decode()}"></p>'


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def indented(value: Any, depth: int = 0) -> str:
    """A data sheet as indented text."""
    pad = "  " * depth
    if isinstance(value, dict):
        return "".join(
            f"{pad}{key}:\n{indented(inner, depth + 1)}"
            if isinstance(inner, (dict, list))
            else f"{pad}{key}: {inner}\n"
            for key, inner in value.items()
        )
    return "".join(
        f"{pad}-\n{indented(inner, depth + 1)}" if isinstance(inner, dict) else f"{pad}- {inner}\n" for inner in value
    )
