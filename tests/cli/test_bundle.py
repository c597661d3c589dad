from __future__ import annotations

import json
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
