"""A few compounds of a bank, asked without the rest: a bundle's `why.onnx` in, a session out that has proven itself.

    spectrum float32 [N, points], which int64 [K]: columns of the bundle's logits  ->  logits float32 [N, K]

It reads its numbers out of the bundle's `model.onnx`, and is opened by whoever explains, since most never do. May be
called from any thread, from one at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from edged.bundle.archive import Bundle
from edged.infer.engine import INPUT
from edged.infer.errors import EngineFault
from edged.infer.runtime import USE_ANOTHER, first_line, open_graph, runtime_errors

if TYPE_CHECKING:
    import onnxruntime

WHICH: Final = "which"
LOGITS: Final = "logits"
TRIED: Final = 16  # golden spectra that a compound is tried on; a bundle may have a thousand
_AT_ONCE: Final = 32  # compounds: bounds what a proof of all of them holds


class Alone:
    """A session that says the logits of those compounds that are named."""

    def __init__(self, session: onnxruntime.InferenceSession, bundle: Bundle) -> None:
        self._session = session
        self._name = bundle.file_name
        self._manifest = bundle.manifest
        self._golden = bundle.golden
        self._proven: set[int] = set()

    @classmethod
    def load(cls, bundle: Bundle, *, threads: int = 1) -> Alone:
        """Open the graph of a bundle that has one, where `reads_from_memory`.

        Raises EngineFault when it does not fit its manifest.
        """
        session = open_graph(
            bundle.why, whose=f"{bundle.file_name}: why.onnx", threads=threads, beside={"model.onnx": bundle.model}
        )
        found = cls(session, bundle)
        found._check_ports()
        return found

    def trials(self, columns: Sequence[int]) -> int:
        """Return how many times `prove` would ask a compound."""
        return len(set(columns) - self._proven) * len(self._golden["spectra"][:TRIED])

    def prove(self, columns: Sequence[int]) -> float:
        """Put the golden spectra to these compounds and return the largest difference of a logit from the golden one;
        those that have been proven before are not asked again.

        Raises EngineFault where it is more than a bundle may differ by.
        """
        spectra, logits = (self._golden[name][:TRIED] for name in ("spectra", "logits"))
        new, largest = sorted(set(columns) - self._proven), 0.0
        for start in range(0, len(new), _AT_ONCE):
            some = new[start : start + _AT_ONCE]
            off = np.abs(self.logits(spectra, some).astype(np.float64) - logits[:, some])
            largest = max(largest, float(off.max()))
        if largest > self._manifest.golden_tolerance:
            raise EngineFault(
                f"{self._name}: a compound alone says other logits than among all: they differ by {largest:.3g}, "
                f"allowed is {self._manifest.golden_tolerance:.3g}",
                hint=USE_ANOTHER,
            )
        self._proven.update(new)
        return largest

    def logits(self, rows: NDArray[np.float32], columns: Sequence[int]) -> NDArray[np.float32]:
        """Return float32 [n, columns] of spectra [n, points]. Raises EngineFault on a result that is not finite."""
        feed = {INPUT: np.ascontiguousarray(rows, dtype=np.float32), WHICH: np.array(columns, dtype=np.int64)}
        try:
            (found,) = self._session.run([LOGITS], feed)
        except runtime_errors() as error:
            raise EngineFault(f"why.onnx failed: {first_line(error)}", hint=USE_ANOTHER) from error
        if found.shape != (len(rows), len(columns)) or not np.isfinite(found).all():
            raise EngineFault(
                f"why.onnx gave {found.shape}, not {(len(rows), len(columns))}, or a value that is not a finite number",
                hint=USE_ANOTHER,
            )
        return np.asarray(found, dtype=np.float32)

    def _check_ports(self) -> None:
        inputs = {port.name: (port.type, list(port.shape)) for port in self._session.get_inputs()}
        outputs = {port.name: (port.type, list(port.shape)) for port in self._session.get_outputs()}
        points = self._manifest.axis.points
        fits = (
            set(inputs) == {INPUT, WHICH}
            and set(outputs) == {LOGITS}
            and _is(inputs[INPUT], "tensor(float)", (None, points))
            and _is(inputs[WHICH], "tensor(int64)", (None,))
            and _is(outputs[LOGITS], "tensor(float)", (None, None))
        )
        if not fits:
            raise EngineFault(
                f"{self._name}: why.onnx has inputs {inputs} and outputs {outputs}; wanted {INPUT} tensor(float) "
                f"[N, {points}], {WHICH} tensor(int64) [K], {LOGITS} tensor(float) [N, K]",
                hint=USE_ANOTHER,
            )


def _is(port: tuple[str, list[object]], kind: str, shape: tuple[int | None, ...]) -> bool:
    """Whether a port has this type and shape; None stands for any number, which it must leave open."""
    found, sizes = port
    if found != kind or len(sizes) != len(shape):
        return False
    return all(
        not isinstance(size, int) if wanted is None else not isinstance(size, int) or size == wanted
        for size, wanted in zip(sizes, shape, strict=True)
    )
