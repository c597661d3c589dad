"""The graph at work: a bundle in, a session that has proven itself on this CPU out; then rows in, numbers out.

An Engine may be called from any thread, from one at a time. onnxruntime is loaded by `Engine.load`, not by importing
this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from edged.bundle.archive import Bundle
from edged.infer.errors import EngineFault
from edged.infer.runtime import USE_ANOTHER, first_line, open_graph, runtime_errors

if TYPE_CHECKING:
    import onnxruntime

INPUT: Final = "spectrum"
OUTPUTS: Final = ("logits", "features", "amounts", "prepared")  # in this order, those that the manifest speaks of


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """What the graph says of n spectra, all finite: logits float32 [n, classes or compounds], features float32 [n, k],
    amounts float32 [n, amounts], prepared float32 [n, m]. What the model does not have has no columns.
    """

    logits: NDArray[np.float32]
    features: NDArray[np.float32]
    amounts: NDArray[np.float32]
    prepared: NDArray[np.float32]


class Engine:
    """An onnxruntime session that reproduces its bundle's golden vectors on this CPU."""

    def __init__(self, session: onnxruntime.InferenceSession, *, points: int, widths: Mapping[str, int]) -> None:
        self._session = session
        self._points = points
        self._widths = widths

    @classmethod
    def load(cls, bundle: Bundle, *, threads: int = 1) -> Engine:
        """Load the graph and prove it. Raises EngineFault when it does not fit its manifest or computes differently."""
        session = open_graph(bundle.model, whose=bundle.file_name, threads=threads)
        widths = _widths(bundle)
        _check_ports(session, bundle, widths)
        engine = cls(session, points=bundle.manifest.axis.points, widths=widths)
        engine.prove(bundle)
        return engine

    def run(self, spectra: NDArray[np.float32]) -> Outputs:
        """Run float32 [points] or [n, points]. Raises EngineFault on a result that is not finite.

        Rows go through one by one: a graph that quantises its activations scales them by all rows of a batch, and the
        verdict on a spectrum must not depend on its neighbours.
        """
        rows = self._rows(spectra)
        found = {name: np.empty((len(rows), self._widths.get(name, 0)), dtype=np.float32) for name in OUTPUTS}
        for index in range(len(rows)):
            for name, values in self._run(rows[index : index + 1]).items():
                found[name][index] = values[0]
        return Outputs(**found)

    def run_together(self, spectra: NDArray[np.float32]) -> Outputs:
        """As `run`, all rows in one call. Only for numbers of rows that `edged.infer.batches` has found to be safe."""
        rows = self._rows(spectra)
        none = {name: np.empty((len(rows), 0), dtype=np.float32) for name in OUTPUTS}
        return Outputs(**(none | self._run(rows)))

    def prove(self, bundle: Bundle) -> dict[str, float]:
        """Run the golden vectors and return the largest difference of each output. Raises EngineFault beyond what is
        allowed.

        Features are held to the tolerance of the logits, relative to the largest golden feature where that is above
        one; amounts to their own, relative to the range that the model was trained on; prepared to its own, relative to
        the largest golden value.
        """
        out, manifest = self.run(bundle.golden["spectra"]), bundle.manifest
        allowed = dict.fromkeys(self._widths, manifest.golden_tolerance)
        if manifest.amount_tolerance is not None:
            allowed["amounts"] = manifest.amount_tolerance
        if "prepared" in self._widths:
            assert manifest.components is not None
            assert manifest.components.confirmation is not None
            allowed["prepared"] = manifest.components.confirmation.tolerance
        units = {
            "features": max(1.0, float(np.abs(bundle.golden["features"]).max())),
            "amounts": np.array([amount.highest - amount.lowest for amount in manifest.amounts]),
            "prepared": _largest(bundle.golden.get("prepared")),
        }
        found = {}
        for name in self._widths:
            off = np.abs(getattr(out, name).astype(np.float64) - bundle.golden[name])
            found[name] = float((off / units.get(name, 1.0)).max())
        wrong = [
            f"{name} differ by {found[name]:.3g}, allowed is {allowed[name]:.3g}"
            for name in found
            if found[name] > allowed[name]
        ]
        if wrong:
            raise EngineFault(
                f"{bundle.file_name} computes differently on this CPU: {'; '.join(wrong)}", hint=USE_ANOTHER
            )
        return found

    def _rows(self, spectra: NDArray[np.float32]) -> NDArray[np.float32]:
        rows = np.ascontiguousarray(np.atleast_2d(spectra), dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != self._points:
            raise EngineFault(f"input of shape {rows.shape}; the graph takes [n, {self._points}]")
        return rows

    def _run(self, rows: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        try:
            values = self._session.run(list(self._widths), {INPUT: rows})
        except runtime_errors() as error:
            raise EngineFault(f"the graph failed: {first_line(error)}", hint=USE_ANOTHER) from error
        found = dict(zip(self._widths, values, strict=True))
        for name, width in self._widths.items():
            if found[name].shape != (len(rows), width):
                shapes = f"{found[name].shape}, not {(len(rows), width)}"
                raise EngineFault(f"the graph gave {name} {shapes}", hint=USE_ANOTHER)
        if not all(np.isfinite(array).all() for array in values):
            raise EngineFault("the graph gave a value that is not a finite number", hint="re-measure the sample")
        return found


def _widths(bundle: Bundle) -> dict[str, int]:
    """The columns of each output that the manifest speaks of."""
    components = bundle.manifest.components
    width = {
        "logits": bundle.manifest.logit_columns,
        "features": bundle.golden["features"].shape[1],
        "amounts": len(bundle.manifest.amounts),
        "prepared": components.prepared_points if components else 0,
    }
    return {name: width[name] for name in OUTPUTS if width[name]}


def _largest(values: NDArray[np.float32] | None) -> float:
    """The largest golden value, or one where there is none to be relative to."""
    return (0.0 if values is None else float(np.abs(values).max())) or 1.0


def _check_ports(session: onnxruntime.InferenceSession, bundle: Bundle, widths: Mapping[str, int]) -> None:
    found = {port.name: port for port in (*session.get_inputs(), *session.get_outputs())}
    inputs = [port.name for port in session.get_inputs()]
    if inputs != [INPUT] or not set(widths) <= set(found):
        raise EngineFault(
            f"{bundle.file_name}: the graph has inputs {inputs} and outputs {sorted(set(found) - set(inputs))}; "
            f"wanted {[INPUT]} and {list(widths)}",
            hint=USE_ANOTHER,
        )
    for name, wanted in {INPUT: bundle.manifest.axis.points, **widths}.items():
        port = found[name]
        shape: list[Any] = list(port.shape)
        fits = len(shape) == 2 and (not isinstance(shape[0], int) or shape[0] == 1)
        if not fits or (isinstance(shape[1], int) and shape[1] != wanted) or port.type != "tensor(float)":
            raise EngineFault(
                f"{bundle.file_name}: {name} is {port.type} {shape}; wanted tensor(float) [N, {wanted}]",
                hint=USE_ANOTHER,
            )
