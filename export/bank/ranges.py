"""From trained networks to members: the numbers of each compound, and how large its maps become.

The ranges of a member are measured on its own maps alone, so they are the same whatever bank it is in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edged.infer.verdict import Preset
from export.bank.bank import Bank, Member, Numbers
from export.bank.plan import LARGEST, Layout, Plan, member_layout, plan_of, trunk_layout
from export.errors import BankUnfit
from export.models.network import Network
from export.models.resnet1d import ResNet1d, ResNet1dWords
from export.models.resuca import Resuca, ResucaWords

HEADROOM = 4.0  # of the input over what calibration has seen: two of its 15 bits
ROWS = 32  # spectra of one pass: the maps of hundreds of members are large

Largest = dict[str, NDArray[np.float32]]


def bank_from(
    words: ResucaWords | ResNet1dWords,
    network: Network,
    compounds: Sequence[str],
    prepared: NDArray[np.float32],
    *,
    input_range: float | None = None,
    thresholds: Mapping[str, Mapping[Preset, float]] | None = None,
) -> Bank:
    """Return a trained network as a bank. Raises BankUnfit.

    compounds: in the order of the logits. prepared: spectra [n, points] such as the bank will see, of which the ranges
    are taken. input_range: where prepared spectra are cut; unset, HEADROOM times the largest absolute value among
    these. thresholds: by compound.
    """
    _check(words, network, compounds)
    if prepared.ndim != 2 or not len(prepared) or not np.isfinite(prepared).all():
        raise BankUnfit("prepared: finite spectra [n, points] are needed to measure ranges")
    found = HEADROOM * float(np.abs(prepared).max()) if input_range is None else input_range
    if not found > 0:
        raise BankUnfit("prepared: all spectra are zero; nothing can be measured on them")
    largest = largest_values(words, network, prepared, input_range=found)
    shared = trunk_layout(words)
    return Bank(
        words=words,
        points=prepared.shape[1],
        input_range=found,
        trunk=None if shared is None else _rows(shared, network, largest, 1)[0],
        members=_members(words, network, compounds, largest, thresholds or {}),
    )


def heads_for(
    bank: Bank,
    network: Network,
    compounds: Sequence[str],
    *,
    thresholds: Mapping[str, Mapping[Preset, float]] | None = None,
) -> Bank:
    """Return heads that have learned on a bank's frozen trunk, as a bank of their own that may enter it.

    Raises BankUnfit where the bank has no trunk, or the network's is another one by now.
    """
    _check(bank.words, network, compounds)
    shared = trunk_layout(bank.words)
    if shared is None or bank.trunk is None:
        raise BankUnfit("network: its members share no trunk", hint="measure their ranges: bank_from")
    arrays = shared.split(bank.trunk[None])
    largest = {name.removesuffix(LARGEST): value[0] for name, value in arrays.items() if name.endswith(LARGEST)}
    if not np.array_equal(_rows(shared, network, largest, 1)[0], bank.trunk):
        raise BankUnfit("trunk: it has changed", hint="freeze it, and keep the network in eval mode for its statistics")
    return replace(bank, members=_members(bank.words, network, compounds, {}, thresholds or {}))


def largest_values(
    words: ResucaWords | ResNet1dWords, network: Network, prepared: NDArray[np.float32], *, input_range: float
) -> Largest:
    """Return the largest absolute value in each channel of each tensor, [members * channels]."""
    plan = plan_of(words)
    largest: Largest = {}
    handles = [
        network.get_submodule(module).register_forward_hook(partial(_keep, largest, tensor))
        for tensor, modules in _watched(plan).items()
        for module in modules
    ]
    learning = network.training
    try:
        with torch.no_grad():
            for rows in torch.from_numpy(np.ascontiguousarray(prepared, np.float32)).split(ROWS):
                network.eval()(rows.clamp(-input_range, input_range))
    finally:
        network.train(learning)
        for handle in handles:
            handle.remove()
    return largest


def _watched(plan: Plan) -> dict[str, tuple[str, ...]]:
    """The modules whose results share the range of a tensor: of a sum, what is added too."""
    watched: dict[str, tuple[str, ...]] = {"stem": ("stem",)}
    for block in plan.blocks:
        here = block.path.writes
        watched[block.inner.writes] = (block.inner.writes,)
        watched[here] = (f"{here}.path", f"{here}.shortcut", here)
    return watched


def _keep(largest: Largest, tensor: str, module: nn.Module, given: tuple[Tensor, ...], maps: Tensor) -> None:
    found = maps.abs().amax(dim=(0, 2, 3)).numpy()
    largest[tensor] = np.maximum(largest[tensor], found) if tensor in largest else found


def _rows(layout: Layout, network: Network, largest: Largest, members: int) -> Numbers:
    """The numbers of all members, [members, size]: each array holds them one after another."""
    arrays = {name: value.detach().numpy() for name, value in network.state_dict().items()}
    arrays |= {name + LARGEST: value for name, value in largest.items()}
    return np.concatenate([arrays[name].reshape(members, -1).astype(np.float32) for name, _ in layout.shapes], axis=1)


def _members(
    words: ResucaWords | ResNet1dWords,
    network: Network,
    compounds: Sequence[str],
    largest: Largest,
    thresholds: Mapping[str, Mapping[Preset, float]],
) -> tuple[Member, ...]:
    rows = _rows(member_layout(words), network, largest, len(compounds))
    return tuple(
        Member(compound=compound, numbers=row.copy(), thresholds=thresholds.get(compound, {}))
        for compound, row in zip(compounds, rows, strict=True)
    )


def _check(words: ResucaWords | ResNet1dWords, network: Network, compounds: Sequence[str]) -> None:
    if not isinstance(network, Resuca if isinstance(words, ResucaWords) else ResNet1d):
        raise BankUnfit(f"network: {type(network).__name__} is no {words.kind}")
    count = network.members if isinstance(network, Resuca) else network.out.out_features
    if count != len(compounds):
        raise BankUnfit(f"compounds: {len(compounds)} names for {count} logits")
