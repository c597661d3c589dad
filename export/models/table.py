"""What each named network weighs: parameters, and multiply-adds for one spectrum."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from export.models.catalogue import NAMES, named
from export.models.network import Network

TASKS = ((404, 4), (224, 12))
"""Points and classes of the public tablets, and of the powders on the axis of their bundle."""


def networks_table(tasks: Sequence[tuple[int, int]] = TASKS) -> str:
    """Return a Markdown table of all named networks. `tasks`: points and classes of each pair of columns.

    A dash stands where the spectra do not fit the network.
    """
    heads = [
        f"{what}, {points} points, {classes} classes" for points, classes in tasks for what in ("parameters", "MAC")
    ]
    lines = ["| " + " | ".join(["network", *heads]) + " |", "|---" + "|---:" * len(heads) + "|"]
    for name in NAMES:
        cells = [f"`{name}`"]
        for points, classes in tasks:
            cells += _cells(name, points, classes)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def parameters(network: nn.Module) -> int:
    """Return how many numbers the network learns."""
    return sum(parameter.numel() for parameter in network.parameters())


def multiply_adds(network: Network, points: int) -> int:
    """Return the multiply-adds of all products and convolutions for one spectrum; sums and bends are not counted."""
    network.eval()
    known = {torch.ops.aten.mkldnn_rnn_layer: _fused_lstm}
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=known) as counter:
        network(torch.zeros(1, points))
    return int(counter.get_total_flops()) // 2


def _fused_lstm(read: torch.Size, of_input: torch.Size, of_state: torch.Size, *_: object, **__: object) -> int:
    """Return the operations of one layer and direction, which some processors run as one operator."""
    steps, spectra = read[:2]
    return 2 * steps * spectra * (of_input.numel() + of_state.numel())


def _cells(name: str, points: int, classes: int) -> list[str]:
    try:
        network = named(name, points=points).build(points=points, classes=classes)
    except ValueError:
        return ["–", "–"]
    return [f"{parameters(network):,}", f"{multiply_adds(network, points):,}"]
