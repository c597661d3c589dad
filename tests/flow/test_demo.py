"""`edged demo` from outside: what it prints, what it leaves, and that broker and journal agree."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest

from tests.broker import free_port
from tests.bundle.tiny import dose_bytes, tiny_bytes
from tests.flow.plant import REPOSITORY, clean_environment, eventually
from tests.subscriber import Subscriber

STARTER = "from edged.cli.main import main; main()"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """With a bundle that knows none of the products: these tests are about the path, not about the model."""
    (tmp_path / "tiny.edgebundle").write_bytes(tiny_bytes())
    return clean_environment() | {"EDGED_BUNDLE__PATH": str(tmp_path / "tiny.edgebundle")}


def edged(*words: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", STARTER, *words],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env=environ,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize("broker", ["mosquitto", "embedded"])
def test_the_demo_prints_one_line_a_measurement_and_keeps_the_ids_that_the_broker_delivered(
    broker: str, tmp_path: Path, environ: dict[str, str]
) -> None:
    keep = tmp_path / "kept"

    demo = edged("demo", "--count", "4", "--json", "--no-web", "--broker", broker, "--keep", str(keep), environ=environ)
    listed = edged("journal", "list", "--json", "--journal", str(keep / "state" / "journal.db"), environ=environ)

    assert demo.returncode == 0, demo.stderr
    lines = [json.loads(line) for line in demo.stdout.splitlines()]
    assert [set(line) for line in lines] == [{"truth", "record"}] * 4
    assert len({line["truth"] for line in lines}) == 4
    assert {line["record"]["kind"] for line in lines} == {"result"}
    stored = Counter(json.loads(line)["id"] for line in listed.stdout.splitlines())
    assert stored == Counter(line["record"]["id"] for line in lines)
    assert "4 results and 1 white reference, " in demo.stderr
    assert "the same ids, none of them twice" in demo.stderr
    records = [line["record"] for line in lines]
    assert [record["station"] for record in records] == ["nir", "raman"] * 2
    assert {(r["station"], r["procedure"], r["bundle"]["name"]) for r in records} == {
        ("nir", "identify", "tiny"),
        ("raman", "components", "solvents13"),
    }


def test_the_demo_without_an_end_stops_in_order_on_ctrl_c_and_leaves_nothing(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    port = free_port()
    demo = subprocess.Popen(
        [sys.executable, "-c", STARTER, "demo", "--no-web", "--broker", "mosquitto", "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=REPOSITORY,
        env=environ,
        start_new_session=True,
    )
    assert demo.stdout is not None
    with demo.stdout:
        said = [demo.stdout.readline() for _ in range(8)]
        children = psutil.Process(demo.pid).children(recursive=True)
        os.killpg(demo.pid, signal.SIGINT)
        said += demo.stdout.readlines()

    assert demo.wait(20) == 0, "".join(said)
    assert any("stopped" in line for line in said)
    assert any(f"-p {port}" in line for line in said)
    assert len(children) == 4  # two simulators, the broker, the daemon
    assert [c for c in children if c.is_running()] == []
    assert list(Path(os.environ["TMPDIR"]).iterdir()) == []


def test_any_subscriber_sees_the_demo(tmp_path: Path, environ: dict[str, str]) -> None:
    port = free_port()
    words = ["demo", "--count", "2", "--json", "--no-web", "--broker", "mosquitto", "--port", str(port)]
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=REPOSITORY,
        env=environ,
    ) as demo:
        subscriber = eventually(lambda: _subscriber(port), "the broker listens")
        with subscriber:
            out, _ = demo.communicate(timeout=60)
            delivered = [m.json["id"] for m in subscriber.heard if "/result/" in m.topic]

    assert delivered == [json.loads(line)["record"]["id"] for line in out.splitlines()]


def _subscriber(port: int) -> Subscriber | None:
    subscriber = Subscriber(port, "edged/v1/demo/#")
    try:
        subscriber.__enter__()
    except OSError:
        return None
    subscriber.__exit__()
    return Subscriber(port, "edged/v1/demo/#")


def test_a_part_that_does_not_start_is_named_with_its_last_words(tmp_path: Path, environ: dict[str, str]) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "something").touch()

    used = edged("demo", "--count", "1", "--keep", str(taken), environ=environ)
    broken = edged(
        "demo", "--count", "1", environ=environ | {"EDGED_BUNDLE__PRESET": "wrong", "TMPDIR": os.environ["TMPDIR"]}
    )

    assert (used.returncode, "not empty" in used.stderr) == (2, True)
    assert broken.returncode == 1
    assert "EDGED_BUNDLE__PRESET: bundle.preset: is not one of the choices" in broken.stdout
    assert list(Path(os.environ["TMPDIR"]).iterdir()) == []


@pytest.mark.deep
def test_both_models_that_the_demo_shows_are_right_of_at_least_11_of_12_samples() -> None:
    demo = edged("demo", "--count", "24", "--json", "--no-web", environ=clean_environment())

    lines = [json.loads(line) for line in demo.stdout.splitlines()]
    assert (demo.returncode, len(lines)) == (0, 24), demo.stderr
    powders, solvents = ([line for line in lines if line["record"]["station"] == name] for name in ("nir", "raman"))
    assert Counter(line["truth"] for line in powders).total() == len({line["truth"] for line in powders}) == 12
    named = sum(line["record"]["verdict"]["label"] == line["truth"] for line in powders)
    assert len({line["truth"] for line in solvents}) == 11
    held = [{part for part in re.split(r" \d+ ?", line["truth"]) if part} for line in solvents]
    told = [{found["label"] for found in line["record"]["verdict"]["components"]} for line in solvents]
    resolved = sum(one == other for one, other in zip(held, told, strict=True))
    assert (named >= 11, resolved >= 11) == (True, True), (named, resolved)
    assert f"nir: {named} of 12 named rightly" in demo.stderr
    assert f"raman: {resolved} of 12 with every compound and no other" in demo.stderr
    assert {line["record"]["reading"]["settings"]["laser_mw"] for line in solvents} == {50}


def test_a_raman_model_that_is_named_is_shown_at_two_handhelds_with_a_laser() -> None:
    words = ("demo", "--count", "2", "--json", "--no-web", "--bundle", "solvents13")
    demo = edged(*words, environ=clean_environment() | {"EDGED_BUNDLE__PATH": "/nowhere"})

    lines = [json.loads(line) for line in demo.stdout.splitlines()]
    assert demo.returncode == 0, demo.stderr
    assert [line["record"]["station"] for line in lines] == ["left", "right"]
    assert [line["record"]["bundle"]["name"] for line in lines] == ["solvents13"] * 2
    assert {line["record"]["instrument"]["model"] for line in lines} == {"Ventana"}
    assert "2 results and 0 white references" in demo.stderr


def test_a_model_that_is_named_is_shown_what_it_quantifies_without_a_white_reference(tmp_path: Path) -> None:
    """A dose bundle of the twin's name: 100AC counts as 100, which its amounts, from counts, are not."""
    bundle = tmp_path / "powders12-9.0.0.edgebundle"
    bundle.write_bytes(dose_bytes(name="powders12", version="9.0.0", quantity="intensity", gates=[]))

    words = ["demo", "--count", "2", "--json", "--no-web", "--bundle", str(bundle)]
    demo = edged(*words, environ=clean_environment() | {"EDGED_BUNDLE__PATH": "/nowhere"})

    lines = [json.loads(line) for line in demo.stdout.splitlines()]
    assert demo.returncode == 0, demo.stderr
    assert [line["record"]["procedure"] for line in lines] == ["quantify"] * 2
    assert [line["record"]["bundle"]["version"] for line in lines] == ["9.0.0"] * 2
    assert {line["record"]["verdict"]["reasons"][0]["code"] for line in lines} == {"out_of_range"}
    assert "0 of 2 within the interval that was told" in demo.stderr
    assert "2 results and 0 white references" in demo.stderr
