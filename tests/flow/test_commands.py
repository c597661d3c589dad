"""The commands that a human types, against a running daemon."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edged.spectra.files import read_spectra
from edged.spectra.rows import Found
from tests.flow.plant import Handheld, Plant, station


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    folder = tmp_path_factory.mktemp("plant")
    with (
        Handheld(folder / "nirscan") as handheld,
        Plant(folder, stations=station(handheld.port) + station(folder / "none", "spare")) as plant,
    ):
        plant.until_state("ready")
        handheld.tell("white")
        assert plant.edged("measure", "bench", "--reference").exit_code == 0  # any test may be a worker's first
        handheld.tell("white")
        yield plant


def test_measure_takes_a_reference_then_a_sample_and_prints_the_verdict(plant: Plant) -> None:
    white = plant.edged("measure", "bench", "--reference")
    sample = plant.edged("measure", "bench", "--lot", "A7", "--barcode", "4006381333931")

    assert (white.exit_code, sample.exit_code) == (0, 0)
    assert "white reference taken" in white.output
    assert any(word in sample.output for word in ("identified", "not in scope", "inconclusive"))
    assert plant.records()[-1]["id"] in sample.output
    assert (plant.records()[-1]["lot"], plant.records()[-1]["barcode"]) == ("A7", "4006381333931")


def test_measure_with_json_prints_the_record_as_stored(plant: Plant) -> None:
    result = plant.edged("measure", "bench", "--json", "--claimed", "A")

    record = json.loads(result.output)
    assert record == plant.records()[-1]
    assert record["procedure"] == "verify"


def test_measure_judges_at_the_preset_that_it_is_given_and_else_at_the_station_s(plant: Plant) -> None:
    as_ever, confirmed = (
        json.loads(plant.edged("measure", "bench", "--json", "--claimed", "A", *words).output)
        for words in ((), ("--preset", "confirm"))
    )

    assert [record["preset"] for record in (as_ever, confirmed)] == ["balanced", "confirm"]
    assert confirmed["verdict"]["preset"] == "confirm"
    assert plant.records()[-1] == confirmed


def test_a_reference_has_no_preset(plant: Plant) -> None:
    result = plant.edged("measure", "bench", "--reference", "--preset", "screen")

    assert result.exit_code == 2
    assert "--reference takes only --operator and --note" in result.stderr


@pytest.mark.parametrize("suffix", [".csv", ".jdx", ".spc"])
def test_measure_saves_the_spectrum_that_was_judged(plant: Plant, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"sample{suffix}"
    result = plant.edged("measure", "bench", "--lot", "A8", "--save", str(path))

    (row,) = read_spectra(path)
    assert result.exit_code == 0, result.output
    assert isinstance(row, Found)
    assert (row.spectrum.quantity, row.spectrum.axis_unit, len(row.spectrum.axis)) == ("absorbance", "nm", 228)
    if suffix == ".csv":
        assert row.spectrum.title == f"A8 {plant.records()[-1]['id']}"


def test_measure_says_before_the_measurement_that_a_file_cannot_be_written(plant: Plant, tmp_path: Path) -> None:
    before, taken = len(plant.records()), tmp_path / "taken.csv"
    taken.write_text("mine")

    nowhere = tmp_path / "none" / "sample.csv"
    for path, words in ((taken, "exists already"), (tmp_path / "sample.xlsx", "names no"), (nowhere, "no folder")):
        result = plant.edged("measure", "bench", "--save", str(path))
        assert result.exit_code == 2
        assert words in result.stderr

    assert taken.read_text() == "mine"
    assert len(plant.records()) == before


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("measure", "bench", "--dark"), "unfit_reference"),
        (("selftest", "bench", "--material", "polystyrene"), "unfit_reference"),
        (("selftest", "bench", "--material", "kryptonite"), "unfit_reference"),
        (("measure", "nowhere"), "unknown_station"),
        (("measure", "spare"), "not_ready"),
        (("measure", "bench", "--claimed", "Gold"), "not_offered"),
    ],
)
def test_a_refusal_has_status_1_a_message_and_a_hint(plant: Plant, words: tuple[str, ...], code: str) -> None:
    before = len(plant.records())

    human, program = plant.edged(*words), plant.edged(*words, "--json")

    assert (human.exit_code, program.exit_code) == (1, 1)
    error = json.loads(program.output)["error"]
    assert error["code"] == code
    assert error["message"] in human.stderr
    assert error["hint"] in human.stderr
    assert len(plant.records()) == before


def test_status_is_one_screen_for_a_human_and_one_object_for_a_program(plant: Plant) -> None:
    human, program = plant.edged("status"), plant.edged("status", "--json")

    assert human.exit_code == 0, human.output
    assert "bench: ready" in human.output
    assert "spare: absent" in human.output
    assert len(human.output.splitlines()) < 25
    document = json.loads(program.output)
    assert [s["state"] for s in document["stations"]] == ["ready", "absent"]
    assert document["bundle"]["name"] == "tiny"


def test_doctor_looks_at_everything_and_gives_a_cure_with_all_that_is_not_well(plant: Plant) -> None:
    result = plant.edged("doctor", "--json")

    findings = {f["about"]: f for f in json.loads(result.output)}
    assert set(findings) == {
        "clock",
        "disk",
        "groups",
        "udev",
        "port of bench",
        "port of spare",
        "broker",
        "bundle",
        "processor",
        "daemon",
    }
    assert findings["bundle"]["level"] == findings["daemon"]["level"] == "ok"
    assert findings["port of spare"]["level"] == "warn"
    assert all(bool(f["cure"]) == (f["level"] != "ok") for f in findings.values())
    assert result.exit_code == int(any(f["level"] == "fail" for f in findings.values()))


def test_commands_say_that_no_daemon_runs_and_how_to_start_one(tmp_path: Path) -> None:
    plant = Plant(tmp_path)

    for words in (("status",), ("measure", "bench")):
        result = plant.edged(*words)
        assert result.exit_code == 3
        assert "edged run" in result.stderr


WATCHED = """
import sys
opened = []
sys.addaudithook(lambda event, words: opened.append(str(words[0])) if event in ("open", "socket.connect") else None)
from edged.cli.main import main
main(["devices", "--json"], standalone_mode=False)
print(*(path for path in opened if path.startswith("/dev/")), sep="\\n", file=sys.stderr)
"""


def test_devices_names_the_families_and_opens_nothing() -> None:
    ran = subprocess.run([sys.executable, "-c", WATCHED], capture_output=True, text=True, check=True)
    document = json.loads(ran.stdout)

    assert "nirscan" in [k["kind"] for k in document["kinds"]]
    assert all({"path", "access", "note"} <= set(port) for port in document["ports"])
    assert ran.stderr.split() == []


def test_the_journal_judged_again_gives_the_verdicts_that_the_daemon_gave(plant: Plant) -> None:
    for lot in ("B1", "B2"):
        assert plant.edged("measure", "bench", "--lot", lot).exit_code == 0
    asked = [r for r in plant.records() if r["kind"] == "result" and r["procedure"] == "identify"]

    result = plant.edged("analyze", str(plant.journal), "--json")

    again = {found["row"]: found for found in map(json.loads, result.stdout.splitlines())}
    assert len(asked) >= 2
    for record in asked:
        assert again[record["seq"]]["title"] == record["id"]
        assert again[record["seq"]]["verdict"] == record["verdict"]
