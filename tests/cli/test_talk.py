"""How long a command waits for a record, and what it says when none comes: a real control socket, a real daemon."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edged.cli.main import main
from edged.service.control import ControlServer, Request, StatusRequest
from tests.flow.plant import Plant

ASKED = [("measure", "bench"), ("measure", "bench", "--reference"), ("selftest", "bench", "--material", "dark")]


@contextmanager
def daemon(folder: Path, *, answers_within_s: float, leaves: bool = False) -> Iterator[Path]:
    """A control socket at which a measurement never ends, or ends with the daemon; the configuration that names it."""
    path = folder / "edged.toml"
    path.write_text(f'site = "lab"\ndevice = "board"\n[control]\npath = "{folder}/c.sock"\n')
    loop, listening, over = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def handle(request: Request) -> dict[str, Any]:
        if isinstance(request, StatusRequest):
            return {"stations": [{"name": "bench", "answers_within_s": answers_within_s}]}
        if leaves:
            over.set()
        return await asyncio.Event().wait()  # type: ignore[return-value]

    async def serve() -> None:
        server = ControlServer(folder / "c.sock", handle)
        await server.start()
        listening.set()
        await over.wait()
        await server.stop()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert listening.wait(30)
    try:
        yield path
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(30)
        loop.close()


def edged(config: Path, *words: str) -> Result:
    return CliRunner().invoke(main, [*words, "--config", str(config)], catch_exceptions=False)


@pytest.mark.parametrize("words", ASKED)
def test_without_an_answer_in_the_time_that_the_daemon_allows_nobody_is_told_that_nothing_was_measured(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    with daemon(tmp_path, answers_within_s=0.125) as config:
        done = edged(config, *words)
        as_json = edged(config, *words, "--json")

    waited_s = 0.25 if words[0] == "selftest" else 0.125  # two readings
    assert (done.exit_code, as_json.exit_code) == (4, 4)
    assert f"did not answer within {waited_s:g} s" in done.output
    assert "may be recorded all the same" in done.output
    assert "edged journal list" in done.output
    assert json.loads(as_json.stdout)["error"]["code"] == "not_answered"


def test_a_daemon_that_goes_away_in_the_middle_may_have_recorded_it(tmp_path: Path) -> None:
    with daemon(tmp_path, answers_within_s=60.0, leaves=True) as config:
        done = edged(config, "measure", "bench")

    assert done.exit_code == 4
    assert "went away" in done.output
    assert "may be recorded all the same" in done.output


@pytest.mark.parametrize("words", ASKED)
def test_where_nobody_listens_nothing_was_measured(tmp_path: Path, words: tuple[str, ...]) -> None:
    with daemon(tmp_path, answers_within_s=60.0) as config:
        pass

    done = edged(config, *words)

    assert done.exit_code == 3
    assert "no daemon to ask" in done.output
    assert "recorded" not in done.output


def test_a_daemon_allows_a_long_exposure_its_time_and_refuses_a_station_that_it_does_not_know(tmp_path: Path) -> None:
    table = (
        f'[station.raman]\nkind = "obp"\nport = "{tmp_path}/none"\nsettings.integration_ms = 60000.0\n'
        "settings.laser_mw = 50.0\n"
    )
    with Plant(tmp_path, stations=table) as plant:
        station = plant.until_state("absent", "raman")
        done = edged(plant.config, "measure", "bench")

    assert station["answers_within_s"] > 360.0  # each exposure comes twice: to settle, and to count
    assert done.exit_code == 1
    assert "no station 'bench'" in done.output
