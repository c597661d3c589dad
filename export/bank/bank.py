"""A bank as a value: the sizes that all compounds agree on, and the numbers of each. Changes give a new bank."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, get_args

import numpy as np
from numpy.typing import NDArray

from edged.bundle.components import MAX_COMPOUNDS
from edged.infer.verdict import Preset
from export.bank.plan import COUNTER, LARGEST, Layout, member_layout, trunk_layout
from export.errors import BankUnfit
from export.models.resnet1d import ResNet1dWords
from export.models.resuca import ResucaWords

if TYPE_CHECKING:
    from export.models.network import Network

Numbers = NDArray[np.float32]

MAX_POINTS: Final = 65_536  # of any axis in a bundle
MAX_NUMBERS: Final = 1 << 27  # of a bank: half a GiB; 368 compounds of the largest size that is named have a fifth
MAX_LABEL: Final = 64  # letters of a compound's name, as in a bundle
MAX_VALUE: Final = 1e12  # of any number: its square and a few hundred of their sum are still float32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Member:
    """A compound: its numbers as `member_layout` has them, and the least logit of each preset that has one."""

    compound: str
    numbers: Numbers
    thresholds: Mapping[Preset, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.compound)
        for preset, threshold in self.thresholds.items():
            if preset not in get_args(Preset):
                raise BankUnfit(f"{self.compound}: no preset {preset!a}; there are {', '.join(get_args(Preset))}")
            if not abs(threshold) <= MAX_VALUE:
                raise BankUnfit(f"{self.compound}: the threshold of {preset} is {threshold}, which is no logit")
        _freeze(self.numbers)

    def digest(self) -> str:
        """Return the SHA-256 of the numbers, in hex."""
        return digest_of(self.numbers)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bank:
    """Networks of one size for spectra of so many prepared points, and all compounds in the order of the logits.

    input_range: prepared spectra are cut to plus or minus this much, the same for all: a fixed scale, which no
    compound that enters later may change. trunk: what compounds share, where they share anything.
    """

    words: ResucaWords | ResNet1dWords
    points: int
    input_range: float
    trunk: Numbers | None
    members: tuple[Member, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.members) <= MAX_COMPOUNDS:
            raise BankUnfit(f"{len(self.members)} compounds; a bank has 1 to {MAX_COMPOUNDS}")
        if not 0 < self.input_range <= MAX_VALUE:
            raise BankUnfit(f"input_range: {self.input_range} is no range")
        check_size(self.words, self.points, len(self.members))
        twice = [name for name, count in Counter(self.compounds).items() if count > 1]
        if twice:
            raise BankUnfit(f"{_some(tuple(twice))}: in the bank twice", hint="replace instead of adding")
        shared = trunk_layout(self.words)
        if (shared is None) != (self.trunk is None):
            raise BankUnfit(f"a bank of {self.words.kind} has {'no trunk' if shared is None else 'a trunk'}")
        if shared is not None and self.trunk is not None:
            check_numbers("the trunk", self.trunk, shared)
            _freeze(self.trunk)
        for member in self.members:
            check_numbers(member.compound, member.numbers, member_layout(self.words))

    @property
    def compounds(self) -> tuple[str, ...]:
        """The names, in the order of the logits."""
        return tuple(member.compound for member in self.members)

    def member(self, compound: str) -> Member:
        """Return one compound's member."""
        return self.members[self._place(compound)]

    def with_members(self, members: Iterable[Member]) -> Bank:
        """Return the bank with more compounds, behind those that are there."""
        return replace(self, members=(*self.members, *members))

    def with_replaced(self, members: Iterable[Member]) -> Bank:
        """Return the bank with these members in the places of those of the same names."""
        kept = list(self.members)
        for member in members:
            kept[self._place(member.compound)] = member
        return replace(self, members=tuple(kept))

    def without(self, compounds: Iterable[str]) -> Bank:
        """Return the bank with fewer compounds."""
        dropped = {self._place(compound) for compound in compounds}
        return replace(self, members=tuple(m for place, m in enumerate(self.members) if place not in dropped))

    def with_thresholds(self, compound: str, thresholds: Mapping[Preset, float]) -> Bank:
        """Return the bank with these thresholds of one compound replaced."""
        member = self.member(compound)
        return self.with_replaced([replace(member, thresholds={**member.thresholds, **thresholds})])

    def members_of(self, other: Bank, compounds: Iterable[str]) -> tuple[Member, ...]:
        """Return members of another bank that fit this one. Raises BankUnfit where the two do not agree."""
        for what, ours, theirs in (
            ("network", self.words, other.words),
            ("points", self.points, other.points),
            ("input_range", self.input_range, other.input_range),
        ):
            if ours != theirs:
                raise BankUnfit(f"{what}: {theirs} there, {ours} here", hint="train for the bank that they enter")
        if self.trunk is not None and other.trunk is not None and not np.array_equal(self.trunk, other.trunk):
            raise BankUnfit(
                "trunk: another one there", hint="a head fits the trunk it was trained on: freeze this bank's trunk"
            )
        return tuple(other.member(compound) for compound in compounds)

    def network(self) -> Network:
        """Return the float network that the bank stands for, in torch, ready to run."""
        import torch

        network = self.words.build(points=self.points, classes=len(self.members))
        arrays = member_layout(self.words).split(np.stack([member.numbers for member in self.members]))
        state = {name: value.reshape(-1, *value.shape[2:]) for name, value in arrays.items()}
        shared = trunk_layout(self.words)
        if shared is not None and self.trunk is not None:
            state |= {name: value[0] for name, value in shared.split(self.trunk[None]).items()}
        with torch.no_grad():
            for name, value in network.state_dict().items():
                if not name.endswith(COUNTER):
                    value.copy_(torch.from_numpy(state[name].copy()))
        return network.eval()

    def _place(self, compound: str) -> int:
        if compound not in self.compounds:
            raise BankUnfit(
                f"{compound[:80]!a}: no such compound in the bank", hint=f"there are {_some(self.compounds)}"
            )
        return self.compounds.index(compound)


def check_name(compound: str) -> None:
    """Raise BankUnfit for what no compound may be called."""
    if not (compound.strip() and len(compound) <= MAX_LABEL and compound.isprintable()):
        raise BankUnfit(f"{compound[:80]!a}: a compound's name is 1 to {MAX_LABEL} printable characters")


def check_size(words: ResucaWords | ResNet1dWords, points: int, members: int) -> None:
    """Raise BankUnfit where a bank of these sizes is larger than any is meant to be, or too small to compute."""
    if points > MAX_POINTS:
        raise BankUnfit(f"points: {points} are more than {MAX_POINTS}")
    try:
        words.check(points=points)
    except ValueError as error:
        raise BankUnfit(f"network.{error}") from error
    shared = trunk_layout(words)
    numbers = member_layout(words).size * members + (shared.size if shared else 0)
    if numbers > MAX_NUMBERS:
        raise BankUnfit(f"{members} compounds of this network are {numbers:,} numbers; at most {MAX_NUMBERS:,} fit")


def check_numbers(whose: str, numbers: Numbers, layout: Layout) -> None:
    """Raise BankUnfit where a row of numbers is none of this layout, or holds what no network holds."""
    if numbers.shape != (layout.size,) or numbers.dtype != np.float32:
        raise BankUnfit(f"{whose}: {numbers.size} numbers of {numbers.dtype}; {layout.size} of float32 are needed")
    if not (np.abs(numbers) <= MAX_VALUE).all():
        raise BankUnfit(f"{whose}: holds a number that is not finite, or beyond {MAX_VALUE:g}")
    for name, values in layout.split(numbers[None]).items():
        if name.endswith((LARGEST, "running_var")) and (values < 0).any():
            raise BankUnfit(f"{whose}: {name} is negative")


def digest_of(numbers: Numbers) -> str:
    """Return the SHA-256 of numbers as they stand in a file, in hex."""
    return hashlib.sha256(numbers.astype("<f4").tobytes()).hexdigest()


def _freeze(numbers: Numbers) -> None:
    numbers.flags.writeable = False


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:8])
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8} more"
