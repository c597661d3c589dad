"""Whatever a file holds, it gives rows or a FileError, nothing else, soon, in bounded memory."""

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

from tests.spectra.fuzzing import PARSERS, ROOM_BYTES, SLOW_S, check, made_seeds, mutated, read_table

SEEDS = made_seeds()
FUZZ_S = float(os.environ.get("EDGED_FUZZ_S", "10"))


@pytest.mark.parametrize("parser", PARSERS)
@given(number=st.integers(0, 2**32))
@settings(max_examples=150)
def test_damaged_files_give_rows_or_a_file_error(parser: str, number: int) -> None:
    rng = random.Random(number)

    check(PARSERS[parser](mutated(rng.choice(SEEDS[parser]), rng)))


@pytest.mark.parametrize("parser", PARSERS)
@given(data=st.binary(max_size=2000))
@settings(max_examples=50)
def test_any_bytes_give_rows_or_a_file_error(parser: str, data: bytes) -> None:
    check(PARSERS[parser](data))


@given(kind=st.sampled_from(sorted(SEEDS)), number=st.integers(0, 2**32))
@settings(max_examples=300)
def test_damaged_files_of_any_kind_are_known_by_their_contents(
    kind: str, number: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rng = random.Random(number)
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    path.write_bytes(mutated(rng.choice(SEEDS[kind]), rng))

    read_table(path)


@pytest.mark.deep
@pytest.mark.timeout(FUZZ_S + 100)
@pytest.mark.parametrize("parser", PARSERS)
def test_a_long_run_of_damaged_real_files_ends_well_in_little_memory(parser: str, data_dir: Path) -> None:
    command = [sys.executable, "-m", "tests.spectra.fuzzing", parser, f"{FUZZ_S}", "1"]

    done = subprocess.run(
        [*command, str(data_dir / "vendor_fixtures")],
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
