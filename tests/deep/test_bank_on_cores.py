"""Banks of compounds on three ARM cores: the same bytes as here.

The cores differ in what they multiply with: A53 and A72 have no dot products of bytes, A76 has; each has kernels of its
own in onnxruntime, and so has this machine. QEMU computes every instruction exactly, so bytes count and time does not.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

from export.bank.bank import Bank
from export.bank.fuse import fused
from export.bank.plan import plan_of
from export.bank.ranges import bank_from
from export.models.catalogue import named
from export.models.resnet1d import ResNet1dWords
from export.models.resuca import ResucaWords
from export.to_onnx import module_graph
from tests.deep import core_program
from tests.deep.emulated_core import CORES, run_on, what_is_missing
from tests.export.bank.made import network, prepared
from tests.one_thread import one_thread

pytestmark = [pytest.mark.deep, pytest.mark.timeout(900)]

POINTS, SPECTRA = 512, 16
MEMBERS = {"resuca-lite": 32, "resuca": 4, "resnet1d-lite": 32}  # members that share groups, that do not, one trunk
FLOAT = "float"
PROGRAM = Path(core_program.__file__)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="module")
def banks() -> dict[str, Bank]:
    return {kind: _bank(kind, members) for kind, members in MEMBERS.items()}


@pytest.fixture(scope="module")
def graphs(banks: dict[str, Bank], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("graphs")
    made = {kind: fused(bank) for kind, bank in banks.items()}
    made[FLOAT] = module_graph(banks["resuca-lite"].network(), POINTS, outputs=("logits",))
    for name, graph in made.items():
        (folder / f"{name}.onnx").write_bytes(graph.SerializeToString())
    return [folder / f"{name}.onnx" for name in made]


@pytest.fixture(scope="module")
def spectra(graphs: list[Path]) -> Path:
    path = graphs[0].with_name("spectra.npy")
    np.save(path, prepared(SPECTRA, seed=5, points=POINTS))
    return path


@pytest.fixture(scope="module")
def here(graphs: list[Path], spectra: Path) -> Path:
    folder = spectra.with_name("here")
    command: list[str | Path] = [sys.executable, PROGRAM, folder, spectra, *graphs]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return folder


@pytest.mark.parametrize("core", CORES)
def test_a_bank_says_the_same_bytes_on_every_core(
    core: str, banks: dict[str, Bank], graphs: list[Path], spectra: Path, here: Path, tell: Callable[[str], None]
) -> None:
    if missing := what_is_missing():
        pytest.skip(missing)
    there = spectra.with_name(core)

    run_on(core, PROGRAM, there, spectra, *graphs, within_s=600)

    for kind, bank in banks.items():
        assert _integer_convolutions(there / f"{kind}.onnx") == len(plan_of(bank.words).convolutions) - 1  # the stem
        logits = np.load(there / f"{kind}.npy")
        assert logits.shape == (SPECTRA, MEMBERS[kind])
        assert len(np.unique(logits)) > 0.9 * logits.size
        assert logits.tobytes() == np.load(here / f"{kind}.npy").tobytes(), kind
    others = np.load(there / f"{FLOAT}.npy") != np.load(here / f"{FLOAT}.npy")
    assert others.any()  # else this core would have computed as this machine does, and equal bytes would tell nothing
    tell(f"{core}: int8 logits are the same bytes; of float ones {100 * others.mean():.0f} % differ")


def _bank(kind: str, members: int) -> Bank:
    words = named(kind, points=POINTS)
    assert isinstance(words, ResucaWords | ResNet1dWords)
    made = network(words, members, seed=3, points=POINTS)
    names = [f"c{number}" for number in range(members)]
    return bank_from(words, made, names, prepared(64, seed=9, points=POINTS))


def _integer_convolutions(path: Path) -> int:
    return sum(node.op_type == "QLinearConv" for node in onnx.load(path).graph.node)
