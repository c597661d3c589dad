"""What a training leaves after each epoch: one that was stopped goes on there and comes to the same numbers.

One file a training, and its name says how many epochs are done: so a process that waits for others sees how far they
are. A file beside them asks all trainings of the folder to end with the epoch that they are at.
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import torch

STOP: Final = "stop"
DIGEST: Final = 32  # bytes of SHA-256 at the head of the file

_LOG = logging.getLogger(__name__)


class Stopped(Exception):
    """A training has ended with an epoch, as it was asked to. No error: the next run goes on there."""


class Stateful(Protocol):
    """A network, an optimiser or a schedule."""

    def state_dict(self) -> dict[str, Any]:
        """Return all that it is."""

    def load_state_dict(self, state: dict[str, Any]) -> Any:
        """Become that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The place of one training's state in `folder`. of: what its numbers come from; nothing else's are taken up.

    name: tells the training from others of the folder; it has no dot.
    """

    folder: Path
    name: str
    of: str

    @property
    def epochs(self) -> int:
        """How many epochs are kept; 0 for none."""
        return max(self._kept(), default=0)

    def keep(self, epochs: int, parts: Mapping[str, Stateful], more: Mapping[str, Any]) -> None:
        """Write the state after an epoch, whole or not at all, in the place of the one before; torch's own generator is
        part of it. more: numbers and words, in lists and dictionaries. Raises Stopped where that was asked for."""
        state = {name: part.state_dict() for name, part in parts.items()}
        buffer = io.BytesIO()
        torch.save({"parts": state, "more": dict(more), "rng": torch.get_rng_state()}, buffer)
        draft = self.folder / f"{self.name}.part"
        with draft.open("wb") as file:
            file.write(self._digest(buffer.getbuffer()))
            file.write(buffer.getbuffer())
        before = self._kept()
        draft.replace(self.folder / f"{self.name}.epoch-{epochs}")
        for number, path in before.items():
            if number != epochs:
                path.unlink(missing_ok=True)
        if (self.folder / STOP).exists():
            raise Stopped

    def take_up(self, parts: Mapping[str, Stateful]) -> dict[str, Any] | None:
        """Set the parts to what was kept, and return what else was; the epochs behind it are the property's.

        None where nothing is kept, and the parts stay as they are. What is damaged or another's is told and removed.
        """
        for _, path in sorted(self._kept().items(), reverse=True):
            with path.open("rb") as file:
                digest, whole = file.read(DIGEST), file.read()
            if digest == self._digest(whole):
                state = torch.load(io.BytesIO(whole), weights_only=True)
                for name, part in parts.items():
                    part.load_state_dict(state["parts"][name])
                torch.set_rng_state(state["rng"])
                more: dict[str, Any] = state["more"]
                return more
            _LOG.warning("%s: damaged, or of another training or version: not gone on with", path)
            path.unlink()
        return None

    def forget(self) -> None:
        """Remove what is kept: the result is safe."""
        for path in self._kept().values():
            path.unlink(missing_ok=True)

    def _kept(self) -> dict[int, Path]:
        found = {path.suffix.removeprefix(".epoch-"): path for path in self.folder.glob(f"{self.name}.epoch-*")}
        return {int(number): path for number, path in found.items() if number.isdecimal()}

    def _digest(self, state: bytes | memoryview) -> bytes:
        """torch reads damaged numbers without a word."""
        found = hashlib.sha256(self.of.encode())
        found.update(state)
        return found.digest()


def ask_to_stop(folder: Path) -> None:
    """Let all trainings of a folder end with the epoch that they are at."""
    (folder / STOP).touch()


def let_go_on(folder: Path) -> None:
    """Take that back."""
    (folder / STOP).unlink(missing_ok=True)
