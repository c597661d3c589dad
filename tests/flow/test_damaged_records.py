"""One flipped byte in what the journal keeps of an instrument: the daemon says so, and a new reference is the cure."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.flow.plant import Handheld, Plant, edged, eventually, station

MEASURE = {"do": "measure", "station": "bench"}
REFERENCE = {"do": "reference", "station": "bench"}
SPECTRUM = "SELECT data FROM attachments WHERE seq = 1 AND name = 'spectrum.npz'"
BODY = "SELECT body FROM records WHERE seq = 1"


@pytest.fixture
def handheld(tmp_path: Path) -> Iterator[Handheld]:
    with Handheld(tmp_path / "nirscan") as handheld:
        yield handheld


def flip(journal: Path, query: str, place: float) -> None:
    """Flip one bit of a stored value where it lies in the file; `place` is a share of its length."""
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as connection:
        value = bytes(connection.execute(query).fetchone()[0])
    whole = bytearray(journal.read_bytes())
    at = int(place * len(value))
    offset = whole.index(value[at : at + 32])
    whole[offset] ^= 1
    journal.write_bytes(whole)


def damage(plant: Plant) -> dict[str, Any] | None:
    warnings = plant.ask({"do": "status"})["result"]["warnings"]
    return next((warning for warning in warnings if warning["code"] == "record_damaged"), None)


@pytest.mark.parametrize(
    ("query", "place", "words"),
    [(SPECTRUM, 0.3, "attachment spectrum.npz"), (BODY, 0.5, "")],
)
def test_a_damaged_white_reference_is_told_and_passed_over_and_a_new_one_cures_the_station(
    tmp_path: Path, handheld: Handheld, query: str, place: float, words: str
) -> None:
    with Plant(tmp_path, stations=station(handheld.port)) as plant:
        plant.until_state("ready")
        handheld.tell("white")
        plant.ask(REFERENCE)
        plant.stop()
        flip(plant.journal, query, place)

        plant.start().until_state("ready")
        told = eventually(lambda: damage(plant), "the damage is told")
        screen = edged("status", "--config", plant.config).stdout
        handheld.tell("sample 100AC")
        before = plant.ask(MEASURE)["result"]
        handheld.tell("white")
        white = plant.ask(REFERENCE)["result"]
        cured = damage(plant)
        handheld.tell("sample 100AC")
        after = plant.ask(MEASURE)["result"]

        assert (told["subject"], told["severity"]) == ("bench", "warning")
        assert "record 1: " in told["detail"]
        assert words in told["detail"]
        assert "edged measure bench --reference" in told["detail"]
        assert "edged journal verify" in told["text"]
        assert told["detail"] in screen
        assert [reason["code"] for reason in before["verdict"]["reasons"]] == ["reference_missing"]
        assert cured is None
        assert after["reference"]["id"] == white["id"]
        assert after["verdict"]["outcome"] != "rejected"
