"""Whatever an instrument sends, a parser gives a value or a sorted error, soon, in bounded memory."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.drivers.fuzzing import PARSERS, check, made_seeds
from tests.spectra.fuzzing import ROOM_BYTES, SLOW_S, mutated

SEEDS = made_seeds()
FUZZ_S = float(os.environ.get("EDGED_FUZZ_S", "10"))


@pytest.mark.parametrize("parser", PARSERS)
def test_good_bytes_are_taken(parser: str) -> None:
    assert {check(parser, seed) for seed in SEEDS[parser]} == {"taken"}


@pytest.mark.parametrize("parser", PARSERS)
@given(number=st.integers(0, 2**32))
@settings(max_examples=200)
def test_damaged_bytes_are_taken_or_refused_and_nothing_else(parser: str, number: int) -> None:
    rng = random.Random(number)

    check(parser, mutated(rng.choice(SEEDS[parser]), rng))


@pytest.mark.parametrize("parser", PARSERS)
@given(data=st.binary(max_size=2000))
@settings(max_examples=50)
def test_any_bytes_are_taken_or_refused_and_nothing_else(parser: str, data: bytes) -> None:
    check(parser, data)


@pytest.mark.deep
@pytest.mark.timeout(FUZZ_S + 100)
@pytest.mark.parametrize("parser", PARSERS)
def test_a_long_run_of_damaged_bytes_ends_well_in_little_memory(parser: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.drivers.fuzzing", parser, f"{FUZZ_S}", "1"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )

    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout)
    assert told["cases"] > 10 * FUZZ_S
    assert told["slowest_s"] < SLOW_S
    assert told["grown_mb"] < ROOM_BYTES / 2**20
