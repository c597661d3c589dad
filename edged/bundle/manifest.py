"""The bundle's manifest: everything the daemon must know about a model besides its graph.

`<name>-<version>.edgebundle` is a zip (stored or deflated) of: manifest.json, model.onnx, golden.npz, report.html, and
nothing else but LICENSE.txt, library.npz and why.onnx. The graph takes `spectrum` float32 [N, points] on the manifest's
axis and gives `features` float32 [N, k], `logits` float32 [N, classes] where there are classes, and `amounts` float32
[N, amounts] where there are amounts.

    procedure           what it needs
    identify, verify    classes, calibration
    verify              residuals too, where the claim is to be tested against the class's own scans
    components          components: `edged.bundle.components` tells of the graph and the library
    quantify            amounts

Every table that has presets has the same ones. `docs/models/manifest.md` shows one of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from edged.bundle import components as mixtures
from edged.bundle.components import Components, Compound
from edged.bundle.vocabulary import Axis as Axis
from edged.bundle.vocabulary import Label, Title
from edged.infer.verdict import Model, Preset, Procedure

SCHEMA = "edged.bundle/1"
MAX_LEVELS = 64  # of the residuals of one class: 1.6 % between two, finer than any alpha that is worth setting
MAX_AMOUNT = 1e12  # in any unit that people write; keeps sums and differences finite

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Columns = Annotated[
    tuple[int, int], Field(description="first and one past the last column of `features` that this reads")
]
AmountNumber = Annotated[float, Field(ge=-MAX_AMOUNT, le=MAX_AMOUNT)]
HalfWidth = Annotated[float, Field(gt=0, le=MAX_AMOUNT)]


class ClassInfo(Model):
    """One class in the order of the logits. `label` is the data source's own name, `title` is for people."""

    label: Label
    title: Title


class Amount(Model):
    """One amount in the order of the graph's `amounts`, in `unit`.

    lowest, highest: what the model was trained on. half_widths: of the interval around a value (split conformal).
    A value farther out than its half width is refused; one between is told as it is.
    """

    label: Label
    title: Title
    unit: Annotated[str, Field(min_length=1, max_length=16)]
    lowest: AmountNumber
    highest: AmountNumber
    half_widths: dict[Preset, HalfWidth]


class MahalanobisGate(Model):
    """sqrt of the smallest (f - mean_c)^T precision (f - mean_c) over the centres c; refused above `limits[preset]`.

    means: [classes, k], or any number of centres where there are no classes; precision: [k, k].
    """

    name: str
    metric: Literal["mahalanobis"]
    columns: Columns
    means: tuple[tuple[float, ...], ...]
    precision: tuple[tuple[float, ...], ...]
    limits: dict[Preset, float]


class NormGate(Model):
    """The graph's own distances, one a column; the smallest counts, refused above `limits[preset]`.

    scales: what each column is divided by first, since classes spread differently; none leaves them as they are.
    """

    name: str
    metric: Literal["norm"]
    columns: Columns
    scales: tuple[Annotated[float, Field(gt=0)], ...] = ()
    means: tuple[()] = ()  # once written of every gate: read, and not written any more
    precision: tuple[()] = ()
    limits: dict[Preset, float]


OutOfModelGate = Annotated[MahalanobisGate | NormGate, Field(discriminator="metric")]


class Calibration(Model):
    """p = softmax(logits / temperature). Class c is in the conformal set when 1 - p_c <= quantiles[preset][c].

    Empty where there are no classes.
    """

    temperature: Annotated[float, Field(ge=1e-9)] = 1.0  # a float32 divided by it stays finite
    quantiles: dict[Preset, tuple[float, ...]] = Field(default_factory=dict)
    min_probability: dict[Preset, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)


class Levels(Model):
    """Held-out residuals of one class: `n` of them, as ascending quantiles evenly spaced in rank, ends included."""

    quantiles: Annotated[tuple[float, ...], Field(min_length=2, max_length=MAX_LEVELS)]
    n: Annotated[int, Field(ge=2, le=1_000_000_000)]


class Residuals(Model):
    """How far a spectrum may be from the class that it is said to be. A claim is refused where p < alpha[preset].

    columns: of `features`, one a class: the distance to the class's own subspace, whitened by its measured noise.
    levels: one a class. Why: `edged.infer.residual`.
    """

    name: str
    columns: Columns
    levels: tuple[Levels, ...]
    alpha: dict[Preset, Annotated[float, Field(gt=0, lt=1)]]


class Manifest(Model):
    """What the daemon knows of a model. `digests` covers every other file in the archive."""

    schema_: Literal["edged.bundle/1"] = Field(default="edged.bundle/1", alias="schema")
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    technique: Literal["nir", "raman"]
    quantity: Literal["absorbance", "reflectance", "intensity"]
    axis: Axis
    classes: tuple[ClassInfo, ...] = ()
    amounts: tuple[Amount, ...] = ()
    procedures: tuple[Procedure, ...]
    default_preset: Preset
    calibration: Calibration = Field(default_factory=Calibration)
    residuals: Residuals | None = None
    components: Components | None = None
    gates: tuple[OutOfModelGate, ...]
    golden_tolerance: Annotated[
        float, Field(gt=0, description="largest allowed difference of a logit from the golden one on any CPU")
    ]
    amount_tolerance: (
        Annotated[
            float,
            Field(gt=0, description="the same of an amount, as a share of highest - lowest; null: golden_tolerance"),
        ]
        | None
    ) = None
    data_sheet: dict[str, Any] = Field(
        description="sources, licence, grouping key, split, instruments, preprocessing, training, quantisation"
    )
    metrics: dict[str, Any]
    tool_versions: dict[str, str]
    digests: dict[str, Digest]

    @property
    def presets(self) -> tuple[Preset, ...]:
        """The operating points, in the order in which the manifest has them."""
        if self.components is not None:
            return tuple(self.components.presets)
        return tuple(self.calibration.quantiles or self.amounts[0].half_widths)

    @property
    def compounds(self) -> tuple[Compound, ...]:
        """What may be found in a mixture, in the order of the logits; empty where components is not offered."""
        return self.components.compounds if self.components else ()

    @property
    def logit_columns(self) -> int:
        """Columns of the graph's `logits`: one a class, or one a compound; 0 where it has none."""
        return len(self.compounds or self.classes)

    @property
    def feature_columns(self) -> int:
        """How many columns of `features` are read."""
        reach = [gate.columns[1] for gate in self.gates]
        return max([*reach, self.residuals.columns[1] if self.residuals else 0])

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        if problems := list(_problems(self)):
            raise ValueError("; ".join(problems))
        return self


def _problems(manifest: Manifest) -> Iterator[str]:
    yield from _answers(manifest)
    if not manifest.axis.start < manifest.axis.stop:
        yield "axis: start must be under stop"
    if len({gate.name for gate in manifest.gates}) != len(manifest.gates):
        yield "gates: two bear one name"
    if manifest.components is not None:
        yield from mixtures.problems(manifest.components)
    elif not (manifest.calibration.quantiles or manifest.amounts):
        return  # what there is no table for has been told, and the rest is compared with one
    presets = set(manifest.presets)
    yield from _tables(manifest, presets)
    for gate in manifest.gates:
        yield from _gate(gate, len(manifest.classes))
        yield from _same(f"gates.{gate.name}.limits", gate.limits, presets)
    if manifest.residuals is not None:
        yield from _residuals(manifest.residuals, len(manifest.classes))
        yield from _same("residuals.alpha", manifest.residuals.alpha, presets)


def _answers(manifest: Manifest) -> Iterator[str]:
    """Whether there is what each procedure needs, and nothing that none asks for."""
    n, asked = len(manifest.classes), set(manifest.procedures)
    calibrated = bool(manifest.calibration.quantiles or manifest.calibration.min_probability)
    if not asked:
        yield "procedures: any of identify, verify, quantify, components"
    naming = sorted(asked & {"identify", "verify"})
    if ("components" in asked) != (manifest.components is not None):
        yield "components: the table and the procedure of that name need each other"
    if naming and "components" in asked:
        yield f"procedures: {' and '.join(naming)} and components read other logits: make two bundles"
    if naming:
        if n < 2 or len({c.label for c in manifest.classes}) != n:
            yield f"classes: at least two, with different labels, for {' and '.join(naming)}"
        if not manifest.calibration.quantiles:
            yield f"calibration.quantiles: one row a preset, for {' and '.join(naming)}"
    elif n or calibrated:
        yield "classes, calibration: neither identify nor verify is among the procedures"
    if manifest.residuals is not None and "verify" not in asked:
        yield "residuals: verify is not among the procedures"
    labels = {amount.label for amount in manifest.amounts}
    if "quantify" in asked and (not labels or len(labels) != len(manifest.amounts)):
        yield "amounts: at least one, with different labels, for quantify"
    if manifest.amounts and "quantify" not in asked:
        yield "amounts: quantify is not among the procedures"
    if manifest.amount_tolerance is not None and not manifest.amounts:
        yield "amount_tolerance: there are no amounts"


def _tables(manifest: Manifest, presets: set[Preset]) -> Iterator[str]:
    if manifest.default_preset not in presets:
        yield f"default_preset: {manifest.default_preset} is none of {sorted(presets)}"
    if manifest.calibration.quantiles:
        yield from _same("calibration.min_probability", manifest.calibration.min_probability, presets)
    for preset, table in manifest.calibration.quantiles.items():
        if len(table) != len(manifest.classes):
            yield f"calibration.quantiles.{preset}: {len(table)} values for {len(manifest.classes)} classes"
    for amount in manifest.amounts:
        yield from _same(f"amounts.{amount.label}.half_widths", amount.half_widths, presets)
        if not amount.lowest < amount.highest:
            yield f"amounts.{amount.label}: lowest must be under highest"


def _gate(gate: MahalanobisGate | NormGate, classes: int) -> Iterator[str]:
    where = f"gates.{gate.name}"
    first, past = gate.columns
    k = past - first
    if k < 1 or first < 0:
        yield f"{where}.columns: no column"
    elif isinstance(gate, NormGate):
        if gate.scales and len(gate.scales) != k:
            yield f"{where}.scales: {len(gate.scales)} for {k} columns"
    elif (
        not gate.means
        or (classes and len(gate.means) != classes)
        or any(len(row) != k for row in (*gate.means, *gate.precision))
        or len(gate.precision) != k
    ):
        yield f"{where}: means and precision do not fit {classes} classes and {k} columns"


def _residuals(residuals: Residuals, classes: int) -> Iterator[str]:
    first, past = residuals.columns
    if first < 0 or past - first != classes or len(residuals.levels) != classes:
        yield f"residuals: needs one column and one entry of levels for each of the {classes} classes"
    for column, levels in enumerate(residuals.levels):
        if any(a > b for a, b in pairwise(levels.quantiles)):
            yield f"residuals.levels.{column}.quantiles: must not fall"


def _same(where: str, table: dict[Preset, Any], presets: set[Preset]) -> Iterator[str]:
    if set(table) != presets:
        yield f"{where}: needs the presets {sorted(presets)}, as every other table, and has {sorted(table)}"
