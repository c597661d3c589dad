"""`edged check`: the true loader, its words and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from edged.cli.main import main

FOUR_MISTAKES = 'site = "A B"\ndevice = "board"\nsiet = 1\n[mqtt]\nport = 0\ntls = "yes"\n'


def test_four_mistakes_are_printed_with_line_and_key_and_the_status_is_78(tmp_path: Path) -> None:
    path = tmp_path / "edged.toml"
    path.write_text(FOUR_MISTAKES)

    result = CliRunner().invoke(main, ["check", "--config", str(path)])

    assert result.exit_code == 78
    for place in (":1: site:", ":3: siet:", ":5: mqtt.port:", ":6: mqtt.tls:"):
        assert f"{path}{place}" in result.output
    assert "4 problems" in result.output


def test_the_daemon_refuses_the_same_file_with_the_same_words(tmp_path: Path) -> None:
    path = tmp_path / "edged.toml"
    path.write_text(FOUR_MISTAKES)

    checked = CliRunner().invoke(main, ["check", "--config", str(path)])
    run = CliRunner().invoke(main, ["run", "--config", str(path)])

    assert (run.exit_code, run.output) == (78, checked.output)


def test_json_lists_problems_field_by_field(tmp_path: Path) -> None:
    path = tmp_path / "edged.toml"
    path.write_text(FOUR_MISTAKES)

    document = json.loads(CliRunner().invoke(main, ["check", "--config", str(path), "--json"]).output)

    assert document["valid"] is False
    assert [p["line"] for p in document["problems"]] == [1, 3, 5, 6]


def test_a_valid_file_named_by_the_environment_is_reported_with_its_stations(tmp_path: Path) -> None:
    path = tmp_path / "e.toml"
    path.write_text('site = "a"\ndevice = "b"\n[station.bench]\nkind = "nirscan"\nport = "/dev/x"\n')

    result = CliRunner().invoke(main, ["check"], env={"EDGED_CONFIG": str(path)})

    assert (result.exit_code, "bench" in result.output) == (0, True)


def test_a_daemon_that_cannot_start_says_which_path_is_at_fault_and_ends_with_1(tmp_path: Path) -> None:
    path = tmp_path / "e.toml"
    common = 'site = "a"\ndevice = "b"\n[mqtt]\nenabled = false\n'
    for storage, control in (("none", "c.sock"), (".", "none/c.sock"), (".", "x" * 200)):
        path.write_text(f'{common}[storage]\npath = "{tmp_path / storage}"\n[control]\npath = "{tmp_path / control}"\n')

        result = CliRunner().invoke(main, ["run", "--config", str(path)])

        assert result.exit_code == 1
        assert str(tmp_path / ("none" if "none" in storage + control else control)) in result.stderr
