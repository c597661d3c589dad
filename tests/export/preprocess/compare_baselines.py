"""Ways to take a baseline off, side by side: what is left of a known one, and the time of one spectrum.

`python -m tests.export.preprocess.compare_baselines` prints the tables of the decision on baseline correction. Real
Raman spectra of 13 solvents, and made-up bands, both under made-up fluorescence.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
import numpy as np
import torch
from pybaselines import Baseline as Library
from torch import Tensor, nn

from export.compare import interleaved_us, session
from export.preprocess.baseline import Baseline
from export.to_onnx import module_graph
from tests.bench.subject import REPOSITORY
from tests.export.preprocess.judges import Array

SEED = 11  # parameters were chosen with another
POINTS = 1381
COPIES = 4  # of each solvent, each under another fluorescence
NOISE = 0.004  # of the highest band
Way = Callable[[Array], Array]


class Snip(nn.Module):
    """Peak clipping with shrinking half windows: what it would cost in a graph. Ends stay as they are."""

    def __init__(self, half_window: int) -> None:
        super().__init__()
        self.half_window = half_window

    def forward(self, spectra: Tensor) -> Tensor:
        """Return spectra above their baselines."""
        under = spectra
        for half in range(self.half_window, 0, -1):
            middle = 0.5 * (under[:, : -2 * half] + under[:, 2 * half :])
            clipped = torch.minimum(under[:, half:-half], middle)
            under = torch.cat([under[:, :half], clipped, under[:, -half:]], dim=1)
        return spectra - under


def fluorescence(count: int, rng: np.random.Generator) -> Array:
    """Sums of a wide band, an exponential and a cubic, from 0.3 to 5 times as high as the highest Raman band."""
    place, rows = np.linspace(0.0, 1.0, POINTS), []
    for _ in range(count):
        middle, width = rng.uniform(-0.3, 1.3), rng.uniform(0.3, 0.9)
        band = rng.uniform() * np.exp(-((place - middle) ** 2) / (2 * width**2))
        fall = rng.uniform() * np.exp(-place * rng.uniform(0.5, 4.0))
        row = band + fall + np.polyval(0.15 * rng.normal(size=4), place)
        row -= row.min()
        rows.append(row / row.max() * rng.uniform(0.3, 5.0))
    return np.array(rows)


def bands(count: int, rng: np.random.Generator) -> Array:
    """8 to 24 Lorentzian bands a spectrum, the highest 1."""
    place, rows = np.arange(POINTS), []
    for _ in range(count):
        middles = rng.uniform(0, POINTS, rng.integers(8, 25))[:, None]
        widths = rng.uniform(3.0, 9.0, middles.shape) ** 2
        row = (10 ** rng.uniform(-1.3, 0.0, middles.shape) * widths / ((place - middles) ** 2 + widths)).sum(axis=0)
        rows.append(row / row.max())
    return np.array(rows)


def by_numpy(ours: Baseline) -> Way:
    """The same spline and rounds with numpy alone, as a daemon could do it."""
    spline, penalty = ours.spline.numpy(), ours.penalty.numpy()

    def above(row: Array) -> Array:
        weights = np.ones_like(row)
        for _ in range(ours.rounds):
            heavy = spline.T * weights
            rest = row - spline @ np.linalg.solve(heavy @ spline + penalty, heavy @ row)
            under = rest[rest < 0]
            spread = under.std(ddof=1)
            weights = 1.0 / (1.0 + np.exp(np.minimum(2.0 * ((rest + under.mean()) / spread - 2.0), 700.0)))
        return np.asarray(rest)

    return above


def by_whittaker(stiffness: float, rounds: int) -> Way:
    """ArPLS on every point with numpy alone, which has no banded solver."""
    bend = np.diff(np.eye(POINTS), n=2, axis=0)
    penalty = stiffness * bend.T @ bend

    def above(row: Array) -> Array:
        weights = np.ones_like(row)
        for _ in range(rounds):
            rest = row - np.linalg.solve(np.diag(weights) + penalty, weights * row)
            under = rest[rest < 0]
            weights = 1.0 / (1.0 + np.exp(np.minimum(2.0 * ((rest + under.mean()) / under.std(ddof=1) - 2.0), 700.0)))
        return np.asarray(rest)

    return above


def likeness(a: Array, b: Array) -> Array:
    """Cosine of rows."""
    return np.asarray((a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))


@click.command()
@click.option(
    "--data", type=click.Path(path_type=Path), help="Public spectra.  [default: $EDGED_DATA or ../shared/data]"
)
def main(data: Path | None) -> None:
    """Print what each way leaves of a known baseline, then the time of one spectrum, both as Markdown."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rng = np.random.default_rng(SEED)
    folder = (data or Path(os.environ.get("EDGED_DATA") or REPOSITORY.parent / "shared" / "data")).resolve()
    pure = np.load(folder / "raman_solvent_mixtures_deepraman" / "Multi_component_mixture_Dataset.npy")[:13]
    solvents = pure.astype(np.float64) / pure.max(axis=1, keepdims=True)
    truth, under = bands(60, rng), fluorescence(60, rng)
    made_up = truth + under + NOISE * rng.normal(size=truth.shape)
    same = np.repeat(np.arange(len(solvents)), COPIES)
    lit = solvents[same] + fluorescence(len(same), rng) + NOISE * rng.normal(size=(len(same), POINTS))

    library, ours = Library(np.arange(POINTS)), Baseline(POINTS, knots=8, stiffness=0.01, rounds=8)
    ways: dict[str, Way] = {
        "none": lambda row: row,
        "asls, 1e6": lambda row: row - library.asls(row, lam=1e6)[0],
        "airpls, 1e6": lambda row: row - library.airpls(row, lam=1e6)[0],
        "arpls, 1e5, until it settles": lambda row: row - library.arpls(row, lam=1e5)[0],
        "modified polynomial, order 5": lambda row: row - library.imodpoly(row, poly_order=5)[0],
        "rolling ball, 30": lambda row: row - library.rolling_ball(row, half_window=30)[0],
        "SNIP, 20": lambda row: row - library.snip(row, max_half_window=20, decreasing=True)[0],
        "SNIP, 20, smoothed": lambda row: (
            row - library.snip(row, max_half_window=20, decreasing=True, smooth_half_window=3)[0]
        ),
        "pspline_arpls, 8 knots, 8 rounds": lambda row: (
            row - library.pspline_arpls(row, lam=0.01, num_knots=8, max_iter=7, tol=-1.0)[0]
        ),
        "numpy alone: the same": by_numpy(ours),
    }
    click.echo("| way | rms left, median | 90 % | likeness, median | 10 % | found of 13 |\n|---|--:|--:|--:|--:|--:|")
    for name, way in ways.items():
        left = np.sqrt(((np.array([way(row) for row in made_up]) - made_up + under) ** 2).mean(axis=1))
        clean, cleaned = np.array([way(row) for row in solvents]), np.array([way(row) for row in lit])
        alike = likeness(cleaned, clean[same])
        unit = clean / np.linalg.norm(clean, axis=1, keepdims=True)
        found = ((cleaned @ unit.T).argmax(axis=1) == same).mean()
        click.echo(
            f"| {name} | {np.median(left):.4f} | {np.quantile(left, 0.9):.4f} | {np.median(alike):.4f} "
            f"| {np.quantile(alike, 0.1):.4f} | {100 * found:.0f} % |"
        )

    one, single = made_up[0], made_up[:1].astype(np.float32)
    calls: dict[str, Callable[[], object]] = {name: partial(way, one) for name, way in ways.items()}
    calls["numpy alone: arPLS on every point, 8 rounds"] = partial(by_whittaker(1e5, 8), one)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        for name, module in {"graph: pspline_arpls": ours, "graph: SNIP, 20": Snip(20)}.items():
            graph = module_graph(module, POINTS, outputs=("out",))
            click.echo(f"{name}: {len(graph.graph.node)} nodes, {graph.ByteSize() / 1e3:.0f} kB", err=True)
            calls[name] = partial(session(graph).run, None, {"spectrum": single})
    click.echo("\n| way | one spectrum, ms |\n|---|--:|")
    for name, time_us in interleaved_us(calls, rounds=20).items():
        click.echo(f"| {name} | {time_us / 1e3:.3f} |")


if __name__ == "__main__":
    main()
