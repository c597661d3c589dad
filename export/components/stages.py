"""The stages of a build between its spectra and its trial: train, calibrate, convert, quantise, verify.

Each reads what the one before has left in the work folder and leaves its own; a stage that is run again gives the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, Protocol, get_args

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from edged.bundle.archive import pack_golden
from edged.bundle.components import Components, OperatingPoint
from edged.bundle.members import pack_arrays
from edged.infer.engine import Outputs
from edged.infer.verdict import Preset
from export.compare import run_all, session
from export.components.evidence import Mixture, Said, joined, rates, recall_by_share
from export.components.fractions import Stated, teach
from export.components.fused import bundled, keep_bank, voice_of
from export.components.gate import MIXTURES, MixtureGate
from export.components.graph import OUTPUTS, ComponentsGraph, Preparation
from export.components.job import SYNTHETIC, TRYING, ComponentsJob
from export.components.learn import Detector, Lesson, learn
from export.components.operate import Bench, Fold, compounds_of, confirmation_of
from export.components.strangers import by_share
from export.components.unmix import Unmixer
from export.data.augment import resample
from export.data.mixtures.library import Library, beside
from export.data.mixtures.synthesise import Mixtures, synthesise
from export.data.split_file import SPLIT_FILE
from export.errors import VerificationFailed
from export.kept import kept, made_or_kept
from export.preprocess.pipeline import build
from export.progress import Report
from export.quantise.candidates import quantised
from export.to_onnx import module_graph

FLOAT_TOLERANCE = 1e-3  # of a logit, and of the rest as a share of its largest value, between torch and the float graph
COMPARED = 256  # mixtures on which graphs are compared, beside the scans of the library
Half = Literal["choosing", "trying"]
HALVES: tuple[Half, ...] = get_args(Half)
SINGLE = 1  # thread: what a build leaves is the same to the bit on one machine


class Voice(Protocol):
    """What tells logits: a detector, or the int8 graph of a bank."""

    def say(self, spectra: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the logits of spectra on the grid."""


def train(job: ComponentsJob, progress: Report) -> dict[str, Any]:
    """Stage: leave split.tsv, model.pt and history.json; say how members do on mixtures of scans not seen by them."""
    recipe = job.recipe
    job.split_table().write(job.path(SPLIT_FILE))
    mixed = [job.mixed(part.learnt) for part in job.parts]
    lessons = [
        Lesson(
            library=learnt,
            strangers=strangers,
            synthesis=recipe.synthesis,
            grid=job.grid,
            steps=recipe.steps,
            network=recipe.network,
            schooling=recipe.schooling,
            seed=(job.seed, number),
        )
        for number, (learnt, strangers) in enumerate(mixed)
    ]
    detectors: list[Detector] = made_or_kept(
        lessons,
        learn,
        folder=job.path("members"),
        workers=job.workers,
        progress=progress,
        what="members",
        epochs=recipe.schooling.epochs,
    )
    torch.save(detectors, job.path("model.pt"))
    job.write_json("history.json", {"losses": [detector.losses for detector in detectors]})
    if job.recipe.is_bank:
        keep_bank(job, detectors[0])
    lots = [held_out(job, number, "trying", detector) for number, detector in enumerate(detectors)]
    tried = joined(lots)
    return {"members": len(detectors), "held_out_f1_at_one_half": rates(tried.logits > 0.0, tried.present)["f1"]}


def calibrate(job: ComponentsJob) -> dict[str, Any]:
    """Stage: leave components.json, the manifest's table; library.npz; and in calibration.json what speaks for it."""
    bench = bench_of(job)
    presets: dict[Preset, OperatingPoint] = {}
    said: dict[Preset, Said] = {}
    evidence: dict[str, Any] = {}
    for preset, words in job.recipe.presets.items():
        if words.confirm:
            point = bench.confirming(
                words.false_names,
                thresholds=_thresholds(job, bench, preset),
                wrongly_unknown=job.recipe.wrongly_unknown,
            )
        else:
            point = bench.screening(words.false_names)
        bench.require(point)
        presets[preset], said[preset] = point, bench.said(point)
        evidence[preset] = _evidence(bench, said[preset], point)
    table = _table(job, presets)
    if job.recipe.fractions is not None and table.confirmation is not None:
        found = teach(job.recipe.fractions, table, job.unmixer.arrays(), stated_of(job, load_detectors(job)))
        confirmation = table.confirmation.model_copy(update={"fractions": found.fractions})
        table = table.model_copy(update={"confirmation": confirmation})
        evidence["fractions"] = found.evidence
    table = _with_limits(bench, table, said)
    if job.recipe.data.synthetic_strangers:
        evidence["strangers"] = with_strangers(job, bench, presets)
    evidence["gate"] = _gate_evidence(job)
    job.path("components.json").write_text(table.model_dump_json(indent=1) + "\n")
    job.path("library.npz").write_bytes(pack_arrays(job.unmixer.arrays()))
    job.write_json("calibration.json", evidence)
    chosen = evidence[job.recipe.default_preset]
    return {name: chosen[name] for name in ("recall", "false_names", "wrongly_unknown")}


def convert(job: ComponentsJob) -> dict[str, Any]:
    """Stage: leave float.onnx."""
    module = graph_of(job, load_detectors(job))
    model = module_graph(module, job.recipe.axis.points, outputs=OUTPUTS)
    job.path("float.onnx").write_bytes(model.SerializeToString(deterministic=True))
    return {"nodes": len(model.graph.node), "size_bytes": model.ByteSize()}


def quantise(job: ComponentsJob) -> dict[str, Any]:
    """Stage: leave model.onnx, whose networks are in int8 where the recipe says so; all else stays float."""
    model, scheme = onnx.load_from_string(job.need("float.onnx").read_bytes()), job.recipe.quantisation.scheme
    final = bundled(job, _preparation(job)) if scheme == "bank" else quantised(model, scheme)
    job.path("model.onnx").write_bytes(final.SerializeToString(deterministic=True))
    sizes = {"float_bytes": model.ByteSize(), "size_bytes": final.ByteSize()}
    found = {"scheme": scheme, **sizes, "ratio": final.ByteSize() / model.ByteSize()}
    job.write_json("quantise.json", found)
    return found


def verify(job: ComponentsJob) -> dict[str, Any]:
    """Stage: compare torch, float and final graph; leave golden.npz and verify.json. Raises VerificationFailed."""
    rows = np.concatenate([golden_spectra(job), _pure(job)])
    module = graph_of(job, load_detectors(job))
    by_torch = torch_outputs(module, rows)
    by_float = run_all(session(job.need("float.onnx").read_bytes()), rows)
    final = run_all(session(job.need("model.onnx").read_bytes()), rows)
    found: dict[str, Any] = {"spectra": len(rows)}
    for name, outputs in (("float", by_float), ("final", final)):
        for output in OUTPUTS:
            found[f"{name}_{output}_difference"] = _largest(outputs, by_torch, output)
    found["final_same_sign"] = float(((final.logits > 0) == (by_torch.logits > 0)).mean())
    checked = [f"float_{output}_difference" for output in OUTPUTS] + ["final_prepared_difference"]
    for name in checked:
        if found[name] > FLOAT_TOLERANCE:
            raise VerificationFailed(
                f"{name.replace('_', ' ')} is {found[name]:.2g}, allowed is {FLOAT_TOLERANCE:g}",
                hint="report the versions of torch, onnx and onnxruntime",
            )
    n = job.recipe.quantisation.golden_vectors
    prepared = final.prepared[:n] if load_table(job).confirmation is not None else None
    job.path("golden.npz").write_bytes(pack_golden(rows[:n], final.logits[:n], final.features[:n], prepared=prepared))
    job.write_json("verify.json", found)
    return found


def load_detectors(job: ComponentsJob) -> list[Detector]:
    """Return the members of the work folder, ready to run. Raises StageMissing."""
    torch.set_num_threads(SINGLE)
    detectors: list[Detector] = kept(job.need("model.pt"))
    return detectors


def load_table(job: ComponentsJob) -> Components:
    """Return the manifest's table of components. Raises StageMissing."""
    return Components.model_validate_json(job.need("components.json").read_text())


def graph_of(job: ComponentsJob, detectors: list[Detector]) -> ComponentsGraph:
    """Return the whole graph in torch, ready to run."""
    gate = gate_of(job, job.library, 0)
    return ComponentsGraph(detectors, job.recipe.steps, job.unmixer.steps, gate, height=height_of(job.unmixer)).eval()


def _preparation(job: ComponentsJob) -> Preparation:
    """What stands around a bank, in torch."""
    gate, steps = gate_of(job, job.library, 0), build(job.recipe.steps, job.grid)
    return Preparation(steps, job.unmixer.steps, gate, height=height_of(job.unmixer)).eval()


def height_of(unmixer: Unmixer) -> float:
    """Return the length of a mean reference."""
    return float(np.linalg.norm(unmixer.references, axis=1).mean())


def bench_of(job: ComponentsJob) -> Bench:
    """Return each member's held-out mixtures, and a library that has not seen their scans. Raises StageMissing."""
    folds = []
    for number, (part, voice) in enumerate(zip(job.parts, voices_of(job), strict=True)):
        unmixer = Unmixer(part.learnt, job.recipe.unmixing, job.grid)
        folds.append(
            Fold(
                library=unmixer.arrays(),
                confirmation=confirmation_of(unmixer, tolerance=job.recipe.quantisation.prepared_tolerance),
                chosen_on=held_out(job, number, "choosing", voice),
                tried_on=held_out(job, number, "trying", voice),
            )
        )
    return Bench(compounds_of(job.library.names), folds)


def voices_of(job: ComponentsJob) -> list[Voice]:
    """Return what tells logits of mixtures of each part's held-out scans. Raises StageMissing."""
    return [voice_of(job)] if job.recipe.is_bank else [*load_detectors(job)]


def held_out(job: ComponentsJob, number: int, half: Half, voice: Voice) -> Mixture:
    """Return mixtures of the scans that a member has not seen, and what it says of them."""
    return _heard(job, _held_out(job, number, half), voice)


def with_strangers(job: ComponentsJob, bench: Bench, presets: Mapping[Preset, OperatingPoint]) -> dict[str, Any]:
    """Return what presets say of mixtures of held-out scans, each with a synthetic stranger that taught nothing, by its
    share. Nothing is chosen here, and the gate is not asked."""
    words = job.recipe.synthesis
    always = words.composition.model_copy(update={"outsiders": 1.0})
    count, folds, shares = -(-job.recipe.held_out.trying // len(job.parts)), [], []
    for number, (part, fold, voice) in enumerate(zip(job.parts, bench.folds, load_detectors(job), strict=True)):
        library, strangers = beside(part.held, {SYNTHETIC: job.synthetic(TRYING)})
        law, rng = words.model_copy(update={"composition": always}), job.rng(22, number)
        made = synthesise(library, law, count, rng, grid=job.grid, outsiders=strangers)
        folds.append(replace(fold, tried_on=_heard(job, made, voice)))
        shares.append(made.outsider)
    strange, outsider = Bench(bench.compounds, folds), np.concatenate(shares)
    return {p: by_share(strange.said(of), of.max_rest, strange.tried_on.present, outsider) for p, of in presets.items()}


def _heard(job: ComponentsJob, made: Mixtures, voice: Voice) -> Mixture:
    whole = made.effective.sum(axis=1, keepdims=True)
    return Mixture(
        logits=voice.say(made.values),
        prepared=job.unmixer.prepare(made.values).astype(np.float32),
        present=made.present,
        shares=np.divide(made.effective, whole, out=np.zeros_like(made.effective), where=whole > 0).astype(np.float64),
    )


def _held_out(job: ComponentsJob, number: int, half: Half) -> Mixtures:
    """The same whenever they are made."""
    count = -(-int(getattr(job.recipe.held_out, half)) // len(job.parts))
    rng = job.rng(20 + HALVES.index(half), number)
    return synthesise(job.parts[number].held, job.recipe.synthesis, count, rng, grid=job.grid)


def gate_of(job: ComponentsJob, library: Library, *purpose: int) -> MixtureGate:
    """Return the gate that mixtures of a library make."""
    made = synthesise(library, job.recipe.synthesis, MIXTURES, job.rng(50, *purpose), grid=job.grid)
    return MixtureGate(job.recipe.gate, job.grid, made.values)


def _gate_evidence(job: ComponentsJob) -> dict[str, Any]:
    """The limit of the gate, from mixtures of the scans that each part holds out (with one part, of its own); and the
    share of further such mixtures that it refuses."""
    chosen, tried = [], []
    for number, part in enumerate(job.parts):
        gate = gate_of(job, part.learnt, number + 1)
        chosen.append(gate.distances(_held_out(job, number, "choosing").values))
        tried.append(gate.distances(_held_out(job, number, "trying").values))
    limit = float(np.quantile(np.concatenate(chosen), 1.0 - job.recipe.gate.wrongly_refused, method="higher"))
    return {
        "limit": limit,
        "wrongly_refused": float((np.concatenate(tried) > limit).mean()),
        "dimensions": gate_of(job, job.library, 0).dimensions,
    }


def golden_spectra(job: ComponentsJob) -> NDArray[np.float32]:
    """Made mixtures of what may be learnt from: the golden vectors are the first, the others compare graphs."""
    count = max(COMPARED, job.recipe.quantisation.golden_vectors)
    return synthesise(job.library, job.recipe.synthesis, count, job.rng(30), grid=job.grid).values


def _pure(job: ComponentsJob) -> NDArray[np.float32]:
    return resample(job.library.values, job.library.axis, job.grid).astype(np.float32)


def _table(job: ComponentsJob, presets: dict[Preset, OperatingPoint]) -> Components:
    confirms = any(point.confirm for point in presets.values())
    tolerance = job.recipe.quantisation.prepared_tolerance
    return Components(
        compounds=compounds_of(job.unmixer.names),
        presets=presets,
        confirmation=confirmation_of(job.unmixer, tolerance=tolerance) if confirms else None,
    )


def _with_limits(bench: Bench, table: Components, said: dict[Preset, Said]) -> Components:
    """The table, with the detection limits of each preset in what the daemon tells: fractions where it can."""
    fractions = table.confirmation.fractions if table.confirmation else None
    responses = fractions.responses if fractions else None
    points = {preset: bench.with_limits_told(of, said[preset], responses) for preset, of in table.presets.items()}
    return table.model_copy(update={"presets": points})


def _thresholds(job: ComponentsJob, bench: Bench, preset: Preset) -> tuple[float | None, ...]:
    """The logits that let a compound through to the fit: chosen such that few that are there are lost."""
    mixtures, n = bench.chosen_on, len(job.library.names)
    if job.recipe.puts_all_to_the_fit(preset, n):
        return (None,) * n
    lost = 1.0 - job.recipe.presets[preset].passing
    logits = [mixtures.logits[mixtures.present[:, c], c] for c in range(n)]
    return tuple(float(np.quantile(of, lost, method="lower")) for of in logits)


def _evidence(bench: Bench, said: Said, point: OperatingPoint) -> dict[str, Any]:
    """What a preset says of the mixtures that it was tried on, whatever their rest; and whose rest is too large."""
    mixtures = bench.tried_on
    return rates(said.found, mixtures.present) | {
        "mixtures": len(mixtures),
        "wrongly_unknown": 0.0 if point.max_rest is None else float((said.rest > point.max_rest).mean()),
        "recall_by_share": recall_by_share(mixtures, said.found),
        "detection_limits": bench.detection_limits(said),
    }


def stated_of(job: ComponentsJob, detectors: list[Detector]) -> Stated:
    """Real mixtures that may teach fractions, as the graph sees them; what is held out of the set stays out."""
    assert job.recipe.fractions is not None
    lots, fractions, labels = [], [], []
    for trial in job.trials():
        if trial.name in job.recipe.fractions.taught_by:
            stated = np.isfinite(trial.fractions).all(axis=1) & ~job.held_out(trial)
            rows = resample(trial.values[stated], trial.spectra.axis, job.grid).astype(np.float32)
            out = torch_outputs(graph_of(job, detectors), rows)
            lots.append(
                Mixture(
                    logits=out.logits,
                    prepared=out.prepared,
                    present=trial.present[stated],
                    shares=trial.fractions[stated],
                )
            )
            fractions.append(trial.fractions[stated])
            labels.append(trial.labels[stated])
    return Stated(mixtures=joined(lots), fractions=np.concatenate(fractions), labels=np.concatenate(labels))


@torch.no_grad()
def torch_outputs(module: ComponentsGraph, rows: NDArray[np.float32]) -> Outputs:
    """Return what the graph says in torch."""
    logits, features, prepared = (part.numpy() for part in module(torch.from_numpy(rows)))
    return Outputs(logits=logits, features=features, amounts=np.empty((len(rows), 0), np.float32), prepared=prepared)


def _largest(one: Outputs, other: Outputs, name: str) -> float:
    """The largest difference: of logits as they are, of the rest as a share of the largest value."""
    first, second = getattr(one, name).astype(np.float64), getattr(other, name).astype(np.float64)
    unit = 1.0 if name == "logits" else float(np.abs(second).max())
    return float(np.abs(first - second).max() / unit)
