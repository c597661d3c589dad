"""What is measured, and how much of it: the bundle, its float graph, real spectra, a folder on a real disk."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from edged.bundle.archive import Bundle, read_bundle
from edged.bundle.slots import built_in
from export.job import Job
from export.quantise.weights import unfolded
from export.recipe import Recipe, load_recipe

REPOSITORY = Path(__file__).resolve().parents[2]
RECIPE = "powders12"
Rows = NDArray[np.float32]


class Unavailable(Exception):
    """A bench lacks something that this machine does not have; the message says what."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How often things are done."""

    rounds: int = 40  # of calls that take microseconds, in batches of 2 ms
    starts: int = 9
    measurements: int = 20
    scans: int = 100
    appends: int = 400
    backlog: int = 3000
    drains: int = 5
    analyses: int = 5
    spectra: int | None = None  # None: all there are


TINY = Scale(rounds=2, starts=1, measurements=1, scans=2, appends=4, backlog=20, drains=1, analyses=1, spectra=4)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """bundle: None takes the one that edged ships with. data: the public spectra; without them the bundle's golden
    vectors, which are real spectra too. work: where `edged-export build` has left the float graph, if it has.
    folder: on the disk that journals are written to.
    """

    scale: Scale
    folder: Path
    data: Path
    work: Path
    bundle_path: Path | None = None

    @cached_property
    def bundle(self) -> Bundle:
        """The bundle. Raises Unavailable when there is none."""
        return read_bundle(self.bundle_file)

    @cached_property
    def bundle_file(self) -> Path:
        """Its file. Raises Unavailable when there is none."""
        path = self.bundle_path or built_in()
        if path is None:
            raise Unavailable("no bundle is built in: edged-export build powders12, then --bundle FILE")
        return path

    @cached_property
    def recipe(self) -> Recipe:
        """What the bundle was built from."""
        return load_recipe(RECIPE)

    @cached_property
    def grid(self) -> NDArray[np.float64]:
        """The bundle's axis."""
        axis = self.bundle.manifest.axis
        return np.linspace(axis.start, axis.stop, axis.points)

    @property
    def development(self) -> Rows:
        """Real spectra on the bundle's axis that preprocessing may be fitted on."""
        return self._parts[0]

    @property
    def held_out(self) -> Rows:
        """Real spectra on the bundle's axis that no training has seen, as many as the scale wants."""
        return self._parts[1][: self.scale.spectra]

    @property
    def whole_set(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """An axis in nm and 1,200 spectra on it, or as many as the scale wants."""
        if self._has_data:
            spectra = self._job.spectra()
            return spectra.axis, spectra.values[: self.scale.spectra]
        rows = np.resize(self.held_out.astype(np.float64), (1200, len(self.grid)))
        return self.grid, rows[: self.scale.spectra]

    @cached_property
    def float_graph(self) -> onnx.ModelProto:
        """The float graph that the bundle's was made from, or the bundle's own made float again."""
        if self.has_float_original:
            return onnx.load_from_string((self.work / "float.onnx").read_bytes())
        return unfolded(onnx.load_from_string(self.bundle.model))

    @cached_property
    def has_float_original(self) -> bool:
        """Whether the work folder is the one in which this very bundle was built."""
        built, original = self.work / "model.onnx", self.work / "float.onnx"
        return original.is_file() and built.is_file() and built.read_bytes() == self.bundle.model

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder on the real disk that is gone afterwards."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            yield Path(name)

    @cached_property
    def _has_data(self) -> bool:
        return (self.data / "nir_pharma_powders_notredame" / "RawNIRData.csv").is_file()

    @cached_property
    def _job(self) -> Job:
        return Job(recipe=self.recipe, data=self.data, work=self.work, seed=0, quick=False)

    @cached_property
    def _parts(self) -> tuple[Rows, Rows]:
        if not self._has_data:
            golden = self.bundle.golden["spectra"]
            return golden, golden
        spectra = self._job.spectra()
        split = self._job.split(spectra)
        development, held_out = (
            np.stack([np.interp(self.grid, spectra.axis, spectra.values[row]) for row in rows]).astype(np.float32)
            for rows in (split.development, split.test)
        )
        return development, held_out
