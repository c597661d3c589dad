"""What drifts in the simulator: by the laws of physics, and as the charts of the daemon see it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import scipy.constants
from numpy.typing import NDArray

from edged.monitor.product import Alarm, Learning, Seen, Watching
from edged.monitor.template import Grid
from firmware_sim.contract import OperatorError
from firmware_sim.drift import FILAMENT_K, SENSOR_NM, Drift
from firmware_sim.sample import Products, Replay, Tray
from firmware_sim.spectra_file import read_spectra
from tests.firmware_sim.raw_client import TWIN, client, counts, memory

NM = np.linspace(900.0, 1700.0, 228)  # about where the patterns of an unset unit lie
LEARNED_FROM = 60


def planck(wavelength_nm: NDArray[np.float64], kelvin: float) -> NDArray[np.float64]:
    c2 = scipy.constants.physical_constants["second radiation constant"][0]
    found: NDArray[np.float64] = 1.0 / np.expm1(c2 / (wavelength_nm * 1e-9 * kelvin))
    return found


def test_a_cooler_filament_gives_the_light_that_planck_says() -> None:
    drift = Drift.parse("lamp=-0.02")

    wanted = planck(NM, 0.98 * FILAMENT_K) / planck(NM, FILAMENT_K)
    np.testing.assert_allclose(drift.light(NM), wanted, rtol=1e-4)
    at_sensor = planck(np.array([SENSOR_NM]), 0.98 * FILAMENT_K) / planck(np.array([SENSOR_NM]), FILAMENT_K)
    assert drift.sensor == pytest.approx(at_sensor[0], rel=1e-4)
    assert (Drift().light(NM) == 1.0).all()


def test_scan_and_photodiode_of_a_unit_show_a_cooler_filament() -> None:
    line = memory(["100AC"], white=20)
    host = client(line)
    before = [host.scan() for _ in range(8)][-1]
    line.device.operate("drift lamp=-0.1")
    after = host.scan()

    dimmer = counts(after) / counts(before)
    middle = slice(60, 170)  # away from the weak ends
    nm = NM[middle]
    ratio = planck(nm, 0.9 * FILAMENT_K) / planck(nm, FILAMENT_K)
    slope = np.polyfit(nm, np.log(dimmer[middle]), 1)[0]
    assert slope == pytest.approx(np.polyfit(nm, np.log(ratio), 1)[0], rel=0.1)
    photodiode = [struct.unpack_from("<H", blob, 118)[0] for blob in (before, after)]
    assert photodiode[1] / photodiode[0] == pytest.approx(Drift.parse("lamp=-0.1").sensor, abs=0.03)


def test_presentation_axis_and_product_are_what_arithmetic_says() -> None:
    nm, flat = np.linspace(900.0, 1700.0, 9), np.linspace(0.2, 1.0, 9)  # 0.001 a nm

    assert Drift.parse("offset=0.1,path=2").absorbance(nm, flat) == pytest.approx(0.1 + 2.0 * flat)
    moved = Drift.parse("axis=10").absorbance(nm, flat)
    assert moved[:-1] == pytest.approx(flat[:-1] + 0.01)
    mixed = Drift.parse("product=x:0.25").absorbance(nm, flat, np.ones(9))
    assert mixed == pytest.approx(0.75 * flat + 0.25)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lamp", "a number from -0.5 to 0.5"),
        ("lamp=nan", "a number from"),
        ("axis=100", "from -20 to 20"),
        ("path=0", "from 0.1 to 10"),
        ("colour=1", "there are lamp, axis, offset, path and product"),
        ("product=100LA", "there are lamp"),
        ("product=100LA:2", "from 0 to 1"),
        ("product=sugar:0.1", "no product 'sugar'"),
    ],
)
def test_what_cannot_drift_is_refused_with_what_can(text: str, words: str) -> None:
    tray = Tray(Products(["100AC"], TWIN), white=0)

    with pytest.raises(OperatorError, match=words):
        tray.set_drift(text)

    assert tray.drift == Drift()


def test_a_replayed_file_mixes_with_nothing(data_dir: Path) -> None:
    recorded = read_spectra(data_dir / "nir_pharma_powders_notredame" / "RawNIRData.csv")
    tray = Tray(Replay(recorded), white=0)

    with pytest.raises(OperatorError, match="mixes with nothing"):
        tray.set_drift("product=100LA:0.1")
    tray.set_drift("offset=0.1")
    assert tray.view().absorbance == pytest.approx(recorded.values[0] + 0.1)


def test_the_white_tile_stays_white() -> None:
    tray = Tray(Products(["100AC"], TWIN), white=1)
    tray.set_drift("offset=0.5,path=2,product=100LA:0.5")

    assert not tray.view().absorbance.any()


@pytest.mark.parametrize(
    ("making", "cause"),
    [
        ("lamp=-0.01", "lamp"),
        ("axis=0.5", "axis"),
        ("offset=0.05,path=1.1", "presentation"),
        ("product=100LA:0.15", "product"),
    ],
)
def test_charts_name_each_drift_that_a_unit_goes_through(making: str, cause: str) -> None:
    """From light to converter readings and back to absorbance; the unit has warmed up before anything is learned."""
    line = memory(["1090ACAA"], white=1, seed=3)
    host = client(line)
    for _ in range(80):
        host.scan()
    line.device.operate("white")
    white = counts(host.scan())
    inside = (NM > 910.0) & (NM < 1650.0)
    watch: Learning | Watching = Learning(
        grid=Grid(axis=NM[inside], unit="nm", has_lamp=True), wanted=LEARNED_FROM, false_alarm_every=10_000.0
    )
    findings = []
    for at in range(1, LEARNED_FROM + 81):
        if at == LEARNED_FROM + 21:
            line.device.operate(f"drift {making}")
        absorbance = np.log10(white / counts(host.scan()))
        watch, found = watch.take(Seen(at=at, row=absorbance[inside]))
        findings.append(found)

    alarms = [found for found in findings if isinstance(found, Alarm)]
    assert [alarm.cause for alarm in alarms] == [cause]
    assert abs(alarms[0].since - (LEARNED_FROM + 21)) <= 10
