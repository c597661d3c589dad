"""The report that travels in a bundle of components: what it is for, what was promised before the test, what came out.

Every number is from what the stages have left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from edged.bundle.components import Components, OperatingPoint
from export import plots
from export.components.job import ComponentsJob
from export.components.limits import components_limits
from export.components.pack import data_sheet
from export.components.parts import figures, golden_vectors, hashes, reliability
from export.components.stages import load_table
from export.components.strangers import made_table_of, table_of
from export.components.trial import made_of
from export.data.catalogue import known_set
from export.evidence.parts import acceptance, indented, intended_use, known_limits
from export.page import QUICK, Code, Heading, Page, Part, Picture, Table, Text


def report(job: ComponentsJob) -> dict[str, Any]:
    """Stage: leave report.html."""
    page = report_page(job)
    job.path("report.html").write_text(page, encoding="utf-8")
    return {"size_bytes": len(page.encode())}


def report_page(job: ComponentsJob) -> str:
    """Return the page."""
    found, evidence, table = job.read_json("trial.json"), job.read_json("calibration.json"), load_table(job)
    recipe, sheet = job.recipe, data_sheet(job)
    parts: list[Part] = [
        *([QUICK] if job.quick else []),
        *intended_use(job),
        Text(_what(job)),
        Heading("In short"),
        _headline(found["summary"], recipe.default_preset),
        *acceptance(job, found["acceptance"], digits=3),
        *known_limits(components_limits(job, found, evidence)),
        *figures(job, found["figures"]),
        Heading("What was promised on made mixtures"),
        Text(_promise(job)),
        *(_limits(preset, point, table) for preset, point in table.presets.items()),
        Text(_gate(job, evidence["gate"])),
        Heading("Detection limits"),
        *_detection(evidence, table),
        Picture("recall.png", "recall by visible share", plots.recall(_recall(evidence, table))),
        *(_made_strange(evidence["strangers"]) if "strangers" in evidence else []),
        Heading("Real mixtures"),
        Text(f"In sight of whoever wrote the recipe: {recipe.data.in_sight}."),
        *_real(job, found),
    ]
    parts += [
        Heading("Made mixtures"),
        Text(f"Made of {made_of(job)}. Others than those that limits were chosen and tried on."),
        _rates(found["made"].items()),
    ]
    if found["outsiders"]:
        parts += [Heading("Spectra of other things"), _outsiders(found["outsiders"], list(table.presets))]
    if found["strangers"]:
        parts += [Heading("Strangers inside"), *_strangers(found["strangers"])]
    if found["fractions"]:
        parts += [Heading("Fractions by mass"), *_fractions(job, found, evidence)]
    parts += [
        Heading("Quantisation"),
        Text(_quantisation(job, found)),
        *reliability(found["reliability"], made_of(job)),
        *golden_vectors(job),
        Heading("Schooling"),
        Picture("training.png", "training loss", plots.training(job.read_json("history.json")["losses"])),
        *hashes(sheet),
        Heading("Data sheet"),
        Code(indented(sheet)),
    ]
    return Page(title=f"{recipe.name} {recipe.version}", parts=tuple(parts)).html()


def _what(job: ComponentsJob) -> str:
    axis = job.recipe.axis
    return (
        f"It knows {len(job.library.names)} compounds: {', '.join(job.library.names)}. It "
        f"reads {job.recipe.quantity} at {axis.start:g} to {axis.stop:g} {axis.unit} ({axis.points} points). "
        f"{'; '.join(job.source.instruments)}. Conditions: {job.source.conditions}."
    )


def _headline(summary: Mapping[str, float], preset: str) -> Table:
    names = {
        "real_mixtures_exact": "real mixtures with every compound and no other",
        "real_mixtures_f1": "F1 of compounds in real mixtures",
        "real_mixtures_precision": "precision",
        "real_mixtures_recall": "recall",
        "made_mixtures_recall": "recall in made mixtures",
        "others_refused": "spectra of other things refused",
        "int8_and_float_same_sets": "same outcome and compounds, int8 and float",
    }
    rows = [(text, _percent(summary[key])) for key, text in names.items() if key in summary]
    counts = {"real_mixtures_false_names": "false names a real mixture", "made_mixtures_false_names": "the same, made"}
    rows += [(text, f"{summary[key]:.3f}") for key, text in counts.items() if key in summary]
    return Table([f"at {preset}, the default preset", "%, or names"], rows)


def _promise(job: ComponentsJob) -> str:
    recipe = job.recipe
    origin = (
        "mixtures made of the very scans that were learnt from, since each compound has too few: real samples differ "
        "more than these, and the limits flatter"
        if recipe.folds == 1
        else f"mixtures made of scans that the member, and the library that it is tried with, had not seen "
        f"({recipe.folds} parts, whole preparations together)"
    )
    return (
        f"Limits were chosen on {recipe.held_out.choosing:,} mixtures and tried on {recipe.held_out.trying:,} others: "
        f"{origin}. Named: how many of so many mixtures without a compound are said to hold it. The upper 95 % limit "
        "of that rate, summed over compounds, is under the target. The members were tried one by one; what ships is "
        "the mean of them."
    )


def _gate(job: ComponentsJob, found: Mapping[str, Any]) -> str:
    limits = ", ".join(f"{preset} {found['limit'] * by:.3g}" for preset, by in job.recipe.gate.slack.items())
    return (
        f"The gate, before anything is named: a spectrum that lies farther than a limit ({limits}) from the plane of "
        f"{found['dimensions']} dimensions in which made mixtures lie is not in scope. Of held-out mixtures "
        f"{_percent(found['wrongly_refused'])} % are farther than {found['limit']:.3g}."
    )


def _limits(preset: str, point: OperatingPoint, table: Components) -> Table:
    rows = []
    for column, compound in enumerate(table.compounds):
        threshold = point.thresholds[column]
        rows.append(
            (
                compound.label,
                "all are fitted" if threshold is None else f"{threshold:.2f}",
                f"{point.min_support[column]:.1f}" if point.min_support else "–",
                f"{point.named[column]} of {point.negatives[column]}",
            )
        )
    rest = "" if point.max_rest is None else f"; a rest above {point.max_rest:.2f} is unknown"
    return Table([f"{preset}: {point.false_names:g} false names a sample{rest}", "logit", "support", "named"], rows)


def _detection(evidence: Mapping[str, Any], table: Components) -> list[Part]:
    parts: list[Part] = [
        Text(
            "The share from which on a compound is found in 95 of 100 mixtures: beside the compound of each column as "
            "the largest of the others, in parts of what is seen, %. A dash: not even the largest shares are found so "
            "often, or too few such mixtures were made."
        )
    ]
    labels = [compound.label for compound in table.compounds]
    for preset in table.presets:
        limits = evidence[preset]["detection_limits"]
        rows = [
            (label, *(_limit(row[column]) for row in (limits["general"], *limits["beside"].values())))
            for column, label in enumerate(labels)
        ]
        parts.append(Table([preset, "of all", *(f"in {name}" for name in limits["beside"])], rows))
    return parts


def _recall(evidence: Mapping[str, Any], table: Components) -> dict[str, list[tuple[float, float]]]:
    return {
        preset: [
            (float(np.sqrt(max(row["from"], 0.005) * row["to"])), row["recall"])
            for row in evidence[preset]["recall_by_share"]
        ]
        for preset in table.presets
    }


def _real(job: ComponentsJob, found: Mapping[str, Any]) -> list[Part]:
    parts: list[Part] = []
    for name, of in found["sets"].items():
        parts.append(Text(f"**{name}**: {known_set(name).title}."))
        rows = [(f"{kind}, {p}", row) for kind in ("pure", "mixtures") for p, row in of.get(kind, {}).items()]
        if rows:
            parts.append(_rates(rows))
        if of["labels"]:
            parts.append(_labels(job, of["labels"]))
        if "untold" in of:
            parts += [
                Text("Nobody tells what these hold: only counts can be given, and how much is left unexplained."),
                _untold(of["untold"]),
            ]
    return parts


def _rates(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> Table:
    shown = [
        (
            name,
            str(row["spectra"]),
            f"{_percent(row['exact'])} ({_between(row['exact_low'], row['exact_high'])})",
            *(_percent(row[key]) for key in ("precision", "recall", "f1")),
            f"{row['false_names']:.3f}",
            _percent(row["unknown"]),
        )
        for name, row in rows
    ]
    header = ["%", "spectra", "exact sets (95 %)", "precision", "recall", "F1", "false names", "unknown"]
    return Table(header, shown)


def _labels(job: ComponentsJob, labels: Mapping[str, Any]) -> Table:
    names = job.library.names
    rows = [
        (
            label,
            str(row["spectra"]),
            _percent(row["exact"]),
            *(_cell(row, name) for name in names),
            _percent(row["unknown"]),
        )
        for label, row in labels.items()
    ]
    header = [f"{job.recipe.default_preset}, %", "spectra", "exact", *(f"{n} told (median)" for n in names), "unknown"]
    return Table(header, rows)


def _cell(row: Mapping[str, Any], name: str) -> str:
    """How often a compound is told in spectra of one label, whether falsely, and the median of its shares."""
    share = row["share"][name]
    false = "" if name in row["holds"] else " false"
    return f"{_percent(row['told'][name])}{false}" + ("" if share is None else f" ({100 * share:.0f})")


def _untold(rows: Mapping[str, Any]) -> Table:
    most = max(len(row["compounds_told"]) for row in rows.values())
    shown = [
        (
            preset,
            str(row["spectra"]),
            *(str(row["compounds_told"].get(str(count), 0)) for count in range(most)),
            _percent(row["unknown"]),
            " / ".join(f"{value:.2f}" for value in row["rest_quartiles"]) or "–",
        )
        for preset, row in rows.items()
    ]
    header = ["preset", "spectra", *(f"{count} told" for count in range(most)), "unknown, %", "rest, quartiles"]
    return Table(header, shown)


def _outsiders(rows: Mapping[str, Any], presets: list[str]) -> Table:
    shown = [
        (
            f"{name}: {known_set(name).title}",
            str(of[presets[0]]["spectra"]),
            *(_percent(of[preset]["refused"]) for preset in presets),
        )
        for name, of in rows.items()
    ]
    return Table(["refused: no compound is told, %", "spectra", *presets], shown)


def _made_strange(found: Mapping[str, list[dict[str, float]]]) -> list[Part]:
    return [
        Heading("Made-up strangers in made mixtures"),
        Text(
            "Mixtures of scans that a member had not seen, each with a made-up compound, none of those that taught, in "
            "these shares. Told nothing: no compound found, or too large a rest; the gate, which refuses some of the "
            "spectra further below, was not asked. Limits do not stand on them: no promise holds here."
        ),
        Table(*made_table_of(found)),
    ]


def _strangers(found: Mapping[str, Any]) -> list[Part]:
    of = "of those that taught, since none was held out" if found["learnt"] else "whose contents somebody tells"
    return [
        Text(
            f"{found['hosts']} real spectra {of}, each with one spectrum of another thing added: absorbances, "
            "reflectances or intensities in these shares, the stranger as bright as its host. Told nothing: unknown, "
            "not in scope, or nothing found; all others are told as if there were no stranger."
        ),
        Table(*table_of(found)),
    ]


def _fractions(job: ComponentsJob, found: Mapping[str, Any], evidence: Mapping[str, Any]) -> list[Part]:
    assert job.recipe.fractions is not None
    taught = evidence["fractions"]
    responses = ", ".join(f"{name} {value:.3g}" for name, value in taught["responses"].items())
    rows = [
        (
            f"{name}, {preset}: {compound}",
            str(row["told"]),
            *(f"{100 * row[key]:.1f}" for key in ("rmse", "bias")),
            _percent(row["covered"]),
        )
        for name, of in found["fractions"].items()
        for preset, compounds in of.items()
        for compound, row in compounds.items()
    ]
    with np.load(job.need("trial.npz")) as file:
        picture = plots.fractions(file["true"], file["told"], job.library.names)
    promised = ", ".join(f"{100 * share:.0f} % of {name}" for name, share in taught["promised"].items())
    wanted = ", ".join(f"{preset} {100 * share:g} %" for preset, share in job.recipe.fractions.coverage.items())
    return [
        Text(
            f"How much more of one compound is seen than of another at equal mass was fitted on {taught['mixtures']} "
            f"scans of {len(taught['compositions'])} stated mixtures, the one place where real mixtures teach; it "
            f"moves no decision on what is there. Responses: {responses}. Half widths of the intervals, {wanted} "
            "wanted, are quantiles of errors on compositions left out, one after the other. Scans of one mixture are "
            f"alike, and so few compositions promise no more than {promised}; the rest is hope. Below: scans that "
            "taught nothing, but for sets that taught of the same compositions."
        ),
        Table(["percent by mass", "told", "RMSE", "bias", "inside the interval"], rows),
        Picture("fractions.png", "told against stated fractions", picture),
    ]


def _quantisation(job: ComponentsJob, found: Mapping[str, Any]) -> str:
    sizes, agreement, verified = job.read_json("quantise.json"), found["agreement"], job.read_json("verify.json")
    stored = "no weight" if sizes["scheme"] == "float" else "the networks' weights"
    return (
        f"Scheme {sizes['scheme']}: {stored} in int8; the steps before them and the prepared spectrum stay float. "
        f"{sizes['size_bytes']:,} bytes, {100 * sizes['ratio']:.0f} % of the float graph. On {agreement['spectra']:,} "
        f"real and made spectra the same outcome and compounds as in float: {100 * agreement['same_sets']:.2f} %; "
        f"largest difference of a logit {agreement['largest_logit_difference']:.3f}. Torch and the float graph differ "
        f"by {verified['float_logits_difference']:.1g} in a logit and {verified['float_prepared_difference']:.1g} of "
        "the largest prepared value."
    )


def _between(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{_percent(low)} to {_percent(high)}"


def _limit(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
