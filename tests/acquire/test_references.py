"""The white reference: fit or not, fresh or not, the right one or not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import RawScan
from edged.acquire.counts import counts_of
from edged.acquire.errors import Unfit
from edged.acquire.reading import Moment
from edged.acquire.references import (
    Reference,
    pack_spectrum,
    require_white,
    settings_text,
    unpack_spectrum,
)
from edged.spectra.spectrum import Spectrum, SpectrumError
from tests.acquire.bench import raw_scan

TAKEN = Moment(wall_s=1000.0, monotonic_s=50.0, boot_id="a", synced=True)


def reference(gain: int = 16) -> Reference:
    scan = raw_scan(gain=gain)
    return Reference(
        role="white",
        id="r",
        serial_number="6100023",
        settings=settings_text(scan),
        gain=gain,
        counts=counts_of(scan).spectrum,
        moment=TAKEN,
    )


def state(of: Reference, scan: RawScan, now: Moment, *, max_age_s: float) -> str:
    return of.state_for(scan, counts_of(scan).spectrum, now, max_age_s=max_age_s)


@pytest.mark.parametrize(
    ("now", "age_s"),
    [
        (Moment(wall_s=0.0, monotonic_s=80.0, boot_id="a", synced=False), 30.0),
        (Moment(wall_s=1300.0, monotonic_s=5.0, boot_id="b", synced=True), 300.0),
        (Moment(wall_s=1300.0, monotonic_s=5.0, boot_id="b", synced=False), None),
    ],
)
def test_its_age_is_known_within_a_boot_or_between_synced_clocks(now: Moment, age_s: float | None) -> None:
    assert reference().moment.age_s(now) == age_s


def test_it_is_fresh_then_stale_and_stale_when_nobody_knows_its_age() -> None:
    scan, white = raw_scan(), reference()

    assert state(white, scan, replace(TAKEN, monotonic_s=60.0), max_age_s=10.0) == "fresh"
    assert state(white, scan, replace(TAKEN, monotonic_s=60.1), max_age_s=10.0) == "stale"
    assert state(white, scan, replace(TAKEN, boot_id="b", synced=False), max_age_s=1e9) == "stale"


@pytest.mark.parametrize(
    "scan",
    [
        raw_scan(serial_number="other"),
        raw_scan(points=100),
        raw_scan(width_px=8),
        raw_scan(start_nm=950.0),
        replace(raw_scan(), axis=np.linspace(900.0, 1701.0, 16)),
    ],
    ids=["instrument", "points", "width", "range", "axis"],
)
def test_a_scan_by_another_instrument_or_with_other_optics_mismatches(scan: object) -> None:
    assert state(reference(), scan, TAKEN, max_age_s=1e9) == "mismatched"  # type: ignore[arg-type]


def test_repeats_and_gain_are_no_mismatch() -> None:
    assert state(reference(), raw_scan(repeats=50, gain=64), TAKEN, max_age_s=1e9) == "fresh"


def test_another_gain_scales_the_counts() -> None:
    assert reference(gain=16).scaled_to(raw_scan(gain=64)).values.tolist() == [80_000.0] * 16
    assert reference(gain=16).scaled_to(raw_scan(gain=16)).values.tolist() == [20_000.0] * 16


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"counts": np.full(16, 500, dtype=np.int32)}, "peaks at 500"),
        ({"counts": np.array([20_000] * 15 + [0], dtype=np.int32)}, "dark at 1 of 16"),
        ({"saturated": np.array([True] * 3 + [False] * 13)}, "saturated at 3 of 16"),
    ],
)
def test_a_tile_that_is_missing_shaded_or_too_bright_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(Unfit, match=words) as refused:
        require_white(counts_of(replace(raw_scan(), **change)).spectrum, min_peak_counts=2000)  # type: ignore[arg-type]

    assert refused.value.hint


def test_a_stored_spectrum_is_read_back_to_the_bit_and_packs_to_the_same_bytes() -> None:
    rng = np.random.default_rng(1)
    spectrum = Spectrum(
        axis=np.sort(rng.uniform(900, 1700, 228)),
        values=rng.normal(size=228).astype(np.float32),
        axis_unit="nm",
        quantity="absorbance",
        saturated=rng.random(228) > 0.9,
    )

    again = unpack_spectrum(pack_spectrum(spectrum))

    assert (again.axis == spectrum.axis).all()
    assert (again.values == spectrum.values).all()
    assert again.saturated is not None
    assert (again.saturated == spectrum.saturated).all()
    assert pack_spectrum(again) == pack_spectrum(spectrum)


@given(st.binary(max_size=200), st.integers(0, 1200), st.integers(0, 255))
def test_any_bytes_are_a_stored_spectrum_or_a_spectrum_error(noise: bytes, at: int, byte: int) -> None:
    whole = bytearray(pack_spectrum(counts_of(raw_scan()).spectrum))
    whole[at % len(whole)] = byte

    for data in (noise, bytes(whole), bytes(whole[:at])):
        try:
            unpack_spectrum(data)
        except SpectrumError:
            continue
