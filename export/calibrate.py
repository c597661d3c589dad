"""Turn held-out answers into calibration: temperature, conformal quantiles, probability floors, limits of the gate.

Everything here rests on spectra that the asked member or gate space had not seen; the test block and the spectra of
other things are not touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edged.bundle.manifest import MAX_LEVELS, Amount, Calibration, MahalanobisGate, NormGate, Residuals
from edged.infer.verdict import Preset
from export.data.spectra import Spectra
from export.dose import amount_of
from export.gates.bank import Bank
from export.job import Job
from export.train import HeldOut, Trained, load_identifier

_GATES: dict[str, type[MahalanobisGate | NormGate]] = {"mahalanobis": MahalanobisGate, "norm": NormGate}
TEMPERATURES = np.geomspace(0.1, 10.0, 400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """The manifest's tables. calibration: of models that name classes; amounts: of those that tell an amount."""

    calibration: Calibration | None
    amounts: tuple[Amount, ...]
    gates: tuple[MahalanobisGate | NormGate, ...]
    residuals: Residuals | None


def calibrate(job: Job) -> dict[str, Any]:
    """Stage: read the held-out answers, leave calibration.json."""
    spectra = job.spectra()
    with np.load(job.need("heldout.npz")) as file:
        held = HeldOut(**{name: file[name] for name in HeldOut.__dataclass_fields__})
    identifier = load_identifier(job)
    found = calibration_of(job, spectra, held, identifier.gates, job.split(spectra).development)
    tables: dict[str, Any] = {
        "calibration": found.calibration.model_dump(mode="json") if found.calibration else None,
        "amounts": [amount.model_dump(mode="json") for amount in found.amounts],
        "gates": [gate.model_dump(mode="json") for gate in found.gates],
        "residuals": found.residuals.model_dump(mode="json") if found.residuals else None,
    }
    job.write_json("calibration.json", tables)
    told: dict[str, Any] = {"gate_limits": {gate.name: dict(gate.limits) for gate in found.gates}}
    if found.calibration is not None:
        told["temperature"] = found.calibration.temperature
        told["quantiles"] = {preset: table[0] for preset, table in found.calibration.quantiles.items()}
    for amount in found.amounts:
        told[f"half_widths_{amount.unit}"] = dict(amount.half_widths)
    return told


def load_calibration(job: Job) -> Calibrated:
    """Return what `calibrate` left. Raises StageMissing."""
    fields = job.read_json("calibration.json")
    return Calibrated(
        calibration=Calibration.model_validate(fields["calibration"]) if fields["calibration"] else None,
        amounts=tuple(Amount.model_validate(amount) for amount in fields["amounts"]),
        gates=tuple(_GATES[gate["metric"]].model_validate(gate) for gate in fields["gates"]),
        residuals=Residuals.model_validate(fields["residuals"]) if fields["residuals"] else None,
    )


def calibrated(job: Job, spectra: Spectra, trained: Trained, rows: NDArray[np.int64]) -> Calibrated:
    """Calibrate an ensemble that is only in memory; `rows` of the development spectra."""
    return calibration_of(job, spectra, trained.held_out, trained.identifier.gates, rows)


def calibration_of(job: Job, spectra: Spectra, held: HeldOut, gates: Bank, rows: NDArray[np.int64]) -> Calibrated:
    """Compute all tables from what is known of the development spectra, `rows`."""
    recipe = job.recipe
    calibration: Calibration | None = None
    amounts: tuple[Amount, ...] = ()
    if job.tells_amounts:
        amounts = (amount_of(job, spectra, held.logits, rows),)
    else:
        calibration = _named(job, held, spectra.targets[rows])
    far = np.quantile(np.concatenate([held.distances, held.changed_distances]), recipe.gate.quantile, axis=0)
    limits = [
        {preset: round(float(reached) * slack, 4) for preset, slack in recipe.gate.slack.items()} for reached in far
    ]
    return Calibrated(
        calibration=calibration,
        amounts=amounts,
        gates=gates.tables(limits),
        residuals=_residuals(job, held, gates, spectra.targets[rows]),
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


def _named(job: Job, held: HeldOut, targets: NDArray[np.int64]) -> Calibration:
    """The tables of a model that names classes.

    The temperature is fitted on augmented copies, whose errors are those of another session; the conformal quantiles
    are taken from the spectra as they were measured, all classes together: with some tens of spectra a class, a
    class's own tail is noise.
    """
    presets = job.recipe.presets
    copies = len(held.changed_logits) // len(targets)
    temperature = fitted_temperature(held.changed_logits, np.tile(targets, copies))
    true = probabilities(held.logits, temperature)[np.arange(len(targets)), targets]
    quantiles: dict[Preset, tuple[float, ...]] = {}
    for preset, point in presets.items():
        quantiles[preset] = (conformal_quantile(1.0 - true, point.coverage),) * held.logits.shape[1]
    return Calibration(
        temperature=temperature,
        quantiles=quantiles,
        min_probability={preset: point.min_probability for preset, point in presets.items()},
    )


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


def conformal_quantile(scores: NDArray[np.float64], coverage: float) -> float:
    """Return the score that at least `coverage` of new scores stay under: the ceil((n + 1) coverage)-th smallest.

    Given with six decimals, rounded up: rounding down would leave that very score outside. With too few scores for the
    coverage the set must hold every class: 1. At least 1 / (n + 1): n scores say nothing of what is rarer, and without
    a floor a model that is sure of all it was calibrated on would name nothing that is new.
    """
    rank = int(np.ceil((len(scores) + 1) * coverage))
    if rank > len(scores):
        return 1.0
    score = max(float(np.sort(scores)[rank - 1]), 1.0 / (len(scores) + 1))
    return min(1.0, float(np.ceil(score * 1e6) / 1e6))
