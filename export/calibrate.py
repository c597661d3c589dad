"""Turn held-out answers into calibration: temperature, conformal quantiles, probability floors, limits of the gate.

Everything here rests on spectra that the asked member or gate space had not seen; the test block and the spectra of
other things are not touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edged.bundle.manifest import Calibration, MahalanobisGate
from edged.infer.verdict import Preset
from export.job import Job
from export.models.discriminant import Discriminant
from export.train import HeldOut, Trained, load_identifier

TEMPERATURES = np.geomspace(0.1, 10.0, 400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """The manifest's tables."""

    calibration: Calibration
    gate: MahalanobisGate


def calibrate(job: Job) -> dict[str, Any]:
    """Stage: read the held-out answers, leave calibration.json."""
    spectra = job.spectra()
    with np.load(job.need("heldout.npz")) as file:
        held = HeldOut(**{name: file[name] for name in HeldOut.__dataclass_fields__})
    identifier = load_identifier(job)
    targets = spectra.targets[job.split(spectra).development]
    found = calibration_of(job, held, identifier.discriminant, targets)
    job.write_json(
        "calibration.json",
        {"calibration": found.calibration.model_dump(mode="json"), "gate": found.gate.model_dump(mode="json")},
    )
    return {
        "temperature": found.calibration.temperature,
        "quantiles": {preset: table[0] for preset, table in found.calibration.quantiles.items()},
        "gate_limits": dict(found.gate.limits),
    }


def load_calibration(job: Job) -> Calibrated:
    """Return what `calibrate` left. Raises StageMissing."""
    fields = job.read_json("calibration.json")
    return Calibrated(
        calibration=Calibration.model_validate(fields["calibration"]),
        gate=MahalanobisGate.model_validate(fields["gate"]),
    )


def calibrated(job: Job, trained: Trained, targets: NDArray[np.int64]) -> Calibrated:
    """Calibrate an ensemble that is only in memory; `targets` of the development spectra."""
    return calibration_of(job, trained.held_out, trained.identifier.discriminant, targets)


def calibration_of(job: Job, held: HeldOut, discriminant: Discriminant, targets: NDArray[np.int64]) -> Calibrated:
    """Compute all tables.

    The temperature is fitted on augmented copies, whose errors are those of another session; the conformal quantiles
    are taken from the spectra as they were measured, all classes together: with some tens of spectra a class, a
    class's own tail is noise.
    """
    recipe = job.recipe
    copies = len(held.changed_logits) // len(targets)
    temperature = fitted_temperature(held.changed_logits, np.tile(targets, copies))
    true = probabilities(held.logits, temperature)[np.arange(len(targets)), targets]
    classes = held.logits.shape[1]
    quantiles: dict[Preset, tuple[float, ...]] = {}
    for preset, point in recipe.presets.items():
        quantiles[preset] = (conformal_quantile(1.0 - true, point.coverage),) * classes
    far = float(np.quantile(np.concatenate([held.distances, held.changed_distances]), recipe.gate.quantile))
    centres = discriminant.centres.double().numpy()
    size = centres.shape[1]
    return Calibrated(
        calibration=Calibration(
            temperature=temperature,
            quantiles=quantiles,
            min_probability={preset: point.min_probability for preset, point in recipe.presets.items()},
        ),
        gate=MahalanobisGate(
            name=recipe.gate.name,
            metric="mahalanobis",
            columns=(0, size),
            means=tuple(tuple(round(float(v), 6) for v in row) for row in centres),
            precision=tuple(tuple(float(i == j) for j in range(size)) for i in range(size)),
            limits={preset: round(far * slack, 4) for preset, slack in recipe.gate.slack.items()},
        ),
    )


def probabilities(logits: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Softmax of logits over the temperature."""
    scaled = logits.astype(np.float64) / temperature
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def fitted_temperature(logits: NDArray[np.floating], targets: NDArray[np.int64]) -> float:
    """Return the temperature of the smallest negative log-likelihood, on a fixed grid."""
    rows = np.arange(len(targets))
    losses = [-np.log(np.maximum(probabilities(logits, t)[rows, targets], 1e-12)).mean() for t in TEMPERATURES]
    return round(float(TEMPERATURES[int(np.argmin(losses))]), 4)


def conformal_quantile(scores: NDArray[np.float64], coverage: float) -> float:
    """Return the score that at least `coverage` of new scores stay under: the ceil((n + 1) coverage)-th smallest.

    Given with six decimals, rounded up: rounding down would leave that very score outside. With too few scores for the
    coverage the set must hold every class: 1.
    """
    rank = int(np.ceil((len(scores) + 1) * coverage))
    return 1.0 if rank > len(scores) else min(1.0, float(np.ceil(np.sort(scores)[rank - 1] * 1e6) / 1e6))
