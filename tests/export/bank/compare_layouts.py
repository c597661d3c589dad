"""Ways to run the networks of many compounds, side by side: time, load, size, and what int8 costs.

`python -m tests.export.bank.compare_layouts` prints the tables of the decision on banks. Members have random weights;
those whose error is judged have learned three compounds of made-up bands.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any
from unittest import mock

import click
import numpy as np
import onnx
import torch
from torch import Tensor, nn

from export.bank import fuse, integers, layers
from export.bank.bank import Bank
from export.bank.ranges import bank_from
from export.compare import interleaved_us, session
from export.models.catalogue import named
from export.models.resuca import ResucaWords
from export.quantise.static import static
from export.to_onnx import module_graph
from tests.export.bank.made import logits, mixtures, prepared, trained

KINDS = ("resuca-lite", "resuca")


class Alone(nn.Module):
    """A network by the name under which the quantiser looks for one."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.members = nn.ModuleList([network])

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the logits."""
        said: Tensor = self.members[0](spectra)
        return said


@click.command()
@click.option("--compounds", default=368, show_default=True)
@click.option("--points", default=1024, show_default=True)
def main(compounds: int, points: int) -> None:
    """Print both tables."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        click.echo(f"{compounds} compounds, {points} points\n")
        click.echo("| network | way | ms | load, ms | MB |\n|---|---|--:|--:|--:|")
        for kind in KINDS:
            _times(kind, compounds, points)
        click.echo("\n| network | int8 | error of logits, of their deviation |\n|---|---|--:|")
        for kind in KINDS:
            _errors(kind)


def _times(kind: str, compounds: int, points: int) -> None:
    words = named(kind, points=points)
    assert isinstance(words, ResucaWords)
    spectra = prepared(4, seed=1, points=points)
    network = words.build(points=points, classes=compounds).eval()
    bank = bank_from(words, network, [f"c{number}" for number in range(compounds)], spectra)
    ways: dict[str, list[onnx.ModelProto]] = {
        "float, one graph": [module_graph(network, points, outputs=("logits",))],
        "int8, a graph for each": [fuse.fused(replace(bank, members=(member,))) for member in bank.members],
        "int8, a group for each": [_apart(bank)],
        "**int8, narrow members share groups**": [fuse.fused(bank)],
    }
    loads, calls = {}, {}
    for way, graphs in ways.items():
        began = time.process_time()
        opened = [session(graph) for graph in graphs]
        loads[way] = time.process_time() - began
        calls[way] = partial(_run, opened, {opened[0].get_inputs()[0].name: spectra[:1]})
    for way, time_us in interleaved_us(calls, rounds=20).items():
        size = sum(graph.ByteSize() for graph in ways[way])
        click.echo(f"| `{kind}` | {way} | {time_us / 1e3:.1f} | {1e3 * loads[way]:.0f} | {size / 1e6:.1f} |")


def _apart(bank: Bank) -> onnx.ModelProto:
    with mock.patch.object(layers, "WIDE", 1):
        return fuse.fused(bank)


def _run(opened: list[Any], feed: dict[str, Any]) -> None:
    for one in opened:
        one.run(None, feed)


def _errors(kind: str) -> None:
    words = named(kind, points=64)
    assert isinstance(words, ResucaWords)
    network = trained(words)
    seen, (unseen, _) = mixtures(256, seed=2)[0], mixtures(512, seed=3)
    with torch.no_grad():
        expected = network(torch.from_numpy(unseen)).numpy()
    bank = bank_from(words, network, "abc", seen)

    def ours() -> Any:
        return logits(fuse.fused(bank), unseen)

    def even(share: float) -> Any:
        with mock.patch.object(integers, "EVEN", share):
            return ours()

    def peer() -> Any:
        graph = static(module_graph(Alone(network).eval(), 64, outputs=("logits",)), seen, "u8")
        return session(graph).run(None, {"spectrum": unseen})[0]

    ways: dict[str, Callable[[], Any]] = {
        "onnxruntime's static, a scale a tensor that all members share": peer,
        "a unit a member": partial(even, 0.0),
        "a unit a channel": partial(even, 1.0),
        "**between the two**": ours,
    }
    for way, told in ways.items():
        click.echo(f"| `{kind}` | {way} | {100 * np.sqrt(((told() - expected) ** 2).mean()) / expected.std():.2f} % |")


if __name__ == "__main__":
    main()
