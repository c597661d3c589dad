"""The parts of a report that stand in every bundle: what it is for, what it had to reach and whether it did, figures
with their intervals, limits, spectra by their hashes, golden vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from export.acceptance import Judged
from export.figures import Figure
from export.job import Job
from export.manifest import data_sheet, purpose_of
from export.page import Heading, Part, Table, Text
from export.quantise.chosen import data_sheet as quantisation
from export.workplace import Workplace

INTERVALS = (
    "Intervals are of 95 % and count units, for scans of one are alike; a unit is what the split keeps whole ({unit}), "
    "or a group of the set for other things. Shares: Wilson's interval of as many spectra as the units make theirs "
    "worth (Korn and Graubard 1998). {others}: percentiles of redraws of whole units (Field and Welsh 2007). Where no "
    "spectrum is wrong each unit counts as one spectrum, and redraws say nothing: a dash."
)


def intended_use(job: Workplace) -> list[Part]:
    """What the model is for, in the recipe's words."""
    said = purpose_of(job.recipe)
    return [Heading("Intended use"), Text(f"{said[0].upper()}{said[1:]}.")]


def acceptance(job: Workplace, rows: Sequence[Judged], unit: str = "", digits: int = 1) -> list[Part]:
    """The recipe's criteria, each beside what was measured. unit: of those that are no shares, told to so many
    digits."""
    heading = Heading("Criteria of acceptance")
    if not rows:
        return [heading, Text("None were stated: the recipe has no [acceptance].")]
    shown = []
    for row in rows:
        scale, of, places = (1.0, f" {unit}".rstrip(), digits) if row["in_unit"] else (100.0, " %", 1)
        found = row["found"]
        shown.append(
            (
                row["text"],
                f"{'≥' if row['at_least'] else '≤'} {scale * row['wanted']:g}{of}",
                "not measured" if found is None else f"{scale * found['value']:.{places}f}{of}",
                "–" if found is None else interval(found, scale, places),
                "–" if found is None else f"{found['spectra']} ({found['units']})",
                {None: "–", True: "met", False: "**missed**"}[row["met"]],
            )
        )
    missed = sum(row["met"] is False for row in rows)
    return [
        heading,
        Text(
            f"Stated in the recipe (SHA-256 `{job.recipe.digest()}`) before this trial, perhaps with the figures of "
            "earlier versions known. Met by the figure itself, wherever its interval ends. "
            f"{f'{missed} of {len(rows)} missed' if missed else 'None is missed'}."
        ),
        Table(["criterion", "wanted", "measured", "95 % interval", "spectra (units)", "so"], shown),
    ]


def class_metrics(job: Job, figures: Mapping[str, Mapping[str, Figure]]) -> list[Part]:
    """Accuracy, macro-F1, Matthews' coefficient and kappa by kind of spectra."""
    names = ("accuracy", "macro_f1", "mcc", "kappa")
    rows = []
    for kind, of in figures.items():
        count = of["accuracy"]
        cells = (with_interval(of[n], *((100.0, 1) if n == "accuracy" else (1.0, 3))) for n in names)
        rows.append((kind, f"{count['spectra']} ({count['units']})", *cells))
    others = "Macro-F1, Matthews' correlation and Cohen's kappa"
    return [
        Text(f"The most likely class, gates aside. {INTERVALS.format(unit=job.source.grouping, others=others)}"),
        Table(["spectra of", "number (units)", "accuracy, %", "macro-F1", "MCC", "kappa"], rows),
    ]


def amount_metrics(job: Job, known: Mapping[str, Mapping[str, Any]], unit: str) -> list[Part]:
    """RMSE, bias, and what the intervals of the default preset hold, by kind of spectra."""
    rows = []
    for kind, of in known.items():
        errors, usual = of["figures"], of["presets"][job.recipe.default_preset]["figures"]
        count = errors["rmse"]
        rows.append(
            (
                kind,
                f"{count['spectra']} ({count['units']})",
                *(with_interval(errors[name], 1.0, 1) for name in ("rmse", "bias")),
                *("–" if usual[n] is None else with_interval(usual[n], 100.0, 1) for n in ("covered", "refused")),
            )
        )
    header = [f"RMSE, {unit}", f"bias, {unit}", "interval holds the amount, %", "no amount told, %"]
    return [
        Text(f"At the default preset. {INTERVALS.format(unit=job.source.grouping, others='RMSE and bias')}"),
        Table(["spectra of", "number (units)", *header], rows),
    ]


def known_limits(limits: Sequence[str]) -> list[Part]:
    """A sentence each."""
    return [Heading("Known limits"), *(Text(text) for text in limits)]


def hashes(job: Job) -> list[Part]:
    """Training and test sets, and the files that they come from, by their hashes."""
    sheet = data_sheet(job, job.spectra())
    split = sheet["split"]
    rows = [
        (f"{side} spectra", str(split[f"{side}_spectra"]), digest) for side, digest in split["values_sha256"].items()
    ]
    rows += [(file, "–", digest) for source in sheet["sources"] for file, digest in source["files_sha256"].items()]
    return [
        Heading("Training and test sets"),
        Text(
            "SHA-256 of the values of each side (float64, little-endian, row after row), and of the files that they "
            "were read from. Members learn from the development spectra alone; the test spectra are held out of all."
        ),
        Table(["set", "spectra", "SHA-256"], rows),
    ]


def candidates_table(job: Job) -> list[Part]:
    """Every candidate of the quantisation, with times where the data sheet holds them, and why which was chosen."""
    sheet = quantisation(job)
    timed = all("latency_us" in row for row in sheet["variants"])
    rows = []
    for row in sheet["variants"]:
        cells = [
            row["scheme"] + (" (this bundle)" if row["scheme"] == sheet["scheme"] else ""),
            f"{row['file_bytes'] / 1024:.0f}",
            f"{row['packed_bytes'] / 1024:.0f}",
            f"{100 * row['same_outcome']:.2f}",
            f"{100 * row['same_class']:.1f}",
            f"{row['largest_difference']:.4f}",
        ]
        rows.append([*cells, *([f"{row['latency_us']:.0f}", f"{row['ratio']:.2f}"] if timed else [])])
    same_class = "same interval held, %" if job.tells_amounts else "same class as float, %"
    header = ["graph", "KiB", "KiB packed", "same outcome, %", same_class, "largest difference"]
    parts: list[Part] = [Table([*header, *(["µs a spectrum", "of float's time"] if timed else [])], rows)]
    if timed:
        on = f"{sheet['processor']['model']} ({', '.join(sheet['processor']['features'])})"
        parts.append(Text(f"CPU times of one thread on {on}, candidates in turns."))
    if "why" in sheet:
        parts.append(Text(f"Chosen: {sheet['scheme']}. {sheet['why']}."))
    parts += [Text(f"{scheme}: {reason}.") for scheme, reason in sheet.get("against", {}).items()]
    return parts


def golden_vectors(job: Job) -> list[Part]:
    """What the bundle proves itself by on each device."""
    found, words = job.read_json("verify.json"), job.recipe.quantisation
    told = "of the range of amounts" if job.tells_amounts else "in a logit"
    by_float, by_bundle = found["float_answer_difference"], found["final_answer_difference"]
    return [
        Heading("Golden vectors"),
        Text(
            f"{words.golden_vectors} development spectra travel in the bundle with what the graph said of them here. A "
            f"device computes them anew at every load and refuses the bundle where it differs by more than "
            f"{words.tolerance:g} {told}. On all {found['spectra']} spectra the float graph differs from torch by at "
            f"most {by_float:.2g} {told}, the bundle's by {by_bundle:.2g}."
        ),
    ]


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


def interval(figure: Figure, scale: float, digits: int) -> str:
    """Return the interval of a figure, or a dash, times `scale` and to so many digits."""
    if figure["low"] is None or figure["high"] is None:
        return "–"
    return f"{scale * figure['low']:.{digits}f} to {scale * figure['high']:.{digits}f}"


def with_interval(figure: Figure, scale: float, digits: int) -> str:
    """Return a figure and its interval, times `scale` and to so many digits."""
    return f"{scale * figure['value']:.{digits}f} ({interval(figure, scale, digits)})"
