from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edged.bundle import slots
from edged.bundle.archive import bundle_bytes, pack_golden
from edged.cli.main import main
from tests.bundle.tiny import GOLDEN, TABLE, fields, files, tiny_bytes


@pytest.fixture(autouse=True)
def _nothing_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "built_ins", lambda: ())


@pytest.fixture
def run(tmp_path: Path) -> Any:
    def invoke(*args: object) -> Result:
        return CliRunner().invoke(main, ["bundle", *map(str, args), "--storage", str(tmp_path / "state")])

    return invoke


def made(tmp_path: Path, version: str) -> Path:
    path = tmp_path / f"tiny-{version}.edgebundle"
    path.write_bytes(tiny_bytes(version=version))
    return path


def objects(result: Result) -> list[dict[str, Any]]:
    return [json.loads(text) for text in result.stdout.splitlines()]


def test_the_life_of_two_bundles(run: Any, tmp_path: Path) -> None:
    assert "nothing is installed" in run("list").stdout
    assert run("install", made(tmp_path, "1.0.0"), "--activate").exit_code == 0
    assert run("install", made(tmp_path, "1.1.0")).exit_code == 0
    assert [(o["name"], o["state"]) for o in objects(run("list", "--json"))] == [
        ("tiny-1.0.0", "active"),
        ("tiny-1.1.0", "installed"),
    ]

    activated = objects(run("activate", "tiny-1.1.0", "--json"))
    rolled_back = objects(run("rollback", "--json"))

    assert [(o["version"], o["state"], o["ok"]) for o in activated] == [("1.1.0", "active", True)]
    assert [o["version"] for o in rolled_back] == ["1.0.0"]
    assert "tiny-1.1.0" in run("list").stdout


def test_show_gives_the_manifest_and_verify_proves_it_here(run: Any, tmp_path: Path) -> None:
    path = made(tmp_path, "1.0.0")

    (shown,) = objects(run("show", path, "--json"))
    words = run("show", path).stdout
    (verified,) = objects(run("verify", path, "--json"))

    assert shown["manifest"]["schema"] == "edged.bundle/1"
    assert shown["path"] == str(path)
    for word in ("tiny 1.0.0", "absorbance", "1000 to 1070 nm, 8 points", "identify, verify", "Alpha"):
        assert word in words
    assert (verified["ok"], verified["largest_logit_difference"]) == (True, 0.0)
    assert "2 golden vectors agree" in run("verify", path).stdout


def test_verify_reports_each_and_exits_with_1_when_one_is_bad(run: Any, tmp_path: Path) -> None:
    good, bad = made(tmp_path, "1.0.0"), made(tmp_path, "1.1.0")
    data = bytearray(bad.read_bytes())
    data[-1] ^= 1
    bad.write_bytes(data)

    result = run("verify", good, bad, "--json")

    first, second = objects(result)
    assert result.exit_code == 1
    assert first["ok"]
    assert (second["ok"], second["bundle"]) == (False, str(bad))
    assert "damaged" in second["error"]["message"]
    assert second["error"]["hint"]


def test_a_bundle_that_computes_differently_here_is_not_installed(run: Any, tmp_path: Path) -> None:
    logits = GOLDEN @ TABLE
    path = tmp_path / "off.edgebundle"
    path.write_bytes(bundle_bytes(fields(), files(golden_npz=pack_golden(GOLDEN, logits + np.float32(1), logits))))

    result = run("install", path)

    assert result.exit_code == 1
    assert "computes differently on this CPU" in result.stderr
    assert objects(run("list", "--json")) == []


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["show"], "no bundle is installed and none is built in"),
        (["show", "none-1.0.0"], "no bundle 'none-1.0.0' is installed"),
        (["show", "./none.edgebundle"], "none.edgebundle: no such file"),
        (["activate", "../x"], "no bundle '../x' is installed"),
        (["rollback"], "there is no previous bundle"),
        (["install", "/"], "is a folder"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(args: list[str], message: str, run: Any) -> None:
    result = run(*args)
    as_json = run(*args, "--json")

    assert (result.exit_code, as_json.exit_code) == (1, 1)
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert message in objects(as_json)[0]["error"]["message"]


@pytest.fixture
def listed(tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """The rows of `edged bundle list --json` for stations (name -> bundle, None for none), then its screen as rows."""

    def ask(stations: dict[str, str | None], path: Path | None = None) -> list[dict[str, Any]]:
        config = written(tmp_path, stations, path)
        result = CliRunner().invoke(main, ["bundle", "list", "--json", "--config", str(config)])
        assert result.exit_code == 0, result.output
        return objects(result)

    return ask


def written(tmp_path: Path, stations: dict[str, str | None], path: Path | None = None) -> Path:
    """A configuration whose storage is where `run` installs."""
    lines = ['site = "lab"', 'device = "board"', "[storage]", f'path = "{tmp_path}/state"']
    lines += ["[bundle]", f'path = "{path}"'] if path is not None else []
    for name, text in stations.items():
        lines += [f"[station.{name}]", 'kind = "nirscan"', f'port = "/dev/{name}"']
        lines += [f'bundle = "{text}"'] if text is not None else []
    config = tmp_path / "edged.toml"
    config.write_text("\n".join(lines) + "\n")
    return config


def stations_by(rows: list[dict[str, Any]], *keys: str) -> dict[Any, list[str]]:
    return {tuple(row[key] for key in keys): row["stations"] for row in rows}


def test_a_list_shows_files_and_what_is_not_there_by_the_stations_that_name_them(
    run: Any, listed: Any, tmp_path: Path
) -> None:
    run("install", made(tmp_path, "1.0.0"), "--activate")
    file = made(tmp_path, "1.1.0")
    gone = tmp_path / "gone.edgebundle"

    rows = listed({"a": None, "b": str(file), "c": "nothing", "d": "tiny", "e": "nothing", "f": str(gone)})

    assert stations_by(rows, "name", "state") == {
        ("tiny-1.0.0", "active"): ["a", "d"],
        ("tiny-1.1.0", "file"): ["b"],
        ("nothing", "missing"): ["c", "e"],
        ("gone", "missing"): ["f"],
    }
    assert [row["path"] for row in rows[1:]] == [str(file), None, str(gone)]


def test_a_path_that_no_file_can_have_is_missing_like_every_other(listed: Any) -> None:
    (row,) = listed({"a": f"/{'n' * 300}"})

    assert (row["name"], row["state"], row["stations"]) == ("n" * 300, "missing", ["a"])


def test_a_file_that_is_an_installed_one_is_no_other(run: Any, listed: Any, tmp_path: Path) -> None:
    run("install", made(tmp_path, "1.0.0"))

    rows = listed({"a": f"{tmp_path}/state/./bundles/tiny-1.0.0.edgebundle"})

    assert stations_by(rows, "name", "state") == {("tiny-1.0.0", "installed"): ["a"]}


def test_the_active_one_that_no_station_uses_is_said_to_be_used_by_none(run: Any, listed: Any, tmp_path: Path) -> None:
    run("install", made(tmp_path, "1.0.0"), "--activate")
    run("install", made(tmp_path, "1.1.0"))
    file = made(tmp_path, "1.2.0")

    own = listed({"a": "tiny-1.1.0"})
    by_file = listed({"a": None}, file)
    config = written(tmp_path, {"a": "tiny-1.1.0"})
    first, second = CliRunner().invoke(main, ["bundle", "list", "--config", str(config)]).stdout.splitlines()

    assert stations_by(own, "name") == {("tiny-1.0.0",): [], ("tiny-1.1.0",): ["a"]}
    assert stations_by(by_file, "name") == {("tiny-1.0.0",): [], ("tiny-1.1.0",): [], ("tiny-1.2.0",): ["a"]}
    assert first.endswith("at no station")
    assert second.endswith("at a")


def test_an_active_one_that_is_gone_is_missing_and_the_one_before_judges(run: Any, listed: Any, tmp_path: Path) -> None:
    for version in ("1.0.0", "1.1.0"):
        run("install", made(tmp_path, version), "--activate")
    (tmp_path / "state" / "bundles" / "tiny-1.1.0.edgebundle").unlink()

    rows = listed({"a": None})

    assert stations_by(rows, "name", "state") == {
        ("tiny-1.0.0", "previous"): ["a"],
        ("tiny-1.1.0", "missing"): [],
    }


def test_a_missing_one_is_told_on_the_screen_with_where_it_is_explained(run: Any, tmp_path: Path) -> None:
    config = written(tmp_path, {"a": "nothing", "b": None})

    result = CliRunner().invoke(main, ["bundle", "list", "--config", str(config)])

    (line,) = result.stdout.splitlines()
    assert line.split() == ["nothing", "missing", "edged", "doctor", "at", "a"]
