"""The page docs/results/quantisation.md: shipped bundles that name classes or tell an amount, against the float
graphs that they were made from. What int8 costs a bundle of components is measured where it is built: its manifest
tells."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

import numpy as np
import onnx
from numpy.typing import NDArray

from edged.bundle.archive import Bundle
from export.data.augment import resample
from export.data.catalogue import load_set
from export.data.spectra import Spectra
from export.errors import ExportError
from export.job import Job
from export.processor import Processor, processor
from export.quantise.candidates import candidates
from export.quantise.choose import ACCURACY_POINTS, RULE, SAME_OUTCOME, SIZE, choose, falling_short
from export.quantise.measure import Measured, Subject, measured
from export.quantise.schemes import Scheme
from export.recipe import load_recipe

SHIPPED = "shipped"


class Compared(TypedDict):
    """One bundle. `shipped` is its own graph, `candidates` what can be made of its float graph, the first float."""

    bundle: str
    file_bytes: int
    float_sha256: str
    held_out: int
    foreign: int
    tolerance: float
    scheme: str
    processor: Processor
    shipped: Measured
    candidates: list[Measured]
    best: Scheme
    why: str
    against: dict[str, str]


class Stated(TypedDict):
    """A bundle of components, as its own manifest tells. same_outcome: share of spectra in which the same compounds are
    told, of so many; None where the bundle is its float graph, or does not say of how many."""

    bundle: str
    name: str
    scheme: str
    size_ratio: float
    same_outcome: float
    spectra: int | None


def stated(bundle: Bundle) -> Stated:
    """Return what a bundle of components tells of its quantisation. Raises ExportError where it tells nothing."""
    manifest = bundle.manifest
    sheet, metrics = manifest.data_sheet.get("quantisation", {}), manifest.metrics
    if not {"scheme", "ratio"} <= sheet.keys() or "int8_and_float_same_sets" not in metrics:
        raise ExportError(
            f"{bundle.file_name} does not say what its quantisation cost",
            hint="give the float graph that it was made from: BUNDLE=FLOAT",
        )
    spectra = metrics.get("int8_and_float_spectra")
    return Stated(
        bundle=f"{manifest.name} {manifest.version}",
        name=manifest.name,
        scheme=sheet["scheme"],
        size_ratio=sheet["ratio"],
        same_outcome=float(metrics["int8_and_float_same_sets"]),
        spectra=None if spectra is None else int(spectra),
    )


def compared(bundle: Bundle, float_graph: Path, *, data: Path, rounds: int) -> Compared:
    """Measure a bundle of a recipe that comes with the package, on spectra held out from its training, and on those of
    other things. Raises RecipeError and DataUnusable."""
    recipe = load_recipe(bundle.manifest.name)
    job = Job(recipe=recipe, data=data, work=Path("build") / recipe.name, seed=0, quick=False)
    spectra = job.spectra()
    split = job.split(spectra)
    axis = bundle.manifest.axis
    grid = np.linspace(axis.start, axis.stop, axis.points)

    def rows(of: Spectra) -> NDArray[np.float32]:
        return resample(of.values, of.axis, grid).astype(np.float32)

    known = rows(spectra)
    others = [rows(load_set(name, data)) for name in (*recipe.data.outsiders, *recipe.data.near_outsiders)]
    targets = spectra.targets if not bundle.manifest.amounts else spectra.amounts
    if targets is None:
        raise ValueError(f"{recipe.data.set} states no amounts")
    subject = Subject(
        manifest=bundle.manifest,
        spectra=known[split.test],
        targets=(targets if targets.dtype == np.int64 else targets[:, None])[split.test],
        foreign=np.concatenate([np.empty((0, axis.points), np.float32), *others]),
    )
    raw = float_graph.read_bytes()
    built = candidates(onnx.load_from_string(raw), known[split.development])
    own = {SHIPPED: onnx.load_from_string(bundle.model)}
    table = measured({**built, **own}, subject, rounds=rounds)
    tolerance = bundle.manifest.golden_tolerance
    choice = choose(table[:-1], tolerance=tolerance)
    return Compared(
        bundle=f"{bundle.manifest.name} {bundle.manifest.version}",
        file_bytes=bundle.size_bytes,
        float_sha256=hashlib.sha256(raw).hexdigest(),
        held_out=len(subject.spectra),
        foreign=len(subject.foreign),
        tolerance=tolerance,
        scheme=str(bundle.manifest.data_sheet.get("quantisation", {}).get("scheme", "unknown")),
        processor=processor(),
        shipped=table[-1],
        candidates=table[:-1],
        best=choice.scheme,
        why=choice.why,
        against={str(scheme): why for scheme, why in choice.against.items()},
    )


def page(found: Sequence[Compared], *, pairs: Sequence[str], told: Sequence[Stated] = ()) -> str:
    """Return the page as Markdown. told: of bundles that are not compared here."""
    about = found[0]["processor"]
    joined = " ".join(pairs)
    lines = [
        "# Quantised against float",
        "",
        "Bundles that name classes or tell an amount, each against the float graph that it was made from; then every",
        "candidate. Of those that name components the first table has what their own manifests tell; the rest stands",
        "on their pages, in [models](../models). Agreement and accuracy are those of spectra that training has not",
        "seen, and of other things, by the daemon's own judge.",
        f"Times are CPU times of one thread on {about['model']} ({', '.join(about['features'])}), in turns;",
        "ratios hold within a table only. Of an amount, *accuracy* is the share of the default preset's intervals that",
        "hold the true one. *Largest difference*: of any output; logits as they are, features over the largest of",
        "them, amounts over their range.",
        *_unsteady(found),
        "The whole page is one run of",
        "",
        "```sh",
        f"edged-export quantisation {joined} --out docs/results/quantisation.md",
        "```",
        "",
        _row(
            *("bundle", "scheme", "size, of float's", f"same outcome, % (wanted {100 * SAME_OUTCOME:g})"),
            *(f"accuracy, points (within {ACCURACY_POINTS:g})", "time, of float's", "met"),
        ),
        "|---|---|---|---|---|---|---|",
    ]
    for one in found:
        row = one["shipped"]
        met = (
            row["size_ratio"] <= SIZE
            and row["same_outcome"] >= SAME_OUTCOME
            and abs(100 * row["accuracy_difference"]) <= ACCURACY_POINTS
        )
        agreement = f"{100 * row['same_outcome']:.2f} of {one['held_out'] + one['foreign']:,}"
        size, points = f"{row['size_ratio']:.3f} (at most {SIZE:g})", f"{100 * row['accuracy_difference']:+.2f}"
        lines.append(
            _row(
                one["bundle"], one["scheme"], size, agreement, points, f"{row['ratio']:.2f}", "yes" if met else "**no**"
            )
        )
    lines += [_told(one) for one in told]
    lines += _why_float(told)
    lines += ["", "The rule, stated before anything was measured (`export/quantise/choose.py`):", "", f"> {RULE}."]
    for one in found:
        lines += _section(one)
    return "\n".join(lines) + "\n"


def _told(one: Stated) -> str:
    """The row of a bundle of components: accuracy and time are not told."""
    is_float = one["scheme"] == "float"
    met = one["size_ratio"] <= SIZE and one["same_outcome"] >= SAME_OUTCOME
    of = "" if one["spectra"] is None else f" of {one['spectra']:,}"
    agreement = "it is the float graph" if is_float else f"{100 * one['same_outcome']:.2f}{of} (same compounds)"
    size = f"{one['size_ratio']:.3f} (at most {SIZE:g}){'' if one['size_ratio'] <= SIZE else ' **missed**'}"
    verdict = "yes, as far as it was measured" if met else "**no**"
    return _row(
        one["bundle"], one["scheme"], size, agreement, *(["–"] * 2 if is_float else ["not measured"] * 2), verdict
    )


def _why_float(told: Sequence[Stated]) -> list[str]:
    lines = []
    for name in (one["name"] for one in told if one["scheme"] == "float"):
        lines += [
            "",
            f"{name} ships float: with int8 weights other compounds were told of more real spectra than the rule",
            f"allows ([figures](../models/{name}.md#quantisation)), and its build refuses such weights.",
        ]
    return lines


def _unsteady(found: Sequence[Compared]) -> list[str]:
    """By how much the times of one scheme differ: a bundle's own graph, and the same made anew among its candidates."""
    twice = [
        (one["shipped"]["ratio"], row["ratio"])
        for one in found
        for row in one["candidates"]
        if row["scheme"] == one["scheme"]
    ]
    if not twice:
        return []
    most = max(max(pair) / min(pair) - 1.0 for pair in twice)
    return [
        "Each bundle's own scheme was timed twice, in the next table and among the candidates, and one time is up to",
        f"{100 * most:.0f} % more than the other: what is nearer than that is as fast.",
    ]


def _section(one: Compared) -> list[str]:
    lines = [
        "",
        f"## {one['bundle']}",
        "",
        _known(one),
        "",
        _row(
            *("candidate", "time, us", "of float's", "load, ms", "file, KiB", "of float's", "same outcome, %"),
            *("accuracy, %", "largest difference", "spread between kernels", "why, or why not"),
        ),
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in one["candidates"]:
        chosen = row["scheme"] == one["best"]
        name = f"**{row['scheme']}**" if chosen else row["scheme"]
        remark = f"chosen: {one['why']}" if chosen else one["against"].get(row["scheme"], "")
        lines.append(
            _row(
                name,
                f"{row['latency_us']:.0f}",
                f"{row['ratio']:.2f}",
                f"{row['load_ms']:.0f}",
                f"{row['file_bytes'] / 1024:.0f}",
                f"{row['size_ratio']:.3f}",
                f"{100 * row['same_outcome']:.2f}",
                f"{100 * row['accuracy']:.2f}",
                f"{row['largest_difference']:.4f}",
                f"{row['kernel_spread']:.4f}",
                remark,
            )
        )
    return lines


def _known(one: Compared) -> str:
    sets = f"{one['held_out']:,} held-out spectra, {one['foreign']:,} of other things"
    if short := falling_short(one["candidates"]):
        aware = f"Fixed scales change verdicts ({short}), where `auto` teaches with the rounding in the loop."
    elif any(row["scheme"].startswith("static") for row in one["candidates"]):
        aware = "Fixed scales agree with float, so nothing is taught with the rounding in the loop."
    else:
        aware = "There is nothing that fixed scales fit."
    return f"{sets}; golden tolerance {one['tolerance']:g}. {aware}"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
