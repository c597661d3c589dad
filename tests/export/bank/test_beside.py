"""The bundle of a bank with its whole preprocessing: what compounds say alone is what they say among all."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged.infer.alone import Alone
from edged.infer.engine import Engine
from export.bank.bundle import write_bank_bundle
from tests.export.bank.kits import bank_and_kit, pure, recipe
from tests.export.bank.made import SHARED, SMALL, network


@pytest.mark.deep
def test_a_bundle_of_separate_networks_holds_the_graph_that_asks_each_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "torch"))
    words = recipe(SMALL.model_dump(mode="json"))
    made = network(SMALL, 4, seed=1, points=128)

    bundle = write_bank_bundle(*bank_and_kit(words, pure(4), made), tmp_path)

    golden = bundle.golden["spectra"]
    expected, alone = Engine.load(bundle).run(golden).logits, Alone.load(bundle)
    for row, said in zip(golden, expected, strict=True):
        assert alone.logits(row[None], [2, 0, 3, 1]).tobytes() == said[None, [2, 0, 3, 1]].tobytes()
    assert alone.prove(range(4)) <= bundle.manifest.golden_tolerance


@pytest.mark.deep
def test_a_bundle_of_heads_on_one_trunk_holds_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "torch"))
    made = network(SHARED, 4, seed=1, points=128)

    bundle = write_bank_bundle(*bank_and_kit(recipe(SHARED.model_dump(mode="json")), pure(4), made), tmp_path)

    assert bundle.why == b""
