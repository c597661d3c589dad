"""Real spectra by two ways to a verdict: from their file, and through simulator, terminal, driver and daemon."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.flow.plant import Handheld, Plant, edged, station

pytestmark = [pytest.mark.deep, pytest.mark.timeout(600)]

SPECTRA = 1200
SAME_SHARE = 0.99
PROBABILITY_WITHIN = 0.02


@pytest.fixture
def powders(data_dir: Path) -> Path:
    return data_dir / "nir_pharma_powders_notredame" / "RawNIRData.csv"


def from_file(powders: Path, bundle: Path) -> list[dict[str, Any]]:
    """What `edged analyze` says of each spectrum, in the order of the file."""
    done = edged("analyze", powders, "--bundle", bundle, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["row"] for answer in answers] == list(range(1, SPECTRA + 1))
    return answers


def through_the_daemon(powders: Path, bundle: Path, folder: Path) -> dict[int, dict[str, Any]]:
    """The record of each spectrum, by its place in the file: the simulator says which one it showed for which scan."""
    with (
        Handheld(folder / "nirscan", "--replay", str(powders), speed=0.0) as handheld,
        Plant(folder, stations=station(handheld.port), bundle=bundle) as plant,
    ):
        plant.until_state("ready")
        white = plant.ask({"do": "reference", "station": "bench"})
        assert white["ok"], white
        for _ in range(SPECTRA):
            answer = plant.ask({"do": "measure", "station": "bench"})
            assert answer["ok"], answer
        records = [record for record in plant.records() if record["kind"] == "result"]
    shown = {scan["scan_index"]: scan["row"] for scan in handheld.said("scan") if scan["row"] is not None}
    return {shown[record["reading"]["scan_index"]]: record for record in records}


def test_a_real_spectrum_gets_the_same_verdict_from_its_file_and_through_the_instrument(
    powders: Path, shipped: Path, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    direct = from_file(powders, shipped)
    began_s = time.monotonic()
    records = through_the_daemon(powders, shipped, tmp_path)
    took_s = time.monotonic() - began_s
    assert sorted(records) == list(range(SPECTRA))

    pairs = [(answer, records[row]["verdict"]) for row, answer in enumerate(direct)]
    same = [(a["verdict"]["outcome"], a["verdict"]["label"]) == (v["outcome"], v["label"]) for a, v in pairs]
    apart = [
        abs(candidate["probability"] - answer["probabilities"][candidate["label"]])
        for answer, verdict in pairs
        if answer["probabilities"] is not None
        for candidate in verdict["candidates"]
    ]
    apart.sort()
    outcomes = Counter(verdict["outcome"] for _, verdict in pairs)

    tell(f"{sum(same)} of {len(same)} real spectra: the same outcome and label from file and through the daemon")
    tell(f"{len(apart)} probabilities: largest difference {apart[-1]:.5f}, median {apart[len(apart) // 2]:.1e}")
    tell(f"{dict(outcomes)}; {took_s:.0f} s, {took_s / SPECTRA * 1e3:.0f} ms a measurement")
    assert sum(same) >= SAME_SHARE * len(same)
    assert len(apart) >= SAME_SHARE * len(same)
    assert apart[-1] <= PROBABILITY_WITHIN
