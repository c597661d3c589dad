"""The parts of a components report that stand in every bundle: figures with their intervals, the confusion of each
compound, how far scores are probabilities, spectra by their hashes, golden vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from export import plots
from export.components.figures import KINDS, OfCompound, OfKind
from export.components.job import ComponentsJob
from export.components.reliability import Reliability
from export.evidence.parts import INTERVALS, with_interval
from export.figures import Figure
from export.page import Heading, Part, Picture, Table, Text

USES = {
    "learn": "pure spectra that teach",
    "fractions": "mixtures that teach fractions, and are tried",
    "tried": "mixtures that are tried",
    "test": "spectra held out of everything, and tried",
    "unused": "spectra that are not used",
}


def figures(job: ComponentsJob, found: Mapping[str, OfKind]) -> list[Part]:
    """Figures of whole sets by kind of spectra, and of each compound."""
    found = {kind: found[kind] for kind in KINDS if kind in found}
    shown = {"exact": (100.0, 1), "f1": (100.0, 1), "macro_f1": (1.0, 3), "mcc": (1.0, 3), "kappa": (1.0, 3)}
    rows = [
        (
            kind,
            _number(of["sets"]["exact"]),
            *(with_interval(of["sets"][name], *how) for name, how in (shown | {"false_names": (1.0, 3)}).items()),
        )
        for kind, of in found.items()
    ]
    each = [
        (f"{name}, {kind}", *map(str, _counts(of["compounds"][name])), *_of_compound(of["compounds"][name]))
        for kind, of in found.items()
        for name in job.library.names
    ]
    header = ["exact sets, %", "F1, %", "macro-F1", "MCC", "kappa", "false names"]
    return [
        Heading("Figures with their intervals"),
        Text(
            "At the default preset, of spectra whose contents somebody tells. Exact: every compound is told, and no "
            "other. F1, Matthews' correlation (MCC) and Cohen's kappa count each compound of each spectrum; macro-F1 "
            "is the mean over compounds; false names are a spectrum's. "
            f"{INTERVALS.format(unit=job.source.grouping, others='The other figures')} A made mixture is a unit."
        ),
        Table(["spectra of", "number (units)", *header], rows),
        Heading("Confusion"),
        Text("Of each compound: in how many spectra it was there or not, and told or not."),
        Table(
            ["compound", "told", "missed", "falsely told", "rightly not", "precision, %", "recall, %", "MCC", "kappa"],
            each,
        ),
    ]


def reliability(found: Reliability, origin: str) -> list[Part]:
    """How far scores are probabilities. origin: of what the mixtures are made."""
    curves = {"as shown": found["before"], f"of the logit / {found['temperature']:.3g}": found["after"]}
    points = {name: [(one["score"], one["there"]) for one in of["bins"]] for name, of in curves.items()}
    rows = [(name, f"{100 * of['ece']:.2f}", f"{of['brier']:.4f}") for name, of in curves.items()]
    return [
        Heading("Reliability"),
        Text(
            "Beside a compound stands its score, 1 / (1 + exp(-logit)), of the networks alone; no verdict rests on it. "
            "How far it is a probability that the compound is there, and how far it would be with one temperature, "
            f"fitted on the mixtures that limits were chosen on: {found['decisions']:,} decisions, of mixtures made of "
            f"{origin}. ECE: expected calibration error, 15 bins."
        ),
        Table(["score", "ECE, %", "Brier"], rows),
        Picture("reliability.png", "reliability of scores", plots.scores(points)),
    ]


def hashes(sheet: Mapping[str, Any]) -> list[Part]:
    """Training and test sets of a data sheet, and the files that they come from, by their hashes."""
    split, library = sheet["split"], sheet["sources"][0]["name"]
    rows = [
        (f"{library}: {USES[use]}", str(split["spectra"][use]), digest)
        for use, digest in split["values_sha256"].items()
    ]
    files = {file: digest for source in sheet["sources"] for file, digest in source["files_sha256"].items()}
    for name, sets in (("tried", sheet["trials"]), ("to be refused", sheet["outsiders"])):
        for one, of in sets.items():
            rows.append((f"{one}: {name}", str(of["spectra"]), of["values_sha256"]))
            files |= of["files_sha256"]
    rows += [(file, "–", digest) for file, digest in files.items()]
    return [
        Heading("Training and test sets"),
        Text(
            "SHA-256 of the values of each set (float64, little-endian, row after row), and of the files that they "
            "were read from. What is tried of the library's own set is what teaches no network and no limit."
        ),
        Table(["set", "spectra", "SHA-256"], rows),
    ]


def golden_vectors(job: ComponentsJob) -> list[Part]:
    """What the bundle proves itself by on each device."""
    found, words = job.read_json("verify.json"), job.recipe.quantisation
    return [
        Heading("Golden vectors"),
        Text(
            f"{words.golden_vectors} made mixtures travel in the bundle with what the graph said of them here. A "
            "device computes them anew at every load and refuses the bundle where it differs by more than "
            f"{words.tolerance:g} in a logit, or {words.prepared_tolerance:g} of the largest prepared value. On "
            f"{found['spectra']} spectra the float graph differs from torch by at most "
            f"{found['float_logits_difference']:.2g} in a logit, the bundle's by "
            f"{found['final_logits_difference']:.2g}."
        ),
    ]


def _number(figure: Figure) -> str:
    return f"{figure['spectra']} ({figure['units']})"


def _counts(row: OfCompound) -> tuple[int, int, int, int]:
    return row["told"], row["missed"], row["falsely"], row["rightly_not"]


def _of_compound(row: OfCompound) -> tuple[str, str, str, str]:
    """Precision, recall, MCC and kappa; a dash for what such spectra have not."""
    told, missed, falsely, rightly_not = _counts(row)
    of = row["figures"]
    both = told + missed > 0 and falsely + rightly_not > 0
    return (
        with_interval(of["precision"], 100.0, 1) if told + falsely else "–",
        with_interval(of["recall"], 100.0, 1) if told + missed else "–",
        with_interval(of["mcc"], 1.0, 3) if both else "–",
        with_interval(of["kappa"], 1.0, 3) if both else "–",
    )
