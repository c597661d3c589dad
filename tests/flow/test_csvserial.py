"""A kind that nothing in edged knows by name: a maker's board through the daemon, from its lines to a verdict."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.drivers.talking import talking
from tests.flow.plant import Plant, edged


def test_a_board_that_prints_lines_names_a_powder(tmp_path: Path, repository: Path) -> None:
    port = tmp_path / "board"
    stations = f'[station.bench]\nkind = "csvserial"\nport = "{port}"\n'
    stations += "[station.bench.settings]\nintegration_ms = 200\nrepeats = 3\n"
    (bundle,) = (repository / "edged").rglob("powders12-*.edgebundle")
    command = ("csvserial", "--pty", str(port), "--white", "0", "--sample", "dark", "--quirk", "crlf", "--speed", "0")
    with talking(sys.executable, "-m", "firmware_sim.main", *command, "--json") as board:
        board.event("ready")
        with Plant(tmp_path / "plant", stations=stations, bundle=bundle) as plant:
            plant.until_state("ready")
            for option, sample in ((["--dark"], "dark"), (["--reference"], "white"), ([], "100AC")):
                board.say(f"sample {sample}")
                measured = edged("measure", "bench", *option, "--config", plant.config)
                assert measured.returncode == 0, measured.stderr

    assert measured.stdout.startswith("identified: 100AC (Acetaminophen)")
    *_, record = plant.records()
    assert record["instrument"]["serial_number"] == "SIM0001"
