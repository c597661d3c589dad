"""The bundle's manifest: everything the daemon must know about a model besides its graph.

`<name>-<version>.edgebundle` is a zip (stored or deflated) of: manifest.json, model.onnx, golden.npz, report.html, and
nothing else but LICENSE.txt. The graph takes `spectrum` float32 [N, points] on the manifest's axis and gives `logits`
float32 [N, classes] and `features` float32 [N, k].
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from edged.infer.verdict import Model, Preset, Procedure

SCHEMA = "edged.bundle/1"
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Axis(Model):
    """An even axis: `points` positions from `start` to `stop`, both included."""

    unit: Literal["nm", "cm-1"]
    start: float
    stop: float
    points: Annotated[int, Field(ge=8, le=65_536)]


class ClassInfo(Model):
    """One class in the order of the logits. `label` is the data source's own name, `title` is for people."""

    label: Annotated[str, Field(min_length=1, max_length=64)]
    title: Annotated[str, Field(min_length=1, max_length=200)]


class OutOfModelGate(Model):
    """Distance of the graph's `features` to the nearest class centre, refused above `limits[preset]`.

    metric `mahalanobis`: sqrt of the smallest (f - mean_c)^T precision (f - mean_c) over classes c.
    metric `norm`: the graph's own distance: the named feature columns are distances already, the smallest counts.
    means: [classes, k]; precision: [k, k].
    """

    name: str
    metric: Literal["mahalanobis", "norm"]
    columns: tuple[int, int] = Field(
        description="first and one past the last column of `features` that this gate reads"
    )
    means: tuple[tuple[float, ...], ...] = ()
    precision: tuple[tuple[float, ...], ...] = ()
    limits: dict[Preset, float]


class Calibration(Model):
    """p = softmax(logits / temperature). Class c is in the conformal set when 1 - p_c <= quantiles[preset][c].

    Every table here and every gate has the same presets.
    """

    temperature: Annotated[float, Field(gt=0)]
    quantiles: dict[Preset, tuple[float, ...]]
    min_probability: dict[Preset, Annotated[float, Field(ge=0, le=1)]]


class Manifest(Model):
    """What the daemon knows of a model. `digests` covers every other file in the archive."""

    schema_: Literal["edged.bundle/1"] = Field(default="edged.bundle/1", alias="schema")
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    technique: Literal["nir", "raman"]
    quantity: Literal["absorbance", "reflectance", "intensity"]
    axis: Axis
    classes: tuple[ClassInfo, ...]
    procedures: tuple[Procedure, ...]
    default_preset: Preset
    calibration: Calibration
    gates: tuple[OutOfModelGate, ...]
    golden_tolerance: Annotated[
        float, Field(gt=0, description="largest allowed difference of a logit from the golden one on any CPU")
    ]
    data_sheet: dict[str, Any] = Field(
        description="sources, licence, grouping key, split, instruments, preprocessing, training, quantisation"
    )
    metrics: dict[str, Any]
    tool_versions: dict[str, str]
    digests: dict[str, Digest]

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        n = len(self.classes)
        if n < 2 or len({c.label for c in self.classes}) != n:
            raise ValueError("classes: at least two, with different labels")
        for preset, table in self.calibration.quantiles.items():
            if len(table) != n:
                raise ValueError(f"calibration.quantiles.{preset}: {len(table)} values for {n} classes")
        presets = set(self.calibration.quantiles)
        if self.default_preset not in presets or set(self.calibration.min_probability) != presets:
            raise ValueError(
                "calibration: quantiles and min_probability need the same presets, default_preset among them"
            )
        if not self.procedures or "components" in self.procedures:
            raise ValueError("procedures: identify, verify or both; this schema holds no thresholds for components")
        if len({gate.name for gate in self.gates}) != len(self.gates):
            raise ValueError("gates: two bear one name")
        for gate in self.gates:
            if set(gate.limits) != presets:
                raise ValueError(f"gates.{gate.name}.limits: needs the presets of the calibration, {sorted(presets)}")
            k = gate.columns[1] - gate.columns[0]
            if k < 1 or gate.columns[0] < 0:
                raise ValueError(f"gates.{gate.name}.columns: no column")
            if gate.metric == "mahalanobis" and (
                len(gate.means) != n
                or any(len(m) != k for m in gate.means)
                or len(gate.precision) != k
                or any(len(r) != k for r in gate.precision)
            ):
                raise ValueError(f"gates.{gate.name}: means and precision do not fit {n} classes and {k} columns")
        if not self.axis.start < self.axis.stop:
            raise ValueError("axis: start must be under stop")
        return self
