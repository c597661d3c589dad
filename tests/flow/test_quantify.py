"""A bundle that quantifies, and one that wants the signal alone, from the instrument to a subscriber of the broker."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from edged.spectra.files import read_spectra
from edged.spectra.rows import Found
from edged.spectra.spectrum import Spectrum
from edged.store.record import Record
from tests.broker import Broker
from tests.bundle.tiny import DOSE, bundle_bytes, dose_fields, dose_files, tiny_bytes
from tests.flow.plant import Handheld, Plant, station
from tests.subscriber import Subscriber

DRUG: dict[str, Any] = DOSE["amounts"][0] | {"lowest": 0.0, "highest": 200.0}
WATER: dict[str, Any] = DOSE["amounts"][1] | {"unit": "AU", "lowest": 0.0, "highest": 2.0}


def saved(path: Path) -> Spectrum:
    (row,) = read_spectra(path)
    assert isinstance(row, Found)
    return row.spectrum


def test_an_amount_goes_from_the_instrument_to_the_journal_and_the_broker(tmp_path: Path) -> None:
    """The table's amounts are 100 mg and 1 AU a unit of absorbance at 1000 and at 1010 nm."""
    bundle, csv = tmp_path / "dose.edgebundle", tmp_path / "sample.csv"
    bundle.write_bytes(bundle_bytes(dose_fields(amounts=[DRUG, WATER]), dose_files()))
    with (
        Handheld(tmp_path / "nirscan") as handheld,
        Broker(tmp_path / "broker") as broker,
        Subscriber(broker.port, "edged/v1/lab/board/#") as subscriber,
        Plant(
            tmp_path,
            stations=station(handheld.port, procedure='"quantify"') + station(tmp_path / "none", "spare"),
            mqtt=f'host = "127.0.0.1"\nport = {broker.port}',
            bundle=bundle,
        ) as plant,
    ):
        plant.until_state("ready")
        handheld.tell("white")
        plant.edged("measure", "bench", "--reference")
        handheld.tell("sample 100AC")
        shown = plant.edged("measure", "bench", "--save", str(csv))
        heard = subscriber.wait_for(lambda all_: any("/result/" in m.topic for m in all_))
        listed = plant.edged("journal", "list")
        status, doctor = plant.edged("status"), plant.edged("doctor", "--json")
        refused = json.loads(plant.edged("measure", "bench", "--procedure", "identify", "--json").output)

    spectrum = saved(csv)
    truth = np.interp([1000.0, 1010.0], spectrum.axis, spectrum.values)
    (result,) = [message for message in heard if "/result/" in message.topic]
    verdict = result.json["verdict"]
    assert (verdict["procedure"], verdict["outcome"], verdict["label"]) == ("quantify", "quantified", None)
    np.testing.assert_allclose([a["value"] for a in verdict["amounts"]], truth * [100.0, 1.0], rtol=1e-5)
    np.testing.assert_allclose([a["high"] - a["value"] for a in verdict["amounts"]], [17.0, 0.25], rtol=1e-9)
    assert [(a["label"], a["unit"]) for a in verdict["amounts"]] == [("drug", "mg"), ("water", "AU")]
    assert Record.model_validate_json(result.payload).verdict is not None
    (report,) = [message.json for message in heard if message.topic.endswith("bundle/reported")][-1:]
    assert (report["procedures"], report["labels"], report["amounts"]) == (["quantify"], [], ["drug", "water"])
    words = rf"Isoniazid {truth[0] * 100:.0f} mg \({truth[0] * 100 - 17:.0f} to {truth[0] * 100 + 17:.0f}\), Water "
    for output in (shown.output, listed.output, status.output):
        assert re.search(words, " ".join(output.split())), output
    findings = {finding["about"]: finding for finding in json.loads(doctor.output)}
    assert "2 amounts" in findings["bundle"]["text"]
    assert findings["question of spare"]["cure"] == "station.spare: it offers: quantify"
    assert "question of bench" not in findings
    assert refused["error"]["code"] == "not_offered"


def test_a_model_that_wants_the_signal_needs_no_white_reference(tmp_path: Path) -> None:
    bundle, csv = tmp_path / "signal.edgebundle", tmp_path / "sample.csv"
    bundle.write_bytes(tiny_bytes(quantity="intensity"))
    with (
        Handheld(tmp_path / "nirscan", "--white", "0", "--sample", "100AC") as handheld,
        Plant(tmp_path, stations=station(handheld.port), bundle=bundle) as plant,
    ):
        plant.until_state("ready")
        shown = plant.edged("measure", "bench", "--save", str(csv), "--json")
        record = plant.records()[-1]

    spectrum = saved(csv)
    assert shown.exit_code == 0, shown.output
    assert (record["verdict"]["outcome"], record["reference"]) == ("not_in_scope", None)
    assert (spectrum.quantity, len(spectrum.axis)) == ("intensity", 228)
    assert round(float(spectrum.values.max())) == record["quality"]["peak_counts"]
