"""Light, noise and repeatability, judged from the bytes of scans."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from firmware_sim import detector, optics
from firmware_sim.sample import View
from tests.firmware_sim.raw_client import APPLY_COLUMN_1, TWIN, adc, client, counts, memory

STATED_NOISE_AU = 0.70e-3  # in the docstring of firmware_sim.detector, from the real powders
BAND = slice(60, 120)


class OneView:
    """Always the same thing before the window."""

    ideal = False
    lowest_absorbance = 0.0

    def __init__(self, absorbance: NDArray[np.float64]) -> None:
        self._view = View(label="fixed", wavelength_nm=TWIN.wavelength_nm, absorbance=absorbance)

    def view(self, turn: int, seed: int) -> View:
        return self._view

    def place(self, name: str) -> None:
        raise NotImplementedError


def absorbances(means: NDArray[np.float64], scans: int) -> NDArray[np.float64]:
    line = memory(source=OneView(means))
    white = counts(client(line).scan())
    return np.array([np.log10(white / counts(client(line).scan())) for _ in range(scans)])


def scatter(spectra: NDArray[np.float64]) -> NDArray[np.float64]:
    """Random scatter from pixel to pixel between consecutive scans, as a robust standard deviation a pixel."""
    change = np.diff(spectra, axis=0)
    residual = (change[:, 1:-1] - (change[:, :-2] + change[:, 2:]) / 2) / np.sqrt(3)
    return 1.4826 * np.median(np.abs(residual), axis=0)


def test_absorbance_noise_on_powders_is_the_stated_number() -> None:
    noise = np.array([np.median(scatter(absorbances(mean, 40))[BAND]) for mean in TWIN.means])

    assert np.median(noise) == pytest.approx(STATED_NOISE_AU, rel=0.12)


def test_noise_grows_towards_the_ends_as_in_the_real_powders(data_dir: Path) -> None:
    with (data_dir / "nir_pharma_powders_notredame" / "RawNIRData.csv").open(encoding="utf-8-sig") as file:
        real = np.array([row[1:] for row in list(csv.reader(file))[1:]], float).T[300:400]

    real_noise, simulated = scatter(real), scatter(absorbances(real.mean(axis=0), 60))

    for part in (slice(0, 5), slice(5, 60), BAND, slice(120, 180), slice(180, 215), slice(215, 226)):
        ratio = np.median(simulated[part]) / np.median(real_noise[part])
        assert 0.6 < ratio < 1.6, (part, ratio)


def test_more_repeats_make_less_noise() -> None:
    few, many = memory(["100AC"], white=80), memory(["100AC"], white=80)
    client(few).write(0x022E, b"\1\0")
    client(many).write(0x022E, b"\x24\0")

    noise = [scatter(np.log10([counts(client(line).scan()) for _ in range(40)]))[BAND].mean() for line in (few, many)]

    assert noise[0] / noise[1] == pytest.approx(6, rel=0.25)


def test_runs_with_one_seed_agree_to_the_bit_whatever_time_passes() -> None:
    slow, quick, other = memory(seed=3, speed=50.0), memory(seed=3), memory(seed=4)
    scans = []
    for line in (slow, quick, other):

        def exchange(asked: bytes, line=line) -> bytes:
            return line.feed(asked) + line.advance(0.7)

        talker = client(line)
        talker._exchange = exchange
        scans.append([adc(talker.scan()).tolist() for _ in range(4)])

    assert scans[0] == scans[1]
    assert scans[0] != scans[2]


def test_faults_change_no_number_of_the_good_scans() -> None:
    plain, unlucky = memory(seed=5), memory(seed=5, faults="stale@2,error@4")
    wanted = [client(plain).scan() for _ in range(4)]

    got = []
    for _ in range(6):
        got.append(client(unlucky).scan())
        client(unlucky).write(0x0405)

    assert [adc(blob).tolist() for blob in (got[0], got[2], got[4], got[5])] == [adc(b).tolist() for b in wanted]


def test_the_light_is_weak_at_both_ends_and_never_dies_in_between() -> None:
    light = optics.light(np.linspace(900, 1700, 228))

    assert 0.9 < light.max() < 1.1
    assert light[0] < 0.3
    assert light[-1] < 0.08
    assert light[5:220].min() > 0.08
    assert np.abs(np.diff(np.log(light))).max() < 0.35


def test_the_lamp_warms_up_over_the_first_scans_and_the_housing_over_more() -> None:
    assert optics.lamp_warmth(0) == pytest.approx(0.98)
    assert optics.lamp_warmth(30) == pytest.approx(1.0, abs=1e-4)
    temperatures = [optics.Climate.after(scans).system_c for scans in (0, 1, 10, 100)]
    assert temperatures == sorted(temperatures)
    assert temperatures[0] == 25.0
    assert temperatures[-1] == pytest.approx(33, abs=0.5)


def test_within_one_scan_the_filament_is_still_coming_up() -> None:
    rising = optics.lamp_ramp(np.array([0.7, 0.8, 0.9]), period_s=0.2, repeats=6)

    assert (np.diff(rising) > 0).all()
    assert 0.99 < rising[0] < 1


def test_wavelengths_drift_by_hundredths_of_a_nanometre_while_the_unit_reports_the_calibrated_ones() -> None:
    drift = optics.drifted_nm(np.array([1300.0]), 33.0) - 1300.0

    assert 0.01 < drift[0] < 0.1


def test_auto_gain_keeps_white_in_range_at_full_gain() -> None:
    line = memory()
    blob = client(line).scan()

    assert blob[184] == 64
    assert 0.4 * 2**23 < counts(blob).max() < 0.8 * 2**23


def test_a_fixed_gain_is_honoured_and_scales_the_counts() -> None:
    line = memory(white=3)
    full = counts(client(line).scan()).max()
    client(line).write(0x040C, b"\1\4")

    blob = client(line).scan()

    assert blob[184] == 4
    assert client(line).read(0x0228) == b"\4"
    assert counts(blob).max() / full == pytest.approx(4 / 64, rel=0.02)


def test_wide_patterns_at_a_fixed_high_gain_stop_at_positive_full_scale() -> None:
    line = memory()
    client(line).write(0x040C, b"\1\x40")
    client(line).write(0x021E, APPLY_COLUMN_1[:86] + b"\x10" + APPLY_COLUMN_1[87:])

    readings = adc(client(line).scan())

    assert readings.max() == 2**23 - 1
    assert (readings == 2**23 - 1).sum() > 10


def test_auto_gain_takes_a_lower_gain_for_wide_patterns() -> None:
    line = memory()
    client(line).write(0x021E, APPLY_COLUMN_1[:86] + b"\x10" + APPLY_COLUMN_1[87:])

    blob = client(line).scan()

    assert blob[184] == 32
    assert adc(blob).max() < 2**23 - 1


@pytest.mark.parametrize(("brightest", "gain"), [(0.0, 64), (1e6, 64), (8e6, 32), (3e8, 1), (1e12, 1)])
def test_the_gain_pass_takes_the_largest_gain_in_range(brightest: float, gain: int) -> None:
    assert detector.auto_gain(brightest) == gain


def test_the_dark_sample_is_dark() -> None:
    line = memory(["dark"], white=0)

    assert np.abs(counts(client(line).scan())).max() < 3000
