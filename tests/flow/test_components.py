"""Mixtures of known compounds before a simulated handheld, through the daemon, to the journal and the broker."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from edged.bundle.archive import bundle_bytes
from edged.cli.main import main
from edged.store.record import Record
from firmware_sim.sample import Twin
from tests.broker import Broker
from tests.bundle.mixed import (
    AXIS_NM,
    CUP,
    GATES,
    PREPARED,
    REFERENCES,
    SECOND,
    WHITENER,
    mixed_components,
    mixed_fields,
    mixed_files,
    pack_library,
    spectrum,
)
from tests.flow.plant import Handheld, Plant, edged, station
from tests.subscriber import Heard, Subscriber

MIXTURES: dict[str, dict[str, float]] = {
    "mixture": {"aspirin": 0.5, "lactose": 0.6},
    "adulterated": {"aspirin": 0.5, "stranger": 0.8},
}
COARSE = 20.0
"""Points of the handheld lie 3.5 nm apart and are interpolated twice: that errs by so many times the table's noise."""


def recorded(path: Path) -> Path:
    """The mixtures on an axis that the handheld covers; beyond the model's they absorb nothing."""
    grid = np.arange(900.0, 1701.0, 1.0)
    rows = [["nm", *(f"{nm:g}" for nm in grid)]]
    for name, parts in MIXTURES.items():
        values = np.interp(grid, AXIS_NM, spectrum(**parts), left=0.0, right=0.0)
        rows.append([name, *(f"{value:.6f}" for value in values)])
    path.write_text("".join(",".join(row) + "\n" for row in rows))
    return path


def results(heard: list[Heard]) -> list[dict[str, Any]]:
    return [message.json for message in heard if "/result/" in message.topic]


def test_a_mixture_and_one_with_an_unknown_component_go_to_journal_and_broker(tmp_path: Path) -> None:
    bundle, csv_file = tmp_path / "mixed.edgebundle", tmp_path / "mixture.csv"
    library = pack_library(REFERENCES, WHITENER / COARSE, CUP)
    bundle.write_bytes(bundle_bytes(mixed_fields(), mixed_files(library_npz=library)))
    replay = recorded(tmp_path / "recorded.csv")
    with (
        Handheld(tmp_path / "nirscan", "--replay", str(replay)) as handheld,
        Broker(tmp_path / "broker") as broker,
        Subscriber(broker.port, "edged/v1/lab/board/#") as subscriber,
        Plant(
            tmp_path,
            stations=station(handheld.port, procedure='"components"'),
            mqtt=f'host = "127.0.0.1"\nport = {broker.port}',
            bundle=bundle,
        ) as plant,
    ):
        plant.until_state("ready")
        plant.edged("measure", "bench", "--reference")
        first = plant.edged("measure", "bench", "--save", str(csv_file))
        status = plant.edged("status")
        second = plant.edged("measure", "bench")
        heard = subscriber.wait_for(lambda all_: len(results(all_)) == 2)
        listed, doctor = plant.edged("journal", "list"), plant.edged("doctor", "--json")
        plant.edged("journal", "export", str(tmp_path / "out.csv"))
        unknown = results(heard)[1]
        rest = tmp_path / "residual.npz"
        plant.edged("journal", "show", unknown["id"], "--attachment", "residual.npz", str(rest))
        verified = plant.edged("journal", "verify")

    mixture = results(heard)[0]["verdict"]
    assert (mixture["procedure"], mixture["outcome"], mixture["reasons"]) == ("components", "resolved", [])
    found = {component["label"]: component for component in mixture["components"]}
    assert list(found) == ["aspirin", "lactose"]
    assert found["aspirin"]["low"] < 0.5 / 0.8 < found["aspirin"]["high"]  # lactose is seen twice as well: 0.3 of it
    assert mixture["unexplained"]["value"] < mixture["unexplained"]["limit"]
    for output in (first.output, status.output, listed.output):
        assert "aspirin 6" in " ".join(output.split()), output

    verdict = unknown["verdict"]
    assert (verdict["outcome"], verdict["components"]) == ("inconclusive", [])
    assert [reason["code"] for reason in verdict["reasons"]] == ["unknown_component"]
    assert "unknown component" in second.output
    with np.load(rest) as kept:
        left = kept["values"]
    assert set(unknown["attachments"]) == {"scan", "spectrum.npz", "residual.npz"}
    assert np.corrcoef(left, np.diff(spectrum(stranger=0.8), 2))[0, 1] > 0.8
    assert "intact" in verified.output
    for record in results(heard):
        assert Record.model_validate(record).verdict is not None

    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert [row["reasons"] for row in rows] == ["", "unknown_component"]
    assert rows[0]["components"].startswith("aspirin 0.6")
    (report,) = [message.json for message in heard if message.topic.endswith("bundle/reported")][-1:]
    assert (report["procedures"], report["labels"]) == (["components"], [])
    assert report["compounds"] == ["aspirin", "lactose", "caffeine", "twin"]
    findings = {finding["about"]: finding for finding in json.loads(doctor.output)}
    assert "4 compounds" in findings["bundle"]["text"]

    from_file = CliRunner().invoke(main, ["analyze", str(csv_file), "--bundle", str(bundle), "--json"])
    again = json.loads(from_file.stdout)["verdict"]["components"]
    told = [(component["label"], pytest.approx(component["fraction"], rel=1e-4)) for component in found.values()]
    assert [(component["label"], component["fraction"]) for component in again] == told


def test_a_demo_of_a_model_of_compounds_tells_what_each_powder_holds(tmp_path: Path) -> None:
    """References are the pure powders of the simulator's own twin; the network is not asked."""
    twin, names = Twin.load(), {"100AC": "AC", "100AA": "AA", "100LA": "LA"}
    pure = [np.interp(AXIS_NM, twin.wavelength_nm, twin.means[twin.labels.index(label)]) for label in names]
    table = mixed_components()
    table["compounds"] = [{"label": label, "title": label} for label in (*names.values(), "other")]
    point = table["presets"]["confirm"] | {"detection_limits_in": {}, "max_rest": 1e6}
    table["presets"] = dict.fromkeys(("balanced", "confirm"), point)
    table["confirmation"]["fractions"] = None
    gate = GATES[0] | {"limits": {"balanced": 5.0, "confirm": 5.0}}
    references = np.concatenate([np.stack(pure) @ SECOND, REFERENCES[3:]])
    library = pack_library(references, np.full((1, PREPARED), 2000.0), CUP)
    bundle = tmp_path / "powders12-9.1.0.edgebundle"
    made = mixed_fields(name="powders12", version="9.1.0", components=table, gates=[gate])
    bundle.write_bytes(bundle_bytes(made, mixed_files(library_npz=library)))

    demo = edged("demo", "--count", "4", "--no-web", "--bundle", bundle)

    assert demo.returncode == 0, demo.stderr
    assert "to components" in demo.stdout
    shown = re.findall(r"^ +\d+ +\w+ +(\d+\w+) +(.*?)  +", demo.stdout, re.MULTILINE)
    assert len(shown) == 4
    assert all(re.search(r"(AC|AA|LA) \d+ %", told) and told.endswith("of what is seen") for _, told in shown), (
        demo.stdout
    )
    assert re.search(r"\d of 4 with every compound and no other", demo.stdout)
