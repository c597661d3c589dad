"""What the operator of a simulated Ocean unit types, and what it shows."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from firmware_sim.contract import OperatorError
from firmware_sim.devices.ooi import OoiSpectrometer
from firmware_sim.main import main
from firmware_sim.sample import Products
from firmware_sim.scene import Raman, lamp_with


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "say where it hangs: --usb"),
        (["--usb", "--model", "torus"], "'torus' is not one of"),
        (["--usb", "--sample", "sugar"], "no sample 'sugar'"),
        (["--usb", "--model", "apex", "--sample", "100AC"], "no sample '100AC'; there are polystyrene"),
        (["--usb", "--memory", "wet"], "'wet' is not one of"),
        (["--usb", "--serial-number", "x" * 15], "1 to 14 ASCII characters"),
        (["--usb", "--faults", "explode"], "no fault 'explode'"),
        (["--usb", "--faults", "no_sync@1:2"], "no_sync takes at most 0 numbers"),
    ],
)
def test_a_mistake_is_named_and_ends_with_status_2(words: list[str], said: str):
    result = CliRunner().invoke(main, ["ooi", *words], prog_name="edged-sim")

    assert result.exit_code == 2
    assert said in " ".join(result.output.split())


def test_the_next_sample_comes_after_as_many_fresh_spectra_as_were_asked_for():
    unit = OoiSpectrometer(
        lamp_with(Products(["dark", "100AC"]), white=1, seed=0), model="nirquest512", speed=0.0, frames_per_sample=2
    )
    unit.write(0x01, bytes.fromhex("02 0a 00 00 00"), 0.0)
    for _ in range(7):  # one stale, then twice the tile, the dark, the product
        unit.write(0x01, b"\x09", 0.0)
    levels = [float(np.median(frame)) for frame in unit.meant]

    assert levels[0] > 5 * levels[1]  # stale: ten times the exposure
    assert levels[1] == pytest.approx(levels[2], rel=0.05)
    assert max(levels[3:5]) < min(levels[5:7]) < levels[1]


def test_the_operator_places_samples_and_goes_on():
    unit = OoiSpectrometer(lamp_with(Products(), white=0, seed=0), speed=0.0)
    unit.operate("sample dark")
    unit.write(0x01, b"\x09", 0.0)
    dark = unit.meant[-1]
    unit.operate("sample white")
    unit.write(0x01, b"\x09", 0.0)
    unit.operate("faults no_sync@1")
    unit.write(0x01, b"\x09", 0.0)

    assert np.median(unit.meant[1]) > 2 * np.median(dark)
    assert "no_sync" in [event.get("fault") for event in unit.take_events()]
    with pytest.raises(OperatorError, match="no fault"):
        unit.operate("faults explode")


def test_an_apex_shows_raman_lines_of_the_laser_beside_it():
    unit = OoiSpectrometer(Raman("polystyrene"), model="apex", exact=True, speed=0.0)
    unit.write(0x01, b"\x09", 0.0)
    index = np.arange(2304)
    nm = 784.6 + 0.1402 * index - 4.0e-6 * index**2 - 2.0e-10 * index**3
    shift_cm1 = 1e7 / 785.0 - 1e7 / nm
    frame = unit.meant[-1]

    near = (shift_cm1 > 900) & (shift_cm1 < 1100)
    assert shift_cm1[near][np.argmax(frame[near])] == pytest.approx(1001.4, abs=2.0)  # ASTM E1840, polystyrene
