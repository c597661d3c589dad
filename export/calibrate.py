"""Turn held-out answers into calibration: temperature, conformal quantiles, probability floors, limits of the gate.

Everything here rests on spectra that the asked member or gate space had not seen; the test block and the spectra of
other things are not touched. How far sets of classes must reach: `export.conformal`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edged.bundle.manifest import MAX_LEVELS, Amount, Calibration, MahalanobisGate, NormGate, Residuals
from edged.infer.verdict import Preset
from export.conformal import Promise, Scored, class_quantiles, promise, units_of
from export.data.spectra import Spectra, group_numbers
from export.dose import amounts_of
from export.gates.bank import Bank
from export.job import Job
from export.train import HeldOut, Trained, load_held_out, load_identifier

_GATES: dict[str, type[MahalanobisGate | NormGate]] = {"mahalanobis": MahalanobisGate, "norm": NormGate}
TEMPERATURES = np.geomspace(0.1, 10.0, 400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """The manifest's tables. calibration: of models that name classes; amounts: of those that tell an amount.

    sets: what stands behind the quantiles, or the half widths, of each preset, for the report.
    """

    calibration: Calibration | None
    amounts: tuple[Amount, ...]
    gates: tuple[MahalanobisGate | NormGate, ...]
    residuals: Residuals | None
    sets: Mapping[Preset, Promise] = field(default_factory=dict)


def calibrate(job: Job) -> dict[str, Any]:
    """Stage: read the held-out answers, leave calibration.json."""
    spectra = job.spectra()
    held = load_held_out(job)
    identifier = load_identifier(job)
    found = calibration_of(job, spectra, held, identifier.gates, job.split(spectra).development)
    tables: dict[str, Any] = {
        "calibration": found.calibration.model_dump(mode="json") if found.calibration else None,
        "amounts": [amount.model_dump(mode="json") for amount in found.amounts],
        "gates": [gate.model_dump(mode="json") for gate in found.gates],
        "residuals": found.residuals.model_dump(mode="json") if found.residuals else None,
        "sets": found.sets,
    }
    job.write_json("calibration.json", tables)
    told: dict[str, Any] = {"gate_limits": {gate.name: dict(gate.limits) for gate in found.gates}}
    if found.calibration is not None:
        told["temperature"] = found.calibration.temperature
        told["quantiles"] = {preset: max(table) for preset, table in found.calibration.quantiles.items()}
    for amount in found.amounts:
        told[f"half_widths_{amount.unit}"] = dict(amount.half_widths)
    told["promised_coverage"] = {preset: sets["promised"] for preset, sets in found.sets.items()}
    return told


def load_calibration(job: Job) -> Calibrated:
    """Return what `calibrate` left. Raises StageMissing."""
    fields = job.read_json("calibration.json")
    return Calibrated(
        calibration=Calibration.model_validate(fields["calibration"]) if fields["calibration"] else None,
        amounts=tuple(Amount.model_validate(amount) for amount in fields["amounts"]),
        gates=tuple(_GATES[gate["metric"]].model_validate(gate) for gate in fields["gates"]),
        residuals=Residuals.model_validate(fields["residuals"]) if fields["residuals"] else None,
        sets=fields["sets"],
    )


def calibrated(job: Job, spectra: Spectra, trained: Trained, rows: NDArray[np.int64]) -> Calibrated:
    """Calibrate an ensemble that is only in memory; `rows` of the development spectra."""
    return calibration_of(job, spectra, trained.held_out, trained.identifier.gates, rows)


def calibration_of(job: Job, spectra: Spectra, held: HeldOut, gates: Bank, rows: NDArray[np.int64]) -> Calibrated:
    """Compute all tables from what is known of the development spectra, `rows`."""
    recipe = job.recipe
    calibration: Calibration | None = None
    sets: dict[Preset, Promise] = {}
    amounts: tuple[Amount, ...] = ()
    if job.tells_amounts:
        amounts, sets = amounts_of(job, spectra, held.logits, rows)
    else:
        calibration, sets = _named(job, spectra, held, rows)
    far = np.quantile(np.concatenate([held.distances, held.changed_distances]), recipe.gate.quantile, axis=0)
    limits = [
        {preset: round(float(reached) * slack, 4) for preset, slack in recipe.gate.slack.items()} for reached in far
    ]
    return Calibrated(
        calibration=calibration,
        amounts=amounts,
        gates=gates.tables(limits),
        residuals=_residuals(job, held, gates, spectra.targets[rows]),
        sets=sets,
    )


def _residuals(job: Job, held: HeldOut, gates: Bank, targets: NDArray[np.int64]) -> Residuals | None:
    """What spectra, and their copies, show of their own class where no space was fitted to their block.

    The copies are there for the next day: without them every scan of another session would fit badly.
    """
    claims = job.recipe.claims
    if claims is None:
        return None
    own = np.concatenate([held.own, held.changed_own])
    of_class = np.tile(targets, len(own) // len(targets))
    levels = []
    for target in range(int(targets.max()) + 1):
        values = own[of_class == target]
        shares = np.linspace(0.0, 1.0, min(MAX_LEVELS, len(values)))
        levels.append({"quantiles": tuple(float(v) for v in np.quantile(values, shares)), "n": len(values)})
    return Residuals.model_validate(
        {"name": claims.space, "columns": gates.columns[claims.space], "levels": levels, "alpha": claims.alpha}
    )


def _named(
    job: Job, spectra: Spectra, held: HeldOut, rows: NDArray[np.int64]
) -> tuple[Calibration, dict[Preset, Promise]]:
    """The tables of a model that names classes, and what stands behind its sets."""
    presets, classes = job.recipe.presets, held.logits.shape[1]
    temperature = temperature_of(held, spectra.targets[rows])
    scored = scored_of(job, spectra, held, rows, temperature=temperature)
    calibration = Calibration(
        temperature=temperature,
        quantiles={preset: class_quantiles(scored, of.coverage, classes=classes) for preset, of in presets.items()},
        min_probability={preset: of.min_probability for preset, of in presets.items()},
    )
    return calibration, {preset: promise(scored, of.coverage, classes=classes) for preset, of in presets.items()}


def temperature_of(held: HeldOut, targets: NDArray[np.int64]) -> float:
    """Return the temperature that fits augmented copies, whose errors are those of another session."""
    copies = len(held.changed_logits) // len(targets)
    return fitted_temperature(held.changed_logits, np.tile(targets, copies))


def scored_of(job: Job, spectra: Spectra, held: HeldOut, rows: NDArray[np.int64], *, temperature: float) -> Scored:
    """Return what calibrates the sets: the scores of the development spectra `rows` and of their harder copies."""
    targets, part = spectra.targets[rows], job.split(spectra).part[rows]
    instruments = group_numbers(spectra.instruments or [""] * len(spectra.labels))
    return Scored(
        measured=_scores(held.logits, targets, temperature),
        changed=_scores(held.harder_logits, np.tile(targets, len(held.harder_logits) // len(targets)), temperature),
        targets=targets,
        units=units_of(part, spectra.groups[rows]),
        instruments=instruments[rows],
    )


def _scores(logits: NDArray[np.floating], targets: NDArray[np.int64], temperature: float) -> NDArray[np.float64]:
    return 1.0 - probabilities(logits, temperature)[np.arange(len(targets)), targets]


def probabilities(logits: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Softmax of logits over the temperature."""
    scaled = logits.astype(np.float64) / temperature
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def fitted_temperature(logits: NDArray[np.floating], targets: NDArray[np.int64]) -> float:
    """Return the temperature of the smallest negative log-likelihood, on a fixed grid.

    Where no spectrum is named wrongly, colder is always likelier, and says nothing: then it is 1 at least.
    """
    rows = np.arange(len(targets))
    losses = [-np.log(np.maximum(probabilities(logits, t)[rows, targets], 1e-12)).mean() for t in TEMPERATURES]
    found = round(float(TEMPERATURES[int(np.argmin(losses))]), 4)
    return found if (logits.argmax(axis=1) != targets).any() else max(found, 1.0)
