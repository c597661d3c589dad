"""`edged drift` where there is no daemon, no journal, or nothing to see."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edged.acquire.references import pack_spectrum
from edged.cli.main import main
from edged.cli.status import drift_in_brief
from edged.service.pipeline import SPECTRUM
from edged.spectra.spectrum import Spectrum
from edged.store.journal import Journal
from tests.store.drafts import draft


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "edged.toml"
    path.write_text(
        f'site = "lab"\ndevice = "board"\n[storage]\npath = "{tmp_path}"\n[control]\npath = "{tmp_path}/none.sock"\n'
    )
    return path


def counts(light: float) -> Spectrum:
    return Spectrum(
        axis=np.linspace(900.0, 1700.0, 60),
        values=np.full(60, light, dtype=np.float32),
        axis_unit="nm",
        quantity="counts",
    )


def edged(config: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["drift", *words, "--config", str(config)], catch_exceptions=False)


@pytest.mark.parametrize("words", [("show",), ("renew", "bench", "--note", "new lamp")])
def test_without_a_daemon_it_says_so(config: Path, words: tuple[str, ...]) -> None:
    done = edged(config, *words, "--json")

    assert done.exit_code == 3
    assert json.loads(done.output)["error"]["code"] == "not_running"


def test_nothing_is_learned_anew_without_a_reason(config: Path) -> None:
    done = edged(config, "renew", "bench")

    assert done.exit_code == 2
    assert "--note" in done.output


def test_a_journal_that_is_not_there_is_one_line_and_not_made(config: Path) -> None:
    done = edged(config, "replay")

    assert done.exit_code == 1
    assert "no such journal" in done.output
    assert not (config.parent / "journal.db").exists()


def test_results_of_another_bundle_are_passed_over(config: Path) -> None:
    with Journal.open(config.parent / "journal.db") as journal:
        for _ in range(3):
            journal.append(draft(), attachments={"spectrum.npz": b"no spectrum"})

    done = edged(config, "replay")

    assert (done.exit_code, done.output) == (0, "")


def test_a_record_that_was_spoilt_hides_none_behind_it(config: Path) -> None:
    """The white reference behind it is half as bright as the one before."""
    path = config.parent / "journal.db"
    with Journal.open(path) as journal:
        for light in (100.0, 70.0, 60.0, 50.0):
            journal.append(draft(kind="reference"), attachments={SPECTRUM: pack_spectrum(counts(light))})
    with sqlite3.connect(path) as other:
        other.executescript(
            "DROP TRIGGER records_never_change; DROP TRIGGER attachments_only_lose_data;"
            "UPDATE attachments SET data = zeroblob(9) WHERE seq = 2; UPDATE records SET body = '{}' WHERE seq = 3;"
        )
    other.close()

    done = edged(config, "replay", "--json")

    assert done.exit_code == 0, done.output
    (told,) = (json.loads(line) for line in done.output.splitlines())
    assert (told["seq"], told["event"], told["since_seq"]) == (4, "began", 4)
    assert told["changes"]["white_level"] == pytest.approx(-50.0)


def white_halves(folder: Path) -> None:
    """A journal of white references, the last half as bright as the one before: what replay finds without a bundle."""
    with Journal.open(folder / "journal.db") as journal:
        for light in (100.0, 50.0):
            journal.append(draft(kind="reference"), attachments={SPECTRUM: pack_spectrum(counts(light))})


def with_stations(config: Path, **bundles: str | None) -> None:
    """Add stations with these bundles, None for the usual one."""
    for name, text in bundles.items():
        table = f'[station.{name}]\nkind = "nirscan"\nport = "/dev/{name}"\n'
        config.write_text(config.read_text() + table + (f'bundle = "{text}"\n' if text is not None else ""))


def test_a_bundle_of_one_station_that_cannot_be_had_stops_no_other(config: Path) -> None:
    white_halves(config.parent)
    with_stations(config, bench=None, raman="nothing", spare="nothing")

    done = edged(config, "replay", "--json")

    assert done.exit_code == 0, done.output
    assert [json.loads(line)["seq"] for line in done.stdout.splitlines()] == [2]
    (line,) = done.stderr.splitlines()
    assert line.startswith("raman, spare: ")
    assert "no bundle 'nothing'" in line


def test_the_usual_bundle_is_not_read_where_every_station_has_one_of_its_own(config: Path) -> None:
    """A file of slots that is broken is an error for whoever needs the active one."""
    white_halves(config.parent)
    (config.parent / "bundles").mkdir()
    (config.parent / "bundles" / "slots.json").write_text("[]")
    with_stations(config, bench="powders12")

    needless = edged(config, "replay", "--json")
    with_stations(config, spare=None)
    needed = edged(config, "replay", "--json")

    assert (needless.exit_code, needless.stderr) == (0, "")
    assert needed.stdout == needless.stdout != ""
    assert "slots.json" in needed.stderr
    assert needed.stderr.startswith("spare: ")


def test_where_no_bundle_can_be_had_nobody_can_tell_which_results_count(config: Path) -> None:
    white_halves(config.parent)
    with_stations(config, raman="nothing")

    done = edged(config, "replay", "--json")

    assert done.exit_code == 1
    assert "no bundle 'nothing'" in json.loads(done.stdout)["error"]["message"]


def test_a_bundle_that_is_none_is_one_line(config: Path, tmp_path: Path) -> None:
    other = tmp_path / "x.edgebundle"
    other.write_bytes(b"no zip")

    done = edged(config, "replay", "--bundle", str(other))

    assert done.exit_code == 1
    assert "x.edgebundle" in done.output


def test_status_counts_products_by_how_they_are() -> None:
    states = ["steady", "alarm", "steady", "learning"]

    assert drift_in_brief([{"state": s} for s in states]) == "products 1 in alarm, 2 steady, 1 being learned"
